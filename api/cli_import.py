"""The command that imports: a log of steps by `--mapping MAPPING.toml`, or a `--register`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from api.cli_errors import Usage
from api.cli_help import Command
from api.cli_importing import private, progress, quiet, unusable
from api.cli_places import Places, tenant_of
from api.cli_register import HOME_ZONE, Order, import_register
from api.cli_shown import FINDINGS, FINE, Json, aside, document, line
from api.cli_texts import spoken

if TYPE_CHECKING:
    from api.importing.faults import Fault
    from api.importing.report import Report

INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells say it."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("import", cls=Command)(import_table)


def import_table(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    *,
    mapping: Annotated[Path | None, typer.Option("--mapping", metavar="MAPPING.toml")] = None,
    as_register: Annotated[bool, typer.Option("--register")] = False,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    policy: Annotated[str | None, typer.Option("--policy", metavar="KIND")] = None,
    actions: Annotated[str, typer.Option("--actions", metavar="ACTION,...")] = "",
    zone: Annotated[str, typer.Option("--zone", metavar="ZONE")] = HOME_ZONE,
    sheet: Annotated[str | None, typer.Option("--sheet", metavar="SHEET")] = None,
    all_or_nothing: Annotated[bool, typer.Option("--all-or-nothing")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    refused: Annotated[
        Path | None, typer.Option("--refused", "--faults", metavar="FAULTS.csv")
    ] = None,
    as_json: Json = False,
) -> int:
    """Import what people did before the ledger existed, and tell what became of every row."""
    if as_register == (mapping is not None):
        raise Usage("importing.which")
    if as_register and policy is None:
        raise Usage("importing.policy")
    if refused is not None and any(_is_same(refused, one) for one in (file, mapping) if one):
        raise Usage("importing.refused_is_input", file=refused)
    from api.importing.faults import Unusable
    from api.importing.words import word

    try:
        if mapping is None:
            order = Order(
                policy or "", actions, zone, sheet, all_or_nothing=all_or_nothing, dry_run=dry_run
            )
            return import_register(file, tenant, order, refused, as_json=as_json)
        return _import_steps(file, mapping, tenant, refused, dry_run=dry_run, as_json=as_json)
    except Unusable as fault:
        return unusable(fault, as_json=as_json)
    except KeyboardInterrupt:
        aside(word("interrupted", spoken()))
        return INTERRUPTED


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths name one file, by whatever way."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there, so neither is written over the other
        return False


def _import_steps(
    file: Path,
    mapping: Path,
    tenant: str | None,
    refused: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Import a log of steps by a mapping, and show the report."""
    report = _imported(file, mapping, tenant, refused, dry_run=dry_run)
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
        tell = stack.enter_context(progress(("read", "write")))
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
        yield quiet
        return
    with private(path) as file:
        writer = csv.writer(file)
        writer.writerow(("line", "column", "code", "reason", "case"))

        def write(fault: Fault) -> None:
            reason = word(fault.code, spoken())
            writer.writerow((fault.line, fault.column, fault.code, reason, fault.case or ""))

        yield write
