"""Instants as files write them, to microseconds since 1970 in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api.importing.faults import BadCell, Unusable

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")


def zone_of(name: str | None) -> tzinfo | None:
    """Return the zone of an IANA name or an offset like +08:00. Raises `Unusable`."""
    if name is None:
        return None
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise Unusable("import.mapping_malformed", fault=f"instants.zone: {name}") from fault


def microseconds(cell: str | datetime | date, pattern: str | None, zone: tzinfo | None) -> int:
    """Return the instant in a cell as microseconds since 1970-01-01 UTC.

    Of an hour that a zone has twice the first is taken. Raises `BadCell`:
    `import.instant_impossible` (not in the calendar, or left out when clocks were put forward),
    `import.zone_missing`. Year 1 or 9999 somewhere else may be no year in UTC."""
    try:
        read = _read(cell, pattern)
        if read.tzinfo is None:
            if zone is None:
                raise BadCell("import.zone_missing")
            read = read.replace(tzinfo=zone)
            if read.astimezone(UTC).astimezone(zone) != read:
                raise BadCell("import.instant_impossible")
        return (read.astimezone(UTC) - EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise BadCell("import.instant_impossible") from None


def _read(cell: str | datetime | date, pattern: str | None) -> datetime:
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - the zone comes after
    if pattern is not None:
        return datetime.strptime(cell, pattern)  # noqa: DTZ007 - the zone comes after
    return datetime.fromisoformat(cell)


def instant(at: int) -> datetime:
    """Return microseconds since 1970 as an instant."""
    return EPOCH + timedelta(microseconds=at)
