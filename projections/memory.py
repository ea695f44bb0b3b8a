"""Checks from memory: what was acknowledged as denied is denied in every process, without asking
the database at every check.

A process answers from memory only within 250 ms, counted from sending the query that confirmed the
log's head, and tested after the request was read; a narrowing command is acknowledged no sooner
than that after its commit. Whoever asks later waits for one query, shared by all who wait, that
forgets what was touched. While a tenant is being asked, its head is confirmed in the background, so
that hot checks do not wait.

Everything runs in one event loop, with asynchronous connections: no lock on the hot path, no switch
of threads; and questions that miss are gathered while one read is under way, so that many share a
round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
import psycopg

from domain.errors import Refused
from domain.ledger import MEMORY_BOUND_S
from domain.values import Instant
from projections.answers import STILL, Answers, key_of
from projections.check_rows import CheckTail, Loaded, decide_from, point_key
from projections.checks import Decision, Explanation, Material, Question, decide, require_ids
from projections.material import Attributes, Right
from projections.remembered import UNKNOWN_HEAD, Batch, Limits, Remembered


class Reader(Protocol):
    """Where memory reads from; see `projections.check_reader`."""

    async def tail(self, tenant: str, after: int) -> CheckTail: ...

    async def load(
        self, tenant: str, subjects: Sequence[str], points: Sequence[str], as_of: int | None
    ) -> Loaded: ...

    async def gone(self, decision: Decision) -> tuple[Right, ...]: ...

    async def position_at(self, tenant: str, at: Instant) -> int: ...


class Memory:
    """Answers checks; one a process, used from one event loop. `open` it there, `close` it at the
    end.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        seconds: Callable[[], float] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`seconds` is the clock of `now` as seconds since 1970, cheaper to read."""
        self._reader = reader
        self._now = now
        self._seconds = seconds or (lambda: now().timestamp())
        self._monotonic = monotonic
        self._limits = limits or Limits()
        self._tenants: dict[str, Remembered] = {}
        self._answers = Answers(self._limits.answers)
        self._refresher: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    async def open(self) -> None:
        """Begin to confirm, in the background, the heads of tenants that are being asked."""
        if self._refresher is None:
            self._refresher = asyncio.create_task(self._refresh())

    async def close(self) -> None:
        """End what runs in the background."""
        tasks = [*self._tasks, *(one.tail for one in self._tenants.values() if one.tail)]
        if self._refresher is not None:
            tasks.append(self._refresher)
            self._refresher = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def recall(self, question: Question) -> Decision | None:
        """Return the answer from memory, None where the database has to be asked. Raises `Refused`:
        `check.bad_id`.

        The hot path: call it after the request was read.
        """
        known = self._tenants.get(question.tenant)
        if known is None:
            return None
        clock = self._monotonic()
        known.asked = clock
        if clock - known.confirmed > MEMORY_BOUND_S or known.lacks(question):
            return None
        return self._recall(known, question, self._seconds())

    async def check_many(self, questions: Sequence[Question]) -> list[Decision | Refused]:
        """Return what `check` gives for each of these questions of one tenant, or the refusal that
        it raises.

        A head that is too old is confirmed once for all of them: each on its own would keep the
        event loop so long that it is too old again for the next.
        """
        if not questions:
            return []
        read, known = self._monotonic(), self._tenant(questions[0].tenant)
        if known.confirmed < read - MEMORY_BOUND_S:
            try:
                async with asyncio.timeout(self._limits.wait_s):
                    await self._reach(known, None, read)
            except (TimeoutError, psycopg.OperationalError) as fault:
                raise Refused("ledger.unreachable") from fault
        at_s = self._seconds()
        found: list[Decision | Refused | None] = []
        for question in questions:
            try:
                beyond = known.lacks(question)
                found.append(None if beyond else self._recall(known, question, at_s))
            except Refused as refused:
                found.append(refused)
        missing = {
            place: self.check(question)
            for place, (question, one) in enumerate(zip(questions, found, strict=True))
            if one is None
        }
        outcomes = await asyncio.gather(*missing.values(), return_exceptions=True)
        for place, outcome in zip(missing, outcomes, strict=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Refused):
                raise outcome
            found[place] = outcome
        return [one for one in found if one is not None]

    async def check(self, question: Question) -> Decision:
        """Return the answer, from memory or from the database.

        Raises `Refused`: `check.bad_id`, `tenant.unknown`, `position.not_reached` (asked for a
        position the log did not reach in time), `ledger.unreachable`.
        """
        found = self.recall(question)
        if found is not None:
            return found
        require_ids(question)
        read = self._monotonic()
        wait = self._limits.wait_s + (self._limits.reach_s if question.at_least else 0)
        try:
            async with asyncio.timeout(wait):
                return await self._ask(self._tenant(question.tenant), question, read)
        except (TimeoutError, psycopg.OperationalError) as fault:
            raise Refused("ledger.unreachable") from fault

    async def explain(self, decision: Decision) -> Explanation:
        """Return why; for a denial that no row explains, what became of grants that have none left.

        Raises `Refused`: `ledger.unreachable`.
        """
        found = decision.explanation()
        if decision.allowed or found.code not in _UNEXPLAINED:
            return found
        question = decision.question
        try:
            async with asyncio.timeout(self._limits.wait_s):
                gone = await self._reader.gone(decision)
                if not gone:
                    return found
                key = point_key(question)
                loaded = await self._reader.load(question.tenant, (), (key,), question.as_of)
        except (TimeoutError, psycopg.OperationalError) as fault:
            raise Refused("ledger.unreachable") from fault
        attributes = loaded.points[key]
        return msgspec.structs.replace(decision, attributes=attributes).explanation(gone)

    async def position_at(self, tenant: str, at: Instant) -> int:
        """Return the last position recorded at or before an instant, for `Question.as_of`.

        Raises `Refused`: `ledger.unreachable`.
        """
        try:
            async with asyncio.timeout(self._limits.wait_s):
                return await self._reader.position_at(tenant, at)
        except (TimeoutError, psycopg.OperationalError) as fault:
            raise Refused("ledger.unreachable") from fault

    def _tenant(self, tenant: str) -> Remembered:
        known = self._tenants.get(tenant)
        if known is None:
            if len(self._tenants) >= self._limits.tenants:
                idle = min(self._tenants.values(), key=lambda one: one.asked)
                del self._tenants[idle.tenant]
            known = self._tenants[tenant] = Remembered(tenant, self._limits)
        known.asked = self._monotonic()
        return known

    def _recall(self, known: Remembered, question: Question, at_s: float) -> Decision | None:
        """Answer as before or from what is remembered, `at_s` being now; the head has been
        confirmed.
        """
        held = known.subjects.young.get(question.subject)
        if (
            held is not None
            and held.begin_s <= at_s < held.until_s
            and at_s >= known.plain_from_s
            and question.at is None
        ):
            try:
                answer = held.answers.get(key_of(question))
            except TypeError:  # a property that is no simple value
                answer = None
            if (
                answer is not None
                and answer.moved[0] == answer.moves
                and (not question.context or held.subject.dimensions.isdisjoint(question.context))
            ):
                return Decision(
                    question,
                    answer.right,
                    at_s,
                    held.subject,
                    answer.attributes,
                    known.quarantined,
                    known.position,
                )
        return self._decide(known, question, at_s)

    def _decide(self, known: Remembered, question: Question, at_s: float) -> Decision | None:
        held = known.subjects.get(question.subject)
        if held is None or held.subject.position > known.position:
            return None
        subject = held.subject
        attributes: Attributes = _NONE
        dimensions = subject.dimensions
        if len(dimensions) > 1 and question.resource_type in dimensions:
            place = known.places.get(point_key(question))
            if place is None or place.position > known.position:
                return None
            attributes = place.attributes
        at = question.at
        if at is None:
            at = known.recorded_at
            if not known.given_clock:
                at = max(datetime.fromtimestamp(at_s, UTC), at)
        material = Material(subject, attributes, known.quarantined, known.position)
        decision = decide(material, question, at)
        if (
            question.at is None
            and at_s >= known.plain_from_s
            and dimensions.isdisjoint(question.context)
        ):
            name = question.resource_type
            moved = known.moved_in(name) if name in dimensions else STILL
            self._answers.keep(held, decision, at_s, moved)
        return decision

    async def _ask(self, known: Remembered, question: Question, read: float) -> Decision:
        if question.as_of is None and question.consistency == "default":
            await self._reach(known, question.at_least, read)
            found = self._recall(known, question, self._seconds())
            if found is not None:
                return found
        while True:
            # Sent after the question was read: as fresh as the memory's bound asks for, and
            # fresher.
            loaded = await asyncio.shield(self._gather(known, question))
            least = question.at_least
            if least is None or least <= loaded.position:
                return decide_from(loaded, question, self._now())
            await self._reach(known, least, read)

    async def _reach(self, known: Remembered, position: int | None, read: float) -> None:
        """Wait until a head is confirmed by a query sent within the bound before `read`, or after
        it, and until it has got to `position`.
        """
        while known.confirmed < read - MEMORY_BOUND_S:
            await self._confirm(known)
        while position is not None and known.position < position:
            if self._monotonic() - read > self._limits.reach_s:
                raise Refused("position.not_reached", position=position, reached=known.position)
            await self._confirm(known)
            if known.position < position:
                await asyncio.sleep(self._limits.refresh_every_s)

    async def _confirm(self, known: Remembered) -> None:
        """Ask for the head, or wait for who is asking already."""
        if known.tail is None:
            known.tail = asyncio.create_task(self._follow(known))
        fault = await asyncio.shield(known.tail)
        if fault is not None:
            raise fault

    async def _follow(self, known: Remembered) -> Exception | None:
        sent = self._monotonic()
        after = known.position if known.position >= 0 else UNKNOWN_HEAD
        try:
            known.follow(await self._reader.tail(known.tenant, after), sent)
        except (psycopg.OperationalError, Refused) as fault:
            if isinstance(fault, Refused):
                self._tenants.pop(known.tenant, None)
            return fault
        else:
            return None
        finally:
            known.tail = None

    async def _refresh(self) -> None:
        """Confirm heads before they are too old, for as long as the tenant is being asked."""
        while True:
            await asyncio.sleep(self._limits.refresh_every_s)
            clock = self._monotonic()
            for known in list(self._tenants.values()):
                asked = clock - known.asked < self._limits.idle_after_s
                if (
                    asked
                    and clock - known.confirmed > self._limits.refresh_after_s
                    and not known.tail
                ):
                    known.tail = asyncio.create_task(self._follow(known))

    def _gather(self, known: Remembered, question: Question) -> asyncio.Future[Loaded]:
        """Put a question to the others that are to be read next."""
        batch = known.gathering.get(question.as_of)
        if batch is None or len(batch.subjects) >= self._limits.batch:
            batch = Batch(question.as_of, asyncio.get_running_loop().create_future())
            batch.future.add_done_callback(_seen)
            known.gathering[question.as_of] = batch
            known.waiting.append(batch)
            if known.flying < self._limits.flights:
                known.flying += 1
                task = asyncio.create_task(self._fly(known))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        batch.subjects[question.subject] = None
        batch.points[point_key(question)] = None
        return batch.future

    async def _fly(self, known: Remembered) -> None:
        """Read batch after batch until none waits."""
        try:
            while known.waiting:
                batch = known.waiting.popleft()
                if known.gathering.get(batch.as_of) is batch:
                    del known.gathering[batch.as_of]
                try:
                    loaded = await self._reader.load(
                        known.tenant, list(batch.subjects), list(batch.points), batch.as_of
                    )
                    if batch.as_of is None:
                        known.keep(loaded)
                        self._kept(len(loaded.subjects) + len(loaded.points))
                except Exception as fault:  # noqa: BLE001  (theirs who wait; the next batch goes on)
                    batch.future.set_exception(fault)
                else:
                    batch.future.set_result(loaded)
        finally:
            known.flying -= 1

    def _kept(self, number: int) -> None:
        """Count what was remembered; past the limits tenants asked longest ago are forgotten."""
        self._count += number
        most = self._limits.subjects + self._limits.points
        if self._count <= most:
            return
        by_age = sorted(self._tenants.values(), key=lambda one: one.asked)
        self._count = sum(map(Remembered.size, by_age))
        for known in by_age[:-1]:
            if self._count <= most:
                break
            self._count -= known.size()
            known.forget_all()


_NONE: Final[Attributes] = {}
_UNEXPLAINED: Final = frozenset(
    {
        "check.no_grant",
        "check.action_not_granted",
        "check.chain_unresolved",
        "scope.not_covered",
        "scope.dimension_missing",
    }
)


def _seen(future: asyncio.Future[Loaded]) -> None:
    """Everyone who waited may have gone; a fault nobody waits for is no news then."""
    if not future.cancelled():
        future.exception()
