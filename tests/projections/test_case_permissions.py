"""What renewals, amendments, supersession and errors do to the permission rows, step by step."""

from __future__ import annotations

import pytest

from domain.events.grant_cases import GrantErrorMarked
from domain.grants import Grant, evolve
from projections import permissions
from projections.inline_rows import Change, narrows
from tests.domain.case_story import (
    AGAIN,
    ALL_REACH,
    RENEWAL,
    agree,
    amend,
    any_world_in,
    sign_case,
)
from tests.domain.grant_world import DAY, ENDS, World

Steps = list[tuple[str, list[Change]]]


def steps(world: World) -> Steps:
    """Return each event's name and what it does to the rows."""
    grant: Grant | None = None
    found: Steps = []
    for event in world.grant_events:
        after = evolve(grant, event)  # type: ignore[arg-type]
        found.append((event.name, list(permissions.changes(grant, event, after))))  # type: ignore[arg-type]
        grant = after
    return found


def last(world: World) -> list[Change]:
    return steps(world)[-1][1]


@pytest.mark.parametrize("state", sorted(set(ALL_REACH) - {"none"}))
def test_step_by_step_the_open_rows_are_those_of_the_state(state: str) -> None:
    world = any_world_in(state)
    rows: list[dict[str, object]] = []
    for _, changes in steps(world):
        for change in changes:
            if change.act == "open":
                rows.append(change.values)
            else:
                (gone,) = [row for row in rows if change.values.items() <= row.items()]
                rows.remove(gone)
    known = [row.values() for row in permissions.rows(world.grant)]
    assert sorted(rows, key=str) == sorted(known, key=str)


def test_a_renewal_opens_a_row_and_closes_none() -> None:
    (opened,) = last(any_world_in("renewed"))
    assert (opened.act, opened.narrows) == ("open", False)
    told = (opened.values["terms_number"], opened.values["valid_from"], opened.values["valid_to"])
    assert told == (2, ENDS, AGAIN)


def test_an_amendment_closes_the_old_row_at_its_instant() -> None:
    world = any_world_in("amended_later")
    begins = world.grant.effects[1].starts_at
    changes = last(world)
    assert [change.act for change in changes] == ["close", "open", "open"]
    spans = [(one.values["valid_from"], one.values["valid_to"]) for one in changes[1:]]
    assert spans == [(world.grant.effects[0].starts_at, begins), (begins, ENDS)]
    assert [one.values["scope"] for one in changes[1:]] == [
        effect.terms.scope for effect in world.grant.effects
    ]


def test_an_amendment_to_less_narrows() -> None:
    world = any_world_in("active")
    amend(world, scope={"product": ("tea/green",), "territory": ("CN/31",)})
    agree(world)
    assert narrows(last(world))


def test_a_renewal_that_was_never_agreed_on_touches_no_row() -> None:
    for state in ("renewal_half_signed", "renewal_rejected", "renewal_lapsed", "amendment_last"):
        assert all(
            not changes
            for name, changes in steps(any_world_in(state))
            if "renewal" in name or "amendment" in name
        )


def test_policy_and_terms_of_each_row_are_those_agreed_on_for_its_time() -> None:
    world = any_world_in("renewal_half_signed")
    sign_case(world, "cleo", "tenant")
    assert world.grant.closed == {RENEWAL: "agreed"}
    rows = permissions.rows(world.grant)
    assert [row.terms_number for row in rows] == [1, 2]
    assert [row.policy_version for row in rows] == [1, 1]


def test_between_the_old_end_and_a_renewal_within_grace_no_row_holds() -> None:
    world = any_world_in("renewal_over_end")
    agree(world, at=ENDS + 4 * DAY)
    first, second = permissions.rows(world.grant)
    assert (first.valid_to, second.valid_from) == (ENDS, ENDS + 4 * DAY)
    assert first.stops == ()


def test_what_was_entered_in_error_has_no_row_and_narrows() -> None:
    told = steps(any_world_in("entered_in_error"))
    name, changes = told[-1]
    assert name == GrantErrorMarked.name
    assert narrows(changes)
    assert [change.act for change in changes] == ["close"]
