"""What someone might do next with a renewal, an amendment, a successor or an error."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from tests.support.firm import ASKED, COUNTED, OTHER
from tests.support.likely import WALKED
from tests.support.reference.grants import Grant, Terms
from tests.support.reference.world import World

Item = TypeVar("Item")


class Chooser(Protocol):
    """Makes every choice; `tests.support.moves.Moves` is one."""

    @property
    def world(self) -> World: ...

    def new(self, word: str) -> str: ...

    def some(self, items: Sequence[Item]) -> Item: ...

    def chance(self, one_in: int) -> bool: ...

    def reason(self) -> bool: ...


CASE_VERBS = (
    "request_renewal",
    "propose_amendment",
    "supersede",
    "propose_error",
    "confirm_error",
    "dismiss_error",
    *(verb for verbs in WALKED.values() for verb in verbs if verb.endswith("_case")),
)


def less_than(moves: Chooser, terms: Terms) -> dict[str, Any]:
    """What an approver leaves: mostly less, now and then more than was asked for."""
    scopes = [{"scope": one} for one in (*OTHER[terms.kind], ASKED[terms.kind][1])]
    if terms.days is not None:
        return moves.some([{"days": terms.days - 1}, *scopes, {"days": terms.days + 1}])
    if terms.ends is None:
        return moves.some(scopes)
    ends = [terms.ends + timedelta(days=one) for one in (-1, -9, 1)]
    return moves.some([*({"ends": one} for one in ends), *scopes])


def about_cases(moves: Chooser, verb: str, name: str) -> dict[str, Any]:
    """What a command on a renewal, an amendment, a successor or an error needs."""
    grant, world = moves.world.grants[name], moves.world
    given: dict[str, Any] = {"grant": name}
    if verb == "supersede":
        akin = [
            other
            for other, one in sorted(world.grants.items())
            if (one.grantee, one.terms.kind) == (grant.grantee, grant.terms.kind) and other != name
        ]
        return given | {"successor": moves.some([*akin, *akin, *sorted(world.grants), "nothing"])}
    if verb == "request_renewal":
        over = grant.ends() or world.now
        if grant.terms.kind in COUNTED and not moves.chance(8):
            days = moves.some([20, 40, 99, 101])
            return given | {"new": moves.new("n"), "ends": None, "days": days}
        ends = over + timedelta(days=moves.some([20, 40, 0, 101]))
        return given | {"new": moves.new("n"), "ends": ends, "days": None}
    if verb == "propose_amendment":
        scope = moves.some([None, *OTHER[grant.terms.kind], ASKED[grant.terms.kind][1]])
        over = grant.ends() or world.now
        ends = None if moves.chance(2) else over + timedelta(days=moves.some([-9, 9, 90]))
        later = [world.now + timedelta(days=one) for one in (3, 20, -1)]
        effective = moves.some([None, *later, over])
        given |= {"scope": scope, "ends": ends, "effective": effective}
        return given | {"new": moves.new("n")}
    if verb == "propose_error":
        return given | {"new": moves.new("e"), "reason": moves.reason()}
    if verb in ("confirm_error", "dismiss_error"):
        return given | {"case": grant.error[0] if grant.error else "nothing"}
    known = [grant.case.name] if grant.case else sorted(grant.closed)[-1:]
    given["case"] = known[0] if known and not moves.chance(12) else "nothing"
    return given | _on_a_case(moves, verb, grant)


def _on_a_case(moves: Chooser, verb: str, grant: Grant) -> dict[str, Any]:
    case, given = grant.case, dict[str, Any]()
    if verb in ("check_case", "fail_case"):
        body = moves.world.body(case or grant)
        kinds = body["verification"]["kinds"] if body["verification"] else ["visit"]
        given["kind"] = moves.some([*kinds, *kinds, "visit"])
        if moves.chance(12):
            given["channel"] = "interview"
    if verb in ("approve_case", "retract_case"):
        stage = moves.world.open_stage(case) if case else None
        likely = stage["id"] if stage else "nothing"
        given["stage"] = "nothing" if moves.chance(12) else likely
        if verb == "approve_case" and case is not None and moves.chance(5):
            given["less"] = less_than(moves, case.terms)
    if verb in ("sign_case", "decline_case"):
        given["party"] = moves.some(["grantee", "tenant"])
        if verb == "sign_case" and moves.chance(10):
            given["right"] = False
    if verb in ("fail_case", "reject_case"):
        given["reason"] = moves.reason()
    return given
