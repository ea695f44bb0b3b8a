"""An import from the first row to the report: read all, then write case by case, in order."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from api.importing.building import Teller, Told
from api.importing.faults import Fault, Unusable
from api.importing.groundwork import Customer, Groundwork
from api.importing.instants import instant
from api.importing.intake import Intake
from api.importing.mapping import Mapping
from api.importing.reading import Progress, open_table
from api.importing.report import Counting, Report
from api.importing.site import KeyedHashes, Site, Texts
from api.importing.spool import Case, Spool
from domain.commands.imports import Facts
from domain.errors import Refused
from domain.ledger import Ledgers, Outcome
from domain.values import Instant
from domain.view import Claim

AHEAD: Final = 512
"""Cases on their way at a time: enough for the next batch to gather while one is written."""

CHUNK: Final = 256
"""Cases looked up together before they are told."""

DRAWS: Final = 100
"""How often a grant number is drawn for one case; a second draw is one in a million."""

GRANT_NUMBER: Final = "grant_number"

FATAL: Final = ("ledger.", "tenant.", "clock.", "keys.", "import.not_importer")
"""Refusals that are not one case's: the import stops, and run again it goes on from there."""

Tell = Callable[[str, int, int], None]
"""Told of progress: the phase (`read`, `write`), how much is done, how much there is."""


def _quiet(*_: object) -> None:
    """Tell nobody."""


_PRESENT: Final = Outcome("repeated", (), 0, 0, None, False, 0.0)


def run_import(
    ledgers: Ledgers,
    hashes: KeyedHashes,
    sealer: Texts,
    tenant: str,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    tell: Tell | None = None,
    on_fault: Callable[[Fault], None] | None = None,
) -> Report:
    """Import a file and return what became of it; `on_fault` is told of every refused row.

    The whole file is read before anything is written. It can be interrupted anywhere and run again:
    what is written is known by its key and not written twice, and the log is in the end the same as
    of one run. Raises `Unusable` where the file or the mapping cannot be used (nothing is written),
    `Refused` with a code of `FATAL` where the ledger cannot go on, `OSError` of the file.

    Rows wait in a temporary file without a name, which goes with the process."""
    spool = Spool({name: step.event for name, step in mapping.steps.items()})
    try:
        now = ledgers.now(tenant)
        given = ledgers.ledger(tenant).clock == "given"
        rows = _read(path, mapping, spool, None if given else now, tell or _quiet)
        site = Site(ledgers, hashes, sealer, tenant, mapping.source, dry_run=dry_run)
        if (
            given
        ):  # such a clock may stand before what the file tells; facts are never in the future
            site.at = max(now, instant(spool.one("SELECT coalesce(max(at), 0) FROM steps")))
        run = _Run(site, mapping, spool, tell or _quiet, on_fault or _quiet)
        return run.write(rows)
    except sqlite3.Error as fault:
        raise Unusable("import.no_room", fault=str(fault)) from fault
    finally:
        spool.close()


def _read(path: Path, mapping: Mapping, spool: Spool, now: Instant | None, tell: Tell) -> int:
    """Read the file into the spool; return how many rows it has."""
    size = path.stat().st_size
    progress = Progress()
    with path.open("rb") as file:
        table = open_table(file, path, mapping.file, mapping.codec, progress)
        intake = Intake(mapping, spool, now)
        intake.take(table, lambda: tell("read", progress.bytes_read, size))
    tell("read", size, size)
    return intake.rows


class _Flying(NamedTuple):
    """A case on its way to the log."""

    case: Case
    told: Told
    future: Future[Outcome]


class _Run:
    """The writing half."""

    def __init__(
        self,
        site: Site,
        mapping: Mapping,
        spool: Spool,
        tell: Tell,
        on_fault: Callable[[Fault], None],
    ) -> None:
        self._site = site
        self._mapping = mapping
        self._spool = spool
        self._tell = tell
        self._on_fault = on_fault
        self._count = Counting()
        self._flying: deque[_Flying] = deque()
        self._done = 0
        self._total = 0

    def write(self, rows: int) -> Report:
        """Write what is sound, in order, and return the report."""
        spool, count = self._spool, self._count
        for fault in spool.faults():
            count.fault(fault)
            self._on_fault(fault)
        faulty = count.faults
        cases = spool.one("SELECT count(*) FROM cases")
        broken = spool.one("SELECT count(*) FROM cases WHERE broken")
        count.rows_left = spool.one(
            "SELECT count(*) FROM steps s JOIN cases c ON c.no = s.case_no WHERE c.broken"
        )
        self._total = cases - broken
        if self._total:
            self._cases()
        self._site.acknowledge()
        return count.report(
            self._mapping.source,
            dry_run=self._site.dry_run,
            cases=cases,
            rows=rows,
            broken=broken,
            faulty=faulty,
        )

    def _cases(self) -> None:
        """Submit the cases in the order of the file.

        The ledger writes one tenant's commands in the order in which they come, batch after batch.
        A kill at any moment therefore leaves a beginning of that order in the log, and the next run
        goes on behind it."""
        ground = Groundwork(self._site, self._mapping, self._spool, self._count)
        teller = Teller(self._mapping, self._site.namer, ground.lay())
        with closing(self._spool.cases()) as found:
            while chunk := list(islice(found, CHUNK)):
                self._chunk(chunk, ground, teller)
        while self._flying:
            self._settle()

    def _chunk(self, chunk: list[Case], ground: Groundwork, teller: Teller) -> None:
        customers = ground.customers(chunk)
        known = self._site.known([self._site.namer.key(case.name) for case in chunk])
        for case in chunk:
            customer = customers[case.asked.grantee]
            told = teller.tell(case, customer.id, self._number(case))
            self._flying.append(_Flying(case, told, self._submit(case, told, customer, known)))
            while len(self._flying) >= AHEAD:
                self._settle()

    def _submit(
        self, case: Case, told: Told, customer: Customer, known: dict[str, bytes]
    ) -> Future[Outcome]:
        site = self._site
        key, fingerprint = site.namer.key(case.name), site.namer.fingerprint(case.name, told.events)
        if key in known:
            there: Future[Outcome] = Future()
            if known[key] == fingerprint:
                there.set_result(_PRESENT)
            else:
                there.set_exception(Refused("key.reused"))
            return there
        claim = Claim(GRANT_NUMBER, site.hash(GRANT_NUMBER, told.grant.number), told.grant_id)
        grant = Facts("grant", told.grant_id, told.events, (claim,))
        facts = (grant,)
        if customer.facts is not None and self._to_be_told(customer):
            facts = (customer.facts, grant)
        return site.submit(facts, key=key, fingerprint=fingerprint)

    def _to_be_told(self, customer: Customer) -> bool:
        """Tell whether a customer's record goes with this case.

        It goes with every case of the customer, as the first one that is written makes it; a dry
        run makes none, so there it is counted with the first."""
        if not self._site.dry_run:
            return True
        told = "UPDATE customers SET told = 1 WHERE keyed_hash = ? AND told = 0"
        return self._spool.run(told, customer.keyed_hash) == 1

    def _number(self, case: Case) -> str:
        """Return the case's grant number; drawn again where the file has it already."""
        day = instant(case.first.at)
        for draw in range(DRAWS):
            number = self._site.namer.number(day, case.name, draw)
            if self._spool.run("INSERT OR IGNORE INTO numbers VALUES (?)", number):
                return number
        raise Unusable("import.no_number_left", case=case.name)

    def _settle(self) -> None:
        """Take the oldest case's answer."""
        case, told, future = self._flying.popleft()
        try:
            outcome = self._site.settled(future.result())
        except Refused as refusal:
            if refusal.code.startswith(FATAL):
                raise
            first = min(case.steps, key=lambda step: step.row)
            code = "import.case_changed" if refusal.code == "key.reused" else refusal.code
            fault = Fault(first.row, first.line, "", code, case.name)
            self._count.case_refused(fault, len(case.steps))
            self._on_fault(fault)
        else:
            self._count.wrote(outcome)
            written = outcome.status in ("done", "would")
            self._count.case_in_log(told, len(case.steps), written=written)
        self._site.forget((told.grant_id, told.grant.grantee.partition(":")[2]))
        self._done += 1
        self._tell("write", self._done, self._total)
