"""`counterseal-audit history`: what happened, a readable line an event, from the log alone."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final

import typer

from replay.cli_places import (
    OWN,
    BundleFile,
    DatabaseUrl,
    TenantName,
    begin_of,
    opened,
    position_of,
    say,
    stream_of,
)
from replay.cli_shown import FINE, Json, aside, document, instant, table

LINES: Final = 50
"""Lines where nothing is said."""


def history(
    *,
    bundle: BundleFile = None,
    database_url: DatabaseUrl = None,
    tenant: TenantName = None,
    grant: Annotated[str | None, typer.Option("--grant", metavar="NUMBER")] = None,
    customer: Annotated[str | None, typer.Option("--customer", metavar="NUMBER")] = None,
    staff: Annotated[str | None, typer.Option("--staff", metavar="NUMBER")] = None,
    stream: Annotated[str | None, typer.Option("--stream", metavar="ID")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="POSITION|INSTANT")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="POSITION|INSTANT")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", metavar="TYPE")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0)] = LINES,
    as_json: Json = False,
) -> int:
    """Tell events as sentences, oldest first; sealed texts are left out."""
    from replay.history import lines

    with opened(bundle, database_url, tenant) as source:
        every = lines(
            source,
            OWN.spoken(),
            first=begin_of(source, first),
            last=position_of(source, last),
            types=types,
            stream=stream_of(source, grant=grant, customer=customer, staff=staff, stream=stream),
        )
        found = list(islice(every, limit)) if limit else list(every)
        more = next(every, None) is not None
    if as_json:
        document({"items": [one._asdict() for one in found], "more": more})
        return FINE
    headings = [say("history.position"), say("history.at"), say("history.line")]
    table(headings, [(one.position, instant(one.at), one.line) for one in found])
    if not found:
        aside(say("history.none"))
    if more:
        aside(say("history.more", number=len(found)))
    return FINE
