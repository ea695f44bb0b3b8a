"""Whether the stages of a policy can be filled with different people, whoever the requester is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from domain.events.policy import Group, Stage
from domain.staff import Staff


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A staff member in standing as an approver: the resolved person, roles and level."""

    person: str
    roles: frozenset[str]
    level: str


class Unstaffable(msgspec.Struct, frozen=True, gc=False):
    """A group that cannot be filled: `found` people at most, once the requester is set apart."""

    stage: str
    role: str
    needed: int
    found: int


class _Place(msgspec.Struct, frozen=True, gc=False):
    """One place to fill: a group's, and who could take it."""

    stage: str
    group: Group
    eligible: frozenset[str]


def candidates(staff: Iterable[Staff], same: Callable[[str], str]) -> tuple[Candidate, ...]:
    """Return those who work here as candidates, people resolved by `same`."""
    return tuple(
        Candidate(same(member.person), frozenset(member.roles), member.level)
        for member in staff
        if member.active
    )


def eligible(group: Group, people: Iterable[Candidate]) -> frozenset[str]:
    """Return the persons who may approve in this group."""
    return frozenset(
        one.person
        for one in people
        if group.role in one.roles and (not group.levels or one.level in group.levels)
    )


def unstaffable(stages: Sequence[Stage], people: Sequence[Candidate]) -> Unstaffable | None:
    """Return the first group that cannot be filled apart from some one requester, or None.

    All groups of all stages must agree and one person approves a case once, so the places of all
    stages are filled with different people: an exact matching of places to people, tried without
    each person whom the matching of all of them needs. A requester it does not need takes nothing.
    """
    places = _places(stages, people)
    filled = _fill(places, apart=frozenset())
    if len(filled) < len(places):
        return _first_empty(places, filled)
    for requester in sorted(set(filled.values())):
        refilled = _fill(places, apart=frozenset({requester}))
        if len(refilled) < len(places):
            return _first_empty(places, refilled)
    return None


def _places(stages: Sequence[Stage], people: Sequence[Candidate]) -> list[_Place]:
    """Return the places of all stages with whom each could be given to.

    Where more could take a place than there are places, with one more for the requester, it can
    always be filled: the others are left out, and the work does not grow with the tenant.
    """
    groups = [(stage, group) for stage in stages for group in stage.groups]
    enough = sum(group.number for _, group in groups) + 1
    places: list[_Place] = []
    for stage, group in groups:
        found = frozenset(sorted(eligible(group, people))[:enough])
        places.extend([_Place(stage.id, group, found)] * group.number)
    return places


def _fill(places: Sequence[_Place], apart: frozenset[str]) -> dict[int, str]:
    """Return place -> person, as many places as possible, earlier places first (Kuhn's algorithm).

    A place once filled stays filled, perhaps by another person.
    """
    taken: dict[str, int] = {}
    for number in range(len(places)):
        _seat(places, number, taken, set(apart))
    return {number: person for person, number in taken.items()}


def _seat(places: Sequence[_Place], number: int, taken: dict[str, int], tried: set[str]) -> bool:
    """Seat someone at a place, moving others along where that helps; no deeper than places are."""
    for person in sorted(places[number].eligible - tried):
        if person in tried:
            continue
        tried.add(person)
        held = taken.get(person)
        if held is None or _seat(places, held, taken, tried):
            taken[person] = number
            return True
    return False


def _first_empty(places: Sequence[_Place], filled: dict[int, str]) -> Unstaffable:
    first = next(number for number in range(len(places)) if number not in filled)
    stage, group = places[first].stage, places[first].group
    found = sum(
        1
        for number, place in enumerate(places)
        if place.stage == stage and place.group is group and number in filled
    )
    return Unstaffable(stage, group.role, group.number, found)
