"""Who approved how much: an approval once, whoever its hands turned out to be, and of the kind its
grant turned out to be of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain.events.grant_cases import (
    GrantRenewalRequested,
    GrantRenewalStageApproved,
    GrantRenewed,
)
from domain.events.person import PersonMerged, PersonRegistered
from domain.ledger import Ledgers
from domain.values import PolicyRef
from projections.approvers import approvers
from replay.compare import compare
from replay.reader import opened as opened_log
from tests.projections import facts
from tests.projections.facts import FACT, day
from tests.projections.test_duties import ANN, BEN, CAT, act, case, party
from tests.support.ledger import new_id


def test_an_approval_by_two_who_are_one_human_being_counts_once_and_a_case_once(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    late: dict[str, Any] = {"at": day(3)}
    case(
        ledgers, tenant,
        act("requested", CAT), act("approved", ANN, deputy=BEN), act("approved", ANN, **late),
        act("approved", BEN, **late), act("approved", CAT), act("retracted", CAT),
    )  # fmt: skip
    case(ledgers, tenant, act("requested", CAT), act("approved", BEN))
    follow()

    def counted(since: int | None = None) -> dict[str, list[Any]]:
        page = approvers(service, tenant, since=None if since is None else day(since))
        names = ("approvals", "cases", "imported", "first", "last", "parties", "kinds")
        return {row["person"]: [row[name] for name in names] for row in page.items}

    ann, ben = f"staff:{ANN}", f"staff:{BEN}"
    assert counted() == {
        ANN: [2, 1, 2, day(1), day(3), [ann], {"dealership": 2}],
        BEN: [3, 2, 3, day(1), day(3), [ben], {"dealership": 3}],
    }
    facts.put(
        ledgers, tenant, "person", BEN,
        PersonRegistered(at=day(2), by=party(CAT), imported=FACT),
        PersonMerged(at=day(2), by=party(CAT), into=ANN, imported=FACT),
    )  # fmt: skip
    follow()
    both = sorted([ann, ben])
    assert counted() == {ANN: [4, 2, 4, day(1), day(3), both, {"dealership": 4}]}
    assert counted(2) == {ANN: [2, 1, 2, day(3), day(3), both, {"dealership": 2}]}
    assert counted(4) == {}


@pytest.mark.parametrize("at_once", [True, False])
def test_an_approval_counts_for_the_kind_its_grant_turned_out_to_be_of(
    ledgers: Ledgers,
    tenant: str,
    service: psycopg.Connection[Any],
    follow: Callable[[], int],
    database: Database,
    *,
    at_once: bool,
) -> None:
    """Imported history tells the request behind the approval, or other terms of another kind."""
    known: dict[str, Any] = {"at": day(2), "by": party(BEN), "imported": FACT, "case": "again"}
    opened = GrantRenewalRequested(
        terms=facts.terms({"territory": ("CN",)}, kind="renewed"), policy=PolicyRef("p", 1), **known
    )
    given = GrantRenewalStageApproved(stage="s", role="approver", **known)
    renewed = GrantRenewed(starts_at=day(5), ends_at=None, **known)
    late = act("requested", CAT, kind="licence")
    for events in (
        [act("approved", ANN), late],
        [act("requested", CAT), act("approved", ANN), late],
        [act("requested", CAT), act("approved", ANN), opened, given],
        [act("requested", CAT), act("approved", ANN), opened, given, renewed],
        [act("approved", ANN)],
        [late, act("approved", BEN), act("changed", CAT, kind="other"), act("approved", ANN)],
    ):
        grant_id = new_id()
        for event in events:
            facts.put(ledgers, tenant, "grant", grant_id, event)
            if not at_once:
                follow()
    follow()
    found = {row["person"]: row["kinds"] for row in approvers(service, tenant).items}
    assert found == {
        ANN: {"": 1, "dealership": 1, "licence": 2, "other": 1, "renewed": 1},
        BEN: {"dealership": 1, "renewed": 1},
    }
    with opened_log(database.auditor, tenant) as source:
        assert compare(source)[0] == []
