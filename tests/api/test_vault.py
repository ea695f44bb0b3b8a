"""The key file: nobody else's, written whole or not at all; what was destroyed is overwritten."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.vault import EpochGone, KeyFile, make_folder
from domain.errors import Refused
from domain.sealing import Unopenable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "keys.json"


@pytest.fixture
def keys(path: Path) -> KeyFile:
    made = KeyFile(path)
    made.create(202610)
    return made


def test_the_file_is_made_for_its_owner_alone(keys, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()] == [0o600, 0o600]


@pytest.mark.parametrize("mode", [0o640, 0o660, 0o604, 0o602, 0o610, 0o601, 0o666, 0o777])
def test_a_file_that_others_may_touch_is_refused(keys, path, mode):
    wrapped = keys.wrap(202610, b"key", b"place")
    path.chmod(mode)
    for act in (
        lambda keys: keys.epochs(),
        lambda keys: keys.wrap(202610, b"key", b"place"),
        lambda keys: keys.unwrap(202610, wrapped, b"place"),
        lambda keys: keys.create(202611),
        lambda keys: keys.destroy([202610]),
        lambda keys: keys.pepper("x", b"y"),
    ):
        for each in (keys, KeyFile(path)):
            with pytest.raises(Refused) as caught:
                act(each)
            assert caught.value.code == "keys.file_open_to_others"
            assert caught.value.params["mode"] == f"{mode:04o}"
    path.chmod(0o600)
    assert keys.unwrap(202610, wrapped, b"place") == b"key"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused_unless_root_asks(keys, path, monkeypatch):
    os.chown(path, 12345, 12345)
    assert keys.epochs() == {202610}
    monkeypatch.setattr("api.vault.os.geteuid", lambda: 54321)
    with pytest.raises(Refused, match="file_open_to_others"):
        KeyFile(path).epochs()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 100, id="overwritten"),
        pytest.param(b'{"pepper":"AAA', id="cut"),
        pytest.param(b'{"pepper":"AAAA","epochs":{}}', id="short pepper"),
        pytest.param(
            b'{"pepper":"%s","epochs":{"202610":"AAAA"}}' % (b"A" * 43 + b"="), id="short"
        ),
        pytest.param(b'{"pepper":"%s","epochs":{},"format":2}' % (b"A" * 43 + b"="), id="newer"),
        pytest.param(b'{"pepper":"%s","epochs":{},"more":1}' % (b"A" * 43 + b"="), id="unknown"),
    ],
)
def test_a_damaged_file_is_refused_and_left_as_it_is(keys, path, content):
    path.write_bytes(content)
    for act in (keys.epochs, lambda: keys.create(202611), lambda: keys.pepper("x", b"y")):
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.code == "keys.file_damaged"
    assert path.read_bytes() == content


def test_without_a_file_there_are_no_keys_and_nothing_is_made_by_asking(path):
    keys = KeyFile(path)
    assert keys.epochs() == frozenset()
    keys.destroy([202610])
    with pytest.raises(EpochGone):
        keys.wrap(202610, b"key", b"place")
    with pytest.raises(Refused, match=r"keys\.file_missing"):
        keys.pepper("api key", b"x")
    assert not path.exists()


def test_a_wrapped_key_opens_under_its_epoch_and_in_its_place_alone(keys):
    keys.create(202611)
    wrapped = keys.wrap(202610, b"key", b"place")
    assert keys.unwrap(202610, wrapped, b"place") == b"key"
    with pytest.raises(Unopenable, match="forged"):
        keys.unwrap(202610, wrapped, b"elsewhere")
    with pytest.raises(Unopenable, match="forged"):
        keys.unwrap(202611, wrapped, b"place")
    with pytest.raises(EpochGone):
        keys.unwrap(202609, wrapped, b"place")


def test_making_a_key_again_keeps_the_first(keys):
    wrapped = keys.wrap(202610, b"key", b"place")
    keys.create(202610)
    assert keys.unwrap(202610, wrapped, b"place") == b"key"


def test_the_pepper_outlives_every_epoch_and_tells_purposes_apart(keys, path):
    before = keys.pepper("api key", b"x")
    assert before != keys.pepper("other", b"x")
    assert before != keys.pepper("api key", b"y")
    keys.create(202611)
    keys.destroy([202610])
    assert KeyFile(path).pepper("api key", b"x") == before


def test_every_process_knows_at_once_what_another_has_made_or_destroyed(keys, path):
    other = KeyFile(path)
    wrapped = other.wrap(202610, b"key", b"place")
    keys.create(202611)
    assert other.epochs() == {202610, 202611}
    keys.destroy([202610])
    with pytest.raises(EpochGone):
        other.unwrap(202610, wrapped, b"place")


def test_the_bytes_of_a_destroyed_key_are_overwritten_not_just_unlinked(keys, path):
    keys.create(202611)
    os.link(path, path.with_name("what the disk had"))
    size = path.stat().st_size
    keys.destroy([202610])
    assert path.with_name("what the disk had").read_bytes() == b"\0" * size
    assert keys.epochs() == {202611}


def test_destroying_what_is_not_there_writes_nothing(keys, path):
    before = path.stat().st_ino
    keys.destroy([201001])
    assert path.stat().st_ino == before


def test_what_a_crash_left_beside_the_file_is_no_hindrance(keys, path):
    path.with_name(".keys.json.new").write_bytes(b"half")
    keys.create(202611)
    assert keys.epochs() == {202610, 202611}
    assert not path.with_name(".keys.json.new").exists()


def test_many_who_make_keys_at_once_lose_none_of_them(path):
    gate = threading.Barrier(8)
    wrapped: dict[int, bytes] = {}
    peppers: set[bytes] = set()

    def make(epoch: int) -> None:
        keys = KeyFile(path)
        gate.wait(10)
        keys.create(epoch)
        wrapped[epoch] = keys.wrap(epoch, b"key", b"place")
        peppers.add(keys.pepper("x", b"y"))

    threads = [threading.Thread(target=make, args=(202601 + number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert KeyFile(path).epochs() == set(range(202601, 202609))
    assert len(peppers) == 1
    assert all(KeyFile(path).unwrap(epoch, one, b"place") for epoch, one in wrapped.items())


def test_readers_never_see_a_half_written_or_overwritten_file(keys, path):
    wrapped = keys.wrap(202610, b"key", b"place")
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            assert KeyFile(path).unwrap(202610, wrapped, b"place") == b"key"

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for number in range(40):
                keys.create(203001 + number % 12)
                keys.destroy([203001 + number % 12])
        finally:
            ended.set()
        for reader in readers:
            reader.result(10)


def test_a_new_file_and_its_folders_are_on_the_disk_before_it_is_used(tmp_path, monkeypatch):
    """What is done in which order; losing power in between is what this is for.

    The last one is the overwritten old file.
    """
    done: list[str] = []
    fsync, replace, mkdir = os.fsync, Path.replace, Path.mkdir

    def noted_fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("sync folder" if folder else "sync file")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    def noted_mkdir(self: Path, mode: int = 0o777) -> None:
        done.append("make folder")
        mkdir(self, mode)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    monkeypatch.setattr(Path, "mkdir", noted_mkdir)
    KeyFile(tmp_path / "a" / "b" / "keys.json").create(202610)
    KeyFile(tmp_path / "a" / "b" / "keys.json").destroy([202610])
    replaced = ["sync file", "rename", "sync folder"]
    assert done == [*["make folder", "sync folder"] * 2, *replaced, *replaced, "sync file"]


def test_a_folder_that_another_process_has_just_made_is_taken(tmp_path, monkeypatch):
    folder, mkdir = tmp_path / "a" / "b", Path.mkdir

    def late(self: Path, mode: int) -> None:
        mkdir(self, mode)
        mkdir(self, mode)  # the second one finds it there

    monkeypatch.setattr(Path, "mkdir", late)
    make_folder(folder)
    assert folder.is_dir()
