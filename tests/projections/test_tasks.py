"""What waits in a stream, as far as its own state can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.customers import Customer
from projections.tasks import IDENTIFY_AHEAD, waiting

FIRST = datetime.min.replace(tzinfo=UTC)
T0 = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "since"),
    [
        (T0, T0 - IDENTIFY_AHEAD),
        (FIRST + IDENTIFY_AHEAD, FIRST),
        (FIRST + timedelta(days=1), FIRST),
        (FIRST, FIRST),
    ],
)
def test_the_next_identification_waits_so_long_before_the_last_one_ends(
    until: datetime, since: datetime
) -> None:
    """Sources that know no date write the first one there is: no reason to stop a stream."""
    customer = Customer(status="confirmed", confirmed_until=until)
    (one,) = waiting(customer).values()
    assert (one.kind, one.lapses_at, one.since) == ("identify", until, since)
