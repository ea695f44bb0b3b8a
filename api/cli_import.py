"""The command that imports history: `counterseal import FILE --mapping MAPPING.toml`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from api.cli_help import Command
from api.cli_places import Places, tenant_of
from api.cli_shown import FINDINGS, FINE, USAGE, Json, aside, document, line
from api.cli_texts import spoken

if TYPE_CHECKING:
    from api.importing.faults import Fault
    from api.importing.report import Report
    from domain.errors import Refused

INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells say it."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("import", cls=Command)(import_table)


def import_table(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    *,
    mapping: Annotated[Path, typer.Option("--mapping", metavar="MAPPING.toml")],
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    refused: Annotated[Path | None, typer.Option("--refused", metavar="REFUSED.csv")] = None,
    as_json: Json = False,
) -> int:
    """Import what people did before the ledger existed, and tell what became of every row."""
    from api.importing.faults import Unusable
    from api.importing.words import word

    try:
        report = _imported(file, mapping, tenant, refused, dry_run=dry_run)
    except Unusable as fault:
        return _unusable(fault, as_json=as_json)
    except KeyboardInterrupt:
        aside(word("interrupted", spoken()))
        return INTERRUPTED
    if as_json:
        document(report.document())
    else:
        from api.importing.report import lines

        for text in lines(report, spoken()):
            line(text)
    return FINDINGS if report.findings else FINE


def _imported(
    file: Path, mapping: Path, tenant: str | None, refused: Path | None, *, dry_run: bool
) -> Report:
    from api.importing.faults import Unusable
    from api.importing.mapping import read_mapping
    from api.importing.running import run_import

    read = read_mapping(mapping)
    places = Places()
    with places.connection() as conn:
        found = tenant_of(conn, tenant)
    with ExitStack() as stack:
        try:
            on_fault = stack.enter_context(_listed(refused))
        except OSError as fault:
            raise Unusable("import.refused_unwritable", fault=fault.strerror) from fault
        services = stack.enter_context(places.services())
        tell = stack.enter_context(_progress())
        try:
            return run_import(
                services.ledgers,
                services.keys,
                services.sealer,
                found.id,
                file,
                read,
                dry_run=dry_run,
                tell=tell,
                on_fault=on_fault,
            )
        except OSError as fault:
            raise Unusable("import.file_unreadable", fault=fault.strerror) from fault


@contextmanager
def _listed(path: Path | None) -> Generator[Callable[[Fault], None]]:
    """Give what writes every refused row to a CSV; to nowhere without a path."""
    from api.importing.words import word

    if path is None:
        yield _quiet
        return
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "column", "code", "reason", "case"))

        def write(fault: Fault) -> None:
            reason = word(fault.code, spoken())
            writer.writerow((fault.line, fault.column, fault.code, reason, fault.case or ""))

        yield write


def _quiet(*_: object) -> None:
    """Show nothing."""


@contextmanager
def _progress() -> Generator[Callable[[str, int, int], None]]:
    """Give what shows progress: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield _quiet
        return
    from rich.console import Console
    from rich.progress import Progress

    from api.importing.words import word

    with Progress(console=Console(stderr=True), transient=True) as shown:
        tasks = {
            phase: shown.add_task(word(f"phase.{phase}", spoken()), start=False, total=None)
            for phase in ("read", "write")
        }

        def tell(phase: str, done: int, total: int) -> None:
            shown.start_task(tasks[phase])
            shown.update(tasks[phase], completed=done, total=total)

        yield tell


def _unusable(fault: Refused, *, as_json: bool) -> int:
    """Say why nothing was imported: the file or the mapping as a whole cannot be used."""
    from api.importing.words import word

    sentence = word(fault.code, spoken(), **fault.params)
    if as_json:
        told = {"code": fault.code, "detail": sentence, "exit": USAGE}
        aside(json.dumps(told, ensure_ascii=False))
    else:
        aside(f"counterseal: {fault.code}: {sentence}")
    return USAGE
