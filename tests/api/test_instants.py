"""Instants of commands: written down in UTC, whatever zone they are said in, or refused."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from api import rendering
from tests.support.doors import House
from tests.support.trade import Trade

NEVER = ("0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-08:00")
"""Instants that no calendar has in UTC; sources write them for "always" and "never"."""


@pytest.fixture(scope="module")
def firm(house: House) -> Trade:
    """A firm with a catalogue and a policy."""
    made = Trade(house)
    made.catalogue()
    made.policy()
    return made


@pytest.mark.parametrize("instant", NEVER)
def test_an_instant_that_is_none_in_utc_is_refused_and_not_written_down(
    firm: Trade, instant: str
) -> None:
    """Written down nobody could read the record again."""
    body: dict[str, Any] = {"kind": "licence", "channel": "online", "passed": True}
    body |= {"document": "licence", "document_ends_at": instant}
    customer = firm.customer(f"I-{instant[:4]}")
    answer = firm["verifier"].post(f"/v1/customers/{customer}/identity-checks", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "body.invalid")
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/document_ends_at", "field.instant")
    asked = {"evidence": [{"kind": "licence", "place": "A 1", "ends_at": instant}]}
    refused = firm["requester"].post(
        "/v1/grants", asked | REQUEST | {"grantee": f"customer:{customer}"}
    )
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/evidence/0/ends_at"


REQUEST: dict[str, Any] = {
    "kind": "dealership",
    "actions": ["sell"],
    "scope": {"territory": ["CN/31"], "product": ["tea"]},
    "term": {"days": 365},
}


def test_what_is_said_in_another_zone_is_written_down_in_utc(firm: Trade) -> None:
    """The digest that is signed is of terms in UTC: whoever computes it again finds the same."""
    grant = firm.active(firm.customer("I-1"))["id"]
    ends_at = (datetime.now(UTC) + timedelta(days=20)).replace(microsecond=0)
    told = {"ends_at": ends_at.astimezone(timezone(timedelta(hours=8))).isoformat()}
    firm["requester"].done(f"/v1/grants/{grant}/amendments", told)
    ledger = firm.house.services.ledgers.ledger(firm.tenant)
    stored = [bytes(row.data) for row in ledger.records.read_streams([(grant, 0)])][-1]
    assert rendering.instant(ends_at).encode() in stored
    assert b"+08:00" not in stored


def test_what_was_imported_so_is_shown_as_it_was_told() -> None:
    for instant in NEVER:
        assert rendering.instant(datetime.fromisoformat(instant)) == instant
