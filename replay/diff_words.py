"""Differences in the words of the business, in Chinese and English."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from domain.events import stream_kind
from domain.scopes import Piece
from domain.values import PolicyRef, Term
from projections.history_lines import CUSTOMER, Told, line, named_in
from projections.history_lines_names import Book, Language, fill
from replay.cli_texts import Texts
from replay.diff_document import document
from replay.diff_past import at_instant
from replay.diff_records import (
    About,
    Act,
    CaseChange,
    Difference,
    EffectChange,
    PermissionChange,
    Right,
    Rights,
    Turn,
)
from replay.history import Called
from replay.sources import Source

TEXTS: Final = Texts("counterseal-audit", Path(__file__).with_name("texts.toml"))
"""`[diff]`, `[diff_why]` and `[statuses]` of it are ours."""


class Row(NamedTuple):
    """One field of the terms, at the first moment and at the second one."""

    field: str
    before: str
    after: str


Naming = Callable[[set[str], set[tuple[str, str]]], Book]
"""Gives what these ids and points (dimension, path) are called."""


class Telling:
    """Tells differences in one language, things by the names that `naming` gives."""

    def __init__(self, language: Language, naming: Naming) -> None:
        self._language: Language = language
        self._naming = naming

    def words(self, one: Difference) -> list[str]:
        """Return a difference as lines: what differs, how, and who did it; no sealed text is
        opened.
        """
        told = _Told(self._language, self._book(one))
        match one:
            case PermissionChange():
                return list(told.permission(one))
            case EffectChange():
                return list(told.effect(one))
            case CaseChange():
                return list(told.case(one))

    def document(self, one: Difference) -> dict[str, Any]:
        """Return a difference as JSON holds it: ids, codes, instants, and `words`."""
        return {**document(one, self._book(one)), "words": self.words(one)}

    def side_by_side(self, one: PermissionChange, at: tuple[datetime, datetime]) -> list[Row]:
        """Return the terms of a grant field by field, at both moments: those in force at the
        instants, else the next to come, else the last ones; fields that are empty on both sides are
        left out.
        """
        return _Told(self._language, self._book(one)).side_by_side(one, at)

    def _book(self, one: Difference) -> Book:
        return self._naming(*_named(one))


class Teller(Telling):
    """Tells differences in one language; names are looked up in the log, as of a position."""

    def __init__(self, source: Source, language: Language, position: int) -> None:
        called = Called(source, position)
        super().__init__(
            language,
            lambda ids, points: Book(
                language, called.names(ids, points), called.policy, called.dimension
            ),
        )


def _named(one: Difference) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the ids and points whose names a difference needs."""
    ids, points = named_in(map(_telling, _acts(one)))
    ids |= {one.about.grant, one.about.grantee.rpartition(":")[2]}
    scopes = [right.scope for right in _rights(one)]
    scopes += [piece.scope for piece in _pieces(one)] + [piece.but_not for piece in _pieces(one)]
    for dimension, patterns in chain.from_iterable(scope.items() for scope in scopes):
        points |= {(dimension, path) for path in patterns}
        ids |= set(patterns) if dimension == CUSTOMER else set()
    ids |= {right.parent for right in _rights(one) if right.parent is not None}
    if isinstance(one, EffectChange):
        ids |= {turn.above.grant for turn in one.turns if turn.above is not None}
    return ids, points


def _acts(one: Difference) -> Iterable[Act]:
    if isinstance(one, EffectChange):
        return [turn.act for turn in one.turns if turn.act is not None]
    return one.acts


def _rights(one: Difference) -> Iterator[Right]:
    match one:
        case PermissionChange():
            yield from (*one.before, *one.after)
        case EffectChange():
            for turn in one.turns:
                yield from (right for right in (turn.before, turn.after) if right is not None)
        case CaseChange():
            return


def _pieces(one: Difference) -> Sequence[Piece]:
    return (*one.gained, *one.lost) if isinstance(one, PermissionChange) else ()


def _telling(act: Act) -> Told:
    stored, event = act
    kind = stream_kind(stored.type)
    return Told(kind, stored.stream_id, stored.type, event.by, event.on_behalf_of, event)


class _Told:
    """Tells one difference; `book` knows what the things in it are called."""

    def __init__(self, language: Language, book: Book) -> None:
        self._language: Language = language
        self._book = book

    def permission(self, one: PermissionChange) -> Iterator[str]:
        key = one.change
        if one.change == "appeared" and not one.in_force[1]:
            key = "appeared_later"
        if one.change == "changed" and not one.before:
            key = "appeared_past"
        yield self._headline(one, key)
        for right in one.before:
            if right not in one.after:
                yield self._say("before", right=self._right(right))
        for right in one.after:
            if right not in one.before:
                yield self._say("after", right=self._right(right))
        for key, pieces in (("gained", one.gained), ("lost", one.lost)):
            for piece in pieces:
                yield self._say(key, scope=self._piece(piece))
        yield from map(self._act, one.acts)

    def effect(self, one: EffectChange) -> Iterator[str]:
        yield self._headline(one, one.change)
        for turn in one.turns:
            yield self._turn(turn)
            if turn.act is not None:
                yield self._act(turn.act)

    def case(self, one: CaseChange) -> Iterator[str]:
        before = self._say("nothing") if one.before is None else _status(self._language, one.before)
        after = self._say("nothing") if one.after is None else _status(self._language, one.after)
        key = "case_same" if one.before == one.after else "case"
        yield self._say(key, **self._about(one), before=before, after=after)
        yield from map(self._act, one.acts)

    def side_by_side(self, one: PermissionChange, at: tuple[datetime, datetime]) -> list[Row]:
        before, after = (
            self._fields(one.about, rights, instant)
            for rights, instant in zip((one.before, one.after), at, strict=True)
        )
        fields = dict.fromkeys([*before, *after])
        rows = (Row(name, before.get(name, ""), after.get(name, "")) for name in fields)
        return [row for row in rows if row.before or row.after]

    # --- parts ------------------------------------------------------------------------------------

    def _say(self, key: str, **params: str) -> str:
        template = TEXTS.texts()["diff"][key][self._language]
        return fill(template, lambda name: params.get(name, ""))

    def _about(self, one: Difference) -> dict[str, str]:
        about = one.about
        policies = (ref for right in _rights(one) if (ref := _policy(right)) is not None)
        policy = next(policies, None) or self._book.pinned(about.grant)
        return {
            "grant": self._book.record("grant", about.grant),
            "kind": self._book.kind(policy, about.kind),
            "grantee": self._book.party(about.grantee),
        }

    def _headline(self, one: Difference, key: str) -> str:
        return self._say("headline", **self._about(one), change=self._say(key))

    def _right(self, right: Right) -> str:
        policy = _policy(right)
        return self._say(
            "right",
            actions=self._book.listed(self._book.action(policy, one) for one in right.actions),
            scope=self._book.scope(right.scope),
            term=self._term(right),
            terms=str(right.terms),
        )

    def _term(self, right: Right) -> str:
        if right.valid_to is None:
            return self._book.term(Term(starts_at=right.valid_from))
        starts, ends = self._book.instant(right.valid_from), self._book.instant(right.valid_to)
        return self._say("term", starts=starts, ends=ends)

    def _piece(self, piece: Piece) -> str:
        but_not = self._book.scope(dict(piece.but_not))
        return self._say("piece", scope=self._book.scope(dict(piece.scope)), but_not=but_not)

    def _turn(self, turn: Turn) -> str:
        why = TEXTS.texts()["diff_why"][turn.why][self._language]
        above = "" if turn.above is None else self._book.record("grant", turn.above.grant)
        params = {"hold": turn.hold or "", "above": above}
        shown = turn.after or turn.before
        params["terms"] = "" if shown is None else str(shown.terms)
        key = "off" if turn.after is None else "on" if turn.before is None else "other"
        return self._say(
            key,
            at=self._book.instant(turn.at),
            why=fill(why, lambda name: params.get(name, "")),
            right="" if turn.after is None else self._right(turn.after),
        )

    def _act(self, act: Act) -> str:
        stored, event = act
        sealed = event.reason is not None and event.reason.text is not None
        return self._say(
            "act",
            position=str(stored.position),
            recorded_at=self._book.instant(stored.recorded_at),
            at=self._book.instant(event.at) if event.at != stored.recorded_at else "",
            line=line(_telling(act), self._book),
            sealed=self._say("sealed") if sealed else "",
        )

    def _fields(self, about: About, rights: Rights, at: datetime) -> dict[str, str]:
        right = _shown(rights, at)
        if right is None:
            return {self._say("in_force"): self._say("never")}
        book, policy = self._book, _policy(right)
        found = {
            self._say("in_force"): book.listed(map(self._term, rights), "semicolon"),
            self._say("terms"): str(right.terms),
            self._say("actions"): book.listed(book.action(policy, one) for one in right.actions),
        }
        for dimension, patterns in right.scope.items():
            name = book.dimension(dimension)
            name = f"{name} ({dimension})" if name in found else name
            found[name] = book.listed(book.point(dimension, one) for one in patterns)
        found[self._say("from")] = book.instant(right.valid_from)
        found[self._say("until")] = "" if right.valid_to is None else book.instant(right.valid_to)
        found[self._say("grantee")] = book.party(about.grantee)
        found[self._say("policy")] = "" if policy is None else book.version(policy)
        parent = right.parent
        found[self._say("parent")] = "" if parent is None else book.record("grant", parent)
        return found


def _shown(rights: Rights, at: datetime) -> Right | None:
    """Return the right in force at an instant, else the next one, else the last one."""
    now = at_instant(rights, at)
    later = next((one for one in rights if at < one.valid_from), None)
    return now or later or (rights[-1] if rights else None)


def _policy(right: Right) -> PolicyRef | None:
    return None if right.policy is None else PolicyRef(right.policy, right.policy_version)


@cache
def _status(language: Language, status: str) -> str:
    return str(TEXTS.texts()["statuses"][status][language])
