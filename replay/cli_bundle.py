"""`counterseal-audit bundle`: one file that an outsider can verify and ask."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from replay.cli_errors import Usage
from replay.cli_places import (
    BundleFile,
    DatabaseUrl,
    TenantName,
    begin_of,
    opened,
    position_of,
    say,
    stream_of,
)
from replay.cli_progress import shown
from replay.cli_shown import FINE, Json, document, line

if TYPE_CHECKING:
    from replay.sources import Reach, Source

Numbers = list[str] | None


def bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    *,
    bundle: BundleFile = None,
    database_url: DatabaseUrl = None,
    tenant: TenantName = None,
    first: Annotated[str | None, typer.Option("--from", metavar="POSITION|INSTANT")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="POSITION|INSTANT")] = None,
    grant: Annotated[Numbers, typer.Option("--grant", metavar="NUMBER")] = None,
    customer: Annotated[Numbers, typer.Option("--customer", metavar="NUMBER")] = None,
    staff: Annotated[Numbers, typer.Option("--staff", metavar="NUMBER")] = None,
    stream: Annotated[Numbers, typer.Option("--stream", metavar="ID")] = None,
    without_rows: Annotated[bool, typer.Option("--without-rows")] = False,
    force: Annotated[bool, typer.Option("--force")] = False,
    as_json: Json = False,
) -> int:
    """Write a bundle, and say the two numbers by which it is known again."""
    from replay.bundle_archive import TooLarge
    from replay.bundle_format import MAX_FILE_BYTES
    from replay.bundle_writing import complete, write

    if file.exists() and not force:
        raise Usage("bundle.there", file=file)
    chosen = {"grant": grant, "customer": customer, "staff": staff, "stream": stream}
    records = [(kind, one) for kind, ones in chosen.items() for one in ones or ()]
    if records and (first is not None or last is not None):
        raise Usage("bundle.period_or_records")
    with opened(bundle, database_url, tenant) as source:
        reach = _reach(source, first, last, records)
        total = reach.last - reach.first + 1
        with shown(source, say("bundle.writing", tenant=source.tenant.name), total):
            try:
                with _placed(file) as sink:
                    written = write(source, sink, reach, datetime.now(UTC), rows=not without_rows)
            except TooLarge:
                raise Usage("bundle.too_large", limit=MAX_FILE_BYTES) from None
        without = without_rows or not complete(source, reach)
    _say(file, written, without=without, as_json=as_json)
    return FINE


def _reach(
    source: Source, first: str | None, last: str | None, records: Sequence[tuple[str, str]]
) -> Reach:
    """Return which events go in. Raises `Usage`: `position.beyond`, `bundle.empty`, `record.…`."""
    from replay.bundle_format import MAX_STREAMS
    from replay.sources import Reach

    whole = source.reach
    if records:
        if len(records) > MAX_STREAMS:
            raise Usage("bundle.too_many", limit=MAX_STREAMS)
        streams = frozenset(
            filter(None, (stream_of(source, **{kind: one}) for kind, one in records))
        )
        return Reach(whole.first, whole.last, streams)
    begin = max(begin_of(source, first), whole.first)
    end = position_of(source, last)
    if end is not None and end > whole.last:
        raise Usage("position.beyond", position=end, last=whole.last)
    reach = Reach(begin, whole.last if end is None else end, whole.streams)
    if reach.last < reach.first:
        raise Usage("bundle.empty")
    return reach


@contextmanager
def _placed(file: Path) -> Generator[IO[bytes]]:
    """Give a file that takes its name once it is whole and on the disk; for its owner only.

    A crash before that leaves a file with another name beside it, and none with this name.
    """
    folder = file.parent
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _say(file: Path, written: Any, *, without: bool, as_json: bool) -> None:
    manifest = written.manifest
    if as_json:
        document(
            {
                "file": str(file),
                "bytes": written.length,
                "sha256": written.sha256,
                "tenant": manifest.tenant.name,
                "first": manifest.reach.first,
                "last": manifest.reach.last,
                "streams": manifest.reach.streams,
                "events": manifest.events,
                "batches": manifest.batches,
                "position": manifest.head.position,
                "chain": manifest.head.chain,
                "rows": dict(manifest.rows),
            }
        )
        return
    line(
        say(
            "bundle.done",
            file=file,
            events=manifest.events,
            tenant=manifest.tenant.name,
            first=manifest.reach.first,
            last=manifest.reach.last,
            bytes=written.length,
        )
    )
    line(say("bundle.chain", chain=manifest.head.chain, position=manifest.head.position))
    line(say("bundle.sha256", sha256=written.sha256))
    line(say("bundle.tell"))
    if without:
        line(say("bundle.no_rows"))
