"""`counterseal projections rebuild` and `drop`, as an operator says them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.provisioning import Database
from projections.tables import TABLES
from replay.rebuild import FOLDS
from tests.replay.planting import planted
from tests.replay.test_rebuild import follow
from tests.support.commands import Installation
from tests.support.owner import superuser
from tests.support.world import World


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database)
    made.active()
    follow(database)
    yield made
    made.close()


@pytest.fixture
def here(database: Database, tmp_path: Path) -> Installation:
    return Installation(tmp_path, database)


def test_every_read_model_is_rebuilt_listed_and_the_old_one_dropped(
    here: Installation, world: World
) -> None:
    of = ("--tenant", world.tenant)
    [done] = here.say("projections", "rebuild", *of, "--json").json()
    assert done["generations"] == dict.fromkeys(FOLDS, 2)
    assert (done["position"], done["differences"], done["faults"]) == (done["events"], [], [])
    listed = here.say("projections", "list", *of, "--json").json()
    assert {(one["generation"], one["live"]) for one in listed} == {(1, False), (2, True)}
    said = here.say("projections", "drop", *of, "--lang", "en")
    assert said.code == 0
    assert said.out.endswith("rows of old generations removed\n")
    listed = here.say("projections", "list", *of, "--json").json()
    assert {(one["generation"], one["live"]) for one in listed} == {(2, True)}


def test_a_difference_is_printed_with_its_place_and_exit_code_1(
    here: Installation, world: World, database: Database
) -> None:
    of = ("--tenant", world.tenant, "--model", "grants", "--lang", "en")
    table = TABLES["grants"]
    with superuser(database) as conn, planted(conn, world.tenant, table, "status", "text"):
        said = here.say("projections", "rebuild", *of)
        assert said.code == 1
        assert "grants: 1 rows differ that should be equal" in said.out
        assert "status  activex -> active" in said.out
        assert "not swapped" in said.out
        assert here.say("projections", "rebuild", *of, "--accept-differences").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--tenant", "nobody"), "tenant.unknown"),
        (("--all", "--tenant", "x"), "projections.which"),
        (("--model", "nothing"), "rebuild.unknown_model"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_exit_code_2(
    here: Installation, world: World, words: tuple[str, ...], code: str
) -> None:
    of = () if "--tenant" in words else ("--tenant", world.tenant)
    said = here.say("projections", "rebuild", *of, *words, "--lang", "en")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"counterseal: {code}: ")
