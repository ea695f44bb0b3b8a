"""The queries of compliance over HTTP: pages by filter, CSV, scopes, and what is refused."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.api.test_http_lists import pages
from tests.support.doors import House
from tests.support.trade import Trade

QUERIES = (
    "duties", "unchecked", "open", "beyond-evidence", "ending", "retired-policies", "approvers",
)  # fmt: skip


@pytest.fixture(scope="module")
def dealers(house: House) -> Trade:
    """Three grants in force under a version that a newer one superseded, three requests waiting."""
    trade = Trade(house)
    trade.catalogue()
    trade.policy()
    customers = [trade.customer(f"C-{number}") for number in range(3)]
    for customer in customers:
        trade.active(customer)
    trade.policy(verification=None)
    for customer in customers:
        trade.request(customer)
    house.follow()
    return trade


def rows(trade: Trade, query: str) -> list[dict[str, Any]]:
    """Every row of a query; in pages of one it is the same."""
    path = f"/v1/compliance/{query}"
    joint = "&" if "?" in query else "?"
    whole = [row for one in pages(trade["compliance"], path) for row in one]
    assert [r for one in pages(trade["compliance"], f"{path}{joint}limit=1") for r in one] == whole
    return whole


def test_each_query_answers_page_by_page(dealers: Trade) -> None:
    assert len(rows(dealers, "retired-policies")) == 3
    assert len(rows(dealers, "retired-policies?instant=2020-01-01T00:00:00Z")) == 0
    assert len(rows(dealers, "ending?days=366")) == 3
    assert len(rows(dealers, "ending?days=30")) == 0
    assert len(rows(dealers, "ending?days=30&instant=2100-01-01T00:00:00%2B08:00")) == 0
    assert [row["case_kind"] for row in rows(dealers, "open?days=0")] == ["request"] * 3
    assert rows(dealers, "open") == []
    assert rows(dealers, "unchecked?demanded=true") == []
    (approver,) = rows(dealers, "approvers?since=2020-01-01T00:00:00Z")
    assert (approver["approvals"], approver["kinds"]) == (3, {"dealership": 3})
    assert approver["parties"] == [f"staff:{dealers.staff['approver']}"]
    assert rows(dealers, "approvers?until=2020-01-01T00:00:00Z") == []
    assert rows(dealers, "beyond-evidence") == []
    beyond = rows(dealers, "beyond-evidence?instant=2100-01-01T00:00:00Z")
    assert beyond == [], "nothing is in force so late"


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_comes_as_csv_and_needs_its_scope(dealers: Trade, query: str) -> None:
    path = f"/v1/compliance/{query}"
    answer = dealers["compliance"].get(f"{path}.csv")
    assert answer.status_code == 200
    assert answer.content.startswith(b"\xef\xbb\xbf")
    read = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert len(list(read)) == len(rows(dealers, query))
    item = dealers["compliance"].get(path).json()["items"][:1]
    assert all(set(one) <= set(read.fieldnames or ()) for one in item)
    till = dealers.callers.get("till") or dealers.service("till", "evaluate", "grants:read")
    assert till.get(path).json()["code"] == "scope_of_key.missing"


def test_what_is_malformed_is_refused(dealers: Trade) -> None:
    for query in (
        "open?days=-1", "open?days=x", "open?instant=yesterday", "ending?days=36501",
        "open?instant=2026-01-01T00:00:00", "unchecked?demanded=perhaps", "approvers?since=1",
    ):  # fmt: skip
        answer = dealers["compliance"].get(f"/v1/compliance/{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid"), query
    first = dealers["compliance"].get("/v1/compliance/ending?days=366&limit=1").json()
    other = f"/v1/compliance/ending?days=365&limit=1&cursor={first['next_cursor']}"
    assert dealers["compliance"].get(other).json()["code"] == "cursor.malformed"
