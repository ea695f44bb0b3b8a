"""Two services, one narrows what the other remembers: no check sent after the acknowledgement is
allowed in either, whatever ails the other one."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from domain.commands.customers import BlockCustomer, UnblockCustomer
from domain.commands.supervision import ResumeGrant, RevokeGrant, SuspendGrant
from tests.support.drill_checking import Asked, Asker
from tests.support.drill_doors import SERVE, Doors, DoorsWorld, Said, Service
from tests.support.drill_lame_service import HOLD_TAIL, LATE_LOADS
from tests.support.ledger import new_id, submission
from tests.support.world import BECAUSE

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("revocation")]

ASKERS = 2
"""How many ask each service at once."""

BELIEVES_ITSELF_S = 600.0
WAYS = ("suspend", "suspend", "revoke", "block")
AILMENTS = ("none", "tail held", "loads late", "stopped")


class Stage(NamedTuple):
    """Two services and those who ask them; `lame` is the one that is made to suffer."""

    doors: Doors
    folder: Path
    well: Service
    lame: Service


class Round(NamedTuple):
    """What was asked of each service, and when the narrowing was acknowledged."""

    acknowledged: float
    asked: dict[str, list[Asked]]

    def after(self) -> list[tuple[str, Asked]]:
        """The checks sent after the acknowledgement."""
        return [
            (name, one)
            for name, asked in self.asked.items()
            for one in asked
            if one.sent > self.acknowledged
        ]

    def margin_s(self) -> float:
        """How long before the acknowledgement the last check that was allowed was sent."""
        sent = [one.sent for asked in self.asked.values() for one in asked if one.allowed]
        return self.acknowledged - max(sent)


@pytest.fixture(scope="module")
def stage(doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("ailing")
    program = ("-m", "tests.support.drill_lame_service", str(folder), "-", *SERVE[2:])
    with doors.open() as well, doors.open(program=program) as lame:
        yield Stage(doors, folder, well.ready(), lame.ready())


class Play:
    """One tenant, and everyone who asks about its customers."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.world = DoorsWorld(stage.doors)
        self.askers = {
            f"{name} {number}": Asker(service, self.world.tenant)
            for name, service in (("well", stage.well), ("lame", stage.lame))
            for number in range(ASKERS)
        }
        self.customer = self.world.customer()
        self.grant = self.world.active(self.customer)

    def close(self) -> None:
        for asker in self.askers.values():
            asker.end()
        self.world.close()

    def narrow(self, service: Service, how: str) -> Said:
        """Suspend, revoke or block through a service; return its answer."""
        command = {
            "suspend": SuspendGrant(grant_id=self.grant, hold=new_id()),
            "revoke": RevokeGrant(grant_id=self.grant, case=new_id()),
            "block": BlockCustomer(customer=self.customer),
        }[how]
        party = self.world.party("compliance")
        said = service.command(submission(self.world.tenant, command, party, reason=BECAUSE))
        assert said.status == 200, said
        return said

    def widen(self, said: Said) -> None:
        """Let the customer have a grant in force again."""
        event = said.document["events"][0]
        if event["type"] == "grant.suspended.1":
            hold = event["fields"]["hold"]
            resume = ResumeGrant(grant_id=self.grant, hold=hold)
            self.world.say("compliance", resume, reason=BECAUSE)
        elif event["type"] == "customer.blocked.1":
            unblock = UnblockCustomer(customer=self.customer)
            self.world.say("compliance", unblock, reason=BECAUSE)
        else:
            self.grant = self.world.active(self.customer)

    def one_round(self, ailment: str, chance: random.Random) -> Round:
        """Everyone asks; what they are allowed ends; they ask on for a while."""
        stage = self.stage
        for asker in self.askers.values():
            asker.ask_about(self.customer)
        for asker in self.askers.values():
            asker.until(True)
        through = stage.well if ailment != "none" or chance.random() < 0.5 else stage.lame
        self._begin(ailment)
        time.sleep(chance.uniform(0, 0.3))
        said = self.narrow(through, chance.choice(WAYS))
        time.sleep(chance.uniform(0.02, 0.3))
        self._end(ailment)
        for asker in self.askers.values():
            asker.until(False, since=said.received)
        asked = {name: asker.pause() for name, asker in self.askers.items()}
        self.widen(said)
        return Round(said.received, asked)

    def _begin(self, ailment: str) -> None:
        if ailment == "stopped":
            self.stage.lame.freeze()
        elif ailment != "none":
            (self.stage.folder / _FILES[ailment]).touch()

    def _end(self, ailment: str) -> None:
        if ailment == "stopped":
            self.stage.lame.thaw()
        elif ailment != "none":
            (self.stage.folder / _FILES[ailment]).unlink()


_FILES = {"tail held": HOLD_TAIL, "loads late": LATE_LOADS}


@pytest.mark.parametrize("ailment", AILMENTS)
def test_no_check_sent_after_the_acknowledgement_allows(
    ailment: str,
    stage: Stage,
    rounds: Callable[[int, int], int],
    chance: random.Random,
    tell: Callable[..., None],
) -> None:
    number = rounds(20 if ailment == "none" else 6, 500)
    play = Play(stage)
    try:
        done = [play.one_round(ailment, chance) for _ in range(number)]
    finally:
        play.close()
    after = [one for each in done for one in each.after()]
    allowed = [one for one in after if one[1].allowed]
    tell(
        f"revocation, the other service's ailment: {ailment}",
        number,
        len(allowed),
        checks_sent_after=len(after),
        without_answer=sum(one.allowed is None for _, one in after),
        **margins(done),
    )
    assert not allowed, allowed[0]
    assert {name for name, _ in after} == set(play.askers), "somebody asked nothing afterwards"


def margins(done: Sequence[Round]) -> dict[str, Any]:
    """How long before the acknowledgements the last allowed checks were sent, in milliseconds."""
    found = sorted(round(each.margin_s() * 1000) for each in done)
    return {"margin_ms_median": statistics.median(found), "margin_ms_least": found[0]}


def test_control_a_memory_that_believes_itself_for_minutes_allows(
    stage: Stage, tmp_path: Path, tell: Callable[..., None]
) -> None:
    bound = str(BELIEVES_ITSELF_S)
    program = ("-m", "tests.support.drill_lame_service", str(tmp_path), bound, *SERVE[2:])
    with stage.doors.open(program=program) as lame:
        play = Play(Stage(stage.doors, tmp_path, stage.well, lame.ready()))
        try:
            for asker in play.askers.values():
                asker.ask_about(play.customer)
                asker.until(True)
            (tmp_path / HOLD_TAIL).touch()
            time.sleep(0.3)
            said = play.narrow(stage.well, "revoke")
            time.sleep(0.3)
            (tmp_path / HOLD_TAIL).unlink()
            asked = {name: asker.pause() for name, asker in play.askers.items()}
        finally:
            play.close()
    after = Round(said.received, asked).after()
    allowed = {name for name, one in after if one.allowed}
    tell("control of revocation", len(after), sum(bool(one.allowed) for _, one in after))
    assert allowed == {"lame 0", "lame 1"}, "without the bound the held tail must have allowed"
