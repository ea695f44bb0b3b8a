"""Command by state for the grant, its expectations transcribed by hand in `matrix/grant.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain import approving, duties, grant_clock, grantees, granting, supervising
from domain.commands import grants as grants_commands
from domain.commands import supervision as supervision_commands
from domain.commands.grants import (
    ApproveStage,
    AskInformation,
    DeclineGrant,
    FailCheck,
    GrantCommand,
    NoteGrant,
    ProvideInformation,
    RecordCheck,
    RejectGrant,
    RetractApproval,
    SignGrant,
    WithdrawGrant,
)
from domain.commands.supervision import (
    CancelRevocation,
    ConfirmRevocation,
    ConfirmSuspension,
    RecordActivation,
    RecordExpiry,
    RecordGrantLapse,
    RecordSuspensionLapse,
    RequestRevocation,
    ResumeGrant,
    RevokeByRule,
    RevokeGrant,
    SuspendGrant,
)
from domain.errors import Impossible, Refused
from domain.events.customer import MemberAdded
from domain.events.staff import StaffRolesChanged
from tests.domain.grant_story import requesting, world_in
from tests.domain.grant_world import DAY, GRANT, STAFF, WHY, World, staff

Cell = tuple[str, str]
GRIDS = tomllib.loads((Path(__file__).parent / "matrix" / "grant.toml").read_text("utf-8"))


def read_grids() -> dict[Cell, str]:
    """Return (row, state) -> what is expected, from the three grids."""
    cells: dict[Cell, str] = {}
    for grid in GRIDS.values():
        head, *lines = [line.split() for line in grid.strip().splitlines()]
        for row, *expected in lines:
            assert len(expected) == len(head) - 1, row
            for state, what in zip(head[1:], expected, strict=True):
                assert (row, state) not in cells
                cells[row, state] = what
    return cells


EXPECTED = read_grids()


def gains(world: World, name: str, role: str) -> None:
    """This member of the staff holds one role more."""
    roles = (*STAFF[name][1], role)
    world.given("staff", name, StaffRolesChanged(at=world.now, by=staff("root"), roles=roles))


def joins_the_shop(world: World, name: str) -> None:
    joined = MemberAdded(
        at=world.now,
        by=staff("root"),
        member=f"m-{name}",
        person=f"p-{name}",
        acts=("report_use",),
        from_=world.now - DAY,
    )
    world.given("customer", "shop", joined)


Row = tuple[Callable[[World], GrantCommand], str, Callable[[World], None] | None]


def simply(kind: type[GrantCommand], **fields: Any) -> Callable[[World], GrantCommand]:
    return lambda _world: kind(grant_id=GRANT, **fields)


def signature(party: Any) -> Callable[[World], GrantCommand]:
    def made(world: World) -> GrantCommand:
        digest = world.digest if GRANT in world.streams else ""
        return SignGrant(grant_id=GRANT, party=party, digest=digest)

    return made


def revocation(days: int) -> Callable[[World], GrantCommand]:
    return lambda world: RevokeGrant(grant_id=GRANT, case="c9", effective_at=world.now + days * DAY)


check = simply(RecordCheck, check="site_visit", channel="email")
fails = simply(FailCheck, check="callback", channel="email")
first = simply(ApproveStage, stage="regional")

ROWS: dict[str, Row] = {
    "RequestGrant": (lambda _world: requesting(), "ann", None),
    "AskInformation": (simply(AskInformation), "ben", None),
    "ProvideInformation": (simply(ProvideInformation), "ann", None),
    "RecordCheck": (check, "bob", None),
    "RecordCheck/by_requester": (check, "ann", lambda w: gains(w, "ann", "verifier")),
    "RecordCheck/by_receiver": (check, "bob", lambda w: joins_the_shop(w, "bob")),
    "RecordCheck/spoken": (simply(RecordCheck, check="callback", channel="phone"), "bob", None),
    "FailCheck": (fails, "bob", None),
    "FailCheck/no_reason": (fails, "bob", None),
    "ApproveStage": (first, "carl", None),
    "ApproveStage/last": (simply(ApproveStage, stage="legal"), "dora", None),
    "ApproveStage/by_requester": (first, "ann", lambda w: gains(w, "ann", "approver")),
    "ApproveStage/by_checker": (first, "ben", lambda w: gains(w, "ben", "approver")),
    "ApproveStage/by_receiver": (first, "cleo", lambda w: joins_the_shop(w, "cleo")),
    "ApproveStage/not_eligible": (first, "idle", None),
    "ApproveStage/blocked": (first, "cleo", lambda w: w.block()),
    "RetractApproval": (simply(RetractApproval, stage="regional"), "cora", None),
    "RetractApproval/of_another": (simply(RetractApproval, stage="regional"), "cleo", None),
    "RejectGrant": (simply(RejectGrant), "carl", None),
    "RejectGrant/no_reason": (simply(RejectGrant), "carl", None),
    "WithdrawGrant": (simply(WithdrawGrant), "ann", None),
    "WithdrawGrant/by_another": (simply(WithdrawGrant), "amy", None),
    "SignGrant": (signature("grantee"), "mia", None),
    "SignGrant/tenant": (signature("tenant"), "cleo", None),
    "SignGrant/other_terms": (simply(SignGrant, party="grantee", digest="0" * 64), "mia", None),
    "SignGrant/blocked": (signature("tenant"), "cleo", lambda w: w.block()),
    "DeclineGrant": (simply(DeclineGrant, party="grantee"), "mia", None),
    "SuspendGrant": (simply(SuspendGrant, hold="h9"), "dora", None),
    "SuspendGrant/no_reason": (simply(SuspendGrant, hold="h9"), "dora", None),
    "ConfirmSuspension": (simply(ConfirmSuspension, hold="h1"), "dirk", None),
    "ConfirmSuspension/same": (simply(ConfirmSuspension, hold="h1"), "dora", None),
    "ResumeGrant": (simply(ResumeGrant, hold="h1"), "dirk", None),
    "ResumeGrant/no_reason": (simply(ResumeGrant, hold="h1"), "dirk", None),
    "RequestRevocation": (simply(RequestRevocation, case="c9"), "mia", None),
    "ConfirmRevocation": (simply(ConfirmRevocation, case="c1"), "max", None),
    "ConfirmRevocation/same": (simply(ConfirmRevocation, case="c1"), "mia", None),
    "CancelRevocation": (simply(CancelRevocation, case="c1"), "mia", None),
    "RevokeGrant": (simply(RevokeGrant, case="c9"), "dora", None),
    "RevokeGrant/later": (revocation(50), "dora", None),
    "RevokeGrant/too_early": (revocation(-4), "dora", None),
    "RevokeGrant/no_reason": (simply(RevokeGrant, case="c9"), "dora", None),
    "RevokeByRule": (simply(RevokeByRule, cause="sold-outside"), "rules", None),
    "NoteGrant": (simply(NoteGrant, label="called"), "ben", None),
    "RecordGrantLapse": (simply(RecordGrantLapse), "timekeeper", None),
    "RecordGrantLapse/by_staff": (simply(RecordGrantLapse), "zoe", None),
    "RecordActivation": (simply(RecordActivation), "timekeeper", None),
    "RecordActivation/blocked": (simply(RecordActivation), "timekeeper", lambda w: w.block()),
    "RecordExpiry": (simply(RecordExpiry), "timekeeper", None),
    "RecordSuspensionLapse": (simply(RecordSuspensionLapse, hold="h1"), "timekeeper", None),
}


def outcome(row: str, state: str) -> str:
    """Return what the command does in that state, in the words of the grids."""
    world = world_in(state)
    command, by, before = ROWS[row]
    if before is not None:
        before(world)
    reason = None if row.endswith("/no_reason") else WHY
    try:
        events = world.run(command(world), by=by, reason=reason)
    except Refused as refused:
        return {"grant.state": ".", "grant.unknown": "?"}.get(refused.code, refused.code)
    except Impossible:
        return "impossible"
    return f">{world.status}" if events else "="


@pytest.mark.parametrize(("row", "state"), sorted(EXPECTED))
def test_a_command_does_in_each_state_what_the_table_says(row: str, state: str) -> None:
    assert outcome(row, state) == EXPECTED[row, state]


def test_every_command_meets_every_state() -> None:
    commands = {
        thing.__name__
        for module in (grants_commands, supervision_commands)
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, GrantCommand) and thing is not GrantCommand
    }
    states = {state for _, state in EXPECTED}
    assert {row for row, _ in EXPECTED} == set(ROWS)
    assert {row.partition("/")[0] for row in ROWS} == commands
    assert {(row, state) for row in ROWS for state in states} == set(EXPECTED)
    assert states >= {
        "none", "submitted", "information_requested", "verifying", "pending_approval", "approved",
        "scheduled", "active", "suspended", "rejected", "withdrawn", "lapsed", "expired", "revoked",
    }  # fmt: skip


# --- a guard taken away turns exactly its cells red -----------------------------------------------

MODULES = (approving, duties, grant_clock, grantees, granting, supervising)


def red_without(guard: str, monkeypatch: pytest.MonkeyPatch) -> set[Cell]:
    """Return the cells that are no longer as the table says once the guard lets everything pass."""
    found = [module for module in MODULES if hasattr(module, guard)]
    assert found
    for module in found:
        monkeypatch.setattr(module, guard, lambda *_args, **_more: None)
    return {cell for cell, expected in EXPECTED.items() if outcome(*cell) != expected}


GUARDED: dict[str, set[Cell]] = {
    "require_separate_from_case": {
        ("ApproveStage/by_requester", "pending_approval"),
        ("ApproveStage/by_checker", "pending_approval"),
    },
    "require_separate_from_asking": {
        ("RecordCheck/by_requester", "submitted"),
        ("RecordCheck/by_requester", "verifying"),
    },
    "require_record": {
        ("RecordCheck/spoken", "submitted"),
        ("RecordCheck/spoken", "verifying"),
    },
    "require_digest": {
        ("SignGrant/other_terms", "approved"),
        ("SignGrant/other_terms", "half_signed"),
    },
    "require_second_person": {
        ("ConfirmSuspension/same", "suspended"),
        ("ConfirmRevocation/same", "revocation_requested"),
    },
    "require_grantee_standing": {
        ("ApproveStage/blocked", "pending_approval"),
        ("SignGrant/blocked", "approved"),
        ("SignGrant/blocked", "half_signed"),
        ("RecordActivation/blocked", "active_by_clock"),
    },
    "require_not_receiving": {
        ("RecordCheck/by_receiver", "submitted"),
        ("RecordCheck/by_receiver", "verifying"),
        ("ApproveStage/by_receiver", "pending_approval"),
    },
    "require_backdate": {
        ("RevokeGrant/too_early", state)
        for state in (
            "scheduled", "active_by_clock", "active", "suspended", "suspension_over",
            "revoked_later", "revocation_requested",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("guard", sorted(GUARDED))
def test_a_guard_taken_away_turns_exactly_its_cells_red(
    guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert red_without(guard, monkeypatch) == GUARDED[guard]


def test_without_the_look_at_the_state_every_refusal_for_the_state_turns_red(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for_the_state = {cell for cell, expected in EXPECTED.items() if expected == "."}
    requests = {cell for cell in for_the_state if cell[0] == "RequestGrant"}
    assert red_without("require_status", monkeypatch) == for_the_state - requests
