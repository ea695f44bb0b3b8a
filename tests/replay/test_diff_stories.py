"""What differs between two moments, told as stories on bare events; no database, no clock."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from domain.events.catalogue import PointEnded
from domain.events.customer import CustomerBlocked, CustomerUnblocked
from domain.events.grant import GrantNoted
from domain.events.grant_cases import (
    GrantAmended,
    GrantAmendmentApproved,
    GrantAmendmentProposed,
    GrantErrorMarked,
)
from domain.events.staff import StaffAppointed, StaffDeactivated
from domain.scopes import Piece
from domain.values import PolicyRef
from replay.as_of import OutOfReach
from replay.diff import asked, differences
from replay.diff_records import Difference, EffectChange, PermissionChange, Tally
from replay.sources import Reach
from tests.projections.facts import (
    BY,
    DAY,
    FACT,
    day,
    dimension,
    granted,
    point,
    resumed,
    revoked,
    suspended,
    terms,
)
from tests.replay.diff_story import POLICY, TENANT, Story, agreed, customer, merged, one_id

ACME, OTHER = one_id(1), one_id(2)
GRANT, CHILD = one_id(11), one_id(12)
EAST = {"territory": ("CN/31", "CN/33")}
SHANGHAI = {"territory": ("CN/31",)}


def known(**more: Any) -> dict[str, Any]:
    return {"by": BY, "imported": FACT, **more}


@pytest.fixture
def story() -> Story:
    """A policy, a customer in standing, and a grant in force during days 10 to 1000."""
    made = Story()
    made.told(POLICY, agreed())
    made.told(ACME, *customer())
    made.told(GRANT, *granted(f"customer:{ACME}", POLICY, EAST, since=10, until=1000))
    return made


def types(one: Difference) -> list[str]:
    acts = (
        [turn.act for turn in one.turns if turn.act is not None]
        if isinstance(one, EffectChange)
        else one.acts
    )
    return [act.stored.type.removesuffix(".1") for act in acts]


def only(found: list[PermissionChange]) -> PermissionChange:
    (one,) = found
    return one


def turns(one: EffectChange) -> list[tuple[Any, str]]:
    return [(turn.at, turn.why) for turn in one.turns]


def amendment(at: float, effective: float, scope: Any = SHANGHAI) -> list[Any]:
    """An amendment asked for and agreed on at once, to rule from another day on."""
    new = replace(terms(scope), number=2)
    stamp = known(at=day(at), case="a1")
    return [
        GrantAmendmentProposed(terms=new, policy=PolicyRef(POLICY, 1), **stamp),
        GrantAmendmentApproved(terms=new, **stamp),
        GrantAmended(effective_at=day(effective), ends_at=day(1000), **stamp),
    ]


def test_between_equal_moments_nothing_differs(story: Story) -> None:
    last = len(story.stored)
    story.told(GRANT, suspended(50))
    assert story.by_known(last, last) == []
    assert story.by_valid(day(60), day(60)) == []
    assert story.by_happened(day(60), day(60)) == []


def test_what_was_granted_in_between_appeared_with_the_event_that_did_it(story: Story) -> None:
    one = only(story.by_known(3, len(story.stored)))
    assert (one.change, one.in_force, one.before) == ("appeared", (False, True), ())
    assert [(right.valid_from, right.valid_to) for right in one.after] == [(day(10), day(1000))]
    assert types(one) == ["grant.scheduled"]
    assert (one.about.number, one.about.grantee) == ("G1", f"customer:{ACME}")


def test_what_only_will_be_in_force_appeared_too(story: Story) -> None:
    first = len(story.stored)
    last = story.told(CHILD, *granted(f"customer:{ACME}", POLICY, EAST, since=900, until=950))
    one = only(story.by_known(first, last))
    assert (one.change, one.in_force) == ("appeared", (False, False))


def test_what_changes_nothing_about_a_permission_is_no_difference(story: Story) -> None:
    first = len(story.stored)
    last = story.told(GRANT, GrantNoted(label="seen", **known(at=day(370))))
    assert story.by_known(first, last) == []
    tally = Tally()
    assert list(differences(story, asked(story, "known", first, last), tally)) == []
    assert tally.looked_at == 1


def test_a_suspension_imported_late_differs_by_known_valid_and_happened(story: Story) -> None:
    """It happened on day 50 and was lifted on day 60; it was told on day 366 and later."""
    before = len(story.stored)
    held = story.told(GRANT, suspended(50))
    lifted = story.told(GRANT, resumed(60))
    # what was known: then it had been in force all the while, now it had not
    one = only(story.by_known(before, held))
    assert (one.change, types(one)) == ("ended", ["grant.suspended"])
    one = only(story.by_known(before, lifted))
    assert one.change == "changed"
    assert [(right.valid_from, right.valid_to) for right in one.after] == [
        (day(10), day(50)),
        (day(60), day(1000)),
    ]
    assert types(one) == ["grant.suspended", "grant.resumed"]
    assert story.by_known(before, lifted, at=day(40)) == []
    assert only(story.by_known(before, lifted, at=day(55))).change == "ended"
    # what was in force: by today's knowledge there is a hole
    (effect,) = story.by_valid(day(40), day(70))
    assert (effect.change, turns(effect)) == (
        "meanwhile", [(day(50), "suspended"), (day(60), "resumed")],
    )  # fmt: skip
    assert types(effect) == ["grant.suspended", "grant.resumed"]
    assert story.by_valid(day(40), day(70), known=before) == []
    # what had happened: two acts, and a state of their own in between
    (case,) = story.by_happened(day(40), day(55))
    assert (case.before, case.after, types(case)) == ("active", "suspended", ["grant.suspended"])
    (case,) = story.by_happened(day(40), day(60))
    assert (case.before, case.after) == ("active", "active")
    assert story.by_happened(day(40), day(70), known=before) == []


def test_an_amendment_that_rules_from_later_on_is_known_before_it_is_valid(story: Story) -> None:
    before = len(story.stored)
    last = story.told(GRANT, *amendment(at=100, effective=600))
    one = only(story.by_known(before, last))
    assert (one.change, one.in_force) == ("changed", (True, True))
    assert [right.terms for right in one.after] == [1, 2]
    assert one.lost == ()  # for a time it still covers both
    assert types(one) == ["grant.amended"]
    assert only(story.by_known(before, last, at=day(700))).lost == (
        Piece({"territory": ("CN/33",)}, {}),
    )
    assert story.by_known(before, last, at=day(500)) == []
    assert story.by_valid(day(90), day(599)) == []
    (effect,) = story.by_valid(day(90), day(600))
    assert (effect.change, turns(effect)) == ("changed", [(day(600), "terms")])
    assert types(effect) == ["grant.amended"]
    (case,) = story.by_happened(day(90), day(100))
    assert types(case) == [
        "grant.amendment_proposed", "grant.amendment_approved", "grant.amended",
    ]  # fmt: skip
    assert story.by_happened(day(100), day(700)) == []


def test_a_revocation_in_the_past_is_known_late_and_valid_early(story: Story) -> None:
    before = len(story.stored)
    last = story.told(GRANT, revoked(300, effective=200))
    one = only(story.by_known(before, last))
    assert (one.change, one.in_force, types(one)) == ("ended", (True, False), ["grant.revoked"])
    (effect,) = story.by_valid(day(199), day(201))
    assert (effect.change, turns(effect)) == ("went", [(day(200), "revoked")])
    (case,) = story.by_happened(day(250), day(300))
    assert (case.before, case.after) == ("active", "revoked")
    assert story.by_happened(day(150), day(250)) == []


def test_a_revocation_yet_to_come_goes_out_of_force_at_its_instant(story: Story) -> None:
    story.told(GRANT, revoked(300, effective=400))
    (effect,) = story.by_valid(day(350), day(450))
    assert turns(effect) == [(day(400), "revoked")]
    (case,) = story.by_happened(day(250), day(300))
    assert (case.before, case.after) == ("active", "active")


def test_start_and_end_are_reached_without_an_act(story: Story) -> None:
    (effect,) = story.by_valid(day(5), day(10))
    assert (effect.change, turns(effect)) == ("came", [(day(10), "start")])
    (effect,) = story.by_valid(day(999), day(1000))
    assert (effect.change, turns(effect)) == ("went", [(day(1000), "end")])
    assert types(effect) == ["grant.scheduled"]
    assert story.by_valid(day(10), day(999)) == []


def test_a_provisional_suspension_falls_at_its_time(story: Story) -> None:
    story.told(GRANT, suspended(50, confirm_by=53))
    (effect,) = story.by_valid(day(49), day(60))
    assert turns(effect) == [(day(50), "suspended"), (day(53), "hold_over")]


def test_what_was_entered_in_error_never_was(story: Story) -> None:
    before = len(story.stored)
    last = story.told(GRANT, GrantErrorMarked(**known(at=day(370), case="e1")))
    one = only(story.by_known(before, last))
    assert (one.change, one.after, types(one)) == ("ended", (), ["grant.error_marked"])
    assert story.by_valid(day(5), day(2000)) == []


def test_a_blocked_customer_takes_its_grants_out_of_force(story: Story) -> None:
    before = len(story.stored)
    blocked = story.told(ACME, CustomerBlocked(**known(at=day(366))))
    freed = story.told(ACME, CustomerUnblocked(**known(at=day(368))))
    one = only(story.by_known(before, blocked))
    assert (one.change, types(one)) == ("ended", ["customer.blocked"])
    assert story.by_known(before, blocked, customer=OTHER) == []
    (effect,) = story.by_valid(day(365), day(370), known=freed)
    assert turns(effect) == [(day(366), "standing"), (day(368), "standing_again")]
    assert types(effect) == ["customer.blocked", "customer.unblocked"]


def test_a_grant_of_a_merged_customer_goes_with_the_other_one(story: Story) -> None:
    story.told(OTHER, *customer())
    before = len(story.stored)
    last = story.told(ACME, *merged(OTHER, at=400))
    assert story.by_known(before, last) == []  # it stands as the other one does
    blocked = story.told(OTHER, CustomerBlocked(**known(at=day(410))))
    one = only(story.by_known(last, blocked))
    assert (one.about.grantee, types(one)) == (f"customer:{ACME}", ["customer.blocked"])
    (effect,) = story.by_valid(day(390), day(420))
    assert (turns(effect), types(effect)) == ([(day(410), "standing")], ["customer.blocked"])


def test_staff_and_teams_stand_and_fall_too() -> None:
    story = Story()
    story.told(POLICY, agreed())
    story.told(TENANT, dimension("team"), point("team", "sales"))
    ann = one_id(3)
    appointed = StaffAppointed(
        person=one_id(4), number="S-1", level="junior", roles=(), **known(at=day(0))
    )
    story.told(ann, appointed)
    story.told(GRANT, *granted(f"staff:{ann}", POLICY, EAST, number="G1"))
    story.told(CHILD, *granted("team:sales", POLICY, EAST, number="G2"))
    before = len(story.stored)
    gone = story.told(ann, StaffDeactivated(**known(at=day(380))))
    one = only(story.by_known(before, gone))
    assert (one.about.number, types(one)) == ("G1", ["staff.deactivated"])
    ended = story.told(
        TENANT, PointEnded(dimension="team", path="sales", ends_at=day(390), **known(at=day(381)))
    )
    one = only(story.by_known(gone, ended))
    assert (one.about.number, types(one)) == ("G2", ["catalogue.point_ended"])
    found = story.by_valid(day(370), day(395))
    assert [turns(effect) for effect in found] == [
        [(day(380), "standing")], [(day(390), "standing")],
    ]  # fmt: skip


def test_what_was_passed_on_goes_with_the_grant_above(story: Story) -> None:
    child = granted(
        f"customer:{OTHER}", POLICY, EAST, since=20, until=900, number="G2", parent=GRANT
    )
    story.told(OTHER, *customer())
    story.told(CHILD, *child)
    before = len(story.stored)
    amended = story.told(GRANT, *amendment(at=100, effective=100))
    found = story.by_known(before, amended)
    assert [one.about.number for one in found] == ["G1", "G2"]
    assert [one.lost for one in found] == [(Piece({"territory": ("CN/33",)}, {}),)] * 2
    assert [types(one) for one in found] == [["grant.amended"]] * 2
    last = story.told(GRANT, revoked(500))
    effects = {one.about.number: one for one in story.by_valid(day(400), day(600))}
    (turn,) = effects["G2"].turns
    assert (turn.why, turn.above and turn.above.number) == ("above", "G1")
    assert types(effects["G2"]) == ["grant.revoked"]
    (effect,) = story.by_valid(day(90), day(110), grant=CHILD)
    assert turns(effect) == [(day(100), "above_changed")]
    assert {one.about.number for one in story.by_known(amended, last)} == {"G1", "G2"}


def test_what_rests_on_a_policy_that_was_told_later_appears_with_it() -> None:
    story = Story()
    story.told(ACME, *customer())
    before = story.told(GRANT, *granted(f"customer:{ACME}", POLICY, EAST))
    last = story.told(POLICY, agreed())
    assert only(story.by_known(before, last)).change == "appeared"


def test_one_grant_one_customer_one_kind_alone_can_be_asked_for(story: Story) -> None:
    story.told(OTHER, *customer())
    story.told(CHILD, *granted(f"customer:{OTHER}", POLICY, EAST, number="G2"))
    last = len(story.stored)
    cases: list[tuple[dict[str, str], set[str]]] = [
        ({}, {"G1", "G2"}),
        ({"grant": CHILD}, {"G2"}),
        ({"customer": ACME}, {"G1"}),
        ({"kind": "dealership"}, {"G1", "G2"}),
        ({"kind": "share"}, set()),
    ]
    for more, wanted in cases:
        assert {one.about.number for one in story.by_known(0, last, **more)} == wanted
        found = story.by_valid(day(-1), day(30), **more)
        assert {one.about.number for one in found} == wanted
        done = story.by_happened(day(-1), day(30), None, **more)
        assert {one.about.number for one in done} == wanted


def test_states_and_acts_are_counted_whether_or_not_anything_was_done(story: Story) -> None:
    story.told(CHILD, *granted(f"customer:{ACME}", POLICY, EAST, number="G2", at=30, since=30))
    tally = Tally()
    found = story.by_happened(day(20), day(40), tally)
    assert [(one.about.number, one.before, one.after) for one in found] == [("G2", None, "active")]
    assert (tally.at(0), tally.at(1)) == ({"active": 1}, {"active": 2})
    assert tally.acts.total() == 5
    assert tally.looked_at == 2


def test_moments_are_positions_or_instants_at_which_they_were_recorded(story: Story) -> None:
    last = story.told(GRANT, suspended(50))
    at = story.recorded_at(last)
    one = only(story.by_known(last - 1, last))
    assert differences_between(story, at - DAY, at) == [one]
    assert differences_between(story, at, at + DAY) == []
    assert asked(story, "valid", last - 1, last).at == (at - DAY, at)
    with pytest.raises(OutOfReach) as fault:
        asked(story, "known", 1, last + 1)
    assert fault.value.code == "position.beyond"


def differences_between(story: Story, first: Any, last: Any) -> list[Difference]:
    return list(differences(story, asked(story, "known", first, last)))


def test_a_stream_that_cannot_be_folded_allows_nothing_and_is_named(story: Story) -> None:
    last = len(story.stored)
    spoiled = next(one for one in story.stored if one.stream_id == GRANT)
    story.stored[spoiled.position - 1] = spoiled._replace(data=b"[")
    tally = Tally()
    assert list(differences(story, asked(story, "known", 0, last), tally)) == []
    assert tally.unreadable == {GRANT: spoiled.position}


class Part(Story):
    """A bundle that has some streams only, or begins later."""

    own = Reach(1, 1)

    @property
    def reach(self) -> Reach:
        return self.own


@pytest.mark.parametrize("by", ["known", "valid"])
def test_a_part_of_the_log_is_not_taken_for_the_whole(story: Story, by: Any) -> None:
    part, last = Part(), len(story.stored)
    part.stored = story.stored
    for reach in (Reach(2, last), Reach(1, last, frozenset({GRANT, POLICY}))):
        part.own = reach
        with pytest.raises(OutOfReach) as fault:
            list(differences(part, asked(part, by, 2, last, grant=GRANT)))
        assert fault.value.code == "source.partial"
    part.own = Reach(1, last, frozenset({GRANT}))  # what was done is in the stream itself
    assert len(part.by_happened(day(-1), day(30), grant=GRANT)) == 1
