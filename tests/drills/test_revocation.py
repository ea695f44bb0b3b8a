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

pytestmark = pytest.mark.drill

ASKERS = 2
"""How many ask each service at once."""

LATE = 2
"""How many more ask the lame one, and only once the narrowing was acknowledged. By then the others
wait for an answer; a stopped service reads these first when it goes on, before it hears anything.
"""

BELIEVES_ITSELF_S = 600.0
BESIDE = ("suspend", "block")
"""What else is taken from the customer, one for every five revocations."""

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
    ended: float
    """When the ailment ended."""

    def after(self) -> list[tuple[str, Asked]]:
        """The checks sent after the acknowledgement."""
        return [
            (name, one)
            for name, asked in self.asked.items()
            for one in asked
            if one.sent > self.acknowledged
        ]

    def meanwhile(self) -> list[Asked]:
        """The checks that the lame one was sent after the acknowledgement while it still ailed."""
        return [
            one for name, one in self.after() if name.startswith("lame") and one.sent < self.ended
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
        self.late = {
            f"lame, late {number}": Asker(stage.lame, self.world.tenant) for number in range(LATE)
        }
        self.customer = self.world.customer()
        self.grant = self.world.active(self.customer)
        for asker in self.late.values():
            asker.ask_about(self.customer)
            asker.until(True)
            asker.pause()

    def close(self) -> None:
        for asker in (*self.askers.values(), *self.late.values()):
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

    def one_round(self, ailment: str, how: str, chance: random.Random) -> Round:
        """Everyone asks; what they are allowed ends; they ask on for a while."""
        stage = self.stage
        for asker in self.askers.values():
            asker.ask_about(self.customer)
        for asker in self.askers.values():
            asker.until(True)
        through = stage.well if ailment != "none" or chance.random() < 0.5 else stage.lame
        self._begin(ailment)
        time.sleep(chance.uniform(0, 0.3))
        said = self.narrow(through, how)
        asking = self.askers
        if ailment != "none":
            asking = self.askers | self.late
            for asker in self.late.values():
                asker.ask_about(self.customer)
        time.sleep(chance.uniform(0.02, 0.3))
        ended = time.monotonic()
        self._end(ailment)
        for asker in asking.values():
            asker.until(False, since=said.received)
        asked = {name: asker.pause() for name, asker in asking.items()}
        self.widen(said)
        return Round(said.received, asked, ended)

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
    ways = ["revoke"] * number + [BESIDE[place % 2] for place in range(max(2, number // 5))]
    chance.shuffle(ways)
    play = Play(stage)
    try:
        done = [play.one_round(ailment, how, chance) for how in ways]
    finally:
        play.close()
    after = [one for each in done for one in each.after()]
    allowed = [one for one in after if one[1].allowed]
    ailing = sum(len(each.meanwhile()) for each in done)
    tell(
        f"revocation, the other service's ailment: {ailment}",
        number,
        len(allowed),
        checks_sent_after=len(after),
        suspensions_and_blocks_beside=len(ways) - number,
        **({} if ailment == "none" else {"sent_to_it_as_it_ailed": ailing}),
        without_answer=sum(one.allowed is None for _, one in after),
        **margins(done),
    )
    assert not allowed, allowed[0]
    asking = {*play.askers, *(() if ailment == "none" else play.late)}
    assert {name for name, _ in after} == asking, "somebody asked nothing afterwards"
    assert ailment == "none" or all(each.meanwhile() for each in done), "nobody asked the lame one"


def margins(done: Sequence[Round]) -> dict[str, Any]:
    """How long before the acknowledgements the last allowed checks were sent, in milliseconds."""
    found = sorted(round(each.margin_s() * 1000) for each in done)
    return {"margin_ms_median": statistics.median(found), "margin_ms_least": found[0]}


@pytest.mark.parametrize("ailment", ["tail held", "stopped"])
def test_control_a_memory_that_believes_itself_for_minutes_allows(
    ailment: str, stage: Stage, tmp_path: Path, tell: Callable[..., None]
) -> None:
    """Stopped, it is asked only afterwards, and once it goes on it hears nothing either."""
    bound = str(BELIEVES_ITSELF_S)
    program = ("-m", "tests.support.drill_lame_service", str(tmp_path), bound, *SERVE[2:])
    with stage.doors.open(program=program) as lame:
        play = Play(Stage(stage.doors, tmp_path, stage.well, lame.ready()))
        asking = play.late if ailment == "stopped" else play.askers
        try:
            for asker in play.askers.values():
                asker.ask_about(play.customer)
                asker.until(True)
            (tmp_path / HOLD_TAIL).touch()
            time.sleep(0.3)
            if ailment == "stopped":
                for asker in play.askers.values():
                    asker.pause()
                lame.freeze()
            said = play.narrow(stage.well, "revoke")
            for asker in play.late.values() if ailment == "stopped" else ():
                asker.ask_about(play.customer)
            time.sleep(0.3)
            asked_until = time.monotonic()
            if ailment == "stopped":
                lame.thaw()
                time.sleep(0.3)
            (tmp_path / HOLD_TAIL).unlink()
            asked = {name: asker.pause() for name, asker in asking.items()}
        finally:
            play.close()
    sent = Round(said.received, asked, asked_until).after()
    after = [(name, one) for name, one in sent if one.sent < asked_until]
    allowed = {name for name, one in after if one.allowed}
    name = f"control of revocation, the other service's ailment: {ailment}"
    tell(name, len(after), sum(bool(one.allowed) for _, one in after))
    lame_ones = {name for name in asking if name.startswith("lame")}
    assert allowed == lame_ones, "without the bound they must have been allowed"
