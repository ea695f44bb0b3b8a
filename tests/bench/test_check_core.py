"""The sides of `check_core` do the same work: they give the same answers, whatever the reason."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.bench.check_core import Table
from tests.bench.check_core_ground import ground, memory, question
from tests.bench.check_core_peers import cedar, pycasbin


def test_memory_pycasbin_and_cedarpy_answer_alike_whatever_the_reason() -> None:
    of = ground(60, 400)
    reasons: Counter[str] = Counter()
    answers: list[bool] = []

    async def ours() -> None:
        remembering = memory(of)
        for asked in of.asked:
            first = await remembering.check(question(asked))
            assert (await remembering.check(question(asked))).allowed is first.allowed
            answers.append(first.allowed)
            reasons[first.explanation().code] += 1

    asyncio.run(ours())
    for made in (pycasbin, cedar):
        ask = made(of)
        assert [ask(asked) for asked in of.asked] == answers
    assert Table(of, answers).run(0.001) > 0
    assert reasons.keys() >= {
        "check.allowed",
        "check.not_yet",
        "check.ended",
        "check.grantee_not_in_standing",
        "scope.not_covered",
    }
    assert 100 < reasons["check.allowed"] < 300
