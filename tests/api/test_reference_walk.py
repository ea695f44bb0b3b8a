"""One walk through every command and every state of a grant, the doors beside the reference."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.doors import House
from tests.support.firm import BODIES, ROBOT, ROOT, VARIANTS, found, member, staff, terms
from tests.support.mirror import Mirror, Question
from tests.support.reference.people import Party
from tests.support.timekeeping import Timekeeper
from tests.support.wire import WIRE

EVERY_STATE = {
    "submitted",
    "information_requested",
    "verifying",
    "pending_approval",
    "approved",
    "scheduled",
    "active",
    "suspended",
    "rejected",
    "withdrawn",
    "lapsed",
    "expired",
    "revoked",
    "superseded",
    "entered_in_error",
}
"""The states of `domain.md`."""

SELLING = ("sell", ("territory", "CN/31/0115"), {"product": "tea/green"})
SHOWING = ("show", ("territory", "CN/32"), {})


class Walk:
    """Says commands that succeed; keeps which there were, and which states a grant has been in."""

    def __init__(self, mirror: Mirror, keeper: Timekeeper) -> None:
        self.mirror = mirror
        self.keeper = keeper
        self.said: set[str] = set()
        self.states: set[str] = set()

    def __call__(self, verb: str, by: str | Party, **given: Any) -> None:
        """Give a command in which there is news."""
        party = staff(by) if isinstance(by, str) else by
        answer = self.mirror.say(verb, party, **given)
        assert answer.events, (verb, party, given, answer)
        self.said.add(verb)
        self.look(given.get("grant", given.get("new", "")))

    def look(self, grant: str) -> None:
        """Read a grant's state from the doors."""
        if grant in self.mirror.world.grants:
            self.mirror.look(ROBOT, [("grant", grant)], [])
            self.states.add(self.mirror.world.grants[grant].status(self.mirror.seen))

    def wait(self, **time: float) -> None:
        """Let time pass; the timekeeper writes it down."""
        self.mirror.world.now += timedelta(**time)
        self.keeper.tick(self.mirror)
        for grant in self.mirror.world.grants:
            self.look(grant)

    def may(self, customer: str, asked: tuple[str, tuple[str, str], dict[str, str]]) -> bool:
        question = Question(Party("customer", customer), *asked, self.mirror.world.now)
        return self.mirror.look(ROBOT, [], [question])[0]


@pytest.fixture
def walk(quick_house: House, keeper: Timekeeper) -> Iterator[Walk]:
    mirror = found(quick_house)
    yield Walk(mirror, keeper)
    mirror.close()


def test_every_command_happens_and_every_state_of_a_grant_is_reached(walk: Walk) -> None:
    the_house(walk)
    the_main_way(walk)
    the_other_ways(walk)
    supervision(walk)
    cases(walk)
    policies(walk)
    customers(walk)
    assert walk.said == set(WIRE)
    assert walk.states == EVERY_STATE


def the_house(walk: Walk) -> None:
    """Persons, staff and the catalogue."""
    walk("register_person", ROOT, new="lee")
    walk("link_account", ROOT, person="lee", new="a1", login="lee")
    walk("unlink_account", ROOT, person="lee", account="a1")
    walk("appoint", ROOT, new="late", person="lee", level="junior", roles=frozenset({"verifier"}))
    walk("deactivate", ROOT, staff="late")
    again = {"person": "lee", "level": "senior", "roles": frozenset({"requester"})}
    walk("appoint_again", ROOT, new="late", **again)
    walk("change_roles", ROOT, staff="late", roles=frozenset({"verifier"}))
    walk("change_level", ROOT, staff="late", level="director")
    walk("assign", ROOT, staff="late", customers=frozenset({"c1"}))
    walk("hand_over", "late", staff="late", to="req2")
    walk("set_deputy", "com1", staff="com1", deputy="late", days=3)
    walk("end_deputy", "com1", staff="com1")
    walk("declare", ROOT, dimension="channel", names="channel")
    point = {"dimension": "channel", "path": "online"}
    walk("add_point", ROOT, **point, names="online", attributes={})
    walk("rename_point", ROOT, **point, names="on the net")
    walk("end_point", ROOT, **point, ends=None)


def the_main_way(walk: Walk) -> None:
    """Asked for, explained, checked by two, approved in two stages, signed by both, in force."""
    pat = member("m1")
    now = walk.mirror.world.now
    asked = terms("dealership", now, begins=1, days=60)
    walk("request", "req1", new="g1", grantee=Party("customer", "c1"), terms=asked)
    walk("ask", "ver1", grant="g1")
    walk("provide", pat, grant="g1", terms=None)
    walk("check", "ver1", grant="g1", kind="documents")
    walk("check", "ver2", grant="g1", kind="documents")
    walk("approve", "app1", grant="g1", stage="sales")
    walk("retract", "app1", grant="g1", stage="sales")
    walk("approve", "dir1", grant="g1", stage="sales")
    walk("approve", "com1", grant="g1", stage="sales")
    walk("approve", "dir2", grant="g1", stage="board")
    walk("sign", member("m2"), grant="g1", party="grantee")
    assert not walk.may("c1", SELLING)
    walk("sign", "com2", grant="g1", party="tenant")
    assert walk.mirror.world.grants["g1"].status(walk.mirror.world.now) == "scheduled"
    assert not walk.may("c1", SELLING)
    walk.wait(days=1)
    assert walk.may("c1", SELLING)


def the_other_ways(walk: Walk) -> None:
    """Refused to go on by each who may: verifier, approver, requester, party; or forgotten."""
    c1, now = Party("customer", "c1"), walk.mirror.world.now
    loan, trademark = terms("loan", now), terms("trademark", now)
    for number in range(2, 5):
        walk("request", "req1", new=f"g{number}", grantee=c1, terms=loan)
    walk("fail", "ver1", grant="g2", kind="call_back", reason=True)
    walk("check", "ver1", grant="g3", kind="call_back")
    walk("reject", "app1", grant="g3", reason=True)
    walk("withdraw", "req1", grant="g4")
    walk("request", "req1", new="g5", grantee=c1, terms=trademark)
    walk("approve", "app1", grant="g5", stage="legal")
    walk("decline", member("m2"), grant="g5", party="grantee")
    walk("request", "req1", new="g6", grantee=c1, terms=loan)
    walk.wait(days=21)
    assert walk.mirror.world.grants["g6"].status(walk.mirror.world.now) == "lapsed"


def supervision(walk: Walk) -> None:
    """Holds, revocations by each who may, and the end of the term."""
    c1, pat, now = Party("customer", "c1"), member("m1"), walk.mirror.world.now
    for number in range(7, 12):
        asked = terms("sample", now, days=40)
        walk("request", "req1", new=f"g{number}", grantee=c1, terms=asked)
    assert walk.may("c1", SHOWING)
    walk("note", "ver1", grant="g7", empty=False)
    for grant in ("g7", "g8", "g9", "g10", "g11"):
        walk("suspend", "com1", grant=grant, new=f"h-{grant}", provisional=True, reason=True)
    assert not walk.may("c1", SHOWING)
    walk("confirm_hold", "com2", grant="g7", hold="h-g7")
    walk("resume", "com1", grant="g8", hold="h-g8", reason=True)
    assert walk.may("c1", SHOWING)
    walk.wait(days=3)
    assert walk.mirror.world.grants["g7"].status(walk.mirror.world.now) == "suspended"
    walk("request_revocation", pat, grant="g8", new="r1")
    walk("cancel_revocation", pat, grant="g8", case="r1")
    walk("request_revocation", pat, grant="g8", new="r2")
    walk("confirm_revocation", "app1", grant="g8", case="r2")
    walk("revoke_by_rule", ROBOT, grant="g9")
    walk("revoke", "com1", grant="g10", new="", effective=None, reason=True)
    assert walk.may("c1", SHOWING)
    walk("revoke", "com1", grant="g1", new="r3", effective=None, reason=True)
    assert walk.may("c1", SELLING)
    walk("confirm_revocation", "com2", grant="g1", case="r3")
    assert not walk.may("c1", SELLING)
    walk.wait(days=38)
    assert walk.mirror.world.grants["g11"].status(walk.mirror.world.now) == "expired"
    assert not walk.may("c1", SHOWING)


def cases(walk: Walk) -> None:
    """Renewals and amendments along every way; one grant in another's place, one an error."""
    now, signer = walk.mirror.world.now, member("m2")
    walk("request", "req1", new="g20", grantee=Party("customer", "c1"), terms=terms("loan", now))
    walk("check", "ver1", grant="g20", kind="call_back")
    for name in ("app1", "dir1"):
        walk("approve", name, grant="g20", stage="team")
    longer = {"ends": None, "days": 20}
    failed = {"grant": "g20", "case": "n1"}
    walk("request_renewal", "req1", grant="g20", new="n1", **longer)
    walk("fail_case", "ver1", **failed, kind="call_back", reason=True)
    other = {"scope": {"territory": ("CN/32",)}, "ends": None, "effective": None}
    walk("propose_amendment", "req1", grant="g20", new="n2", **other)
    walk("withdraw_case", "req1", grant="g20", case="n2")
    rejected = {"grant": "g20", "case": "n3"}
    walk("request_renewal", "req1", grant="g20", new="n3", **longer)
    walk("check_case", "ver1", **rejected, kind="call_back")
    walk("approve_case", "app1", **rejected, stage="team")
    walk("retract_case", "app1", **rejected, stage="team")
    walk("reject_case", "app1", **rejected, reason=True)
    for grant in ("g21", "g22"):
        asked = terms("trademark", now)
        walk("request", "req1", new=grant, grantee=Party("customer", "c1"), terms=asked)
        walk("approve", "app1", grant=grant, stage="legal")
        walk("sign", signer, grant=grant, party="grantee")
    declined = {"grant": "g21", "case": "n4"}
    narrower = {"scope": {"product": ("tea",)}, "ends": None, "effective": None}
    walk("propose_amendment", "req1", grant="g21", new="n4", **narrower)
    walk("approve_case", "app1", **declined, stage="legal")
    walk("decline_case", signer, **declined, party="grantee")
    renewed = {"grant": "g21", "case": "n5"}
    walk("request_renewal", "req1", grant="g21", new="n5", **longer)
    walk("approve_case", "app1", **renewed, stage="legal")
    walk("sign_case", signer, **renewed, party="grantee")
    walk("supersede", "com1", grant="g21", successor="g22")
    walk("propose_error", "ver1", grant="g22", new="e1", reason=True)
    walk("dismiss_error", "com1", grant="g22", case="e1")
    walk("propose_error", "ver1", grant="g22", new="e2", reason=True)
    walk("confirm_error", "com1", grant="g22", case="e2")


def policies(walk: Walk) -> None:
    """A second version, sent back once, in force from an instant to its retirement."""
    second = {"kind": "sample", "number": 2}
    walk("draft", ROOT, kind="sample", body=VARIANTS["sample"][1])
    walk("edit", ROOT, **second, body=VARIANTS["sample"][1] | {"longest_days": 50})
    walk("submit", ROOT, **second)
    walk("send_back", "com1", **second, reason=True)
    walk("submit", ROOT, **second)
    walk("approve_policy", "com1", **second)
    walk("publish", ROOT, **second, begins=walk.mirror.world.days(1))
    assert walk.mirror.world.version_in_force("sample") == 1
    walk.wait(days=2)
    assert walk.mirror.world.version_in_force("sample") == 2
    walk("retire", "com1", **second)
    assert walk.mirror.world.version_in_force("sample") == 0
    assert set(BODIES) == set(walk.mirror.world.policies)


def customers(walk: Walk) -> None:
    """A customer from registration to the record it turned out to be."""
    c4 = {"customer": "c4"}
    walk("register_customer", "req1", new="c4", form="organization", number="c4")
    shown = {"kind": "extract", "channel": "register", "passed": True, "document": True}
    walk("identify", "ver1", **c4, **shown, ends=None)
    walk("confirm", "ver1", **c4, kind="loan")
    walk("change_profile", "req1", **c4)
    walk("grade", "com1", **c4, grade="A")
    walk("propose_correction", "req1", **c4, new="k1", title="another")
    walk("accept_correction", "com1", **c4, correction="k1")
    walk("propose_correction", "req1", **c4, new="k2", title="a third")
    walk("reject_correction", "com1", **c4, correction="k2")
    acts = frozenset({"request"})
    walk("add_member", "req1", **c4, new="m5", person="kim", acts=acts, days=0)
    walk("end_member", "req1", **c4, member="m5")
    now = walk.mirror.world.now
    asked = terms("trademark", now)
    walk("request", "req1", new="g12", grantee=Party("customer", "c4"), terms=asked)
    walk("block", "com1", **c4, reason=True)
    walk("unblock", "com1", **c4, reason=True)
    walk("propose_merge", "req1", **c4, into="c1")
    walk("reject_merge", "com1", **c4)
    walk("propose_merge", "req1", **c4, into="c1")
    walk("accept_merge", "com1", **c4)
    walk("merge_person", ROOT, person="kim", into="pat")


def test_a_guard_taken_away_does_not_go_unseen(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: without the rule of separate hands the two disagree at the first breach of it."""
    c1, now = Party("customer", "c1"), walk.mirror.world.now
    walk("request", "all", new="g1", grantee=c1, terms=terms("loan", now))
    refused = walk.mirror.say("check", staff("all"), grant="g1", kind="call_back")
    assert refused.refusals == {"duties.not_separate"}
    monkeypatch.setattr("domain.duties.is_fresh", lambda *_: True)
    with pytest.raises(AssertionError, match=r"duties\.not_separate"):
        walk.mirror.say("check", staff("all"), grant="g1", kind="call_back")
