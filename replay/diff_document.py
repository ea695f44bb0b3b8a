"""Differences as JSON with stable members: ids, codes, instants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from domain.scopes import Piece
from domain.values import Reason, Scope
from projections.history_lines_names import Book
from projections.material import EVER
from replay.diff_records import (
    Act,
    CaseChange,
    Difference,
    EffectChange,
    PermissionChange,
    Right,
    Turn,
)


def document(one: Difference, book: Book) -> dict[str, Any]:
    """Return a difference as JSON holds it, but for its words; `book` knows what parties are
    called.
    """
    about = one.about
    found: dict[str, Any] = {
        "grant": about.grant,
        "number": about.number,
        "grantee": about.grantee,
        "grantee_called": book.party(about.grantee),
        "kind": about.kind,
    }
    match one:
        case PermissionChange():
            return {
                "difference": "permission",
                **found,
                "change": one.change,
                "in_force": {"before": one.in_force[0], "after": one.in_force[1]},
                "before": [_right(right) for right in one.before],
                "after": [_right(right) for right in one.after],
                "gained": [_piece(piece) for piece in one.gained],
                "lost": [_piece(piece) for piece in one.lost],
                "acts": [_act(act, book) for act in one.acts],
            }
        case EffectChange():
            return {
                "difference": "effect",
                **found,
                "change": one.change,
                "before": None if one.before is None else _right(one.before),
                "after": None if one.after is None else _right(one.after),
                "turns": [_turn(turn, book) for turn in one.turns],
            }
        case CaseChange():
            return {
                "difference": "case",
                **found,
                "before": one.before,
                "after": one.after,
                "acts": [_act(act, book) for act in one.acts],
            }


def _right(right: Right) -> dict[str, Any]:
    return {
        "terms": right.terms,
        "valid_from": instant(right.valid_from),
        "valid_to": instant(right.valid_to),
        "actions": list(right.actions),
        "scope": _scope(right.scope),
        "policy": right.policy,
        "policy_version": right.policy_version,
        "parent": right.parent,
    }


def _scope(scope: Scope | Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {dimension: list(patterns) for dimension, patterns in scope.items()}


def _piece(piece: Piece) -> dict[str, Any]:
    return {"scope": _scope(piece.scope), "but_not": _scope(piece.but_not)}


def _turn(turn: Turn, book: Book) -> dict[str, Any]:
    return {
        "at": instant(turn.at),
        "before": None if turn.before is None else _right(turn.before),
        "after": None if turn.after is None else _right(turn.after),
        "why": turn.why,
        "hold": turn.hold,
        "above": None if turn.above is None else turn.above.number,
        "act": None if turn.act is None else _act(turn.act, book),
    }


def _act(act: Act, book: Book) -> dict[str, Any]:
    stored, event = act
    principal, imported = event.on_behalf_of, event.imported
    reason = event.reason or Reason()
    return {
        "position": stored.position,
        "at": instant(event.at),
        "recorded_at": instant(stored.recorded_at),
        "type": stored.type.rpartition(".")[0],
        "stream": stored.stream_id,
        "by": event.by.ref,
        "by_called": book.actor(event.by, None),
        "on_behalf_of": None if principal is None else principal.ref,
        "on_behalf_of_called": None if principal is None else book.actor(principal, None),
        "reason": reason.code,
        "reason_sealed": reason.text is not None,
        "imported": None
        if imported is None
        else {"source": imported.source, "row": imported.row, "inferred": imported.inferred},
    }


def instant(at: datetime | None) -> str | None:
    """Return an instant as RFC 3339 in UTC; None for an open end, or the beginning of time."""
    if at is None or at == EVER:
        return None
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
