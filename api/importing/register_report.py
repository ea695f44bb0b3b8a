"""What became of a register: every row in one place, each problem at its cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from api.importing.register_faults import CellFault
from api.importing.report import MAX_LISTED, Tally, aligned, more
from api.importing.words import WOULD, word
from api.texts import Language
from domain.ledger import Outcome


class RegisterReport(msgspec.Struct, frozen=True):
    """What became of a register. `rows`: all of them; `comments` are no rows. `customers`: those
    of the rows written now, `made` of them by this run. `active` and `scheduled`: rights written
    now. `events`: what this run wrote (would write, in a dry run), by type in `typed`.

    `faults` counts problems by code, `listed` has the first of them; a row may have several."""

    kind: str
    actions: tuple[str, ...]
    dry_run: bool
    rows: Tally
    comments: int
    customers: int
    made: int
    active: int
    scheduled: int
    events: int
    typed: dict[str, int]
    problems: int
    faults: dict[str, int]
    listed: tuple[CellFault, ...]

    @property
    def findings(self) -> bool:
        """Whether anything of the file was refused."""
        return self.problems > 0

    def document(self, language: Language) -> dict[str, Any]:
        """Return the report as JSON has it."""
        listed = [fault.document(language) for fault in self.listed]
        return msgspec.to_builtins(msgspec.structs.asdict(self) | {"listed": ()}) | {
            "listed": listed
        }


class RegisterCounting:
    """Counts while the register is read and written."""

    def __init__(self) -> None:
        self.written = self.present = self.refused = 0
        self.customers = self.made = self.active = self.scheduled = self.events = 0
        self.typed: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.listed: list[CellFault] = []

    def fault(self, fault: CellFault) -> None:
        """Count a problem."""
        self.codes[fault.code] += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(fault)

    def wrote(self, outcome: Outcome) -> None:
        """Count what a command wrote, or would write."""
        self.events += len(outcome.events)
        self.typed.update(one.type for one in outcome.events)

    def report(
        self, *, kind: str, actions: tuple[str, ...], dry_run: bool, rows: int, comments: int
    ) -> RegisterReport:
        """Return the report. Raises `ValueError` where the counts do not add up: then the import
        itself is wrong."""
        report = RegisterReport(
            kind=kind,
            actions=actions,
            dry_run=dry_run,
            rows=Tally(rows, self.written, self.present, self.refused),
            comments=comments,
            customers=self.customers,
            made=self.made,
            active=self.active,
            scheduled=self.scheduled,
            events=self.events,
            typed=dict(sorted(self.typed.items())),
            problems=sum(self.codes.values()),
            faults=dict(sorted(self.codes.items())),
            listed=tuple(self.listed),
        )
        if not report.rows.adds_up or self.written != self.active + self.scheduled:
            raise ValueError(f"the import does not add up: {report}")
        return report


def lines(report: RegisterReport, language: Language) -> Iterator[str]:
    """Yield the report as lines of a table."""

    def say(label: str, count: int, depth: int = 0) -> str:
        label = f"{label}.dry" if report.dry_run and label in WOULD else label
        return aligned(word(label, language), count, depth)

    yield word("report.dry" if report.dry_run else "report.done", language)
    yield say("register.rows", report.rows.total)
    yield say("written", report.rows.written, 1)
    yield say("present", report.rows.present, 1)
    yield say("refused", report.rows.refused, 1)
    yield say("register.comments", report.comments)
    yield say("register.rights", report.rows.written)
    yield say("register.active", report.active, 1)
    yield say("register.scheduled", report.scheduled, 1)
    yield say("register.customers", report.customers)
    yield say("register.made", report.made, 1)
    yield say("events", report.events)
    yield from (aligned(name, count, 1) for name, count in report.typed.items())
    yield say("register.problems", report.problems)
    for fault in report.listed:
        yield "  " + fault.line(language)
    yield from more(report.problems - len(report.listed), language)
