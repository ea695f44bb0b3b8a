"""A register from the first row to the report: read all, look at the ledger, write row by row."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC
from pathlib import Path
from typing import Final, NamedTuple

from api.ids import new_id
from api.importing.faults import Unusable
from api.importing.instants import instant
from api.importing.reading import Progress
from api.importing.register_against import (
    CLAIMS,
    Against,
    fingerprint_of,
    key_of,
    settled_customer,
)
from api.importing.register_building import SOURCE, Builder, Party
from api.importing.register_columns import NUMBER
from api.importing.register_faults import WHOLE_ROW, CellFault, Problem, told
from api.importing.register_intake import RegisterIntake, laid
from api.importing.register_plan import Plan, Wanted, actions_of, columns_of, pivot_of, ruling
from api.importing.register_points import Points
from api.importing.register_reading import open_register
from api.importing.register_repeats import Repeats
from api.importing.register_report import RegisterCounting, RegisterReport
from api.importing.register_spool import Entry, RegisterSpool
from api.importing.running import AHEAD, CHUNK, DRAWS, FATAL, GRANT_NUMBER, Tell
from api.importing.site import KeyedHashes, Site, Texts
from domain.errors import Refused
from domain.ledger import Ledgers, Outcome

KEY_MAKERS: Final = 4
"""Threads that make the keys of people a register speaks of: each waits for its commit."""


def _quiet(*_: object) -> None:
    """Tell nobody."""


def run_register(
    ledgers: Ledgers,
    hashes: KeyedHashes,
    sealer: Texts,
    tenant: str,
    path: Path,
    wanted: Wanted,
    *,
    tell: Tell | None = None,
    on_fault: Callable[[CellFault], None] | None = None,
) -> RegisterReport:
    """Import a register and return what became of it; `on_fault` is told of every problem.

    The whole file is read and held against the ledger before anything is written. It can be
    interrupted anywhere and run again: a row that is in the log is known by its key and not written
    twice. Raises `BadHeadings`, `Unusable` where the file, the kind or the actions cannot be used
    (nothing is written), `Refused` with a code of `FATAL` where the ledger cannot go on, `OSError`
    of the file.

    Rows wait in a temporary file without a name, which goes with the process."""
    spool = RegisterSpool()
    try:
        site = Site(ledgers, hashes, sealer, tenant, SOURCE, dry_run=wanted.dry_run)
        now = ledgers.now(tenant)
        if ledgers.ledger(tenant).clock == "given":
            site.at = now
        run = _Run(site, spool, tell or _quiet, on_fault or _quiet)
        run.read(path, wanted)
        return run.write(wanted)
    except sqlite3.Error as fault:
        raise Unusable("import.no_room", fault=str(fault)) from fault
    finally:
        spool.close()


class _Flying(NamedTuple):
    """A row on its way to the log."""

    entry: Entry
    party: Party
    grant_id: str
    future: Future[Outcome]


class _Run:
    """One register being imported."""

    def __init__(
        self,
        site: Site,
        spool: RegisterSpool,
        tell: Tell,
        on_fault: Callable[[CellFault], None],
    ) -> None:
        self._site = site
        self._spool = spool
        self._tell = tell
        self._on_fault = on_fault
        self._count = RegisterCounting()
        self._flying: deque[_Flying] = deque()
        self._rows = self._comments = self._done = self._total = 0
        self._plan: Plan

    # --- reading ---

    def read(self, path: Path, wanted: Wanted) -> None:
        """Read the file into the spool, and find every problem that can be found before writing."""
        now = self._site.ledgers.now(self._site.tenant)
        found = ruling(self._site, wanted.kind, now)
        columns = columns_of(found)
        actions = actions_of(found.body, wanted.actions)
        day = now.astimezone(wanted.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        points = {name: Points(found.catalogue, name, now) for name in found.body.dimensions}
        size, progress = path.stat().st_size, Progress()
        with path.open("rb") as file:
            sheet = open_register(file, path, columns, wanted.sheet, progress)
            self._plan = Plan(
                found.policy,
                found.body,
                actions,
                columns,
                laid(sheet, columns),
                sheet.heading_row,
                pivot_of(found),
                wanted.zone,
                now,
                day.astimezone(UTC),
            )
            intake = RegisterIntake(self._plan, points, self._spool)
            intake.take(sheet, lambda: self._tell("read", progress.bytes_read, size))
        self._tell("read", size, size)
        self._rows, self._comments = intake.rows, intake.comments
        against = Against(self._site, self._plan, self._spool)
        self._each(against.present)
        against.changed()
        Repeats(self._spool, self._plan).find()
        self._each(against.compare)

    def _each(self, look: Callable[[Sequence[Entry]], None]) -> None:
        """Hold all rows against the ledger, some at a time."""
        last = done = 0
        while chunk := list(self._spool.entries("WHERE row > ? ORDER BY row LIMIT ?", last, CHUNK)):
            look(chunk)
            last, done = chunk[-1].row, done + len(chunk)
            self._tell("look", done, self._rows)
        self._spool.judge()

    # --- writing ---

    def write(self, wanted: Wanted) -> RegisterReport:
        """Write what is sound, in the order of the file, and return the report."""
        count = self._count
        headings = {one.place: one.text for one in self._plan.laid.places.values()}
        for problem in self._spool.problems():
            self._fault(problem, headings)
        count.present = self._in_state("present")
        count.refused = self._in_state("refused")
        self._total = self._in_state("sound")
        if wanted.all_or_nothing and count.codes:
            count.refused += self._total
        elif self._total:
            self._sound(headings)
        self._site.acknowledge()
        return count.report(
            kind=self._plan.body.kind,
            actions=self._plan.actions,
            dry_run=wanted.dry_run,
            rows=self._rows,
            comments=self._comments,
        )

    def _in_state(self, state: str) -> int:
        return self._spool.one("SELECT count(*) FROM rows WHERE state = ?", state)

    def _fault(self, problem: Problem, headings: dict[int, str]) -> None:
        fault = told(problem, headings)
        self._count.fault(fault)
        self._on_fault(fault)

    def _sound(self, headings: dict[int, str]) -> None:
        """Submit the rows in the order of the file.

        The ledger writes one tenant's commands in the order in which they come, batch after batch.
        A kill at any moment therefore leaves a beginning of that order in the log, and the next run
        goes on behind it."""
        self._spool.run(
            "INSERT INTO customers (ident, row, starts) SELECT ident, min(row), min(starts)"
            " FROM rows WHERE state <> 'refused' GROUP BY ident"
        )
        builder, last = Builder(self._site, self._plan), 0
        behind = "WHERE row > ? AND state = 'sound' ORDER BY row LIMIT ?"
        with ThreadPoolExecutor(KEY_MAKERS) as makers:
            while chunk := list(self._spool.entries(behind, last, CHUNK)):
                last = chunk[-1].row
                parties = self._parties(chunk)
                if not self._site.dry_run:
                    people = {
                        parties[e.ident or ""].id for e in chunk if builder.speaks_of_people(e)
                    }
                    list(makers.map(self._site.make_key, sorted(people)))
                for entry in chunk:
                    self._submit(entry, parties[entry.ident or ""], builder)
                    while len(self._flying) >= AHEAD:
                        self._settle(headings)
        while self._flying:
            self._settle(headings)

    def _parties(self, chunk: Sequence[Entry]) -> dict[str, Party]:
        """Return the customers of some rows, by what identifies them."""
        site, parties = self._site, dict[str, Party]()
        for form, kind in CLAIMS.items():
            idents = {e.ident for e in chunk if e.ident is not None and e.form == form}
            hashes = {ident: site.hash(kind, ident) for ident in idents}
            streams = site.claimed(kind, list(hashes.values()))
            for ident, keyed_hash in hashes.items():
                [(row, starts)] = self._spool.each(
                    "SELECT row, starts FROM customers WHERE ident = ?", ident
                )
                [first] = self._spool.entries("WHERE row = ?", row)
                own = site.namer.id(instant(starts), "customer", ident)
                there = settled_customer(site, streams.get(keyed_hash))
                customer = own if there is None else there.id
                parties[ident] = Party(customer, first, starts, customer == own, there is None)
        return parties

    def _submit(self, entry: Entry, party: Party, builder: Builder) -> None:
        command_id = new_id()
        grant = builder.grant(entry, party, self._number(entry), command_id)
        facts = [grant]
        if party.absent and self._to_be_told(entry):
            facts.insert(0, builder.customer(party, command_id))
        future = self._site.submit(
            facts,
            key=self._site.namer.key(key_of(entry, self._plan)),
            fingerprint=fingerprint_of(entry, self._plan, self._site),
            command_id=command_id,
        )
        self._flying.append(_Flying(entry, party, grant.stream_id, future))

    def _to_be_told(self, entry: Entry) -> bool:
        """Tell whether a customer's record goes with this row.

        It goes with every row of the customer, as the first one that is written makes it; a dry run
        makes none, so there it is counted with the first."""
        if not self._site.dry_run:
            return True
        once = "UPDATE customers SET looked = 1 WHERE ident = ? AND looked = 0"
        return self._spool.run(once, entry.ident) == 1

    def _number(self, entry: Entry) -> str:
        """Return the row's number, else one that is drawn; again where the file has it already."""
        if entry.number is not None:
            return entry.number
        day, key = instant(entry.starts or 0), key_of(entry, self._plan)
        for draw in range(DRAWS):
            number = self._site.namer.number(day, key, draw)
            if self._spool.run("INSERT OR IGNORE INTO numbers VALUES (?)", number):
                return number
        raise Unusable("import.no_number_left", case=str(entry.row))

    def _settle(self, headings: dict[int, str]) -> None:
        """Take the oldest row's answer."""
        entry, party, grant_id, future = self._flying.popleft()
        count = self._count
        try:
            outcome = self._site.settled(future.result())
        except Refused as refusal:
            if refusal.code.startswith(FATAL):
                raise
            count.refused += 1
            self._fault(self._refusal(entry, refusal), headings)
        else:
            count.written += 1
            if entry.starts is not None and instant(entry.starts) <= self._plan.now:
                count.active += 1
            else:
                count.scheduled += 1
            self._counted(entry, outcome)
        self._site.forget((grant_id, party.id))
        self._done += 1
        self._tell("write", self._done, self._total)

    def _counted(self, entry: Entry, outcome: Outcome) -> None:
        """Count a row that is written, and its customer once."""
        if outcome.status in ("done", "would"):
            self._count.wrote(outcome)
            self._count.made += any(one.type == "customer.registered.1" for one in outcome.events)
        once = "UPDATE customers SET told = 1 WHERE ident = ? AND told = 0"
        self._count.customers += self._spool.run(once, entry.ident)

    def _refusal(self, entry: Entry, refusal: Refused) -> Problem:
        """Return what the ledger says of a row that stood when it was looked at."""
        if refusal.code == "key.reused":
            return Problem(entry.row, WHOLE_ROW, "register.row_changed")
        if refusal.code == "claim.taken" and refusal.params.get("kind") == GRANT_NUMBER:
            if NUMBER.code in self._plan.laid.places:
                return Problem(entry.row, self._plan.place(NUMBER), "register.number_taken")
            return Problem(entry.row, WHOLE_ROW, "register.number_taken")
        exclusive = refusal.code == "grant.exclusive_overlap"
        place = self._plan.scope_place if exclusive else WHOLE_ROW
        return Problem(entry.row, place, refusal.code, dict(refusal.params))
