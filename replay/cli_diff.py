"""`counterseal-audit diff`: what differs between two moments, and who did it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from replay.cli_errors import Usage
from replay.cli_places import (
    OWN,
    BundleFile,
    DatabaseUrl,
    TenantName,
    instant_of,
    opened,
    place_of,
    say,
    stream_of,
)
from replay.cli_progress import shown
from replay.cli_shown import FINDINGS, FINE, Json, aside, instant, line, plain, table

if TYPE_CHECKING:
    from replay.diff_records import Asked, Difference, Tally
    from replay.diff_words import Row, Teller
    from replay.sources import Source

LIMIT: Final = 50
"""Differences where nothing is said."""

BY: Final = ("known", "valid", "happened")


def diff(
    *,
    bundle: BundleFile = None,
    database_url: DatabaseUrl = None,
    tenant: TenantName = None,
    by: Annotated[str, typer.Option("--by", metavar="known|valid|happened")] = "known",
    first: Annotated[str, typer.Option("--from", metavar="POSITION|INSTANT")],
    last: Annotated[str | None, typer.Option("--to", metavar="POSITION|INSTANT")] = None,
    known: Annotated[str | None, typer.Option("--known", metavar="POSITION|INSTANT")] = None,
    valid: Annotated[str | None, typer.Option("--valid", metavar="INSTANT")] = None,
    grant: Annotated[str | None, typer.Option("--grant", metavar="NUMBER")] = None,
    customer: Annotated[str | None, typer.Option("--customer", metavar="NUMBER")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0)] = LIMIT,
    as_json: Json = False,
) -> int:
    """Tell what differs between two moments."""
    from replay.diff import asked, differences
    from replay.diff_records import Tally
    from replay.diff_words import Teller

    chosen = _by(by, known, valid)
    begin, end = place_of(first), place_of(last)
    with opened(bundle, database_url, tenant) as source:
        question = asked(
            source,
            chosen,
            0 if begin is None else begin,
            source.reach.last if end is None else end,
            known=place_of(known),
            at=instant_of(valid),
            grant=stream_of(source, grant=grant),
            customer=stream_of(source, customer=customer),
            kind=kind,
        )
        tally = Tally()
        found = differences(source, question, tally)
        teller = Teller(source, OWN.spoken(), question.known[1])
        total = question.known[1] - source.reach.first + 1
        with shown(source, say("diff.reading", tenant=source.tenant.name), total):
            told = _Telling(source, question, tally, teller, limit)
            (told.as_json if as_json else told.as_lines)(found)
    return FINDINGS if tally.unreadable else FINE


def _by(by: str, known: str | None, valid: str | None) -> Literal["known", "valid", "happened"]:
    """Return what is asked by. Raises `Usage` `diff.by`, `diff.known`, `diff.valid`."""
    if by not in BY:
        raise Usage("diff.by", value=by)
    if by == "known" and known is not None:
        raise Usage("diff.known")
    if by != "known" and valid is not None:
        raise Usage("diff.valid")
    return by  # pyright: ignore[reportReturnType]


class _Telling:
    """Prints differences as they come, the first `limit` of them (0: all), and what was counted."""

    def __init__(
        self, source: Source, asked: Asked, tally: Tally, teller: Teller, limit: int
    ) -> None:
        self._source = source
        self._asked = asked
        self._tally = tally
        self._teller = teller
        self._limit = limit
        self._number = 0

    def as_lines(self, found: Iterator[Difference]) -> None:
        for one in self._first(found):
            for text in self._teller.words(one):
                line(text)
            rows = self._side_by_side(one)
            if rows:
                line()
                table([say(f"diff.{name}") for name in ("field", "before", "after")], rows)
        known, at = self._asked.known, self._asked.at
        if self._asked.by != "happened":
            self._changes()
        if self._asked.by == "happened":
            self._states()
        aside(
            say(
                f"diff.shown_{self._asked.by}",
                shown=min(self._number, self._limit or self._number),
                number=self._number,
                first=known[0],
                last=known[1],
                begin=instant(at[0]) if known[0] else "-",
                end=instant(at[1]),
                looked_at=self._tally.looked_at,
            )
        )
        for stream, position in self._tally.unreadable.items():
            aside(say("as_of.fault", stream=stream, position=position, code="log.unreadable"))

    def as_json(self, found: Iterator[Difference]) -> None:
        """One document, written as it is found: a long one is never held whole."""
        head = {
            "tenant": self._source.tenant.name,
            "by": self._asked.by,
            "known": list(self._asked.known),
            "at": list(self._asked.at),
        }
        line(f"{_json(head)[:-1]},")
        separator = '"differences": ['
        for one in self._first(found):
            entry = self._teller.document(one)
            rows = self._side_by_side(one)
            if rows:
                entry["terms"] = [
                    {"field": field, "before": old, "after": new} for field, old, new in rows
                ]
            line(separator + _json(entry))
            separator = ","
        empty = separator != ","
        tally = self._tally
        tail = {
            "total": self._number,
            "looked_at": tally.looked_at,
            "changes": dict(sorted(tally.changes.items())),
            "states": {"before": tally.at(0), "after": tally.at(1)},
            "acts": dict(sorted(tally.acts.items())),
            "unreadable": tally.unreadable,
        }
        line(f"{separator if empty else ''}],\n{_json(tail)[1:]}")

    def _first(self, found: Iterator[Difference]) -> Iterator[Difference]:
        for one in found:
            self._number += 1
            if not self._limit or self._number <= self._limit:
                yield one

    def _side_by_side(self, one: Difference) -> list[Row]:
        """The terms of the one grant asked about, field by field."""
        from replay.diff_records import PermissionChange

        if self._asked.grant is None or not isinstance(one, PermissionChange):
            return []
        return self._teller.side_by_side(one, self._asked.at)

    def _changes(self) -> None:
        from replay.diff_words import TEXTS

        if not self._number:
            return
        texts, language = TEXTS.texts()["diff"], OWN.spoken()
        changes = sorted(self._tally.changes.items())
        line()
        table(
            [say("diff.change"), say("diff.number")],
            [(texts[one][language], number) for one, number in changes],
        )

    def _states(self) -> None:
        before, after = self._tally.at(0), self._tally.at(1)
        states = sorted({*before, *after}, key=lambda one: (-after.get(one, 0), one))
        if self._number:
            line()
        at: tuple[datetime, datetime] = self._asked.at
        headings = [say("diff.state"), instant(at[0]), instant(at[1])]
        rows: list[tuple[object, ...]] = [
            (OWN.word("statuses", one), before.get(one, 0), after.get(one, 0)) for one in states
        ]
        rows.append((say("diff.all"), sum(before.values()), sum(after.values())))
        table(headings, rows)
        line()
        acts = sorted(self._tally.acts.items())
        every = (say("diff.all"), sum(number for _, number in acts))
        table([say("diff.act"), say("diff.number")], [*acts, every])


def _json(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False)
