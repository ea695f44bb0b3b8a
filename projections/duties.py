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
FOLD: Final = 1
"""The fold version: raised whenever the rows of the same events would be others."""

Act = Literal["requested", "checked", "approved"]


class Hands(NamedTuple):
    """What one event says: hands that were in the case, approvals that are hands no more, a merge
    of persons.

    Each is a list of rows, JSON-able, without tenant and generation.
    """

    rows: list[dict[str, Any]]
    void: list[dict[str, Any]]
    merges: list[dict[str, Any]]


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


def hands(stream_id: str, position: int, event: Event, after: Any) -> Hands | None:
    """Return what an event adds, None for most; `after` is the state of its stream.

    Deputy and principal both had their hand in it. An approval retracted, or made void by other
    terms, is none.
    """
    if isinstance(event, PersonMerged):
        merge = {"person": stream_id, "into_person": event.into, "position": position}
        return Hands([], [], [merge])
    if not isinstance(after, Grant):
        return None
    match event:
        case GrantApprovalRetracted() | CaseApprovalRetracted():
            persons = hands_of(event) if event.approver is None else {event.approver}
            void = {"stage": event.stage, "persons": sorted(persons)}
        case GrantInformationProvided(terms=terms) if terms is not None:
            void = {"stage": None, "persons": None}
        case _:
            return _added(stream_id, position, event, after)
    of = {"grant_id": stream_id, "case_id": _case(event, after), "position": position}
    return Hands([], [{**of, **void}], [])


def _case(event: Event, after: Grant) -> str:
    """Return the case an event is of: its own, else the request."""
    return event.case if isinstance(event, CaseEvent) else after.case


def _added(stream_id: str, position: int, event: Event, after: Grant) -> Hands | None:
    act = act_of(event)
    if act is None:
        return None
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
        }
        for party in (event.on_behalf_of, event.by)
        if party is not None and party.person
    }
    return Hands(list(rows.values()), [], []) if rows else None
