"""Services whose clocks differ: nothing is done before what it rests on, nor said as a fact."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from domain.commands.supervision import RequestRevocation, SuspendGrant
from domain.errors import Refused
from domain.ledger import Ledgers
from domain.values import Party, Reason
from projections.inline import InlineTables
from tests.support.doors import House
from tests.support.ledger import new_id, say
from tests.support.trade import BECAUSE, Trade

LAG = timedelta(seconds=1.5)
"""Less than the ledger takes for a wrong clock."""

Beside = Callable[[timedelta], Ledgers]


@pytest.fixture
def beside(house: House) -> Iterator[Beside]:
    """A second service's ledgers, its clock so far ahead."""
    made: list[Ledgers] = []

    def make(ahead: timedelta) -> Ledgers:
        service = house.database.service
        made.append(Ledgers(service, InlineTables(), lambda: datetime.now(UTC) + ahead))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_who_lost_a_right_cannot_use_it_at_a_service_whose_clock_lags(
    trade: Trade, beside: Beside
) -> None:
    customer = trade.customer("lag-1")
    grant = trade.active(customer)["id"]
    person = trade["admin"].done("/v1/persons", {"full_name": "M"})["id"]
    members = f"/v1/customers/{customer}/members"
    added = trade["verifier"].done(members, {"person": person, "acts": ["revoke"]})
    member = added["events"][0]["fields"]["member"]
    lagging = beside(-LAG)
    lagging.now(trade.tenant)
    time.sleep(LAG.total_seconds() + 0.5)  # its clock is past the beginning and not past the end
    trade["verifier"].done(f"{members}/{member}/end", BECAUSE)
    with pytest.raises(Refused) as refused:
        say(
            lagging,
            trade.tenant,
            RequestRevocation(grant_id=grant, case=new_id()),
            by=Party(f"customer:{customer}", person),
            reason=Reason("x"),
        )
    assert refused.value.code == "member.missing"


def test_a_service_whose_clock_is_wrong_refuses_nothing_as_a_fact(
    trade: Trade, beside: Beside
) -> None:
    """By its clock the grant is over."""
    grant = trade.active(trade.customer("wrong-1"))["id"]
    wrong, compliance = beside(timedelta(days=400)), trade["compliance"].party
    by = Party(compliance.ref, trade.people["compliance"])
    suspend = SuspendGrant(grant_id=grant, hold=new_id())
    for dry_run in (True, False):
        with pytest.raises(Refused) as refused:
            say(wrong, trade.tenant, suspend, by=by, reason=Reason("x"), dry_run=dry_run)
        assert refused.value.code == "clock.skew"
    right = beside(timedelta())
    assert say(right, trade.tenant, suspend, by=by, reason=Reason("x")).status == "done"
