"""Subject keys: agreed on by all processes, kept for good, forgotten for good."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg_pool import PoolTimeout

from api import keys as keys_module
from api.key_cache import KeyCache, SubjectKey
from api.keys import POOL_CONNECTIONS, FieldSealer, KeyStore
from domain.sealing import Context, Sealed
from tests.support.keys import (
    NOVEMBER,
    SHORT_LIFE_SECONDS,
    Interrupted,
    as_superuser,
    code_of,
    fresh_id,
    place,
)

ROOT = Path(__file__).parents[2]
WIDE_USCC = "".join(chr(ord(sign) + 0xFEE0) for sign in "91310000MA1K35XY2Q")


def test_a_key_shows_in_no_repr(key_store):
    key = key_store.subject_key(fresh_id(), fresh_id())
    assert key.key.hex() not in repr(key)
    assert repr(key.key) not in repr(key)


def test_ids_in_another_spelling_are_refused(key_store):
    tenant, subject = fresh_id(), "AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE"
    with pytest.raises(ValueError, match="canonical"):
        key_store.subject_key(tenant, subject)
    with pytest.raises(ValueError, match="canonical"):
        key_store.subject_key(subject, tenant)


def test_the_key_of_another_process_is_used_when_it_was_first(open_store, tmp_path):
    """The other makes the key between our look and our insert."""
    tenant, subject = fresh_id(), fresh_id()
    held = Interrupted(tmp_path / "keys.json")
    slow, quick = open_store(keks=held), open_store()
    slow.check()
    first: list[SubjectKey] = []
    held.before_wrap = lambda: first.append(quick.subject_key(tenant, subject))
    assert slow.subject_key(tenant, subject) == first[0]


def test_many_threads_on_many_stores_agree_on_every_key(open_store):
    tenant, subjects = fresh_id(), [fresh_id() for _ in range(20)]
    stores = [open_store() for _ in range(3)]
    gate = threading.Barrier(6)

    def ask(number: int) -> list[SubjectKey]:
        gate.wait(10)
        return [stores[number % 3].subject_key(tenant, subject) for subject in subjects]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert all(answer == answers[0] for answer in answers)
    assert len({key.key for key in answers[0]}) == 20


PROGRAM = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
import msgspec
from api.keys import POOL_CONNECTIONS, FieldSealer, KeyStore
from domain.sealing import Context

url, key_file, tenant, *subjects = sys.argv[1:]
store = KeyStore(url, Path(key_file), clock=lambda: datetime(2026, 10, 15, tzinfo=UTC))
store.check()
print("ready", flush=True)
sys.stdin.readline()
for subject in subjects:
    sealed = FieldSealer(store).seal(subject, "said by " + subject, Context(tenant, "s", "c", "f"))
    print(msgspec.json.encode(sealed).decode(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_agree_on_every_key_and_a_kill_right_afterwards_loses_none(
    key_database, open_store, tmp_path
):
    """Both begin on an empty key database without a key file; killed after the last seal."""
    tenant, subjects = fresh_id(), [fresh_id() for _ in range(15)]
    command = [sys.executable, "-c", PROGRAM, key_database.keys, str(tmp_path / "keys.json")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as stack:
        both = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, tenant, *order],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environment,
                    cwd=ROOT,
                )
            )
            for order in (subjects, subjects[::-1])
        ]
        for one in both:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in both:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        said = [one.communicate(timeout=20)[0].splitlines() for one in both]
        assert [one.returncode for one in both] == [-signal.SIGKILL] * 2
    values = [msgspec.json.decode(line, type=Sealed) for lines in said for line in lines]
    opener = FieldSealer(open_store())
    here = Context(tenant, "s", "c", "f")
    assert {opener.open(value, here) for value in values} == {f"said by {one}" for one in subjects}
    assert len({value.key for value in values}) == len(subjects)
    assert len(values) == 2 * len(subjects)


def test_a_forgotten_subject_opens_nowhere_once_destroy_has_returned(open_store):
    """Also in a process that held the key in memory until just before."""
    tenant, subject, here = fresh_id(), fresh_id(), place(fresh_id())
    here = msgspec.structs.replace(here, tenant=tenant)
    one, other = open_store(life_seconds=0.3), open_store(life_seconds=0.3)
    heedless = open_store(life_seconds=3600)  # the control: it breaks the rule of one life
    sealed = FieldSealer(one).seal(subject, "secret", here)
    for each in (other, heedless):
        assert FieldSealer(each).open(sealed, here) == "secret"
    assert one.destroy(tenant, subject) is True
    for each in (one, other):
        assert code_of(FieldSealer(each).open, sealed, here) == "sealed.key_gone"
    assert FieldSealer(heedless).open(sealed, here) == "secret"


def test_nothing_is_sealed_again_for_who_was_forgotten(key_store, sealer):
    tenant, subject, never = fresh_id(), fresh_id(), fresh_id()
    sealed = sealer.seal(subject, "secret", place(tenant))
    assert key_store.destroy(tenant, subject) is True
    assert key_store.destroy(tenant, subject) is False
    assert key_store.destroy(tenant, never) is False
    for gone in (subject, never):
        assert code_of(sealer.seal, gone, "x", place(tenant)) == "subject.erased"
    assert code_of(key_store.known_key, tenant, never, sealed.key) == "sealed.forged"
    assert sealer.seal(subject, "x", place(fresh_id())), "in another tenant they are another"


def test_forgetting_one_leaves_the_others(key_store, sealer):
    tenant, one, other = fresh_id(), fresh_id(), fresh_id()
    here = place(tenant)
    sealed = {who: sealer.seal(who, f"of {who}", here) for who in (one, other)}
    elsewhere = place(fresh_id())
    abroad = sealer.seal(one, "abroad", elsewhere)
    key_store.destroy(tenant, one)
    assert sealer.open(sealed[other], here) == f"of {other}"
    assert sealer.open(abroad, elsewhere) == "abroad"


def test_a_key_that_is_missing_without_an_erasure_raises_the_alarm(key_database, key_store, sealer):
    here = place(fresh_id())
    sealed = sealer.seal(fresh_id(), "secret", here)
    with as_superuser(key_database) as connection:
        connection.execute("DELETE FROM subject_keys")
    time.sleep(2 * SHORT_LIFE_SECONDS)
    assert code_of(sealer.open, sealed, here) == "sealed.forged"


def test_a_wrapped_key_put_into_another_row_does_not_open(key_database, key_store, sealer):
    tenant, one, other = fresh_id(), fresh_id(), fresh_id()
    here = place(tenant)
    sealed = sealer.seal(one, "secret", here)
    sealer.seal(other, "x", here)
    with as_superuser(key_database) as connection:
        connection.execute(
            "UPDATE subject_keys SET wrapped = thief.wrapped FROM subject_keys AS thief"
            " WHERE subject_keys.subject_id = %s AND thief.subject_id = %s",
            (one, other),
        )
    time.sleep(2 * SHORT_LIFE_SECONDS)
    assert code_of(sealer.open, sealed, here) == "sealed.forged"
    assert code_of(key_store.subject_key, tenant, one) == "sealed.forged"


def test_no_key_lies_clear_in_the_key_database(key_database, key_store):
    tenant = fresh_id()
    keys = [key_store.subject_key(tenant, fresh_id()).key for _ in range(5)]
    with as_superuser(key_database) as connection:
        rows = connection.execute("SELECT wrapped FROM subject_keys").fetchall()
    assert len(rows) == 5
    assert not [key for key in keys for (wrapped,) in rows if key in wrapped]


def test_memory_holds_few_keys_and_not_for_long(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("api.key_cache.time.monotonic", lambda: now[0])
    cache = KeyCache(life_seconds=2.0, limit=2)
    a, b, c = (("t", "seal", name) for name in "abc")
    for name in (a, b):
        cache.put(name, SubjectKey(name[2], b""), sent_at=100.0)
    assert cache.get(a)
    cache.put(c, SubjectKey("c", b""), sent_at=101.0)
    assert [bool(cache.get(name)) for name in (a, b, c)] == [True, False, True]
    now[0] = 102.0
    assert [bool(cache.get(name)) for name in (a, b, c)] == [False, False, True]
    cache.drop(c)
    assert cache.get(c) is None


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("uscc", "91310000MA1K35XY2Q", " 91310000ma1k35xy2q\n"),
        ("uscc", "91310000MA1K35XY2Q", WIDE_USCC),
        ("identity_number", "11010119900307007X", "110101 19900307 007x\N{ZERO WIDTH SPACE}"),
        ("phone", "+8613800138000", "+86 138-0013-8000"),
    ],
)
def test_what_is_the_same_to_a_person_has_the_same_hash(key_store, kind, one, other):
    tenant = fresh_id()
    assert key_store.keyed_hash(tenant, kind, one) == key_store.keyed_hash(tenant, kind, other)


def test_hashes_differ_by_value_kind_tenant_and_use(key_store):
    tenant, other = fresh_id(), fresh_id()
    hashes = {
        key_store.keyed_hash(tenant, "uscc", "A"),
        key_store.keyed_hash(tenant, "uscc", "B"),
        key_store.keyed_hash(tenant, "passport", "A"),
        key_store.keyed_hash(other, "uscc", "A"),
        key_store.keyed_hash(tenant, "account", "A"),
        key_store.keyed_hash(tenant, "account", "a"),
        key_store.fingerprint(tenant, b"A"),
        key_store.fingerprint(other, b"A"),
        key_store.fingerprint(tenant, b""),
        key_store.api_key_hash("A"),
    }
    assert len(hashes) == 10
    assert {len(one) for one in hashes} == {32}


def test_hashes_are_the_same_in_every_process_and_after_rotation(open_store):
    one, other, tenant = open_store(), open_store(), fresh_id()

    def hashes(store: KeyStore) -> list[bytes]:
        return [
            store.keyed_hash(tenant, "uscc", "A"),
            store.fingerprint(tenant, b"body"),
            store.api_key_hash("secret"),
        ]

    before = hashes(one)
    assert hashes(other) == before
    one.rotate(NOVEMBER)
    assert hashes(other) == before
    assert hashes(open_store()) == before


def test_the_role_sees_and_changes_its_tenant_alone_and_deletes_nothing(key_database, key_store):
    mine, other, subject = fresh_id(), fresh_id(), fresh_id()
    key_store.subject_key(mine, subject)
    key_store.subject_key(other, subject)
    with psycopg.connect(key_database.keys, autocommit=True) as connection:
        count = "SELECT count(*) FROM subject_keys"
        assert connection.execute(count).fetchall() == [(0,)], "no tenant is set"
        for statement in (
            "DELETE FROM subject_keys",
            "TRUNCATE subject_keys",
            "UPDATE subject_keys SET key_id = gen_random_uuid()",
            "UPDATE subject_keys SET tenant_id = gen_random_uuid()",
            "UPDATE subject_keys SET subject_id = gen_random_uuid()",
            "UPDATE epochs SET proof = ''",
            "DELETE FROM tenants",
            "ALTER TABLE subject_keys DISABLE ROW LEVEL SECURITY",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)  # pyright: ignore[reportArgumentType]
        with connection.transaction():
            connection.execute("SELECT set_config('counterseal.tenant', %s, true)", (mine,))
            rows = connection.execute("SELECT tenant_id::text FROM subject_keys").fetchall()
            assert rows == [(mine,)]
            changed = connection.execute(
                "UPDATE subject_keys SET epoch = NULL, wrapped = NULL, destroyed_at = now()"
                " WHERE tenant_id = %s",
                (other,),
            )
            assert changed.rowcount == 0
        assert connection.execute(count).fetchall() == [(0,)], "the setting ended with its block"
    with psycopg.connect(key_database.keys_migrator, autocommit=True) as connection:
        connection.execute("SET ROLE counterseal_owner")
        assert connection.execute(count).fetchall() == [(0,)], "the owner is held back as well"


def test_no_epoch_goes_while_a_key_of_any_tenant_needs_it(key_database, key_store):
    """The foreign key is asked past row-level security: no tenant is set here."""
    key_store.subject_key(fresh_id(), fresh_id())
    with (
        psycopg.connect(key_database.keys, autocommit=True) as connection,
        pytest.raises(psycopg.errors.ForeignKeyViolation),
    ):
        connection.execute("DELETE FROM epochs")


def test_without_the_key_database_nothing_is_sealed(monkeypatch, tmp_path):
    monkeypatch.setattr(keys_module, "POOL_WAIT_SECONDS", 0.3)
    with (
        KeyStore("postgresql://127.0.0.1:1/none", tmp_path / "keys.json") as store,
        pytest.raises(PoolTimeout),
    ):
        FieldSealer(store).seal(fresh_id(), "secret", place(fresh_id()))
    assert not (tmp_path / "keys.json").exists()


def test_the_process_that_forgets_a_subject_does_so_before_it_waits(key_store, monkeypatch):
    tenant, subject = fresh_id(), fresh_id()
    key = key_store.subject_key(tenant, subject)
    codes: list[str] = []

    def meanwhile(seconds: float) -> None:
        codes.append(code_of(key_store.known_key, tenant, subject, key.id))

    monkeypatch.setattr("api.keys.time.sleep", meanwhile)
    key_store.destroy(tenant, subject)
    assert codes == ["sealed.key_gone"]


def test_after_a_restart_of_the_server_the_first_who_asks_is_answered(open_store, key_database):
    """Every connection that lies in the pool is lost then."""
    store, tenant, subject = open_store(), fresh_id(), fresh_id()
    store.check()
    gate = threading.Barrier(POOL_CONNECTIONS)

    def use(_: int) -> int:
        with store._transaction(tenant) as cursor:
            gate.wait(10)
            return cursor.connection.info.backend_pid

    with ThreadPoolExecutor(POOL_CONNECTIONS) as pool:
        backends = list(pool.map(use, range(POOL_CONNECTIONS)))
    assert len(set(backends)) == POOL_CONNECTIONS
    with as_superuser(key_database) as connection:
        for backend in backends:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))
    made = store.subject_key(tenant, subject)
    assert open_store().subject_key(tenant, subject) == made
