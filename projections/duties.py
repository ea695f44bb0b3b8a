"""Whose hands were in which case: what the compliance query over duties is asked of."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from domain.events import Event
from domain.events.grant import (
    GrantApprovalRetracted,
    GrantChecked,
    GrantInformationProvided,
    GrantRequested,
    GrantStageApproved,
)
from domain.events.grant_cases import (
    CaseApprovalRetracted,
    CaseChecked,
    CaseEvent,
    CaseOpened,
    CaseStageApproved,
)
from domain.events.person import PersonMerged
from domain.folding import hands_of
from domain.grant_states import Grant

NAME: Final = "hands"
FOLD: Final = 2
"""The fold version: raised whenever the rows of the same events would be others."""

Act = Literal["requested", "checked", "approved"]


class Hands(NamedTuple):
    """What one event says: hands that were in the case, approvals that are hands no more, a merge
    of persons, the kind that all of a grant's hands are of from now on.

    Each is a list of rows, JSON-able, without tenant and generation.
    """

    rows: list[dict[str, Any]]
    void: list[dict[str, Any]]
    merges: list[dict[str, Any]]
    kinds: list[dict[str, Any]]


def act_of(event: Event) -> Act | None:
    """Return which hand an event is, None for most. What an import inferred is nobody's."""
    if event.imported is not None and event.imported.inferred:
        return None
    match event:
        case GrantRequested() | CaseOpened():
            return "requested"
        case GrantChecked() | CaseChecked():
            return "checked"
        case GrantStageApproved() | CaseStageApproved():
            return "approved"
        case _:
            return None


def hands(stream_id: str, position: int, event: Event, before: Any, after: Any) -> Hands | None:
    """Return what an event adds, None for most; `before` and `after` are the states of its stream.

    Deputy and principal both had their hand in it. An approval retracted, or made void by other
    terms, is none. Imported history may tell late, or differently, of which kind a grant is.
    """
    if isinstance(event, PersonMerged):
        merge = {"person": stream_id, "into_person": event.into, "position": position}
        return Hands([], [], [merge], [])
    if not isinstance(after, Grant):
        return None
    rows = _added(stream_id, position, event, after)
    void = _taken(stream_id, position, event, after)
    kinds: list[dict[str, Any]] = []
    if isinstance(before, Grant) and before.terms.kind != after.terms.kind:
        kinds.append({"grant_id": stream_id, "kind": after.terms.kind})
    return Hands(rows, void, [], kinds) if rows or void or kinds else None


def _taken(stream_id: str, position: int, event: Event, after: Grant) -> list[dict[str, Any]]:
    """Return which approvals count no more."""
    match event:
        case GrantApprovalRetracted() | CaseApprovalRetracted():
            persons = hands_of(event) if event.approver is None else {event.approver}
            void = {"stage": event.stage, "persons": sorted(persons)}
        case GrantInformationProvided(terms=terms) if terms is not None:
            void = {"stage": None, "persons": None}
        case _:
            return []
    of = {"grant_id": stream_id, "case_id": _case(event, after), "position": position}
    return [{**of, **void}]


def _case(event: Event, after: Grant) -> str:
    """Return the case an event is of: its own, else the request."""
    return event.case if isinstance(event, CaseEvent) else after.case


def _added(stream_id: str, position: int, event: Event, after: Grant) -> list[dict[str, Any]]:
    act = act_of(event)
    if act is None:
        return []
    rows = {
        party.person: {
            "grant_id": stream_id,
            "case_id": _case(event, after),
            "position": position,
            "person": party.person,
            "number": after.number,
            "act": act,
            "stage": (
                event.stage if isinstance(event, GrantStageApproved | CaseStageApproved) else None
            ),
            "at": event.at,
            "party": party.ref,
            "imported": event.imported is not None,
            "kind": after.terms.kind,
        }
        for party in (event.on_behalf_of, event.by)
        if party is not None and party.person
    }
    return list(rows.values())
