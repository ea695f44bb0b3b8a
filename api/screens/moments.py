"""Which moment a page is of, and what of it a page was asked to point out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

PURPOSE: Final = "counterseal-purpose"
"""The header that says what opened texts are needed for; see `api.routes.reading`."""


class Moment(NamedTuple):
    """By what was known then (`as_of`), and at which instant (`at`); both None: now."""

    as_of: str | None = None
    at: str | None = None

    @property
    def query(self) -> dict[str, str]:
        """The fields of a question about this moment."""
        return {name: value for name, value in self._asdict().items() if value is not None}


NOW: Final = Moment()


def moment_of(asked: Mapping[str, str]) -> Moment:
    """Return the moment that a page is asked for."""
    return Moment(asked.get("as_of"), asked.get("at"))


def headers_of(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a reading that opens sealed texts, where the page was asked to."""
    return {PURPOSE: asked["purpose"]} if "purpose" in asked else {}


def happened(events: Sequence[dict[str, Any]], asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the events of the versions that a page was asked to point out."""
    since, until = asked.get("since", ""), asked.get("until", "")
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in (since, until)):
        return []
    return [one for one in events if int(since) < one["version"] <= int(until)]
