"""What an import did: counts that add up to the file's, refused rows, irregular cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from api.importing.building import Irregular, Told
from api.importing.faults import Fault
from api.importing.words import WOULD, Language, word
from domain.ledger import Outcome

MAX_LISTED: Final = 1_000
"""Refused rows and irregular cases that a report lists; it counts all of them."""


class Tally(msgspec.Struct, frozen=True):
    """Cases or rows by what became of them. `present` were in the log already, by an earlier run;
    of rows, `refused` have a fault, `left_out` have none and belong to a case that has one."""

    total: int
    written: int
    present: int
    refused: int
    left_out: int = 0

    @property
    def adds_up(self) -> bool:
        return self.total == self.written + self.present + self.refused + self.left_out


class Report(msgspec.Struct, frozen=True):
    """What became of a file. `typed`, `notes` and `inferred` count the events of the cases that are
    in the log, written now or before; `events` what this run wrote (would write, in a dry run), and
    `made` those of them that are records the cases stand on: customers, people, catalogue, policy.

    `duties`: cases in which one person had both of two hands; `any` counts a case once."""

    source: str
    dry_run: bool
    cases: Tally
    rows: Tally
    typed: dict[str, int]
    notes: int
    inferred: dict[str, int]
    events: int
    made: dict[str, int]
    irregular: int
    irregular_cases: tuple[Irregular, ...]
    duties: dict[str, int]
    refused: int
    refused_rows: tuple[Fault, ...]
    faults: dict[str, int]

    @property
    def findings(self) -> bool:
        """Whether anything of the file was refused."""
        return self.refused > 0

    def document(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return msgspec.to_builtins(self) | {
            "refused_rows": [fault._asdict() for fault in self.refused_rows]
        }


class Counting:
    """Counts while the import goes on."""

    def __init__(self) -> None:
        self.written = self.present = self.refused = 0
        self.rows_written = self.rows_present = self.rows_left = 0
        self.typed: Counter[str] = Counter()
        self.inferred: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.duties: Counter[str] = Counter(
            {"requested_checked": 0, "requested_approved": 0, "checked_approved": 0, "any": 0}
        )
        self.notes = self.events = self.told = self.irregular = self.faults = 0
        self.irregular_cases: list[Irregular] = []
        self.refused_rows: list[Fault] = []
        self.codes: Counter[str] = Counter()

    def case_in_log(self, told: Told, steps: int, *, written: bool) -> None:
        """Count a case that is in the log."""
        if written:
            self.written += 1
            self.rows_written += steps
            self.told += len(told.events)
        else:
            self.present += 1
            self.rows_present += steps
        self.typed += told.typed
        self.inferred += told.inferred
        self.notes += told.notes
        if told.irregular is not None:
            self.irregular += 1
            if len(self.irregular_cases) < MAX_LISTED:
                self.irregular_cases.append(told.irregular)
        for pair in told.duties:
            self.duties[pair] += 1
        self.duties["any"] += bool(told.duties)

    def case_refused(self, fault: Fault, steps: int) -> None:
        """Count a case that the ledger refused as a whole."""
        self.refused += 1
        self.rows_left += steps
        self.fault(fault)

    def fault(self, fault: Fault) -> None:
        """Count a refused row, or a case refused at its first row."""
        self.faults += 1
        self.codes[fault.code] += 1
        if len(self.refused_rows) < MAX_LISTED:
            self.refused_rows.append(fault)

    def report(
        self, source: str, *, dry_run: bool, cases: int, rows: int, broken: int, faulty: int
    ) -> Report:
        """Return the report of a file with so many cases (`broken` of them by a row) and rows
        (`faulty` of them refused).

        Raises `ValueError` where the counts do not add up: then the import itself is wrong."""
        report = Report(
            source=source,
            dry_run=dry_run,
            cases=Tally(cases, self.written, self.present, self.refused + broken),
            rows=Tally(rows, self.rows_written, self.rows_present, faulty, self.rows_left),
            typed=dict(sorted(self.typed.items())),
            notes=self.notes,
            inferred=dict(sorted(self.inferred.items())),
            events=self.events,
            made=dict(sorted(self.made.items())),
            irregular=self.irregular,
            irregular_cases=tuple(self.irregular_cases),
            duties=dict(self.duties),
            refused=self.faults,
            refused_rows=tuple(self.refused_rows),
            faults=dict(sorted(self.codes.items())),
        )
        told = sum(report.typed.values()) + report.notes
        steps = self.rows_written + self.rows_present
        sums = (report.cases.adds_up, report.rows.adds_up, told == steps)
        if not all(sums) or self.events != self.told + sum(report.made.values()):
            raise ValueError(f"the import does not add up: {self.events} {report.document()}")
        return report

    def wrote(self, outcome: Outcome) -> None:
        """Count what a command wrote, or would write."""
        if outcome.status in ("done", "would"):
            self.events += len(outcome.events)
            self.made.update(one.type for one in outcome.events if one.kind != "grant")


def lines(report: Report, language: Language) -> Iterator[str]:
    """Yield the report as lines of a table."""

    def say(label: str, count: int, depth: int = 0) -> str:
        label = f"{label}.dry" if report.dry_run and label in WOULD else label
        return aligned(word(label, language), count, depth)

    yield word("report.dry" if report.dry_run else "report.done", language)
    for label, tally in (("cases", report.cases), ("steps", report.rows)):
        yield say(label, tally.total)
        yield say("written", tally.written, 1)
        yield say("present", tally.present, 1)
        yield say("refused", tally.refused, 1)
        if label == "steps":
            yield say("left_out", tally.left_out, 1)
    for label, counts in (("typed", report.typed), ("inferred", report.inferred)):
        yield say(label, sum(counts.values()))
        yield from (say(name, count, 1) for name, count in counts.items())
    yield say("notes", report.notes)
    yield say("events", report.events)
    yield from (say(name, count, 1) for name, count in report.made.items())
    yield say("irregular", report.irregular)
    yield from _irregular(report, language)
    yield say("duties", report.duties["any"])
    yield from (say(f"duties.{name}", n, 1) for name, n in report.duties.items() if name != "any")
    yield say("refusals", report.refused)
    yield from _refused(report, language)


def _irregular(report: Report, language: Language) -> Iterator[str]:
    for one in report.irregular_cases:
        yield "  " + word("irregular.case", language, **msgspec.structs.asdict(one))
    yield from more(report.irregular - len(report.irregular_cases), language)


def _refused(report: Report, language: Language) -> Iterator[str]:
    for fault in report.refused_rows:
        yield "  " + fault_line(fault, language)
    yield from more(report.refused - len(report.refused_rows), language)


def fault_line(fault: Fault, language: Language) -> str:
    """Return where and why a row was refused, in a sentence."""
    place = word("fault.column" if fault.column else "fault.line", language, **fault._asdict())
    return word(
        "fault.told", language, place=place, why=word(fault.code, language), code=fault.code
    )


def aligned(label: str, count: int, depth: int = 0) -> str:
    """Return a line of a report's table: what is counted, and the number to the right."""
    text = "  " * depth + label
    return text + " " * max(1, 40 - _width(text)) + f"{count:>9,}"


def more(count: int, language: Language) -> Iterator[str]:
    """Yield that so many more are not listed, where there are."""
    if count > 0:
        yield "  " + word("more", language, count=count)


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes: Chinese characters two."""
    return sum(2 if ord(sign) > 0x2E7F else 1 for sign in text)
