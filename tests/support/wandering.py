"""A tenant with a made-up history of real commands: likely ones mostly, time passing between."""

from __future__ import annotations

import random
from datetime import timedelta

from tests.support.doors import House
from tests.support.firm import found
from tests.support.mirror import Mirror
from tests.support.moves import Moves

LIKELY = (
    (Moves.request, 6),
    (Moves.next_step, 30),
    (Moves.on_a_grant, 20),
    (Moves.next_in_the_house, 8),
    (Moves.on_a_customer, 8),
    (Moves.on_people, 8),
    (Moves.on_a_policy, 4),
    (Moves.on_the_catalogue, 2),
)


def wander(house: House, seed: int, steps: int) -> Mirror:
    """Let so many things happen in a new tenant with a given clock; return it, to be closed."""
    mirror, chosen = found(house), random.Random(seed)
    moves = Moves(mirror.world, chosen.choice)
    makes = [make for make, weight in LIKELY for _ in range(weight)]
    for _ in range(steps):
        make = chosen.choice(makes)
        if make is not Moves.request and not mirror.world.grants:
            make = Moves.request
        said = make(moves)
        mirror.say(said.verb, said.by, behalf=said.behalf, **said.given)
        if chosen.random() < 0.15:
            mirror.world.now += timedelta(hours=chosen.choice([1, 20, 50, 24 * 9]))
    return mirror
