"""When things happen in the sample: its first and last day, working hours, and its windows."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Final

from domain.values import Instant

FIRST: Final = datetime(2024, 11, 1, 0, 30, tzinfo=UTC)
LAST: Final = datetime(2026, 10, 31, 10, 0, tzinfo=UTC)
"""The last thing that happens; from then on the tenant's clock stands."""

OPENS_HOUR: Final = 1
CLOSES_HOUR: Final = 10
"""From nine to six in China, in UTC."""

HOLIDAYS: Final = (
    (date(2025, 1, 28), date(2025, 2, 4)),
    (date(2025, 10, 1), date(2025, 10, 8)),
    (date(2026, 2, 16), date(2026, 2, 23)),
    (date(2026, 10, 1), date(2026, 10, 7)),
)
"""Spring Festival and National Day, first and last day off."""

WINDOW_HOURS: Final = (1, 5, 16)
"""Each day has three windows, which begin at these hours of UTC: morning, afternoon, night."""


def at_work(at: Instant) -> Instant:
    """Return the instant, or the same time on the next day on which people work."""
    while at.weekday() > 4 or any(first <= at.date() <= last for first, last in HOLIDAYS):
        at += timedelta(days=1)
    return at


def at_work_before(at: Instant) -> Instant:
    """Return the instant, or the same time on the last day before on which people worked."""
    while at_work(at) != at:
        at -= timedelta(days=1)
    return at


def some_time(draw: random.Random, day: Instant) -> Instant:
    """Return an instant within the working hours of that day, or of the next one with any."""
    second = draw.randrange((CLOSES_HOUR - OPENS_HOUR) * 3600)
    begin = day.replace(hour=OPENS_HOUR, minute=0, second=0, microsecond=0)
    return at_work(begin + timedelta(seconds=second))


def after(draw: random.Random, at: Instant, least: float, most: float) -> Instant:
    """Return an instant at work between so many days after `at`, and in a later window."""
    wanted = some_time(draw, at + timedelta(days=draw.uniform(least, most)))
    soonest = window_end(at)
    if wanted >= soonest:
        return wanted
    if soonest.hour == WINDOW_HOURS[1]:  # this afternoon
        return at_work(soonest + timedelta(seconds=draw.randrange(5 * 3600)))
    morning = soonest if soonest.hour == OPENS_HOUR else soonest + timedelta(hours=9)
    return at_work(morning + timedelta(seconds=draw.randrange(4 * 3600)))


def window_start(at: Instant) -> Instant:
    """Return the beginning of the window in which an instant lies."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    begun = [hour for hour in WINDOW_HOURS if at >= day + timedelta(hours=hour)]
    if begun:
        return day + timedelta(hours=begun[-1])
    return day - timedelta(days=1) + timedelta(hours=WINDOW_HOURS[-1])


def window_end(at: Instant) -> Instant:
    """Return the end of the window in which an instant lies, which the next one begins with."""
    day = window_start(at).replace(hour=0)
    coming = [day + timedelta(hours=hour) for hour in WINDOW_HOURS]
    coming.append(coming[0] + timedelta(days=1))
    return next(end for end in coming if end > at)


def boundary(at: Instant) -> Instant:
    """Return the first beginning of a window that is not before `at`."""
    start = window_start(at)
    return start if start == at else window_end(at)
