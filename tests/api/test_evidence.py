"""Evidence files: any size flat in memory, and every way of changing one is found out."""

import hashlib
import os
import shutil
import stat
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.evidence import (
    CHUNK_BYTES,
    EVIDENCE_LIMIT_BYTES,
    PARTIAL_LIFE_SECONDS,
    EvidenceStore,
)
from domain.errors import Refused
from tests.support.evidence import Keys, files, pdf, put, read
from tests.support.keys import code_of, fresh_id

SEALED_CHUNK = CHUNK_BYTES + 16
HEAD = len(b"CSEVID\x01") + 16 + 32 + 7 + 1 + len("application/pdf")


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


@pytest.fixture
def store(folder: Path, keys: Keys) -> EvidenceStore:
    return EvidenceStore(folder, keys)


@pytest.mark.parametrize("piece", [7000, CHUNK_BYTES, 10 * CHUNK_BYTES])
@pytest.mark.parametrize(
    "size",
    [5, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 100],
)
def test_a_file_comes_back_as_it_was_however_it_was_cut_into_pieces(store, folder, size, piece):
    tenant, subject, content = fresh_id(), fresh_id(), pdf(size)
    pieces = [content[at : at + piece] for at in range(0, size, piece)]
    stored = store.put(tenant, subject, pieces, "application/pdf")
    assert read(store, tenant, subject, stored.id) == content
    assert (stored.size, stored.media_type) == (size, "application/pdf")
    assert store.find(tenant, subject, stored.id) == stored
    assert store.exists(tenant, subject, stored.id)
    chunks = -(-size // CHUNK_BYTES)  # the last one is never empty
    assert (folder / tenant / subject / stored.id).stat().st_size == HEAD + size + 16 * chunks


def test_a_file_is_named_by_the_hash_of_what_is_stored_and_holds_nothing_clear(store, folder):
    tenant, subject, content = fresh_id(), fresh_id(), pdf(3 * CHUNK_BYTES)
    stored = put(store, content, tenant, subject)
    (path,) = files(folder)
    data = path.read_bytes()
    assert path == folder / tenant / subject / stored.id
    assert hashlib.sha256(data).hexdigest() == stored.id == stored.hash
    assert not [at for at in range(0, len(content) - 16, 997) if content[at : at + 16] in data]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    above = [path.parent, path.parent.parent, folder]
    assert {stat.S_IMODE(one.stat().st_mode) for one in above} == {0o700}


def test_the_same_content_twice_is_two_files_that_nobody_can_tell_to_be_the_same(store, folder):
    tenant, subject, content = fresh_id(), fresh_id(), pdf(1000)
    one, other = (put(store, content, tenant, subject) for _ in range(2))
    assert one.id != other.id
    first, second = (path.read_bytes() for path in files(folder))
    runs = {first[at : at + 8] for at in range(HEAD, len(first) - 8)}
    assert not [at for at in range(HEAD, len(second) - 8) if second[at : at + 8] in runs]


Change = Callable[[bytearray], object]


def _cut_chunks(count: int) -> Change:
    def cut(data: bytearray) -> None:
        del data[HEAD + count * SEALED_CHUNK :]

    return cut


def _cut_bytes(count: int) -> Change:
    def cut(data: bytearray) -> None:
        del data[-count:]

    return cut


def _flip(at: int) -> Change:
    def flip(data: bytearray) -> None:
        data[at] ^= 1

    return flip


def _swap_first_chunks(data: bytearray) -> None:
    one, two, three = HEAD, HEAD + SEALED_CHUNK, HEAD + 2 * SEALED_CHUNK
    data[one:three] = data[two:three] + data[one:two]


def _repeat_first_chunk(data: bytearray) -> None:
    data[HEAD:HEAD] = data[HEAD : HEAD + SEALED_CHUNK]


def _drop_first_chunk(data: bytearray) -> None:
    del data[HEAD : HEAD + SEALED_CHUNK]


def _call_it_text(data: bytearray) -> None:
    at = HEAD - len("application/pdf")
    data[at - 1 : HEAD] = b"\x0atext/plain"


def _name_that_is_not_ascii(data: bytearray) -> None:
    data[HEAD - 1] = 0xFF


CHANGES = [
    pytest.param(_cut_chunks(0), id="no chunk left"),
    pytest.param(_cut_chunks(1), id="cut after the first chunk"),
    pytest.param(_cut_chunks(3), id="last chunk cut off"),
    pytest.param(_cut_bytes(1), id="one byte cut off"),
    pytest.param(_cut_bytes(110), id="last tag cut into"),
    pytest.param(lambda data: data.append(0), id="one byte more"),
    pytest.param(lambda data: data.extend(bytes(SEALED_CHUNK)), id="one chunk more"),
    pytest.param(_swap_first_chunks, id="chunks exchanged"),
    pytest.param(_repeat_first_chunk, id="chunk repeated"),
    pytest.param(_drop_first_chunk, id="chunk left out"),
    pytest.param(_flip(0), id="magic"),
    pytest.param(_flip(6), id="version"),
    pytest.param(_flip(7), id="key id"),
    pytest.param(_flip(23), id="salt"),
    pytest.param(_flip(55), id="nonce prefix"),
    pytest.param(_call_it_text, id="media type"),
    pytest.param(_name_that_is_not_ascii, id="media type not ascii"),
    pytest.param(lambda data: data.clear(), id="empty"),
    pytest.param(lambda data: data.__delitem__(slice(40, None)), id="cut within the header"),
    pytest.param(_flip(HEAD), id="first chunk"),
    pytest.param(_flip(HEAD + SEALED_CHUNK + 100), id="second chunk"),
    pytest.param(_flip(-1), id="last tag"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_refused_before_a_byte_of_it_comes_out(store, folder, change):
    tenant, subject = fresh_id(), fresh_id()
    stored = put(store, pdf(3 * CHUNK_BYTES + 100), tenant, subject)
    (path,) = files(folder)
    data = bytearray(path.read_bytes())
    assert data[:HEAD].endswith(b"application/pdf")
    change(data)
    path.write_bytes(data)
    assert code_of(store.open, tenant, subject, stored.id) == "sealed.forged"


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_under_the_name_of_its_new_hash_never_opens_to_the_end(
    store, folder, change
):
    """The hash is no secret; here the chunks themselves have to hold."""
    tenant, subject, content = fresh_id(), fresh_id(), pdf(3 * CHUNK_BYTES + 100)
    put(store, content, tenant, subject)
    (path,) = files(folder)
    data = bytearray(path.read_bytes())
    change(data)
    name = hashlib.sha256(data).hexdigest()
    path.with_name(name).write_bytes(data)
    came_out: list[bytes] = []
    assert code_of(lambda: came_out.extend(store.open(tenant, subject, name))) == "sealed.forged"
    assert content.startswith(b"".join(came_out)), "what came out before was true"


def test_chunks_of_another_file_of_the_same_subject_do_not_fit(store, folder):
    tenant, subject = fresh_id(), fresh_id()
    one, other = (put(store, pdf(2 * CHUNK_BYTES), tenant, subject) for _ in range(2))
    data = bytearray((folder / tenant / subject / one.id).read_bytes())
    data[HEAD : HEAD + SEALED_CHUNK] = (folder / tenant / subject / other.id).read_bytes()[
        HEAD : HEAD + SEALED_CHUNK
    ]
    name = hashlib.sha256(data).hexdigest()
    (folder / tenant / subject / name).write_bytes(data)
    assert code_of(read, store, tenant, subject, name) == "sealed.forged"


def test_a_file_in_the_place_of_another_of_the_same_subject_is_refused(store, folder):
    tenant, subject = fresh_id(), fresh_id()
    one, other = (put(store, pdf(size), tenant, subject) for size in (100, 200))
    shutil.copy(folder / tenant / subject / other.id, folder / tenant / subject / one.id)
    assert code_of(store.open, tenant, subject, one.id) == "sealed.forged"


def test_another_tenants_file_and_another_subjects_file_are_unknown(store):
    tenant, subject, other = fresh_id(), fresh_id(), fresh_id()
    stored = put(store, pdf(100), tenant, subject)
    for who in ((other, subject), (tenant, other)):
        assert code_of(store.open, *who, stored.id) == "evidence.unknown"
        assert code_of(store.find, *who, stored.id) == "evidence.unknown"
        assert not store.exists(*who, stored.id)


@pytest.mark.parametrize("moved", ["tenant", "subject"])
def test_a_file_copied_to_another_tenant_or_subject_is_refused(store, folder, keys, moved):
    """Even where the other one should, by whatever accident, have the very same key."""
    tenant, subject, other = fresh_id(), fresh_id(), fresh_id()
    stored = put(store, pdf(100), tenant, subject)
    there = (other, subject) if moved == "tenant" else (tenant, other)
    put(store, pdf(100), *there)
    shutil.copy(folder / tenant / subject / stored.id, folder / there[0] / there[1] / stored.id)
    assert code_of(read, store, *there, stored.id) == "sealed.forged"
    keys.keys[there] = keys.keys[tenant, subject]
    assert code_of(read, store, *there, stored.id) == "sealed.forged"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "x" * 64, "A" * 64, "0" * 63, "0" * 64 + "\n", "0" * 64]
)
def test_a_name_that_is_no_id_never_becomes_a_path(store, folder, name):
    tenant, subject = fresh_id(), fresh_id()
    put(store, pdf(100), tenant, subject)
    assert code_of(store.open, tenant, subject, name) == "evidence.unknown"
    assert not store.exists(tenant, subject, name)
    for who in ((name, subject), (tenant, name)):
        assert code_of(store.open, *who, "0" * 64) == "evidence.unknown"
        assert code_of(put, store, pdf(9), *who) == "evidence.unknown"
    assert len(files(folder)) == 1


def test_the_largest_file_is_taken_and_one_byte_more_is_refused(folder, keys):
    store, tenant, subject = EvidenceStore(folder, keys, limit_bytes=1000), fresh_id(), fresh_id()
    assert put(store, pdf(1000), tenant, subject).size == 1000
    with pytest.raises(Refused) as caught:
        put(store, pdf(1001), tenant, subject)
    assert (caught.value.code, caught.value.params) == (
        "evidence.too_large",
        {"limit_bytes": 1000},
    )
    assert len(files(folder)) == 1


def test_a_file_without_end_is_refused_at_the_limit(folder, keys):
    store, taken = EvidenceStore(folder, keys, limit_bytes=10 * CHUNK_BYTES), [0]

    def endless() -> Iterator[bytes]:
        yield b"%PDF-"
        while True:
            taken[0] += 1
            yield bytes(CHUNK_BYTES)

    put_endless = (store.put, fresh_id(), fresh_id(), endless(), "application/pdf")
    assert code_of(*put_endless) == "evidence.too_large"
    assert taken[0] == 10
    assert files(folder) == []


def test_an_empty_file_is_no_evidence(store, folder):
    for pieces in ([], [b""]):
        put_nothing = (store.put, fresh_id(), fresh_id(), pieces, "text/plain")
        assert code_of(*put_nothing) == "evidence.empty"
    assert files(folder) == []


@pytest.mark.parametrize("padding", [0, 3 * CHUNK_BYTES])
def test_a_file_of_another_kind_than_was_said_leaves_nothing(store, folder, padding):
    for content in (b"MZ" + bytes(padding), b"<svg>" + b" " * padding):
        put_it = (store.put, fresh_id(), fresh_id(), [content], "application/pdf")
        assert code_of(*put_it) == "evidence.type_not_allowed"
    late = [b"x" * CHUNK_BYTES, b"y" * padding, b"\xff"]
    put_it = (store.put, fresh_id(), fresh_id(), late, "text/plain")
    assert code_of(*put_it) == "evidence.type_not_allowed"
    assert files(folder) == []


def test_an_upload_that_is_broken_off_leaves_nothing(store, folder):
    def broken() -> Iterator[bytes]:
        yield pdf(3 * CHUNK_BYTES)
        assert len(files(folder)) == 1, "it has begun"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.put(fresh_id(), fresh_id(), broken(), "application/pdf")
    assert files(folder) == []


def test_a_door_may_hand_in_the_pieces_itself(store):
    tenant, subject, content = fresh_id(), fresh_id(), pdf(CHUNK_BYTES + 9)
    with store.upload(tenant, subject, "application/pdf") as upload:
        for at in range(0, len(content), 1000):
            upload.write(content[at : at + 1000])
        stored = upload.finish()
    assert read(store, tenant, subject, stored.id) == content


def test_what_a_crash_left_half_written_is_removed_after_a_day_and_not_before(store, folder, keys):
    """The crash is between the last write and the rename; the file has no name to be found by."""
    tenant, subject = fresh_id(), fresh_id()
    kept = put(store, pdf(100), tenant, subject)
    dead = store.upload(tenant, subject, "application/pdf")
    dead.write(pdf(3 * CHUNK_BYTES))
    dead.__dict__["_file"].close()
    (partial,) = (folder / ".partial").iterdir()
    EvidenceStore(folder, keys)
    assert partial.exists(), "another process may just be writing it"
    day_ago = time.time() - PARTIAL_LIFE_SECONDS - 60
    os.utime(partial, (day_ago, day_ago))
    os.utime(folder / tenant / subject / kept.id, (day_ago, day_ago))
    EvidenceStore(folder, keys)
    assert not partial.exists()
    assert store.exists(tenant, subject, kept.id)


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_the_answer(
    store, monkeypatch
):
    """What is done in which order; losing power in between is what this is for."""
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("sync folder" if folder else "sync file")
        fsync(descriptor)

    def noted_rename(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    tenant, subject = fresh_id(), fresh_id()
    put(store, pdf(100), tenant, subject)  # makes the folders
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    put(store, pdf(CHUNK_BYTES * 3), tenant, subject)
    assert done == ["sync file", "rename", "sync folder"]


def test_a_file_of_fifty_megabytes_goes_in_and_out_in_little_memory(store):
    tenant, subject, size = fresh_id(), fresh_id(), 50_000_000

    def content() -> Iterator[bytes]:
        yield b"%PDF-1.7\n"
        left = size - 9
        while left:
            piece = os.urandom(min(left, 100_000))
            left -= len(piece)
            yield piece

    tracemalloc.start()
    try:
        stored = store.put(tenant, subject, content(), "application/pdf")
        _, peak_in = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        came_out = sum(len(chunk) for chunk in store.open(tenant, subject, stored.id))
        _, peak_out = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stored.size == came_out == size
    assert size < EVIDENCE_LIMIT_BYTES
    assert max(peak_in, peak_out) < 2_000_000, (peak_in, peak_out)


def test_a_file_goes_with_the_key_of_its_subject(folder, key_store):
    store, tenant, subject, other = (EvidenceStore(folder, key_store), *(fresh_id() for _ in "123"))
    mine, others = (put(store, pdf(100), tenant, who) for who in (subject, other))
    assert read(store, tenant, subject, mine.id) == pdf(100)
    key_store.destroy(tenant, subject)
    assert code_of(store.open, tenant, subject, mine.id) == "sealed.key_gone"
    assert code_of(store.find, tenant, subject, mine.id) == "sealed.key_gone"
    assert code_of(put, store, pdf(100), tenant, subject) == "subject.erased"
    assert read(store, tenant, other, others.id) == pdf(100)
