"""Answers given again: whatever is asked and touched in between, they are what would be decided
anew.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.answers import Answers, Held
from projections.check_rows import decide_from, point_key
from projections.checks import Decision, Question
from projections.memory import Memory
from tests.projections.facts import day
from tests.projections.fake_log import LIMITS, Clock, Log
from tests.projections.materials import ANN, BEN, CAT, decided, question, row, someone, stands

GRANTS = tuple(f"00000000-0000-7000-8000-00000000000{number}" for number in range(1, 5))
TERRITORIES = ("CN", "CN/31", "CN/31/0115", "CN/44", "*")
PRODUCTS = ("tea", "tea/green", "cup")
US = timedelta(microseconds=1)


class Asking:
    """A log, a memory of it, and how often it answered as before."""

    def __init__(self) -> None:
        self.log, self.clock = Log(), Clock()
        self.memory = Memory(
            self.log, now=self.clock.now, monotonic=self.clock.monotonic, limits=LIMITS
        )
        self.again = 0

    async def ask(self, asked: Question) -> Decision:
        """Ask, and compare with what is decided on rows read anew, the reason too."""
        found = await self.memory.check(asked)
        self.again += isinstance(found.moment, float)
        loaded = await self.log.load("t", (asked.subject,), (point_key(asked),), None)
        expected = decide_from(loaded, asked, self.clock.wall)
        said, wanted = ((one.right, one.at, one.position) for one in (found, expected))
        assert said == wanted
        assert found.explanation() == expected.explanation()
        return found

    def touch(self, *keys: str) -> None:
        """Write; the memory asks for the head before it answers again."""
        self.log.write(*keys)
        self.clock.time += 1


def test_a_question_asked_again_is_answered_as_before_at_its_own_instant_and_position() -> None:
    async def scenario() -> None:
        asking = Asking()
        await asking.ask(question())  # read
        await asking.ask(question())  # decided from memory, and kept
        asking.touch("g:someone else")
        asking.clock.wall += timedelta(hours=1)
        asked = question(properties={"product": "tea/green"})
        found = await asking.ask(asked)
        assert (asking.again, found.allowed, found.position) == (1, True, 11)
        assert found.question is asked
        assert found.at == asking.clock.wall

    asyncio.run(scenario())


@pytest.mark.parametrize("offset", [-US, timedelta(0), US])
def test_an_answer_ends_at_the_very_instant_at_which_the_term_does(offset: timedelta) -> None:
    async def scenario() -> None:
        asking = Asking()
        asking.log.rows[ANN] = [row(since=5, until=30)]
        for number in (29, 30, 31):
            asking.clock.wall = day(number)
            await asking.ask(question())
            await asking.ask(question())
            asking.clock.wall = day(30) + offset
            assert (await asking.ask(question())).allowed is (offset < timedelta(0))
        assert asking.again

    asyncio.run(scenario())


def test_what_is_touched_is_not_answered_as_before() -> None:
    async def scenario() -> None:
        asking = Asking()
        bare = question(properties={})
        asking.log.points["territory/CN/31/0115"] = {"product": "tea"}
        for _ in range(3):
            assert (await asking.ask(bare)).allowed
        asking.log.points["territory/CN/31/0115"] = {"product": "cup"}
        asking.touch("p:territory/CN/31/0115")
        assert not (await asking.ask(bare)).allowed
        asking.log.points.clear()
        asking.touch("p:territory/CN/31/0115")
        assert not (await asking.ask(bare)).allowed
        assert asking.again == 1
        for _ in range(3):
            assert (await asking.ask(question())).allowed
        again = asking.again
        assert again == 3
        asking.log.revoke()
        asking.clock.time += 1
        assert not (await asking.ask(question())).allowed
        assert asking.again == again

    asyncio.run(scenario())


def test_nothing_is_answered_as_before_in_quarantine_or_with_a_given_clock() -> None:
    async def scenario() -> None:
        asking = Asking()
        await asking.ask(question())
        asking.log.quarantined = {row().grant: 11}
        asking.touch()
        assert not (await asking.ask(question())).allowed
        asking.log.quarantined = {}
        asking.log.clock = "given"
        asking.touch()
        assert (await asking.ask(question())).at == asking.log.recorded_at
        asking.log.clock = "system"
        asking.log.recorded_at = day(40)  # ahead of this clock
        asking.touch()
        assert (await asking.ask(question())).at == day(40)
        assert not asking.again

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "other",
    [
        {"properties": {"product": None}},
        {"properties": {"product": True}},
        {"properties": {"product": ["tea"]}},
        {"properties": {}},
        {"properties": {}, "context": {"product": "tea"}},
        {"properties": {"territory": "CN/44", "product": "tea/green"}},
        {"action": "show"},
        {"resource_id": "CN/44"},
        {"at": day(99)},
        {"at": day(101)},
    ],
)
def test_another_question_is_not_taken_for_one_that_was_answered(other: dict[str, Any]) -> None:
    async def scenario() -> None:
        asking = Asking()
        asking.log.points["territory/CN/31/0115"] = {"product": "tea"}
        for one in 2 * [question(), question(), question(**other), question(**other)]:
            await asking.ask(one)
        assert asking.again

    asyncio.run(scenario())


def test_answers_are_bounded_and_the_oldest_go_first() -> None:
    held, answers = Held(someone(row())), Answers(2)
    for place in ("CN/31/1", "CN/31/2", "CN/31/3"):
        answers.keep(held, decided(held.subject, resource_id=place), day(10).timestamp(), [0])
    assert [key[2] for key in held.answers] == ["CN/31/2", "CN/31/3"]


def test_a_question_too_long_to_be_kept_is_not_kept() -> None:
    held, answers = Held(someone(row())), Answers(2)
    long = decided(held.subject, properties={"product": "tea", "note": "x" * 513})
    answers.keep(held, long, day(10).timestamp(), [0])
    assert not held.answers


days = st.integers(0, 30)
moments = st.builds(
    lambda number, off: day(number) + off * US, st.integers(10, 32), st.integers(-2, 2)
)
spans = st.tuples(days, st.one_of(st.none(), days))
rows = st.builds(
    lambda grant, span, place, product, actions, parent: row(
        ANN,
        {"territory": place, "product": product},
        since=span[0],
        until=span[1],
        grant=grant,
        actions=actions,
        parent=parent,
    ),
    st.sampled_from(GRANTS[:2]),
    spans,
    st.lists(st.sampled_from(TERRITORIES), min_size=1, max_size=2),
    st.lists(st.sampled_from(PRODUCTS), min_size=1, max_size=2),
    st.sampled_from([("sell",), ("sell", "show")]),
    st.sampled_from([None, None, GRANTS[2], GRANTS[3]]),
)
above = st.builds(
    lambda grant, span, place: row(
        CAT, {"territory": [place]}, since=span[0], until=span[1], grant=grant
    ),
    st.sampled_from(GRANTS[2:]),
    spans,
    st.sampled_from(TERRITORIES),
)
questions = st.builds(
    lambda action, place, properties, context: question(
        action=action, resource_id=place, properties=properties, context=context
    ),
    st.sampled_from(["sell", "show"]),
    st.sampled_from(["CN/31", "CN/31/0115", "CN/44"]),
    st.sampled_from([{}, {"product": "tea/green"}, {"product": "cup"}, {"product": None}]),
    st.sampled_from([{}, {}, {"product": "tea"}, {"ip": "x"}]),
)
steps = st.one_of(
    st.tuples(st.just("ask"), questions),
    st.tuples(st.just("ask"), questions),
    st.tuples(st.just("clock"), moments),
    st.tuples(st.just("clock"), moments),
    st.tuples(st.just("rows"), st.lists(rows, max_size=4)),
    st.tuples(st.just("above"), st.lists(above, max_size=3)),
    st.tuples(st.just("stands"), st.lists(st.tuples(st.sampled_from([ANN, CAT]), spans))),
    st.tuples(st.just("point"), st.sampled_from([{}, {"product": "tea"}, {"product": "cup"}])),
    st.tuples(st.just("quarantine"), st.sampled_from([(), (), GRANTS[:1], (ANN[9:],)])),
)


@given(st.lists(rows, max_size=4), st.lists(above, max_size=3), st.lists(steps, max_size=14))
def test_what_is_answered_again_is_what_would_be_decided_anew(
    given_rows: list[Any], given_above: list[Any], taken: list[tuple[str, Any]]
) -> None:
    async def scenario() -> None:
        asking = Asking()
        asking.log.rows = {ANN: given_rows, CAT: given_above, BEN: []}
        asked: dict[str, Question] = {}
        for what, value in taken:
            match what:
                case "ask":
                    asked[repr(value)] = value
                    await asking.ask(value)
                case "clock":
                    asking.clock.wall = value
                case "rows":
                    asking.log.rows[ANN] = value
                    asking.touch(f"g:{ANN}")
                case "above":
                    asking.log.rows[CAT] = value
                    asking.touch(f"g:{CAT}")
                case "stands":
                    asking.log.standings = [stands(party, *span) for party, span in value]
                    asking.touch(f"s:{ANN}", f"s:{CAT}")
                case "point":
                    asking.log.points["territory/CN/31/0115"] = value
                    asking.touch("p:territory/CN/31/0115")
                case _:
                    asking.log.quarantined = dict.fromkeys(value, 1)
                    asking.touch()
            for one in asked.values():
                await asking.ask(one)

    asyncio.run(scenario())
