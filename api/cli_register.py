"""The import of a register: `counterseal import FILE --register --policy KIND`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from api.cli_importing import private, progress, quiet, unusable
from api.cli_places import Places, tenant_of
from api.cli_shown import FINDINGS, FINE, USAGE, aside, document, line
from api.cli_texts import spoken

if TYPE_CHECKING:
    from api.importing.register_faults import BadHeadings, CellFault
    from api.importing.register_report import RegisterReport

HOME_ZONE: Final = "Asia/Shanghai"
"""Where the days of a register begin unless told otherwise."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a workbook would take for a formula at the beginning of a cell."""


class Order(NamedTuple):
    """What was asked for; `actions` are separated by commas, none for all of the kind."""

    policy: str
    actions: str
    zone: str
    sheet: str | None
    all_or_nothing: bool
    dry_run: bool


def import_register(
    file: Path, tenant: str | None, order: Order, faults: Path | None, *, as_json: bool
) -> int:
    """Import a register, show what became of it, and return the exit code."""
    from api.importing.register_faults import BadHeadings
    from api.importing.register_report import lines

    try:
        report = _imported(file, tenant, order, faults)
    except BadHeadings as fault:
        return _bad_headings(fault, as_json=as_json)
    if as_json:
        document(report.document(spoken()))
    else:
        for text in lines(report, spoken()):
            line(text)
    return FINDINGS if report.findings else FINE


def _imported(file: Path, tenant: str | None, order: Order, faults: Path | None) -> RegisterReport:
    from api.importing.faults import Unusable
    from api.importing.instants import zone_of
    from api.importing.register_plan import Wanted
    from api.importing.register_running import run_register

    try:
        zone = zone_of(order.zone)
    except Unusable:
        zone = None
    if zone is None:
        raise Unusable("register.zone_unknown", zone=order.zone)
    actions = tuple(one.strip() for one in order.actions.split(",") if one.strip())
    wanted = Wanted(order.policy, actions, zone, order.sheet, order.all_or_nothing, order.dry_run)
    places = Places()
    with places.connection() as conn:
        found = tenant_of(conn, tenant)
    with ExitStack() as stack:
        try:
            on_fault = stack.enter_context(_listed(faults))
        except OSError as fault:
            raise Unusable("import.refused_unwritable", fault=fault.strerror) from fault
        services = stack.enter_context(places.services())
        tell = stack.enter_context(progress(("read", "look", "write")))
        try:
            return run_register(
                services.ledgers,
                services.keys,
                services.sealer,
                found.id,
                file,
                wanted,
                tell=tell,
                on_fault=on_fault,
            )
        except OSError as fault:
            raise Unusable("import.file_unreadable", fault=fault.strerror) from fault


@contextmanager
def _listed(path: Path | None) -> Generator[Callable[[CellFault], None]]:
    """Give what writes every problem to a CSV; to nowhere without a path."""
    if path is None:
        yield quiet
        return
    with private(path) as file:
        writer = csv.writer(file)
        writer.writerow(("cell", "row", "column", "heading", "code", "reason"))

        def write(fault: CellFault) -> None:
            why = fault.why(spoken())
            cells = (fault.cell, fault.row, fault.column, fault.heading, fault.code, why)
            writer.writerow([_harmless(one) for one in cells])

        yield write


def _harmless(cell: str | int) -> str | int:
    """Return a cell that no workbook takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _bad_headings(fault: BadHeadings, *, as_json: bool) -> int:
    """Tell every fault of a heading row at its cell."""
    from api.importing.words import word

    if as_json:
        sentence = word(fault.code, spoken(), **fault.params)
        listed = [one.document(spoken()) for one in fault.faults]
        told = {"code": fault.code, "detail": sentence, "exit": USAGE, "listed": listed}
        aside(json.dumps(told, ensure_ascii=False))
        return USAGE
    code = unusable(fault, as_json=False)
    for one in fault.faults:
        aside("  " + one.line(spoken()))
    return code
