"""Where an audit finds its log: a bundle, or the database under a role that can only read."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from replay.cli_errors import Usage
from replay.cli_texts import Texts

if TYPE_CHECKING:
    from replay.sources import Source

OWN: Final = Texts("counterseal-audit", Path(__file__).with_name("texts.toml"))

say = OWN.say

VARIABLES: Final = ["COUNTERSEAL_AUDIT_DATABASE_URL", "AUDITOR_DATABASE_URL"]
"""Where the database's address stands when no option says it."""

BundleFile = Annotated[Path | None, typer.Option("--bundle", metavar="FILE")]
DatabaseUrl = Annotated[str | None, typer.Option("--database-url", metavar="URL", envvar=VARIABLES)]
TenantName = Annotated[str | None, typer.Option("--tenant", metavar="TENANT")]


@contextmanager
def opened(bundle: Path | None, url: str | None, tenant: str | None) -> Generator[Source]:
    """Give the bundle where one is named, else a tenant's log in the database.

    Raises `Usage` `audit.no_place`, `tenant.of_bundle`; `UnknownTenant`; `Damaged`.
    """
    if bundle is not None:
        from replay.bundle import opened as opened_bundle

        with opened_bundle(bundle) as source:
            if tenant is not None and tenant not in (source.tenant.id, source.tenant.name):
                raise Usage("tenant.of_bundle", tenant=source.tenant.name)
            yield source
        return
    if url is None:
        raise Usage("audit.no_place", names=VARIABLES)
    from replay.reader import opened as opened_database

    with opened_database(url, tenant) as source:
        yield source


def place_of(text: str | None) -> int | datetime | None:
    """Return a position or an instant as it was written. Raises `Usage` `place.malformed`."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= LONGEST_POSITION:
        return int(text)
    found = _instant(text)
    if found is None:
        raise Usage("place.malformed", value=text)
    return found


def instant_of(text: str | None) -> datetime | None:
    """Return an RFC 3339 instant with its zone, in UTC. Raises `Usage` `instant.malformed`."""
    if text is None:
        return None
    found = _instant(text)
    if found is None:
        raise Usage("instant.malformed", value=text)
    return found


LONGEST_POSITION: Final = 18
"""Digits of a position."""


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def position_of(source: Source, text: str | None) -> int | None:
    """Return the position that a word names: itself, or the last one recorded by an instant."""
    found = place_of(text)
    return source.position_at(found) if isinstance(found, datetime) else found


def begin_of(source: Source, text: str | None) -> int:
    """Return the first position of what a word begins: the position itself, or the one after the
    last that was recorded by an instant.
    """
    found = place_of(text)
    if isinstance(found, datetime):
        return source.position_at(found) + 1
    return found or 1


def stream_of(
    source: Source,
    *,
    grant: str | None = None,
    customer: str | None = None,
    staff: str | None = None,
    stream: str | None = None,
) -> str | None:
    """Return the stream that is asked about, by a number or its id; None where none is.

    Raises `Usage` `record.unknown`, `record.one`.
    """
    from replay.as_of import located

    asked = {"grant": grant, "customer": customer, "staff": staff, "stream": stream}
    said = {kind: value for kind, value in asked.items() if value is not None}
    if not said:
        return None
    if len(said) > 1:
        raise Usage("record.one")
    [(kind, value)] = said.items()
    if kind == "stream":
        found = value if source.stream(value) else None
    else:
        found = located(source, kind, value)
    if found is None:
        raise Usage("record.unknown", value=value)
    return found
