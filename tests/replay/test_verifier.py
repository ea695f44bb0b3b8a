"""The background verifier: what was changed behind the service's back is found, denied, and put
right.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import LiteralString

import psycopg
import pytest

from api.provisioning import Database
from projections.tables import INLINE, TABLES
from replay.healing import heal
from replay.verifier import Verifier
from tests.replay.planting import planted
from tests.replay.watching import PLANTS, Watch, watched
from tests.support.mixed import Mixed


@pytest.fixture
def watch(firm: Mixed, replay_database: Database) -> Iterator[Watch]:
    yield from watched(replay_database, firm.tenant)


def test_a_sound_tenant_is_verified_up_to_its_head_and_nothing_is_found(watch: Watch) -> None:
    watch.sweep()
    assert watch.found() == {}
    assert watch.quarantined() == {}
    assert watch.verified() == {watch.head()}
    row = watch.owner.execute(
        "SELECT swept_at IS NOT NULL, differences, quarantined FROM sweeps WHERE tenant_id = %s",
        (watch.tenant,),
    ).fetchone()
    assert row == (True, 0, 0)


@pytest.mark.parametrize("name", list(TABLES))
def test_a_changed_value_is_found_in_every_table(
    watch: Watch, name: str, rounds: Callable[[int, int], int]
) -> None:
    """The full run changes every column; see `test_compare` for what is told of each."""
    table = TABLES[name]
    watch.work()
    missed: list[str] = []
    columns = list(table.columns.items())
    random.Random(name).shuffle(columns)
    for column, kind in columns[: rounds(2, len(columns))]:
        with planted(watch.owner, watch.tenant, table, column, kind) as done:
            if done:
                watch.sweep()
                told = watch.found()
                if set(told) != {name} or not told[name] & {column, "*"}:
                    missed.append(f"{column}: {told}")
                assert bool(watch.quarantined()) == (table in INLINE.values()), column
        watch.clean()
    assert missed == []


def test_without_the_verifier_nothing_is_found_and_the_wrong_row_answers(
    watch: Watch, firm: Mixed
) -> None:
    """The control: that something is found is the verifier's doing."""
    watch.work()
    with planted(watch.owner, watch.tenant, INLINE["g"], "actions", "text[]"):
        assert watch.found() == {}
        assert watch.quarantined() == {}
        assert watch.differs() != []
    assert watch.differs() == []


@pytest.mark.parametrize("name", list(PLANTS))
def test_what_was_changed_is_found_denied_and_put_right_by_a_heal(watch: Watch, name: str) -> None:
    table = name.partition(" ")[0]
    watch.work()
    watch.plant(PLANTS[name])
    watch.sweep()
    assert set(watch.found()) == {table}
    inline = TABLES[table] in INLINE.values()
    held = watch.quarantined()
    assert bool(held) == inline
    assert {code for _, code in held.values()} == ({"table.differs"} if inline else set())
    if inline:
        watch.heal_all()
    else:
        rows = watch.owner.execute(
            "SELECT DISTINCT stream_id::text FROM differences WHERE tenant_id = %s", (watch.tenant,)
        ).fetchall()
        for (stream,) in rows:
            assert heal(watch.database.migrator, watch.tenant, stream).rows == {name: 1}
    assert watch.differs() == []
    assert watch.found() == {}
    assert watch.quarantined() == {}
    watch.sweep()
    assert watch.found() == {}


STRAYS: dict[str, LiteralString] = {
    "permissions": "INSERT INTO permissions (tenant_id, generation, grant_id, terms_number,"
    " valid_from, valid_to, known_from, grantee, number, kind, actions, scope, policy_id,"
    " policy_version, stops) SELECT tenant_id, generation, gen_random_uuid(), 1, valid_from,"
    " 'infinity', 1, grantee, 'X', kind, actions, scope, policy_id, policy_version, stops"
    " FROM permissions WHERE tenant_id = %s LIMIT 1",
    "permissions known from nothing": "INSERT INTO permissions (tenant_id, generation, grant_id,"
    " terms_number, valid_from, valid_to, known_from, grantee, number, kind, actions, scope,"
    " policy_id, policy_version, stops) SELECT tenant_id, generation, grant_id, 1, valid_from,"
    " 'infinity', 0, grantee, number, kind, actions, scope, policy_id, policy_version, stops"
    " FROM permissions WHERE tenant_id = %s LIMIT 1",
    "permissions of another grantee": "INSERT INTO permissions (tenant_id, generation, grant_id,"
    " terms_number, valid_from, valid_to, known_from, grantee, number, kind, actions, scope,"
    " policy_id, policy_version, stops) SELECT tenant_id, generation, grant_id, 1, valid_from,"
    " 'infinity', 1, 'customer:' || gen_random_uuid(), number, kind, actions, scope, policy_id,"
    " policy_version, stops FROM permissions WHERE tenant_id = %s LIMIT 1",
    "standings": "INSERT INTO standings SELECT tenant_id, generation, 'team:planted', valid_from,"
    " valid_to, known_from FROM standings WHERE tenant_id = %s LIMIT 1",
    "memberships": "INSERT INTO memberships SELECT tenant_id, generation, 'staff:nobody', team,"
    " valid_from, valid_to, known_from FROM memberships WHERE tenant_id = %s LIMIT 1",
    "points": "INSERT INTO points SELECT tenant_id, generation, 'customer/' || gen_random_uuid(),"
    " path, valid_from, valid_to, 1, NULL, names, attributes FROM points"
    " WHERE dimension LIKE 'customer/%%' AND tenant_id = %s LIMIT 1",
    "history_keys": "INSERT INTO history_keys SELECT tenant_id, generation, 'w:planted', at,"
    " position FROM history_keys WHERE tenant_id = %s LIMIT 1",
    "tasks": "INSERT INTO tasks SELECT tenant_id, generation, gen_random_uuid(), item, kind, about,"
    " party, since, lapses_at FROM tasks WHERE tenant_id = %s LIMIT 1",
}


@pytest.mark.parametrize("name", list(STRAYS))
def test_a_row_too_many_is_found_whatever_it_says_of_its_stream_and_taken_away(
    watch: Watch, name: str
) -> None:
    table = name.partition(" ")[0]
    watch.work()
    watch.plant(STRAYS[name])
    watch.sweep()
    assert watch.found() == {table: {"*"}}
    watch.sweep()
    assert watch.found() == {table: {"*"}}
    if TABLES[table] in INLINE.values():
        assert watch.quarantined()
        watch.heal_all()
    else:
        rows = watch.owner.execute("SELECT stream_id::text FROM differences").fetchall()
        assert heal(watch.database.migrator, watch.tenant, rows[0][0]).rows == {table: 1}
    assert watch.differs() == []
    assert (watch.found(), watch.quarantined()) == ({}, {})


@pytest.mark.parametrize("when", ["20000-01-01 00:00:00Z", "0044-03-15 00:00:00Z BC"])
def test_an_instant_that_no_calendar_has_is_found_and_put_right_like_any_other(
    watch: Watch, when: str
) -> None:
    """It must not stop the verifier: the service would end with it."""
    watch.work()
    (grant,) = watch.owner.execute(
        "SELECT grant_id FROM permissions WHERE tenant_id = %s AND known_to IS NULL LIMIT 1",
        (watch.tenant,),
    ).fetchone() or (None,)
    statement = "UPDATE permissions SET valid_from = %s WHERE grant_id = %s AND tenant_id = %s"
    if when.startswith("2"):
        statement = "UPDATE permissions SET valid_to = %s WHERE grant_id = %s AND tenant_id = %s"
    watch.plant(statement, when, grant)
    watch.plant(
        "UPDATE staff SET recorded_at = %s WHERE tenant_id = %s",
        when,
    )
    watch.sweep()
    assert set(watch.found()) == {"permissions", "staff"}
    assert set(watch.quarantined()) == {str(grant)}
    watch.heal_all()
    for (one,) in watch.owner.execute("SELECT stream_id::text FROM differences").fetchall():
        heal(watch.database.migrator, watch.tenant, one)
    assert watch.differs() == []
    assert (watch.found(), watch.quarantined()) == ({}, {})


def test_what_is_denied_is_what_rests_on_the_row_and_no_more(watch: Watch, firm: Mixed) -> None:
    grants = watch.owner.execute(
        "SELECT DISTINCT grant_id::text FROM permissions WHERE tenant_id = %s AND known_to IS NULL",
        (watch.tenant,),
    ).fetchall()
    watch.work()
    watch.plant(
        "UPDATE permissions SET number = 'planted' WHERE grant_id = %s AND tenant_id = %s",
        grants[0][0],
    )
    watch.sweep()
    (stream,) = watch.quarantined()
    assert stream == grants[0][0]
    watch.heal_all()


def test_following_finds_what_was_changed_in_a_stream_that_goes_on(
    watch: Watch, firm: Mixed
) -> None:
    watch.sweep()
    customer = firm.customer("followed")
    firm.house.follow()
    with planted_title(watch, customer):
        watch.work()  # no sweep is due
        assert watch.found() == {"customers": {"grade"}}
        assert watch.verified() == {watch.head()}
    watch.sweep()
    assert watch.found() == {}


class planted_title:  # noqa: N801  (used as a context)
    """A customer's grade in the read model, changed for a while."""

    def __init__(self, watch: Watch, customer: str) -> None:
        self._watch, self._customer = watch, customer

    def _set(self, grade: str | None) -> None:
        self._watch.plant(
            "UPDATE customers SET grade = %s WHERE customer_id = %s AND tenant_id = %s",
            grade,
            self._customer,
        )

    def __enter__(self) -> None:
        self._set("planted")

    def __exit__(self, *_: object) -> None:
        self._set(None)


def test_a_sweep_goes_on_where_another_process_left_it(watch: Watch) -> None:
    watch.sweep()
    watch.owner.execute("UPDATE sweeps SET swept_at = NULL WHERE tenant_id = %s", (watch.tenant,))
    first = watch.another(turn=10)
    for _ in range(6):
        first.step()
    first.close()
    row = watch.owner.execute(
        "SELECT swept_from, swept_upto FROM sweeps WHERE tenant_id = %s", (watch.tenant,)
    ).fetchone()
    assert row is not None
    assert None not in row
    before = watch.owner.execute(
        "SELECT count(*) FROM events WHERE tenant_id = %s AND stream_id > %s",
        (watch.tenant, row[1]),
    ).fetchone()
    assert before is not None
    second = watch.another(turn=10)
    folded = 0
    while (done := second.step()).worked:
        folded += done.events
    second.close()
    assert folded == before[0]
    assert watch.found() == {}


def test_several_verifiers_at_once_find_the_same_and_do_not_disturb_each_other(
    watch: Watch,
) -> None:
    watch.work()
    watch.plant(PLANTS["standings"])
    watch.owner.execute("UPDATE sweeps SET swept_at = NULL WHERE tenant_id = %s", (watch.tenant,))
    workers = [watch.another(turn=20) for _ in range(3)]
    faults: list[Exception] = []

    def work(one: Verifier) -> None:
        try:
            watch.work(one)
        except Exception as fault:  # noqa: BLE001  (told below)
            faults.append(fault)
        one.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in workers]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    watch.work()
    assert faults == []
    assert set(watch.found()) == {"standings"}
    watch.heal_all()
    assert watch.differs() == []


def test_its_role_may_write_nothing_but_what_it_found(watch: Watch) -> None:
    with psycopg.connect(watch.database.service, autocommit=True) as conn:
        for table in ("sweeps", "verified", "differences", "quarantined"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
