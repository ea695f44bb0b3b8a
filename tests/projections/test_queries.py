"""Lists: filters, order, pages that are complete, waiting for a position."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from api.provisioning import Database
from domain.errors import Refused
from domain.events.customer import CustomerBlocked, CustomerRegistered
from domain.events.staff import StaffAppointed, StaffDeactivated
from domain.ledger import Ledgers
from domain.sealing import Sealed
from projections import queries
from projections.queries import Page
from tests.projections import facts
from tests.projections.conftest import FOLDS
from tests.projections.facts import BY, FACT, START, day
from tests.support.ledger import make_tenant, new_id

SCOPE = {"territory": ("CN/31",)}


def walked(ask: Callable[..., Page], **more: Any) -> list[dict[str, Any]]:
    """All rows, page by page."""
    found: list[dict[str, Any]] = []
    after: list[Any] | None = None
    while True:
        page = ask(after=after, **more)
        found += page.items
        if page.last is None:
            return found
        assert len(page.items) == more["limit"]
        after = page.last


def test_grants_are_found_by_each_filter_and_listed_in_the_order_of_their_making(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    policy = facts.policy(ledgers, tenant)
    ann, ben = (facts.customer(ledgers, tenant) for _ in range(2))
    ids = [
        facts.grant(ledgers, tenant, ann if n % 3 else ben, policy, SCOPE, number=f"N{n}")
        for n in range(10)
    ]
    facts.put(ledgers, tenant, "grant", ids[4], facts.suspended(3))
    head = follow()

    def found(**filters: Any) -> list[str]:
        page = queries.grants(service, tenant, **filters)
        assert page.position == head
        return [row["grant_id"] for row in page.items]

    assert found() == sorted(ids)
    assert found(grantee=ben) == sorted(ids[::3])
    assert found(status="suspended") == [ids[4]]
    assert found(status="active", grantee=ben) == sorted(ids[::3])
    assert found(number="N7") == [ids[7]]
    assert found(kind="dealership") == sorted(ids)
    assert found(kind="other") == []
    (row,) = queries.grants(service, tenant, number="N4").items
    assert row["holds"] == 1
    assert row["starts_at"] == START
    assert row["due_at"] == row["ends_at"] == day(1000)


def test_pages_are_complete_whatever_their_size(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    for number in range(7):
        facts.grant(ledgers, tenant, ann, policy, SCOPE, number=f"N{number}")
        facts.customer(ledgers, tenant)  # all with the same number: the id tells them apart
    follow()

    def grants(**more: Any) -> Page:
        return queries.grants(service, tenant, **more)

    def customers(**more: Any) -> Page:
        return queries.customers(service, tenant, **more)

    for ask, count in ((grants, 7), (customers, 8)):
        whole = walked(ask, limit=1000)
        assert len(whole) == count
        for limit in (1, 2, 3, 7, 8, 9):
            assert walked(ask, limit=limit) == whole


def test_customers_are_found_by_number_status_and_beginning_of_the_title(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    titles = {"C1": "上海茶业", "C2": "北京茶庄", "C3": "上海杯具", "C4": "Acme", "C5": None}
    ids: dict[str, str] = {}
    for number, title in titles.items():
        ids[number] = new_id()
        event = CustomerRegistered(
            at=START,
            by=BY,
            number=number,
            form="organization" if title else "person",
            title=title,
            full_name=None if title else Sealed(ids[number], "k", b"Ann"),
            imported=FACT,
        )
        facts.put(ledgers, tenant, "customer", ids[number], event)
    blocked = CustomerBlocked(at=day(1), by=BY, imported=FACT)
    facts.put(ledgers, tenant, "customer", ids["C2"], blocked)
    follow()

    def found(**filters: Any) -> list[str]:
        return [row["number"] for row in queries.customers(service, tenant, **filters).items]

    assert found() == ["C1", "C2", "C3", "C4", "C5"]
    assert found(number="C3") == ["C3"]
    assert found(status="blocked") == ["C2"]
    assert found(title="上海") == ["C3", "C1"]
    assert found(title="上海", status="registered") == ["C3", "C1"]
    assert found(title="茶") == []
    assert found(order="title") == ["C4", "C2", "C3", "C1"]  # Acme, Beijing, Shanghai, Shanghai
    (person,) = queries.customers(service, tenant, number="C5").items
    assert person["title"] is None
    assert "Ann" not in str(person)


def test_staff_are_found_by_number_role_and_whether_they_work_here(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    for number, roles in (("S1", ("verifier",)), ("S2", ("approver", "verifier")), ("S3", ())):
        ref = new_id()
        appointed = StaffAppointed(
            at=START, by=BY, person=new_id(), number=number, level="a", roles=roles, imported=FACT
        )
        gone = [StaffDeactivated(at=day(1), by=BY, imported=FACT)] if number == "S3" else []
        facts.put(ledgers, tenant, "staff", ref, appointed, *gone)
    follow()

    def found(**filters: Any) -> list[str]:
        return [row["number"] for row in queries.staff(service, tenant, **filters).items]

    assert found() == ["S1", "S2", "S3"]
    assert found(role="verifier") == ["S1", "S2"]
    assert found(role="approver", active=True) == ["S2"]
    assert found(active=False) == ["S3"]
    assert found(number="S2") == ["S2"]


def test_policies_show_each_version_as_recorded(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    policy = facts.policy(ledgers, tenant)
    follow()
    (row,) = queries.policies(service, tenant, kind="dealership", status="drafted").items
    assert (row["policy_id"], row["newest"], row["names"]["en"]) == (policy, 1, "name")
    assert row["versions"] == [{"number": 1, "status": "drafted", "from": None, "retired_at": None}]
    assert queries.policies(service, tenant, status="published").items == []


def test_one_tenant_never_sees_anothers_rows(
    ledgers: Ledgers,
    database: Database,
    tenant: str,
    service: psycopg.Connection[Any],
    follow: Callable[[], int],
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    facts.grant(ledgers, tenant, ann, policy, SCOPE)
    follow()
    other = make_tenant(database, FOLDS)
    for ask in (queries.grants, queries.customers, queries.policies, queries.staff):
        assert ask(service, other).items == []
    assert service.execute("SELECT * FROM grants").fetchall() == []  # no tenant said: no row


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_of_no_row_or_too_many_is_refused(
    service: psycopg.Connection[Any], tenant: str, limit: int
) -> None:
    with pytest.raises(Refused, match=r"^page\.limit"):
        queries.grants(service, tenant, limit=limit)


def test_waiting_ends_when_the_read_model_gets_there_or_time_is_over(
    ledgers: Ledgers, tenant: str, service: psycopg.Connection[Any], follow: Callable[[], int]
) -> None:
    facts.policy(ledgers, tenant)
    head = ledgers.tail(tenant, 0).position
    with pytest.raises(Refused, match=r"^position\.not_reached") as caught:
        queries.wait_for(service, tenant, "grants", head, 0.05)
    assert caught.value.params == {"position": head, "reached": 0}
    thread = threading.Thread(target=follow)
    thread.start()
    assert queries.wait_for(service, tenant, "grants", head, 10) >= head
    thread.join(10)
    with pytest.raises(Refused, match=r"^projection\.unknown"):
        queries.wait_for(service, tenant, "nothing", 1, 0)
