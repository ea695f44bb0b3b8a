"""Rotation: a crash anywhere leaves every living key openable, and old copies open no more."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api import rotation
from api.keys import FieldSealer, KeyStore
from api.provisioning import Database
from api.vault import KeyFile
from domain.errors import Refused
from domain.sealing import Context, Sealed
from tests.support.keys import (
    DECEMBER,
    NOVEMBER,
    OCTOBER,
    Interrupted,
    as_superuser,
    fresh_id,
    place,
)

Texts = list[tuple[Sealed, Context, str]]
Open = Callable[..., KeyStore]
Steps = Generator[rotation.Step]


@pytest.fixture(autouse=True)
def _pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "REWRAP_PAGE", 2)


def sealed_texts(store: KeyStore, tenants: int = 2, subjects: int = 3) -> Texts:
    texts: Texts = []
    for tenant in (fresh_id() for _ in range(tenants)):
        for subject in (fresh_id() for _ in range(subjects)):
            here, text = place(tenant), f"of {subject}"
            texts.append((FieldSealer(store).seal(subject, text, here), here, text))
    return texts


def unopened(store: KeyStore, texts: Texts) -> int:
    """How many do not open, each as a process that has no key in memory would try it."""
    count = 0
    for sealed, here, text in texts:
        try:
            assert FieldSealer(store).open(sealed, here) == text
        except Refused:
            count += 1
    return count


def steps(database: Database, key_file: Path) -> contextlib.closing[Steps]:
    """The steps of a rotation into November; closed early, they are a crash after a commit."""

    def taken() -> Steps:
        with psycopg.connect(database.keys, autocommit=True) as connection:
            yield from rotation.steps(connection, KeyFile(key_file), 202611)

    return contextlib.closing(taken())


def state(database: Database, key_file: Path) -> tuple[set[int], set[int], frozenset[int]]:
    """The epochs of wrapped keys, of the table, of the key file."""
    with as_superuser(database) as connection:
        rows = connection.execute("SELECT DISTINCT epoch FROM subject_keys").fetchall()
        epochs = connection.execute("SELECT epoch FROM epochs").fetchall()
    return {row[0] for row in rows}, {row[0] for row in epochs}, KeyFile(key_file).epochs()


def test_rotation_brings_every_key_into_the_new_epoch_and_destroys_the_old(
    key_database, key_file, open_store
):
    store = open_store()
    texts = sealed_texts(store)
    assert state(key_database, key_file) == ({202610}, {202610}, {202610})
    assert store.rotate(NOVEMBER) == rotation.Rotation(202611, 6, (202610,))
    assert state(key_database, key_file) == ({202611}, {202611}, {202611})
    assert unopened(store, texts) == 0
    assert unopened(open_store(), texts) == 0
    assert store.rotate(NOVEMBER) == rotation.Rotation(202611, 0, ())
    assert store.rotate(OCTOBER) == rotation.Rotation(202611, 0, ()), "a clock that went back"
    assert store.rotate(DECEMBER) == rotation.Rotation(202612, 6, (202611,))
    assert unopened(store, texts) == 0


# opened; tenant by tenant two pages (2 + 1 keys); closed; destroyed
STEPS = ["opened", *["rewrapped"] * 4, "closed", "destroyed"]


@pytest.mark.parametrize("crash_after", range(len(STEPS) + 1))
def test_a_crash_after_any_step_leaves_every_living_key_openable(
    key_database, key_file, open_store, crash_after
):
    store = open_store()
    texts = sealed_texts(store)
    with steps(key_database, key_file) as rotating:
        names = [step.name for step in itertools.islice(rotating, crash_after)]
    assert names == STEPS[:crash_after]
    after = open_store()
    assert unopened(store, texts) == 0
    assert unopened(after, texts) == 0
    texts += sealed_texts(after, tenants=1)  # and new keys can be made
    assert after.rotate(NOVEMBER).epoch == 202611
    assert state(key_database, key_file) == ({202611}, {202611}, {202611})
    assert unopened(open_store(), texts) == 0


def test_the_other_order_of_steps_would_lose_keys(key_database, key_file, open_store):
    """The control of the test above: the old key is destroyed before its last row is rewrapped."""
    texts = sealed_texts(open_store())
    with steps(key_database, key_file) as rotating:
        while next(rotating).name != "rewrapped":
            pass
        KeyFile(key_file).destroy([202610])
    with as_superuser(key_database) as connection:
        left = connection.execute("SELECT count(*) FROM subject_keys WHERE epoch = 202610")
        assert left.fetchone() == (4,)
    with pytest.raises(Refused, match="epoch_unreadable"):
        open_store().check()
    assert unopened(open_store(), texts) == 6, "and the service does not start on it"


@pytest.mark.parametrize("replacement", [1, 2], ids=["making the key", "destroying the key"])
def test_a_crash_while_the_key_file_is_written_leaves_every_living_key_openable(
    key_database, key_file, open_store, monkeypatch, replacement
):
    store = open_store()
    texts = sealed_texts(store)
    replace, count = Path.replace, [0]

    def crash(self: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] == replacement:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        store.rotate(NOVEMBER)
    monkeypatch.setattr(Path, "replace", replace)
    assert unopened(open_store(), texts) == 0
    assert store.rotate(NOVEMBER).epoch == 202611
    assert state(key_database, key_file) == ({202611}, {202611}, {202611})
    assert unopened(open_store(), texts) == 0


def test_a_key_made_while_the_epoch_ended_is_wrapped_in_the_new_one(
    key_database, key_file, open_store
):
    """The rotation runs from beginning to end within the insert: before its wrap, or after it."""
    tenant, subjects = fresh_id(), [fresh_id(), fresh_id()]
    held = Interrupted(key_file)
    slow, rotator = open_store(held), open_store()
    slow.check()
    held.before_wrap = lambda: rotator.rotate(NOVEMBER)
    before = slow.subject_key(tenant, subjects[0])
    held.after_wrap = lambda: rotator.rotate(DECEMBER)
    after = slow.subject_key(tenant, subjects[1])
    assert held.before_wrap is held.after_wrap is None, "both have happened"
    assert state(key_database, key_file) == ({202612}, {202612}, {202612})
    assert [open_store().subject_key(tenant, one) for one in subjects] == [before, after]


def test_a_key_read_while_the_epoch_ended_is_read_again(key_file, open_store):
    held = Interrupted(key_file)
    slow, rotator = open_store(held), open_store()
    slow.check()
    texts = sealed_texts(rotator)
    held.before_unwrap = lambda: rotator.rotate(NOVEMBER)
    assert unopened(slow, texts) == 0
    assert held.before_unwrap is None


def test_a_key_that_another_transaction_is_just_inserting_is_not_left_behind(
    key_database, key_file, open_store
):
    """It was wrapped under the old epoch, and commits while rotation waits to close that epoch."""
    store = open_store()
    texts = sealed_texts(store)
    tenant, subject, key_id = fresh_id(), fresh_id(), fresh_id()
    bound = rotation.key_bound(tenant, "seal", subject, key_id)
    with as_superuser(key_database) as connection:
        with connection.transaction():
            wrapped = KeyFile(key_file).wrap(202610, b"k" * 32, bound)
            connection.execute("INSERT INTO tenants VALUES (%s)", (tenant,))
            connection.execute(
                "INSERT INTO subject_keys (tenant_id, purpose, subject_id, key_id, epoch, wrapped)"
                " VALUES (%s, 'seal', %s, %s, 202610, %s)",
                (tenant, subject, key_id, wrapped),
            )
            rotator = threading.Thread(target=store.rotate, args=(NOVEMBER,))
            rotator.start()
            with as_superuser(key_database) as watcher:
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                for _ in range(500):
                    if watcher.execute(waiting).fetchone() == (1,):
                        break
                    rotator.join(0.01)
                assert watcher.execute(waiting).fetchone() == (1,), "rotation waits for the insert"
        rotator.join(10)
    assert not rotator.is_alive()
    assert state(key_database, key_file) == ({202611}, {202611}, {202611})
    assert open_store().known_key(tenant, subject, key_id) == b"k" * 32
    assert unopened(open_store(), texts) == 0


def test_two_rotations_at_once_are_one(key_database, key_file, open_store):
    store = open_store()
    sealed_texts(store)
    with steps(key_database, key_file) as rotating:
        next(rotating)
        with pytest.raises(Refused, match=r"keys\.rotating"):
            store.rotate(NOVEMBER)
    assert store.rotate(NOVEMBER).rewrapped == 6


def test_services_seal_and_open_while_epochs_come_and_go(open_store):
    store, reader, rotator = open_store(), open_store(), open_store()
    texts = sealed_texts(store)
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            texts.extend(sealed_texts(store, tenants=1, subjects=2))
            assert unopened(reader, texts[-6:]) == 0

    epochs = [
        OCTOBER.replace(year=year, month=month) for year in (2027, 2028) for month in (1, 5, 9)
    ]
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            rewrapped = [rotator.rotate(epoch).rewrapped for epoch in epochs]
        finally:
            ended.set()
        working.result(20)
    assert min(rewrapped) >= 6
    assert unopened(open_store(), texts) == 0


def backup(database: Database) -> list[Any]:
    with as_superuser(database) as connection:
        return connection.execute("TABLE subject_keys").fetchall()


def restore(database: Database, rows: list[Any], epoch: int) -> None:
    """Bring back what a backup, the heap before VACUUM or the write-ahead log still holds."""
    with as_superuser(database) as connection:
        connection.execute(
            "INSERT INTO epochs (epoch, proof) VALUES (%s, '') ON CONFLICT DO NOTHING", (epoch,)
        )
        for row in rows:
            connection.execute("DELETE FROM subject_keys WHERE subject_id = %s", (row[2],))
            connection.execute("INSERT INTO subject_keys VALUES (%s" + ", %s" * 7 + ")", row)


def test_a_forgotten_key_comes_back_from_a_copy_within_its_epoch_and_never_after(
    key_database, open_store
):
    store = open_store()
    ((sealed, here, text),) = sealed_texts(store, tenants=1, subjects=1)
    kept = backup(key_database)
    store.destroy(here.tenant, sealed.subject)
    restore(key_database, kept, 202610)
    assert FieldSealer(store).open(sealed, here) == text, "this is why epochs end"
    store.destroy(here.tenant, sealed.subject)
    assert store.rotate(NOVEMBER).destroyed == (202610,)
    restore(key_database, kept, 202610)
    with pytest.raises(Refused, match="epoch_unreadable"):
        FieldSealer(store).open(sealed, here)


def test_a_wrapped_key_that_was_tampered_with_stops_rotation_before_anything_is_destroyed(
    key_database, key_file, open_store
):
    store = open_store()
    sealed_texts(store)
    with as_superuser(key_database) as connection:
        connection.execute(
            "UPDATE subject_keys SET wrapped = set_byte(wrapped, 20, 255 - get_byte(wrapped, 20))"
            " WHERE subject_id = (SELECT max(subject_id::text)::uuid FROM subject_keys)"
        )
    with pytest.raises(Refused) as caught:
        store.rotate(NOVEMBER)
    assert caught.value.code == "keys.damaged"
    assert set(caught.value.params) == {"tenant", "subject", "epoch"}
    assert state(key_database, key_file)[2] == {202610, 202611}


@pytest.mark.parametrize("fate", ["lost", "exchanged", "emptied"])
def test_a_store_does_not_start_on_another_key_file(key_database, key_file, open_store, fate):
    """And begins no second set of keys beside the first."""
    sealed_texts(open_store())
    if fate == "lost":
        key_file.unlink()
    elif fate == "exchanged":
        key_file.unlink()
        KeyFile(key_file).create(202610)
    else:
        KeyFile(key_file).destroy([202610])
    there = key_file.read_bytes() if key_file.exists() else None
    for act in (
        lambda store: store.check(),
        lambda store: store.subject_key(fresh_id(), fresh_id()),
        lambda store: store.rotate(NOVEMBER),
        lambda store: store.api_key_hash("secret"),
        lambda store: store.destroy(fresh_id(), fresh_id()),
    ):
        with pytest.raises(Refused, match=r"keys\.epoch_unreadable"):
            act(open_store())
    assert (key_file.read_bytes() if key_file.exists() else None) == there


def test_stores_that_start_at_once_on_an_empty_database_share_one_key_file(open_store):
    stores = [open_store() for _ in range(6)]
    gate, tenant = threading.Barrier(6), fresh_id()
    hashes: list[bytes] = []

    def start(store: KeyStore) -> None:
        gate.wait(10)
        hashes.append(store.api_key_hash("secret") + store.fingerprint(tenant, b"x"))

    threads = [threading.Thread(target=start, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(hashes) == 6
    assert len(set(hashes)) == 1


def test_a_key_made_for_an_epoch_to_come_is_not_destroyed(key_file, open_store):
    """A crash between making a key and naming its epoch leaves one; then the clock is set back."""
    store = open_store()
    texts = sealed_texts(store)
    KeyFile(key_file).create(202612)
    assert store.rotate(NOVEMBER).destroyed == (202610,)
    assert KeyFile(key_file).epochs() == {202611, 202612}
    assert store.rotate(DECEMBER).destroyed == (202611,)
    assert unopened(open_store(), texts) == 0
