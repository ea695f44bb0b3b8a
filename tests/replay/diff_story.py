"""A log in memory for tests of diffs: bare events put down as they come, at given positions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.codec import encode
from domain.events import Event, stream_kind
from domain.events.customer import (
    CustomerConfirmed,
    CustomerMerged,
    CustomerMergeProposed,
    CustomerRegistered,
)
from domain.events.policy import PolicyBody, PolicyDrafted
from projections.tables import Table
from replay.diff import asked, differences
from replay.diff_records import CaseChange, EffectChange, PermissionChange, Tally
from replay.sources import BatchRow, Brief, Head, Model, Reach, Stored, TenantRow, silent
from tests.projections.facts import BY, FACT, NAMES, START, day

TENANT = "01900000-0000-7000-8000-0000000000ff"
POLICY = "01900000-0000-7000-8000-0000000000aa"
RECORDED = START + timedelta(days=365)
"""Nothing is recorded before: everything in these stories is told late unless said otherwise."""


def one_id(number: int) -> str:
    """An id, the same in every run."""
    return f"01900000-0000-7000-8000-{number:012}"


def agreed() -> PolicyDrafted:
    """A policy stream begins."""
    body = PolicyBody(kind="dealership", names=NAMES, dimensions=("territory",), actions=())
    return PolicyDrafted(at=START, by=BY, version=1, body=body, imported=FACT)


def customer() -> tuple[Event, ...]:
    """A customer confirmed for long."""
    return (
        CustomerRegistered(at=START, by=BY, number="C1", form="organization", imported=FACT),
        CustomerConfirmed(at=START, by=BY, until=day(3000), imported=FACT),
    )


def merged(into: str, at: float) -> tuple[Event, ...]:
    """A customer goes into another one."""
    return (
        CustomerMergeProposed(at=day(at), by=BY, into=into, imported=FACT),
        CustomerMerged(at=day(at), by=BY, into=into, imported=FACT),
    )


class Story:
    """A `Source` of what was told so far; each telling is recorded a day after the one before, or
    when it says.
    """

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.tell = silent
        self.tenant = TenantRow(TENANT, "story", "given")

    def told(self, stream: str, *events: Event, recorded: datetime | None = None) -> int:
        """Put events down; return the last position."""
        last = self.stored[-1].recorded_at if self.stored else None
        at = recorded or (last or RECORDED) + timedelta(days=1)
        assert last is None or at >= last
        for event in events:
            version = 1 + sum(one.stream_id == stream for one in self.stored)
            place = len(self.stored) + 1, stream, version
            hand = event.by.ref, None if event.on_behalf_of is None else event.on_behalf_of.ref
            self.stored.append(Stored(*place, event.name, at, encode(event), *hand, stream, None))
        return len(self.stored)

    @property
    def head(self) -> Head:
        return Head(len(self.stored), self.stored[-1].recorded_at, b"")

    @property
    def reach(self) -> Reach:
        return Reach(1, len(self.stored))

    def batches(self) -> Iterator[BatchRow]:
        return iter(())

    def events(
        self, first: int = 1, last: int | None = None, types: Collection[str] | None = None
    ) -> Iterator[Sequence[Stored]]:
        end = len(self.stored) if last is None else last
        for one in self.stored:  # a page of one: whoever takes pages for the whole is found out
            if first <= one.position <= end and (types is None or one.type in types):
                yield [one]

    def briefs(self, last: int | None = None) -> Iterator[Sequence[Brief]]:
        for page in self.events(1, last):
            yield [(one.position, one.stream_id, one.version, one.type, one.data) for one in page]

    def by_stream(
        self, last: int | None = None, kinds: Collection[str] | None = None
    ) -> Iterator[Sequence[Stored]]:
        ordered = sorted(self.stored, key=lambda one: (one.stream_id, one.version))
        for one in ordered:
            if (last is None or one.position <= last) and (
                kinds is None or stream_kind(one.type) in kinds
            ):
                yield [one]

    def stream(self, stream_id: str, last: int | None = None) -> Sequence[Stored]:
        return [
            one
            for one in self.stored
            if one.stream_id == stream_id and (last is None or one.position <= last)
        ]

    def proof(self, position: int) -> None:
        del position

    def position_at(self, instant: datetime) -> int:
        return max((one.position for one in self.stored if one.recorded_at <= instant), default=0)

    def recorded_at(self, position: int) -> datetime:
        return self.stored[position - 1].recorded_at

    def models(self) -> Mapping[str, Model]:
        return {}

    def quarantined(self) -> Mapping[str, int]:
        return {}

    def owned(self, table: Table) -> Iterator[tuple[UUID | None, int, str]]:
        raise KeyError(table.name)

    # --- asking -----------------------------------------------------------------------------------

    def by_known(self, first: int, last: int, **more: Any) -> list[PermissionChange]:
        """What we hold differently at the second position."""
        found = list(differences(self, asked(self, "known", first, last, **more)))
        return [one for one in found if isinstance(one, PermissionChange)]

    def by_valid(self, first: datetime, last: datetime, **more: Any) -> list[EffectChange]:
        """What came into force or went out of it."""
        found = list(differences(self, asked(self, "valid", first, last, **more)))
        return [one for one in found if isinstance(one, EffectChange)]

    def by_happened(
        self, first: datetime, last: datetime, tally: Tally | None = None, **more: Any
    ) -> list[CaseChange]:
        """What was done, and the states it led to."""
        found = list(differences(self, asked(self, "happened", first, last, **more), tally))
        return [one for one in found if isinstance(one, CaseChange)]
