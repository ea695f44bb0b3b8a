"""Command by state for the grant, its expectations transcribed by hand in `matrix/grant.toml` and
`matrix/grant_cases.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from domain import (
    approving,
    case_steps,
    duties,
    ending,
    grant_clock,
    grantees,
    granting,
    narrowing,
    renewing,
    supervising,
)
from domain.commands import cases as cases_commands
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
from domain.view import Command
from tests.domain.case_rows import (
    CASE_ROWS,
    Row,
    gains,
    joins_the_shop,
    read_case_cells,
    simply,
)
from tests.domain.case_story import ALL_REACH, any_world_in, case_word
from tests.domain.grant_story import requesting
from tests.domain.grant_world import DAY, GRANT, WHY, World

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


OF_REQUESTS = read_grids()
EXPECTED = {**OF_REQUESTS, **read_case_cells(OF_REQUESTS)}


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
    **CASE_ROWS,
}


def outcome(row: str, state: str) -> str:
    """Return what the command does in that state, in the words of the grids."""
    world = any_world_in(state)
    command, by, before = ROWS[row]
    if before is not None:
        before(world)
    stood = None if state == "none" else (world.status, case_word(world))
    reason = None if row.endswith("/no_reason") else WHY
    try:
        events = world.run(command(world), by=by, reason=reason)
    except Refused as refused:
        return {"grant.state": ".", "grant.unknown": "?"}.get(refused.code, refused.code)
    except Impossible:
        return "impossible"
    if not events:
        return "="
    stands = (world.status, case_word(world))
    if EXPECTED[row, state] == "~" and stands == stood:
        return "~"
    return f">{stands[0]}+{stands[1]}" if row in CASE_ROWS and stands[1] else f">{stands[0]}"


@pytest.mark.parametrize(("row", "state"), sorted(EXPECTED))
def test_a_command_does_in_each_state_what_the_table_says(row: str, state: str) -> None:
    assert outcome(row, state) == EXPECTED[row, state]


def test_every_command_meets_every_state() -> None:
    commands = {
        thing.__name__
        for module in (grants_commands, supervision_commands, cases_commands)
        for thing in vars(module).values()
        if isinstance(thing, type)
        and issubclass(thing, GrantCommand)
        and thing.decide is not Command.decide
    }
    states = {state for _, state in EXPECTED}
    assert {row for row, _ in EXPECTED} == set(ROWS)
    assert {row.partition("/")[0] for row in ROWS} == commands
    assert {(row, state) for row in ROWS for state in states} == set(EXPECTED)
    assert states >= {
        "none",
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
    assert states == set(ALL_REACH)  # fmt: skip


# --- a guard taken away turns exactly its cells red -----------------------------------------------

MODULES = (
    approving, case_steps, duties, ending, grant_clock, grantees, granting, narrowing, renewing,
    supervising,
)  # fmt: skip


def red_without(guard: str, monkeypatch: pytest.MonkeyPatch) -> set[Cell]:
    """Return the cells that are no longer as the table says once the guard lets everything pass."""
    found = [module for module in MODULES if hasattr(module, guard)]
    assert found
    for module in found:
        monkeypatch.setattr(module, guard, lambda *_args, **_more: None)
    return {cell for cell, expected in EXPECTED.items() if outcome(*cell) != expected}


def of(*rows: str, states: Iterable[str]) -> set[Cell]:
    """Return these rows in these states."""
    return {(row, state) for row in rows for state in states}


def both(*steps: str) -> set[str]:
    """Return the states in which a renewal, or an amendment, is at these steps."""
    return {f"{kind}_{step}" for kind in ("renewal", "amendment") for step in steps}


OVER_END = {"renewal_over_end_by_clock", "renewal_over_end"}
JUST_ASKED = {"suspended_renewal", "scheduled_amendment"}
TO_CHECK = both("submitted", "verifying") | OVER_END | JUST_ASKED
TO_SIGN = both("approved", "half_signed")
CLOSED = both("lapsed_by_clock", "lapsed", "rejected", "withdrawn") | {
    "renewed", "amended", "amended_later", "running_on",
}  # fmt: skip
ACTIVE = {"active", "active_by_clock", "suspension_over", "revoked_later", "revocation_requested"}
RUNNING = ACTIVE | CLOSED | {"error_proposed"}
"""Active, and no case is open by the clock."""
RENEWABLE = RUNNING | {"suspended", "expired", "expired_by_clock", "amendment_over_end_by_clock"}
AMENDABLE = RUNNING | {"suspended", "scheduled"}
BESIDE = both("submitted", "verifying", "pending", "last", "approved", "half_signed") | JUST_ASKED
"""A case is open beside a grant that is in effect."""

GUARDED: dict[str, set[Cell]] = {
    "require_separate_from_case": of(
        "ApproveStage/by_requester", "ApproveStage/by_checker", states={"pending_approval"}
    )
    | of("ApproveCase/by_requester", "ApproveCase/by_checker", states=both("pending")),
    "require_separate_from_asking": of(
        "RecordCheck/by_requester", states={"submitted", "verifying"}
    )
    | of("CheckCase/by_requester", states=TO_CHECK),
    "require_record": of("RecordCheck/spoken", states={"submitted", "verifying"})
    | of("CheckCase/spoken", states=TO_CHECK),
    "require_digest": of("SignGrant/other_terms", states={"approved", "half_signed"})
    | of("SignCase/other_terms", states=TO_SIGN),
    "require_second_person": of("ConfirmSuspension/same", states={"suspended", "suspended_renewal"})
    | of("ConfirmRevocation/same", states={"revocation_requested"})
    | of("ConfirmError/same", states={"error_proposed"}),
    "require_grantee_standing": of("ApproveStage/blocked", states={"pending_approval"})
    | of("SignGrant/blocked", states={"approved", "half_signed"})
    | of("RecordActivation/blocked", states={"active_by_clock"})
    | of("ApproveCase/blocked", states=both("pending"))
    | of("SignCase/blocked", states=TO_SIGN)
    | of("RequestRenewal/blocked", states=RENEWABLE)
    | of("ProposeAmendment/blocked", states=AMENDABLE),
    "require_not_receiving": of("RecordCheck/by_receiver", states={"submitted", "verifying"})
    | of("ApproveStage/by_receiver", states={"pending_approval"})
    | of("CheckCase/by_receiver", states=TO_CHECK)
    | of("ApproveCase/by_receiver", states=both("pending")),
    "require_backdate": of(
        "RevokeGrant/too_early",
        states=RUNNING | BESIDE | {"suspended", "scheduled"},
    ),
    "_require_proposed": of(
        "ConfirmError", "ConfirmError/same", "DismissError",
        states=set(ALL_REACH) - {"none", "error_proposed", "entered_in_error"},
    ),
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


def test_without_the_look_for_another_case_exactly_the_second_cases_turn_red(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renewing, "require_no_case", lambda *_args: [])
    second = {cell for cell, expected in EXPECTED.items() if expected == "case.open"}
    # What the clock ended has to be written down before the next one opens.
    unwritten = {*both("lapsed_by_clock"), "amendment_over_end_by_clock"}
    allowed = {
        cell
        for cell, expected in EXPECTED.items()
        if cell[1] in unwritten and cell[0] in ("RequestRenewal", "ProposeAmendment")
        if expected.startswith(">")
    }
    red = {cell for cell, expected in EXPECTED.items() if outcome(*cell) != expected}
    assert red == second | allowed
    assert len(second) > 20


def test_what_is_done_to_the_grant_leaves_its_case_alone_unless_it_ends_it() -> None:
    """The main commands beside an open case, whose cells tell of the main state only."""
    for state in BESIDE | OVER_END:
        for row in set(ROWS) - set(CASE_ROWS):
            world = any_world_in(state)
            command, by, before = ROWS[row]
            if before is not None:
                before(world)
            case = world.grant.open_case
            assert case is not None
            world.refusal(command(world), by=by, reason=WHY)
            if world.grant.status == "revoked":
                assert (world.grant.open_case, world.grant.closed) == (None, {case.case: "ended"})
            else:
                assert world.grant.open_case == case
