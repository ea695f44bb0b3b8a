"""What is remembered of grants passed on and of teams: forgotten when anything above is touched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from api.provisioning import Database
from domain.events import Event
from domain.events.catalogue import PointEnded
from domain.events.customer import CustomerBlocked
from domain.events.staff import StaffAppointed, StaffTeamChanged
from domain.ledger import Ledgers, Outcome
from projections.memory import Memory
from tests.projections import facts
from tests.projections.conftest import Asker
from tests.projections.facts import BY, FACT, START, Record, day
from tests.projections.fake_log import LIMITS, Clock, Log
from tests.projections.materials import ANN, BEN, CAT, question, row
from tests.projections.test_memory_database import asked, process
from tests.support.ledger import new_id, submission

PARENT = "10000000-0000-7000-8000-000000000001"
TOP = "10000000-0000-7000-8000-000000000002"
EVE = "staff:00000000-0000-7000-8000-0000000000ee"


# --- by itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", [f"g:{BEN}", f"s:{BEN}", f"g:{CAT}", f"s:{CAT}", f"g:{ANN}", f"s:{ANN}"]
)
def test_a_touch_at_any_level_above_forgets_whoever_rests_on_it(
    memory: Memory, log: Log, clock: Clock, key: str
) -> None:
    async def scenario() -> None:
        log.rows = {
            ANN: [row(ANN, parent=PARENT)],
            BEN: [row(BEN, grant=PARENT, parent=TOP)],
            CAT: [row(CAT, grant=TOP)],
        }
        assert (await memory.check(question())).allowed
        assert memory.recall(question()) is not None
        log.loads.clear()
        log.rows[CAT] = [row(CAT, grant=TOP, until=5)]
        log.write(key)
        clock.time += 1
        assert not (await memory.check(question())).allowed
        assert log.loads == [[ANN]]

    asyncio.run(scenario())


def test_a_touch_of_others_forgets_nothing(memory: Memory, log: Log, clock: Clock) -> None:
    async def scenario() -> None:
        log.rows = {ANN: [row(ANN, parent=PARENT)], BEN: [row(BEN, grant=PARENT)], CAT: []}
        await memory.check(question())
        log.loads.clear()
        log.write(f"g:{CAT}", "p:team/sales")
        clock.time += 1
        assert (await memory.check(question())).allowed
        assert log.loads == []

    asyncio.run(scenario())


def test_what_rests_on_a_grant_that_is_not_there_is_asked_for_each_time(
    memory: Memory, log: Log, clock: Clock
) -> None:
    async def scenario() -> None:
        log.rows = {ANN: [row(ANN, parent=PARENT)]}
        assert not (await memory.check(question())).allowed
        log.rows[BEN] = [row(BEN, grant=PARENT)]
        log.write(f"g:{BEN}")
        clock.time += 1
        assert (await memory.check(question())).allowed

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ["g:team:sales", "p:team/sales", f"s:{EVE}", "p:team/sales/east"])
def test_a_touch_of_the_member_or_of_any_team_above_forgets_the_member(
    memory: Memory, log: Log, clock: Clock, key: str
) -> None:
    async def scenario() -> None:
        log.rows = {EVE: [], "team:sales": [row("team:sales")], "team:sales/east": []}
        log.members = [(EVE, "sales/east", START, None)]
        assert (await memory.check(question(EVE))).allowed
        log.members = []
        log.write(key)
        clock.time += 1
        assert not (await memory.check(question(EVE))).allowed

    asyncio.run(scenario())


def test_what_rests_on_what_is_kept_within_a_bound(log: Log, clock: Clock) -> None:
    limits = msgspec.structs.replace(LIMITS, subjects=4)
    memory = Memory(log, now=clock.now, monotonic=clock.monotonic, limits=limits)

    async def scenario() -> None:
        log.rows = {BEN: [row(BEN, grant=PARENT)], ANN: []}
        log.rows |= {f"service:{n}": [row(f"service:{n}", parent=PARENT)] for n in range(40)}
        for n in range(40):
            assert (await memory.check(question(f"service:{n}"))).allowed
        (known,) = memory._tenants.values()  # pyright: ignore[reportPrivateUsage]
        held = sum(map(len, known.resting.values()))
        assert held == known.rests
        assert held <= 2 * limits.subjects + 1
        log.write(f"g:{BEN}")
        clock.time += 1
        await memory.check(question())
        assert known.rests == 0
        assert len(known.subjects) == 1

    asyncio.run(scenario())


# --- on a real database ---------------------------------------------------------------------------


class Trade:
    """A grant at the top, one passed on from it, one passed on from that, and a team of one."""

    def __init__(self, ledgers: Ledgers, tenant: str) -> None:
        self.ledgers, self.tenant = ledgers, tenant
        policy = facts.policy(ledgers, tenant)
        names = ("top", "middle", "bottom")
        self.party = {name: facts.customer(ledgers, tenant) for name in names}
        self.grant: dict[str, str] = {}
        above: str | None = None
        for name in names:
            above = self.grant[name] = facts.grant(
                ledgers, tenant, self.party[name], policy, {"territory": ("CN",)}, parent=above
            )
        points = [facts.point("team", path) for path in ("sales", "sales/east")]
        self.put("catalogue", tenant, facts.dimension("team"), *points)
        self.eve = new_id()
        known: dict[str, Any] = {"at": START, "by": BY, "imported": FACT}
        came = StaffAppointed(person=new_id(), number="S", level="a", roles=(), **known)
        self.put("staff", self.eve, came, StaffTeamChanged(team="sales/east", **known))
        self.of_team = facts.grant(
            ledgers, tenant, "team:sales", policy, {"territory": ("CN",)}, parent=self.grant["top"]
        )

    def put(self, kind: str, stream_id: str, *events: Event) -> Outcome:
        return facts.put(self.ledgers, self.tenant, kind, stream_id, *events)


def block(trade: Trade) -> tuple[str, str, Event]:
    blocked = CustomerBlocked(at=day(5), by=BY, imported=FACT)
    return ("customer", trade.party["top"].partition(":")[2], blocked)


NARROWING: dict[str, Callable[[Trade], tuple[str, str, Event]]] = {
    "the grant at the top is revoked": lambda t: ("grant", t.grant["top"], facts.revoked(5)),
    "the grant at the top is suspended": lambda t: ("grant", t.grant["top"], facts.suspended(5)),
    "whoever has the grant at the top is blocked": block,
}


@pytest.mark.parametrize("name", NARROWING)
def test_acknowledged_above_is_denied_below_in_every_process(
    database: Database, ledgers: Ledgers, tenant: str, name: str
) -> None:
    trade = Trade(ledgers, tenant)
    below = [trade.party["middle"], trade.party["bottom"], f"staff:{trade.eve}"]

    async def scenario() -> None:
        async with process(database) as (one, _), process(database) as (other, _):
            for memory in (one, other):
                for subject in below:
                    assert (await memory.check(asked(tenant, subject))).allowed
            command = Record(facts=(NARROWING[name](trade),))
            outcome = await asyncio.wrap_future(ledgers.submit(submission(tenant, command)))
            assert outcome.narrowing
            while time.monotonic() < outcome.acknowledge_at:
                for memory in (one, other):  # they are asked all the time, and remember
                    await memory.check(asked(tenant, below[0]))
                await asyncio.sleep(0.01)
            for memory in (one, other):
                for subject in below:
                    decision = await memory.check(asked(tenant, subject))
                    assert not decision.allowed
                    assert decision.explanation().level in (1, 2)

    asyncio.run(scenario())


def leave(trade: Trade) -> tuple[str, str, Event]:
    left = StaffTeamChanged(at=day(5), by=BY, imported=FACT, team=None)
    return ("staff", trade.eve, left)


def end_team(trade: Trade) -> tuple[str, str, Event]:
    ended = PointEnded(
        at=day(5), by=BY, imported=FACT, dimension="team", path="sales", ends_at=day(8)
    )
    return ("catalogue", trade.tenant, ended)


@pytest.mark.parametrize("step", [leave, end_team])
def test_whoever_leaves_a_team_or_whose_team_ends_is_denied_when_it_is_acknowledged(
    database: Database,
    ledgers: Ledgers,
    tenant: str,
    step: Callable[[Trade], tuple[str, str, Event]],
) -> None:
    trade = Trade(ledgers, tenant)
    subject = f"staff:{trade.eve}"

    async def scenario() -> None:
        async with process(database) as (memory, _):
            assert (await memory.check(asked(tenant, subject))).allowed
            command = Record(facts=(step(trade),))
            outcome = await asyncio.wrap_future(ledgers.submit(submission(tenant, command)))
            assert outcome.narrowing
            await asyncio.sleep(max(0.0, outcome.acknowledge_at - time.monotonic()))
            assert not (await memory.check(asked(tenant, subject))).allowed

    asyncio.run(scenario())


def test_a_chain_is_explained_now_and_as_it_was_known(
    ledgers: Ledgers, tenant: str, ask: Asker
) -> None:
    trade = Trade(ledgers, tenant)
    bottom = trade.party["bottom"]
    then = ledgers.tail(tenant, 0).position
    trade.put("grant", trade.grant["middle"], facts.suspended(9))
    why = ask.why(bottom)
    assert (why.code, why.grant, why.level) == ("check.suspended", trade.grant["middle"], 1)
    assert why.own is not None
    assert why.own.grant == trade.grant["bottom"]
    before = ask.why(bottom, as_of=then)
    assert before.code == "check.allowed"
    assert [one.grant for one in before.chain] == [trade.grant["middle"], trade.grant["top"]]
    trade.put("grant", trade.grant["top"], facts.revoked(9.5))
    assert ask.why(trade.party["middle"], at=day(8)).code == "check.allowed"


def test_a_grant_above_that_never_was_in_force_is_explained(
    ledgers: Ledgers, tenant: str, ask: Asker
) -> None:
    policy = facts.policy(ledgers, tenant)
    ann, ben = facts.customer(ledgers, tenant), facts.customer(ledgers, tenant)
    scope = {"territory": ("CN",)}
    above = facts.grant(ledgers, tenant, ann, policy, scope, since=5, number="ABOVE")
    facts.grant(ledgers, tenant, ben, policy, scope, parent=above)
    facts.put(ledgers, tenant, "grant", above, facts.revoked(3))
    why = ask.why(ben)
    assert (why.code, why.number, why.level) == ("check.revoked", "ABOVE", 1)


def test_parents_that_are_no_ids_or_lead_nowhere_deny(
    ledgers: Ledgers, tenant: str, ask: Asker
) -> None:
    policy = facts.policy(ledgers, tenant)
    for parent in ("G-2019-17", new_id(), ""):
        ann = facts.customer(ledgers, tenant)
        facts.grant(ledgers, tenant, ann, policy, {"territory": ("CN",)}, parent=parent)
        assert ask.code(ann) == "check.chain_unresolved"


def test_a_circle_of_imported_grants_is_read_and_denied(
    ledgers: Ledgers, tenant: str, ask: Asker
) -> None:
    policy, one, other = facts.policy(ledgers, tenant), new_id(), new_id()
    parties = [facts.customer(ledgers, tenant) for _ in range(2)]
    for party, grant_id, parent in zip(parties, (one, other), (other, one), strict=True):
        events = facts.granted(party, policy, {"territory": ("CN",)}, parent=parent)
        facts.put(ledgers, tenant, "grant", grant_id, *events)
    assert [ask.code(party) for party in parties] == ["check.chain_circle"] * 2


def test_many_subjects_are_read_at_once_each_with_its_own_chain_and_team(
    database: Database, ledgers: Ledgers, tenant: str, ask: Asker
) -> None:
    trade = Trade(ledgers, tenant)
    subjects = [*trade.party.values(), f"staff:{trade.eve}", "team:sales", f"staff:{new_id()}"]

    async def scenario() -> None:
        async with process(database) as (memory, _):
            found = await asyncio.gather(*(memory.check(asked(tenant, one)) for one in subjects))
            assert [one.allowed for one in found] == [True, True, True, True, True, False]
            assert [ask.allowed(one) for one in subjects] == [one.allowed for one in found]

    asyncio.run(scenario())
