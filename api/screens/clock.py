"""Instants as people read them: in the zone of the service's people, beside the exact instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SHANGHAI: Final = "Asia/Shanghai"

_OFFSET: Final = timezone(timedelta(hours=8), SHANGHAI)
"""China's one offset since 1991: what the default zone is on a machine without a zone database."""


def zone_of(name: str) -> tzinfo:
    """Return a zone by its name. Raises `ValueError` for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as fault:
        if name == SHANGHAI:
            return _OFFSET
        raise ValueError(f"no such time zone: {name}") from fault


def moment(text: str) -> datetime | None:
    """Return an RFC 3339 instant; None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def given(text: str, zone: tzinfo) -> str:
    """Return what someone typed as an RFC 3339 instant: a day or a local time is of the zone.

    What is no instant stays as it was typed: whoever asks for it is told so by the operation.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    return exact(found)


def exact(at: datetime) -> str:
    """Return an instant as RFC 3339 in UTC; one that no calendar has in UTC as it was told."""
    try:
        return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return at.isoformat()


def local(at: datetime, zone: tzinfo) -> str:
    """Return an instant for people: a day where it is its beginning in the zone, else to the
    minute.
    """
    try:
        here = at.astimezone(zone)
    except OverflowError:
        here = at
    day = f"{here.year:04}-{here.month:02}-{here.day:02}"
    if not (here.hour or here.minute or here.second or here.microsecond):
        return day
    return f"{day} {here.hour:02}:{here.minute:02}"
