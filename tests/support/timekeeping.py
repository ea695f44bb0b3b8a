"""Read models and timekeeper brought up to date by hand, for a tenant whose clock is given."""

from __future__ import annotations

from api.timekeeper import tick
from projections.runner import Runner
from tests.support.doors import House
from tests.support.mirror import Mirror


class Timekeeper:
    """The read models brought up to date, and one pass of the timekeeper on them."""

    def __init__(self, house: House) -> None:
        assert house.database.projector is not None
        self._house = house
        self._runner = Runner(house.database.projector)

    def tick(self, mirror: Mirror) -> int:
        """Return how many events it wrote; the reference has no word for what it does."""
        while self._runner.step():
            pass
        ledgers = self._house.services.ledgers
        before = ledgers.tail(mirror.tenant, 2**62).position
        done = tick(ledgers, mirror.tenant, at=mirror.world.now)
        tail = ledgers.tail(mirror.tenant, 2**62)
        for row in ledgers.events(mirror.tenant, before + 1):
            mirror.versions[str(row.stream_id)] = row.version
        mirror.seen = max(mirror.seen, tail.recorded_at)
        assert done.written == tail.position - before
        return done.written

    def close(self) -> None:
        self._runner.close()
