"""A bundle that is not as it was made is refused with its place, whatever was done to it."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest

from replay.bundle import opened
from replay.bundle_archive import TooLarge, Writing
from replay.bundle_format import MAX_PART_BYTES, Damaged
from replay.bundle_writing import write
from replay.reader import opened as opened_log
from replay.sources import Reach
from replay.verify import verified
from tests.support.mixed import Mixed

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def refusal(data: bytes, folder: Path) -> Damaged:
    file = folder / "given"
    file.write_bytes(data)
    with pytest.raises(Damaged) as refused, opened(file):
        pass
    return refused.value


def zipped(*parts: tuple[str, bytes]) -> bytes:
    """An archive with these parts, its structure as it must be."""
    sink = io.BytesIO()
    archive = Writing(sink)
    for name, data in parts:
        archive.add(name, data)
    archive.close()
    return sink.getvalue()


def sealed(manifest: bytes) -> bytes:
    return zipped(
        ("manifest.json", manifest),
        ("manifest.sha256", f"{hashlib.sha256(manifest).hexdigest()}\n".encode()),
    )


@pytest.fixture(scope="module")
def small(firm: Mixed) -> bytes:
    """A bundle of the first events of the small firm."""
    sink = io.BytesIO()
    with opened_log(firm.house.database.auditor, firm.tenant) as log:
        write(log, sink, Reach(1, 12), NOW)
    return sink.getvalue()


def test_what_is_no_bundle_is_refused(tmp_path: Path, small: bytes) -> None:
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("letter.txt", "hello")
    for data in (b"", b"PK", b"a letter " * 99, bytes(4096), zipped(), zipped(("a.json", b"{}"))):
        assert refusal(data, tmp_path).code == "bundle.not_one"
    assert refusal(other.getvalue(), tmp_path).code == "bundle.structure"
    assert refusal(sealed(b'{"format":"other","version":1}'), tmp_path).code == "bundle.not_one"
    assert refusal(sealed(b"[]"), tmp_path).code == "bundle.manifest"
    assert refusal(sealed(b"{" * 100_000), tmp_path).code == "bundle.manifest"
    newer = b'{"format":"counterseal.bundle","version":2}'
    assert refusal(sealed(newer), tmp_path).code == "bundle.version"


def test_a_bundle_that_was_cut_anywhere_is_refused(tmp_path: Path, small: bytes) -> None:
    for length in [*range(0, len(small), 97), len(small) - 1]:
        assert refusal(small[:length], tmp_path).code in {"bundle.cut", "bundle.not_one"}, length


def test_a_bundle_with_something_before_or_behind_it_is_refused(
    tmp_path: Path, small: bytes
) -> None:
    assert refusal(small + b"\n", tmp_path).code == "bundle.cut"
    assert refusal(small + small, tmp_path).code == "bundle.structure"
    assert refusal(b"#!/bin/sh\n" + small, tmp_path).code == "bundle.structure"


def test_parts_exchanged_left_out_or_doubled_are_refused(tmp_path: Path, small: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(small)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    assert zipped(*parts) == small, "it is written in one way only"
    one, two, *rest = parts
    for others in ([two, one, *rest], [two, *rest], [one, one, two, *rest]):
        assert refusal(zipped(*others), tmp_path).code == "bundle.structure"
    again = [*parts[:2], ("notes.json", b"{}"), *parts[2:]]
    assert refusal(zipped(*again), tmp_path).code == "bundle.structure"


def forged(small: bytes, change: Any) -> bytes:
    """The bundle with lines changed and every sum made anew."""
    with zipfile.ZipFile(io.BytesIO(small)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    sink = io.BytesIO()
    archive_again = Writing(sink)
    manifest = json.loads(dict(parts)["manifest.json"])
    described: list[Any] = []
    for (name, data), before in zip(parts, manifest["parts"], strict=False):
        after = change(name, data)
        part = archive_again.add(name, after, after.count(b"\n") if before["lines"] else 0)
        told = msgspec.to_builtins(part)
        described.append(told | {name: before[name] for name in ("first", "last", "lines")})
    manifest["parts"] = described
    data = json.dumps(manifest).encode()
    archive_again.add("manifest.json", data)
    archive_again.add("manifest.sha256", f"{hashlib.sha256(data).hexdigest()}\n".encode())
    archive_again.close()
    return sink.getvalue()


def test_sums_made_anew_over_the_same_parts_are_no_change(tmp_path: Path, small: bytes) -> None:
    file = tmp_path / "same"
    file.write_bytes(forged(small, lambda _, data: data))
    with opened(file) as bundle:
        assert verified(bundle).findings == ()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda lines: [lines[1], lines[0], *lines[2:]], "bundle.part"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "bundle.part"),
        (lambda lines: lines[1:], "bundle.count"),
        (lambda lines: [b"", *lines[1:]], "bundle.count"),
        (lambda lines: [b"\t", *lines[1:]], "bundle.part"),
        (lambda lines: [b"[" * 5000, *lines[1:]], "bundle.part"),
        (
            lambda lines: [lines[0].replace(b'"position":1', b'"position":0', 1), *lines[1:]],
            "bundle.part",
        ),
        (
            lambda lines: [lines[0].replace(b'"position":1', b'"position":1e99', 1), *lines[1:]],
            "bundle.part",
        ),
        (
            lambda lines: [lines[0].replace(b'"length":', b'"length":9', 1), *lines[1:]],
            "bundle.part",
        ),
        (
            lambda lines: [lines[0].replace(b'"actor":"', b'"actor":"\xff', 1), *lines[1:]],
            "bundle.part",
        ),
        (
            lambda lines: [
                lines[0].replace(b'{"position"', b'{"extra":1,"position"', 1),
                *lines[1:],
            ],
            "bundle.part",
        ),
    ],
)
def test_lines_that_do_not_follow_the_format_are_refused_even_with_sums_made_anew(
    tmp_path: Path, small: bytes, change: Any, code: str
) -> None:
    def changed(name: str, data: bytes) -> bytes:
        if not name.startswith("events/"):
            return data
        return b"".join(one + b"\n" for one in change(data.split(b"\n")[:-1]))

    assert refusal(forged(small, changed), tmp_path).code == code


def test_what_unpacks_to_far_more_than_it_is_is_refused_before_it_is_unpacked(
    tmp_path: Path,
) -> None:
    bomb = zipped(*((f"events/{number:06}.jsonl", bytes(1 << 22)) for number in range(40)))
    assert len(bomb) < 1 << 18
    assert refusal(bomb, tmp_path).code == "bundle.size"


def test_a_part_that_says_it_is_smaller_than_it_is_unpacks_no_further(tmp_path: Path) -> None:
    """The size said stands in header, directory and checksum: only so much is ever unpacked."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(bytes(1 << 26)) + deflate.flush()
    honest = zipped(("schemas.json", b"{}"), ("manifest.json", b"{}"), ("manifest.sha256", b""))
    own = zlib.compressobj(6, zlib.DEFLATED, -15)
    small = own.compress(b"{}") + own.flush()
    lying = honest.replace(small, packed, 1)
    assert refusal(lying, tmp_path).code in {"bundle.structure", "bundle.size"}


def test_a_part_larger_than_any_is_refused(tmp_path: Path) -> None:
    large = zipped(("manifest.json", bytes(MAX_PART_BYTES + 1)))
    assert refusal(large, tmp_path).code == "bundle.size"


def test_an_archive_never_grows_beyond_what_a_zip_file_can_be() -> None:
    archive = Writing(io.BytesIO(), limit=4096)
    archive.add("one.json", b"{}")
    with pytest.raises(TooLarge):
        archive.add("two.json", random.Random(1).randbytes(8192))


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_no_changed_byte_anywhere_goes_unseen(
    tmp_path: Path, small: bytes, rounds: Callable[[int, int], int]
) -> None:
    """Every seventh byte; with --full each one, twice."""
    step = rounds(7, 1)
    file = tmp_path / "changed"
    unseen: list[int] = []
    for place, turn in product(range(0, len(small), step), range(2 if step == 1 else 1)):
        changed = bytearray(small)
        changed[place] ^= 1 << (place // step + 3 * turn) % 8
        file.write_bytes(changed)
        try:
            with opened(file):
                unseen.append(place)
        except Damaged:
            continue
    assert unseen == []
