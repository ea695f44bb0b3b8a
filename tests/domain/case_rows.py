"""The rows of the matrix for renewals, amendments, supersession and errors, and their cells."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from domain.commands.cases import (
    ApproveCase,
    CheckCase,
    ConfirmError,
    DeclineCase,
    DismissError,
    FailCase,
    ProposeAmendment,
    ProposeError,
    RecordCaseLapse,
    RejectCase,
    RequestRenewal,
    RetractCaseApproval,
    SignCase,
    SupersedeGrant,
    WithdrawCase,
)
from domain.commands.grants import GrantCommand
from domain.events.customer import MemberAdded
from domain.events.staff import StaffRolesChanged
from domain.values import Term
from tests.domain.case_story import (
    AMENDMENT,
    ANOTHER,
    CASE_REACH,
    ERROR,
    RENEWAL,
    another_grant,
    case_digest,
    case_of,
)
from tests.domain.grant_story import REACH
from tests.domain.grant_world import DAY, ENDS, GRANT, STAFF, World, staff

Cell = tuple[str, str]
Row = tuple[Callable[[World], GrantCommand], str, Callable[[World], None] | None]
DATA = Path(__file__).parent / "matrix"
GRIDS: dict[str, Any] = tomllib.loads((DATA / "grant_cases.toml").read_text("utf-8"))


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


def simply(kind: type[GrantCommand], **fields: Any) -> Callable[[World], GrantCommand]:
    return lambda _world: kind(grant_id=GRANT, **fields)


def of_case(kind: type[Any], **fields: Any) -> Callable[[World], GrantCommand]:
    """The command, on the case that the state is about."""
    return lambda world: kind(grant_id=GRANT, case=case_of(world), **fields)


def signature(party: Any) -> Callable[[World], GrantCommand]:
    return lambda world: SignCase(
        grant_id=GRANT, case=case_of(world), party=party, digest=case_digest(world)
    )


def amendment(**wish: Any) -> Callable[[World], GrantCommand]:
    return simply(ProposeAmendment, case=f"{AMENDMENT}-2", **wish)


def past(world: World) -> GrantCommand:
    return ProposeAmendment(grant_id=GRANT, case="a-2", actions=ALSO, effective_at=world.now - DAY)


def superseded(world: World) -> None:
    if ANOTHER not in world.streams:
        another_grant(world)


ALSO = ("advertise", "sell")
longer = simply(RequestRenewal, case=f"{RENEWAL}-2", term=Term(ends_at=ENDS + 160 * DAY))
wider = amendment(actions=ALSO)
seen = of_case(CheckCase, check="site_visit", channel="email")
heard = of_case(CheckCase, check="callback", channel="phone")
fails = of_case(FailCase, check="callback", channel="email")
first = of_case(ApproveCase, stage="regional")

CASE_ROWS: dict[str, Row] = {
    "RequestRenewal": (longer, "ann", None),
    "RequestRenewal/by_another": (longer, "amy", None),
    "RequestRenewal/blocked": (longer, "ann", lambda w: w.block()),
    "ProposeAmendment": (wider, "ann", None),
    "ProposeAmendment/by_another": (wider, "amy", None),
    "ProposeAmendment/blocked": (wider, "ann", lambda w: w.block()),
    "ProposeAmendment/same": (amendment(actions=("sell",)), "ann", None),
    "ProposeAmendment/past": (past, "ann", None),
    "CheckCase": (seen, "bob", None),
    "CheckCase/by_requester": (seen, "ann", lambda w: gains(w, "ann", "verifier")),
    "CheckCase/by_receiver": (seen, "bob", lambda w: joins_the_shop(w, "bob")),
    "CheckCase/spoken": (heard, "bob", None),
    "CheckCase/unknown": (
        simply(CheckCase, case="nothing", check="callback", channel="email"),
        "bob",
        None,
    ),
    "FailCase": (fails, "bob", None),
    "FailCase/no_reason": (fails, "bob", None),
    "ApproveCase": (first, "carl", None),
    "ApproveCase/last": (of_case(ApproveCase, stage="legal"), "dora", None),
    "ApproveCase/by_requester": (first, "ann", lambda w: gains(w, "ann", "approver")),
    "ApproveCase/by_checker": (first, "ben", lambda w: gains(w, "ben", "approver")),
    "ApproveCase/by_receiver": (first, "cleo", lambda w: joins_the_shop(w, "cleo")),
    "ApproveCase/not_eligible": (first, "idle", None),
    "ApproveCase/blocked": (first, "cleo", lambda w: w.block()),
    "ApproveCase/widens": (of_case(ApproveCase, stage="regional", actions=ALSO), "cleo", None),
    "RetractCaseApproval": (of_case(RetractCaseApproval, stage="regional"), "cora", None),
    "RetractCaseApproval/of_another": (
        of_case(RetractCaseApproval, stage="regional"),
        "cleo",
        None,
    ),
    "RejectCase": (of_case(RejectCase), "carl", None),
    "RejectCase/no_reason": (of_case(RejectCase), "carl", None),
    "WithdrawCase": (of_case(WithdrawCase), "ann", None),
    "WithdrawCase/by_another": (of_case(WithdrawCase), "amy", None),
    "SignCase": (signature("grantee"), "mia", None),
    "SignCase/tenant": (signature("tenant"), "cleo", None),
    "SignCase/other_terms": (of_case(SignCase, party="grantee", digest="0" * 64), "mia", None),
    "SignCase/blocked": (signature("tenant"), "cleo", lambda w: w.block()),
    "DeclineCase": (of_case(DeclineCase, party="grantee"), "mia", None),
    "RecordCaseLapse": (of_case(RecordCaseLapse), "timekeeper", None),
    "RecordCaseLapse/by_staff": (of_case(RecordCaseLapse), "zoe", None),
    "SupersedeGrant": (simply(SupersedeGrant, successor=ANOTHER), "dora", superseded),
    "SupersedeGrant/by_nothing": (simply(SupersedeGrant, successor="nothing"), "dora", None),
    "ProposeError": (simply(ProposeError, case="e2"), "ann", None),
    "ProposeError/no_reason": (simply(ProposeError, case="e2"), "ann", None),
    "ConfirmError": (simply(ConfirmError, case=ERROR), "dirk", None),
    "ConfirmError/same": (simply(ConfirmError, case=ERROR), "dora", None),
    "ConfirmError/by_approver": (simply(ConfirmError, case=ERROR), "carl", None),
    "DismissError": (simply(DismissError, case=ERROR), "ann", None),
}

AS_ACTIVE = ("active_by_clock", "suspension_over", "revoked_later", "revocation_requested")
AS_RENEWED = ("running_on", "amended", "amended_later")


def read_case_cells(before: dict[Cell, str]) -> dict[Cell, str]:
    """Return the cells that `grant_cases.toml` adds to those `before`, of `grant.toml`."""
    cells = {**_grid(GRIDS["walked"]), **_grid(GRIDS["apart"])}
    for (row, state), what in list(cells.items()):
        if (row, state) in _grid(GRIDS["walked"]):
            cells[row, twin(state)] = what
    cells |= {(row, "amended_later"): cells[row, "renewed"] for row in CASE_ROWS}
    for state in REACH:
        cells |= {
            (row, state): "?" if state == "none" else what for row, what in GRIDS["usual"].items()
        }
        known = "active" if state in AS_ACTIVE else "expired" if "expired" in state else state
        cells |= {(row, state): what for row, what in GRIDS["unless"].get(known, {}).items()}
    rows = {row for row, _ in before}
    for state in CASE_REACH:
        like = GRIDS["like"][state if state in GRIDS["like"] else _original(state)]
        cells |= {(row, state): before[row, like] for row in rows}
        known = "renewed" if state in AS_RENEWED else state
        cells |= {(row, state): what for row, what in GRIDS["but"].get(known, {}).items()}
    return cells


def twin(state: str) -> str:
    """Return the state of an amendment that is like this one of a renewal."""
    return "amended" if state == "renewed" else state.replace("renewal_", "amendment_")


def _original(state: str) -> str:
    return "renewed" if state == "amended" else state.replace("amendment_", "renewal_")


def _grid(text: str) -> dict[Cell, str]:
    head, *lines = [line.split() for line in text.strip().splitlines()]
    cells: dict[Cell, str] = {}
    for row, *expected in lines:
        assert len(expected) == len(head) - 1, row
        for state, what in zip(head[1:], expected, strict=True):
            assert (row, state) not in cells
            cells[row, state] = what
    return cells
