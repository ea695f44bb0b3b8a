"""The steps of a renewal, an amendment, an error; and the way to each state that they lead to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from domain.commands.cases import (
    ApproveCase,
    CheckCase,
    ConfirmError,
    ProposeAmendment,
    ProposeError,
    RecordCaseLapse,
    RejectCase,
    RequestRenewal,
    SignCase,
    SupersedeGrant,
    WithdrawCase,
)
from domain.commands.supervision import RecordExpiry, RevokeGrant
from domain.events.common import Event
from domain.events.grant import GrantActivated, GrantRequested
from domain.grant_states import case_at
from domain.terms import agreement_digest
from domain.values import Evidence, Imported, PolicyRef, Term
from tests.domain.grant_story import REACH, to_active, to_scheduled, to_suspended
from tests.domain.grant_world import (
    DAY,
    ENDS,
    GRANT,
    HOUR,
    SHOP,
    TEMPLATE,
    WHY,
    World,
    staff,
    terms,
)

RENEWAL = "r1"
AMENDMENT = "a1"
ERROR = "e1"
ANOTHER = "another-grant"
AGAIN = ENDS + 100 * DAY
WIDER = {"product": ("tea",), "territory": ("CN/31", "CN/44")}
"""The scope of the usual amendment: one territory more."""


def renew(
    world: World,
    by: str = "ann",
    term: Term | None = None,
    evidence: tuple[Evidence, ...] = (),
    case: str = RENEWAL,
) -> list[Event]:
    """Ask that it goes on, for a hundred days more unless `term` says otherwise."""
    command = RequestRenewal(grant_id=GRANT, case=case, term=term or Term(ends_at=AGAIN))
    return world.run(command, by=by, evidence=evidence)


def amend(
    world: World,
    by: str = "ann",
    evidence: tuple[Evidence, ...] = (),
    case: str = AMENDMENT,
    **wish: Any,
) -> list[Event]:
    """Propose another scope unless `wish` says otherwise."""
    command = ProposeAmendment(grant_id=GRANT, case=case, **(wish or {"scope": WIDER}))
    return world.run(command, by=by, evidence=evidence)


def check_case(world: World, by: str = "ben", kind: str = "callback") -> list[Event]:
    command = CheckCase(grant_id=GRANT, case=case_of(world), check=kind, channel="email")
    return world.run(command, by=by)


def approve_case(
    world: World, by: str = "carl", stage: str = "regional", **narrower: Any
) -> list[Event]:
    command = ApproveCase(grant_id=GRANT, case=case_of(world), stage=stage, **narrower)
    return world.run(command, by=by)


def sign_case(world: World, by: str = "mia", party: Any = "grantee") -> list[Event]:
    command = SignCase(grant_id=GRANT, case=case_of(world), party=party, digest=case_digest(world))
    return world.run(command, by=by)


def agree(world: World, at: datetime | None = None) -> list[Event]:
    """Take the open case from its opening to the last signature, which is given at `at`."""
    check_case(world, "ben")
    check_case(world, "bob", "site_visit")
    approve_case(world, "cora")
    approve_case(world, "carl")
    approve_case(world, "dora", "legal")
    sign_case(world, "mia", "grantee")
    world.now = at or world.now
    return sign_case(world, "cleo", "tenant")


def case_of(world: World) -> str:
    """The case that is spoken of: the open one, else the last that was closed."""
    if GRANT not in world.streams:
        return RENEWAL
    grant = world.grant
    if grant.open_case is not None:
        return grant.open_case.case
    return list(grant.closed)[-1] if grant.closed else RENEWAL


def case_digest(world: World) -> str:
    """What is to be signed in the open case."""
    if GRANT not in world.streams or world.grant.open_case is None:
        return "0" * 64
    return agreement_digest(TEMPLATE, world.grant.open_case.terms)


def case_word(world: World) -> str:
    """How the case stands by the clock, or how it ended; empty where there never was one."""
    grant = world.grant
    if grant.open_case is not None:
        open_case = case_at(grant, world.now)
        return "lapsed" if open_case is None else open_case.status
    return grant.closed.get(case_of(world), "")


def another_grant(world: World, grantee: str = SHOP, kind: str = "dealership") -> None:
    """Another grant, in effect since yesterday."""
    by: dict[str, Any] = {
        "at": world.now - DAY,
        "by": staff("root"),
        "imported": Imported("permits.csv", 1),
    }
    world.given(
        "grant",
        ANOTHER,
        GrantRequested(
            **by,
            number="N-2",
            case="another-request",
            grantee=grantee,
            terms=terms(kind=kind),
            policy=PolicyRef("dealership", 1),
        ),
        GrantActivated(**by, starts_at=world.now - DAY, ends_at=world.now + 300 * DAY),
    )


# --- the way to each state ------------------------------------------------------------------------


def opened(kind: str, world: World) -> None:
    (renew if kind == "renewal" else amend)(world)
    world.now += HOUR


def walk(kind: str, to: str) -> Callable[[World], None]:
    """Return the way from an active grant to a case of this kind in this state."""

    def way(world: World) -> None:
        to_active(world)
        opened(kind, world)
        steps: tuple[tuple[str, Callable[[], Any]], ...] = (
            ("submitted", lambda: check_case(world, "ben")),
            ("verifying", lambda: to_pending(world)),
            ("pending", lambda: approve_case(world, "carl")),
            ("last", lambda: approve_case(world, "dora", "legal")),
            ("approved", lambda: sign_case(world, "mia", "grantee")),
            ("half_signed", lambda: sign_case(world, "cleo", "tenant")),
        )
        for state, onward in steps:
            if state == to:
                return
            onward()
            world.now += HOUR

    return way


def to_pending(world: World) -> None:
    """One of the two approvals of the first stage is there already: Cora's."""
    check_case(world, "bob", "site_visit")
    approve_case(world, "cora")


def lapsed_by_clock(kind: str) -> Callable[[World], None]:
    def way(world: World) -> None:
        walk(kind, "submitted")(world)
        world.now += 31 * DAY

    return way


def lapsed(kind: str) -> Callable[[World], None]:
    def way(world: World) -> None:
        lapsed_by_clock(kind)(world)
        world.run(RecordCaseLapse(grant_id=GRANT, case=case_of(world)), by="timekeeper")
        world.now += HOUR

    return way


def rejected(kind: str) -> Callable[[World], None]:
    def way(world: World) -> None:
        walk(kind, "pending")(world)
        world.run(RejectCase(grant_id=GRANT, case=case_of(world)), by="carl", reason=WHY)
        world.now += HOUR

    return way


def withdrawn(kind: str) -> Callable[[World], None]:
    def way(world: World) -> None:
        walk(kind, "pending")(world)
        world.run(WithdrawCase(grant_id=GRANT, case=case_of(world)), by="ann")
        world.now += HOUR

    return way


def to_amended_later(world: World) -> None:
    to_active(world)
    amend(world, scope=WIDER, effective_at=world.now + 30 * DAY)
    agree(world)
    world.now += HOUR


def to_running_on(world: World) -> None:
    """Renewed, and its first end is over."""
    walk("renewal", "agreed")(world)
    world.now = ENDS + HOUR


def to_suspended_renewal(world: World) -> None:
    to_suspended(world)
    opened("renewal", world)


def to_scheduled_amendment(world: World) -> None:
    to_scheduled(world)
    opened("amendment", world)


def to_renewal_over_end_by_clock(world: World) -> None:
    """Asked for five days before the end, checked once; the end came."""
    to_active(world)
    world.now = ENDS - 5 * DAY
    opened("renewal", world)
    check_case(world, "ben")
    world.now = ENDS


def to_renewal_over_end(world: World) -> None:
    to_renewal_over_end_by_clock(world)
    world.run(RecordExpiry(grant_id=GRANT), by="timekeeper")
    world.now += HOUR


def to_renewal_past_grace_by_clock(world: World) -> None:
    to_renewal_over_end_by_clock(world)
    world.now = ENDS + 10 * DAY


def to_past_grace_by_clock(world: World) -> None:
    to_active(world)
    world.now = ENDS + 10 * DAY


def to_past_grace(world: World) -> None:
    REACH["expired"](world)
    world.now = ENDS + 10 * DAY


def to_amendment_over_end_by_clock(world: World) -> None:
    to_active(world)
    world.now = ENDS - 5 * DAY
    opened("amendment", world)
    world.now = ENDS


def to_renewal_revoked_by_clock(world: World) -> None:
    to_active(world)
    opened("renewal", world)
    later = RevokeGrant(grant_id=GRANT, case="c0", effective_at=world.now + 5 * DAY)
    world.run(later, by="dora", reason=WHY)
    world.now += 5 * DAY


def to_superseded(world: World) -> None:
    to_active(world)
    another_grant(world)
    world.run(SupersedeGrant(grant_id=GRANT, successor=ANOTHER), by="dora")
    world.now += HOUR


def to_error_proposed(world: World) -> None:
    to_active(world)
    world.run(ProposeError(grant_id=GRANT, case=ERROR), by="dora", reason=WHY)
    world.now += HOUR


def to_entered_in_error(world: World) -> None:
    """With a renewal open until then."""
    walk("renewal", "verifying")(world)
    world.run(ProposeError(grant_id=GRANT, case=ERROR), by="dora", reason=WHY)
    world.run(ConfirmError(grant_id=GRANT, case=ERROR), by="dirk")
    world.now += HOUR


STEPS = ("submitted", "verifying", "pending", "last", "approved", "half_signed")

CASE_REACH: dict[str, Callable[[World], None]] = {
    **{f"renewal_{step}": walk("renewal", step) for step in STEPS},
    "renewal_lapsed_by_clock": lapsed_by_clock("renewal"),
    "renewal_lapsed": lapsed("renewal"),
    "renewal_rejected": rejected("renewal"),
    "renewal_withdrawn": withdrawn("renewal"),
    "renewed": walk("renewal", "agreed"),
    **{f"amendment_{step}": walk("amendment", step) for step in STEPS},
    "amendment_lapsed_by_clock": lapsed_by_clock("amendment"),
    "amendment_lapsed": lapsed("amendment"),
    "amendment_rejected": rejected("amendment"),
    "amendment_withdrawn": withdrawn("amendment"),
    "amended": walk("amendment", "agreed"),
    "amended_later": to_amended_later,
    "running_on": to_running_on,
    "suspended_renewal": to_suspended_renewal,
    "scheduled_amendment": to_scheduled_amendment,
    "renewal_over_end_by_clock": to_renewal_over_end_by_clock,
    "renewal_over_end": to_renewal_over_end,
    "renewal_past_grace_by_clock": to_renewal_past_grace_by_clock,
    "past_grace_by_clock": to_past_grace_by_clock,
    "past_grace": to_past_grace,
    "amendment_over_end_by_clock": to_amendment_over_end_by_clock,
    "renewal_revoked_by_clock": to_renewal_revoked_by_clock,
    "superseded": to_superseded,
    "error_proposed": to_error_proposed,
    "entered_in_error": to_entered_in_error,
}
"""State -> the way to it, beside those of `grant_story`; what each is, `grant_cases.toml` says."""

ALL_REACH = {**REACH, **CASE_REACH}


def any_world_in(state: str) -> World:
    """Return a world whose grant is in this state, of either module."""
    return _told(state).again()


@cache
def _told(state: str) -> World:
    world = World()
    ALL_REACH[state](world)
    return world
