"""Teams: who belongs to which one when, and what is given to a team."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain import duties, grantees
from domain.commands.staff import AppointStaff, ChangeTeam, DeactivateStaff
from domain.errors import Refused
from domain.grantees import Grantee, grantee_of
from domain.staff import Staff
from domain.teams import Membership, Memberships, changed, line, team_at
from domain.values import Instant
from domain.view import Circumstances, View
from tests.support.given import (
    BECAUSE,
    NOW,
    TENANT,
    World,
    days,
    deputy_set,
    given,
    person,
    staff,
    staff_party,
    team,
)

HAIR = timedelta(microseconds=1)
SALES = team("sales", "sales/east")
ADA = staff("ada", "administrator")


def day(number: float) -> Instant:
    return NOW + days(number)


def appoint(team_path: str | None) -> AppointStaff:
    return AppointStaff(
        staff="eve",
        person="person-eve",
        number="E1",
        number_claim=b"hash",
        level="junior",
        roles=("verifier",),
        team=team_path,
    )


def view_of(world: World, by: str, on_behalf_of: str | None = None) -> View:
    principal = None if on_behalf_of is None else staff_party(on_behalf_of)
    circumstances = Circumstances(TENANT, NOW, "command", staff_party(by), principal)
    return View(world.look, circumstances, world.staff_ids)


# --- memberships ----------------------------------------------------------------------------------


def test_one_belongs_to_one_team_at_a_time_from_the_instant_of_the_change() -> None:
    spans = changed(changed((), "sales", day(1)), "service", day(3))
    assert spans == (Membership("sales", day(1), day(3)), Membership("service", day(3)))
    assert [team_at(spans, day(one)) for one in (0, 1, 2, 3, 9)] == [
        None, "sales", "sales", "service", "service",
    ]  # fmt: skip
    assert team_at(spans, day(3) - HAIR) == "sales"
    assert team_at(changed(spans, None, day(5)), day(5)) is None


@pytest.mark.parametrize(
    ("team_path", "expected"),
    [
        ("service", (Membership("sales", day(1), day(2)), Membership("service", day(2)))),
        ("sales", (Membership("sales", day(1)),)),
        (None, (Membership("sales", day(1), day(2)),)),
    ],
)
def test_what_is_told_late_of_an_early_instant_rules_from_that_instant_on(
    team_path: str | None, expected: Memberships
) -> None:
    spans = changed(changed((), "sales", day(1)), "service", day(3))
    assert changed(spans, team_path, day(2)) == expected


def test_above_a_team_are_the_beginnings_of_its_path() -> None:
    assert line("sales/east/shanghai") == ("sales", "sales/east", "sales/east/shanghai")


def test_a_team_may_be_given_with_the_appointment_and_ends_with_the_deactivation() -> None:
    world = given(ADA, SALES, person("eve"))
    outcome = world.when(appoint("sales/east"), "ada")
    outcome.then("staff.appointed.1", "staff.team_changed.1")
    eve: Staff = outcome.world.state("eve")
    assert (eve.team, eve.teams) == ("sales/east", (Membership("sales/east", NOW),))
    assert outcome.world.when(appoint("sales/east"), "ada").view.events == []
    outcome.world.when(appoint("sales"), "ada").then_refused("staff.state")
    gone = outcome.world.when(DeactivateStaff(staff="eve"), "ada", at=day(4)).world
    assert gone.state("eve").teams == (Membership("sales/east", NOW, day(4)),)
    back = gone.when(appoint(None), "ada", at=day(6)).world
    assert back.state("eve").team is None


def test_only_teams_that_stand_are_joined() -> None:
    ended = team("sales", until=day(-1))
    world = given(ADA, ended, person("eve"))
    world.when(appoint("sales"), "ada").then_refused("team.state", team="sales", state="ended")
    world.when(appoint("service"), "ada").then_refused("team.unknown", team="service")
    given(ADA, person("eve")).when(appoint("sales"), "ada").then_refused("team.unknown")


def test_leaving_a_team_needs_none_that_stands() -> None:
    world = given(ADA, SALES, staff("eve")).when(ChangeTeam(staff="eve", team="sales"), "ada")
    world.then("staff.team_changed.1")
    world.world.when(ChangeTeam(staff="eve", team=None), "ada").then("staff.team_changed.1")


# --- a team as the one to whom something is given -------------------------------------------------


def test_a_team_is_there_when_the_catalogue_has_its_point_and_stands_while_that_does() -> None:
    world = given(ADA, team("sales", until=day(5)))
    found = grantee_of(view_of(world, "ada"), "team:sales")
    assert grantees.stands(found, NOW)
    assert grantees.stands(found, day(5) - HAIR)
    assert not grantees.stands(found, day(5))
    grantees.require_grantable(found, NOW)
    with pytest.raises(Refused, match=r"^grantee\.standing"):
        grantees.require_grantable(found, day(5))
    assert grantees.identified_until(found) is None
    for ref in ("team:service", "team:"):
        with pytest.raises(Refused, match=r"^grantee\.unknown"):
            grantee_of(view_of(world, "ada"), ref)


def joined(world: World, who: str, path: str) -> World:
    return world.when(ChangeTeam(staff=who, team=path), "ada", at=day(-1)).world


@pytest.mark.parametrize(
    ("path", "receives"), [("sales", True), ("sales/east", True), ("service", False)]
)
def test_whoever_belongs_to_a_team_receives_what_it_is_given(path: str, receives: bool) -> None:
    world = given(ADA, team("sales", "sales/east", "service"), staff("eve"), staff("bob"))
    world = joined(world, "eve", path)
    given_to = grantee_of(view_of(world, "eve"), "team:sales")
    assert decides(world, "eve", given_to) is not receives
    assert decides(world, "bob", given_to)


def decides(world: World, who: str, given_to: Grantee, on_behalf_of: str | None = None) -> bool:
    view = view_of(world, who, on_behalf_of)
    try:
        acting = duties.actor(view)
        duties.require_not_receiving(acting, given_to.records, NOW, view.same_person)
    except Refused:
        return False
    return True


def test_a_deputy_receives_what_either_team_is_given() -> None:
    world = given(ADA, SALES, staff("eve"), staff("bob", then=(deputy_set("eve"),)), staff("cat"))
    given_to = grantee_of(view_of(world, "ada"), "team:sales")
    assert decides(world, "eve", given_to, "bob")
    assert not decides(joined(world, "eve", "sales"), "eve", given_to, "bob")
    assert not decides(joined(world, "bob", "sales"), "eve", given_to, "bob")


def test_one_of_a_team_acts_for_it_in_person_and_no_deputy_does() -> None:
    world = given(ADA, SALES, staff("eve"), staff("bob", then=(deputy_set("eve"),)))
    world = joined(joined(world, "eve", "sales/east"), "bob", "sales")
    given_to = grantee_of(view_of(world, "ada"), "team:sales")
    for who, on_behalf_of, acts in (
        ("eve", None, True),
        ("eve", "bob", False),
        ("ada", None, False),
    ):
        view = view_of(world, who, on_behalf_of)
        acting = duties.actor(view)
        found = grantees.acts_for(acting, given_to, "request", NOW, view.same_person)
        assert found is acts


def test_reasons_go_with_the_appointment_and_the_team() -> None:
    world = given(ADA, SALES, person("eve"))
    outcome = world.when(appoint("sales"), "ada", reason=BECAUSE)
    assert [one.event.reason for one in outcome.view.events] == [BECAUSE, BECAUSE]


def test_whoever_belongs_to_a_team_by_another_record_of_theirs_receives_it_too() -> None:
    """Persons are counted, not accounts: kim turned out to be bob."""
    people = (staff("kim"), person("kim", "bob"), staff("bob"), staff("eve"))
    world = joined(given(ADA, team("sales", "service"), *people), "kim", "sales")
    given_to = grantee_of(view_of(world, "ada"), "team:sales")
    assert not decides(world, "bob", given_to)
    assert decides(world, "eve", given_to)
    assert decides(world, "bob", grantee_of(view_of(world, "ada"), "team:service"))
