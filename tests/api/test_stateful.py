"""Random histories of a tenant over HTTP, held against a reference that shares no code with it."""

from __future__ import annotations

import ast
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.support.doors import House
from tests.support.firm import ROBOT, found, staff
from tests.support.mirror import Question, Said
from tests.support.moves import Moves
from tests.support.reference import world as reference
from tests.support.reference.people import Party
from tests.support.timekeeping import Timekeeper
from tests.support.wire import SIGHT

MOST_GRANTS = 4
"""Asked for or in effect at a time."""

PLACES = (
    ("sell", ("territory", "CN/31/0115"), {"product": "tea/green"}),
    ("read", ("territory", "CN/31/0115"), {}),
    ("print", ("product", "tea"), {}),
    ("show", ("territory", "CN/32"), {}),
    ("sell", ("product", "tea/green"), {}),
    ("sell", ("territory", "CN/32"), {"product": "tea"}),
    ("sell", ("territory", "CN/31"), {}),
    ("read", ("territory", "CN/31"), {}),
    ("show", ("territory", "CN/31/0115"), {"territory": "CN"}),
)
"""What is asked about: action, resource, properties. The first four are what kinds allow."""


class Histories(RuleBasedStateMachine):
    """Everything that may happen in a firm, in any order. `house` and `keeper` are given.

    `drawn` choices are hypothesis's own, which shrink, but most histories are then mutations of a
    few; the others are chosen evenly by the number of the history.
    """

    house: ClassVar[House]
    keeper: ClassVar[Timekeeper]
    drawn: ClassVar[bool]
    begun: ClassVar[int] = 0
    failed: ClassVar[int] = 0
    reached: ClassVar[Counter[str]]
    answered: ClassVar[Counter[tuple[str, str]]]
    decided: ClassVar[Counter[bool]]
    happened: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.mirror = found(self.house)
        self.moves = Moves(self.mirror.world, lambda items: items[0])
        self.turn = 0
        type(self).begun += 1
        self.number = self.failed or self.begun

    def teardown(self) -> None:
        self.mirror.close()

    @initialize(salt=st.binary(min_size=8, max_size=8))
    def begin(self, salt: bytes) -> None:
        self.chosen = random.Random(f"{self.number} {salt.hex()}")

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        if self.drawn:
            self.moves.pick = lambda items: data.draw(st.sampled_from(items))
        else:
            self.moves.pick = self.chosen.choice
        happens = [one for one, weight in self.likely() for _ in range(weight)]
        try:
            self.moves.some(happens)()
        except Exception:
            type(self).failed = self.number  # it is told once more, and has to be the same one
            raise

    def likely(self) -> list[tuple[Callable[[], None], int]]:
        """What may happen and how likely it is."""
        grants, living = bool(self.mirror.world.grants), len(self.moves.living())
        return [
            (partial(self.move, Moves.request), 60 if not living else 6 * (living < MOST_GRANTS)),
            (partial(self.move, Moves.next_step), 30 * grants),
            (partial(self.move, Moves.on_a_grant), 30 * grants),
            (partial(self.move, Moves.next_in_the_house), 8),
            (partial(self.move, Moves.on_a_customer), 8),
            (partial(self.move, Moves.on_people), 8),
            (partial(self.move, Moves.on_a_policy), 4),
            (partial(self.move, Moves.on_the_catalogue), 2),
            (self.let_time_pass, 8),
            (self.let_the_timekeeper_pass, 3),
            (self.say_the_last_again, 2),
        ]

    def move(self, make: Callable[[Moves], Said]) -> None:
        """Make up a command, say it, and look whether the two still agree on everything."""
        said = make(self.moves)
        if said.verb in SIGHT and self.moves.chance(12):
            self.mirror.stale(said.verb, said.by, **said.given)
            return
        dry = self.moves.chance(10)
        note(f"{self.mirror.world.now:%m-%d %H:%M} {said} {'dry' if dry else ''}")
        answer = self.mirror.say(said.verb, said.by, behalf=said.behalf, dry=dry, **said.given)
        self.answered[said.verb, answer.result] += 1
        self.happened.update([] if dry else answer.events)
        self.agree(said.given.get("grant"))

    def agree(self, touched: str | None = None) -> None:
        """Ask both what they hold to be the case, of another part each time."""
        world, self.turn = self.mirror.world, self.turn + 1
        for grant in world.grants.values():
            self.reached[grant.status(world.now)] += 1
        named = sorted(world.grants)
        grant = (
            touched if touched in world.grants else named[self.turn % len(named)] if named else None
        )
        others = {"customer": world.customers, "staff": world.staff, "policy": world.policies}
        kind = sorted(others)[self.turn % 3]
        records = [(kind, sorted(others[kind])[self.turn % len(others[kind])])]
        records += [("grant", grant)] if grant is not None else []
        decisions = self.mirror.look(ROBOT, records, list(self.questions(grant)))
        self.decided.update(decisions)

    def questions(self, grant: str | None) -> Iterator[Question]:
        """About the grantee of a grant, now and at an instant that matters to it; about others."""
        world, turn = self.mirror.world, self.turn
        active = [name for name in sorted(world.grants) if world.grants[name].in_force(world.now)]
        if active and turn % 3:
            grant = active[turn % len(active)]
        if grant is not None:
            one = world.grants[grant]
            likely = next(place for place in PLACES if place[0] == one.terms.actions[0])
            instants = [
                one_at for at in one.deadlines() for one_at in (at, at - timedelta(seconds=1))
            ]
            yield Question(one.grantee, *likely, world.now)
            yield Question(one.grantee, *likely, [*instants, world.now][turn % (len(instants) + 1)])
        subjects = [*(Party("customer", name) for name in sorted(world.customers)), staff("ver1")]
        place = PLACES[turn % len(PLACES)]
        yield Question(
            subjects[turn % len(subjects)], *place, world.now - timedelta(hours=turn % 3)
        )

    def let_time_pass(self) -> None:
        """So many hours; or to the very instant at which the clock changes something."""
        world = self.mirror.world
        coming = world.deadlines()[:1] or [world.now]
        hours = self.moves.some([1, 1, 20, 50, 24 * 9])
        instants = [world.now + timedelta(hours=hours), coming[0], coming[0] - timedelta(seconds=1)]
        world.now = max(world.now, self.moves.some(instants))
        self.agree()

    def let_the_timekeeper_pass(self) -> None:
        self.keeper.tick(self.mirror)
        assert self.keeper.tick(self.mirror) == 0, "a second pass finds nothing to write"
        self.agree()

    def say_the_last_again(self) -> None:
        self.mirror.again()


@pytest.mark.drill
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:Do not use the .random. module")  # other threads' jitter
@pytest.mark.parametrize("drawn", [False, True], ids=["chosen", "drawn"])
def test_random_histories_over_http_are_those_of_the_reference(
    quick_house: House, keeper: Timekeeper, rounds: Callable[[int, int], int], drawn: bool
) -> None:
    class Bound(Histories):
        pass

    Bound.house, Bound.keeper, Bound.drawn = quick_house, keeper, drawn
    Bound.reached, Bound.answered = Counter(), Counter()
    Bound.decided, Bound.happened = Counter(), Counter()
    full = rounds(0, 1)
    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=rounds(4, 300) if drawn else rounds(15, 600),
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate, Phase.shrink][: 1 + full],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    results = Counter(result for _, result in Bound.answered.elements())
    print(f"{Bound.begun} histories, {dict(results)}, {dict(Bound.decided)}, {dict(Bound.reached)}")
    print(dict(Bound.happened))
    if not drawn:
        assert min(results[one] for one in ("done", "refused", "no_op")) >= 10, results
        assert min(Bound.decided[True], Bound.decided[False]) >= 50, Bound.decided
        assert len(Bound.reached) >= 11, Bound.reached
        agreed = ("grant.renewed", "grant.amended")
        assert min(Bound.happened[one] for one in agreed) >= 1, Bound.happened


def test_the_reference_shares_no_code() -> None:
    own = "tests.support.reference"
    folder = Path(reference.__file__).parent
    imported: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    imported |= {name.name for name in names}
                case ast.ImportFrom(module=str(module)):
                    imported.add(module)
                case _:
                    pass
    foreign = {
        name
        for name in imported
        if not name.startswith(own) and name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert foreign == set()
    assert any(name.startswith(own) for name in imported)
