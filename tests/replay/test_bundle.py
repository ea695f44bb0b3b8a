"""A bundle has what the log has, byte for byte, and whoever reads it can prove it without us."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.provisioning import Database
from domain.events import EVENTS
from projections.tables import TABLES
from replay.bundle import Bundle, opened
from replay.bundle_writing import schemas, write
from replay.compare import compare
from replay.reader import Database as Log
from replay.reader import opened as opened_log
from replay.sources import Reach, Stored
from replay.verify import verified
from tests.support.ledger import make_ledgers, make_tenant, new_id, submission
from tests.support.mixed import Mixed
from tests.support.owner import superuser
from tests.support.toys import Register

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def log(firm: Mixed) -> Iterator[Log]:
    """The log of the small firm, in one snapshot."""
    with opened_log(firm.house.database.auditor, firm.tenant) as source:
        yield source


def made(log: Log, file: Path, reach: Reach | None = None, *, rows: bool = True) -> Path:
    with file.open("wb") as sink:
        write(log, sink, reach or log.reach, NOW, rows=rows)
    return file


def every(source: Log | Bundle) -> list[Stored]:
    return [stored for page in source.events() for stored in page]


@pytest.fixture
def large_batch(database: Database) -> Iterator[Log]:
    """A log whose twelve events came in few appends."""
    tenant = make_tenant(database)
    ledgers = make_ledgers(database)
    waiting = [ledgers.submit(submission(tenant, Register(person=new_id()))) for _ in range(12)]
    for one in waiting:
        one.result()
    ledgers.close()
    with opened_log(database.auditor, tenant) as source:
        yield source


@pytest.fixture
def whole(log: Log, tmp_path: Path) -> Iterator[Bundle]:
    with opened(made(log, tmp_path / "whole.bundle")) as bundle:
        yield bundle


def test_a_bundle_of_the_whole_log_is_the_log(log: Log, whole: Bundle) -> None:
    assert every(whole) == every(log)
    assert list(whole.batches()) == list(log.batches())
    assert (whole.tenant, whole.head, whole.reach) == (log.tenant, log.head, log.reach)
    assert verified(whole).findings == ()


def test_the_rows_of_a_bundle_are_compared_with_its_events_where_no_database_is(
    log: Log, whole: Bundle
) -> None:
    differences, compared = compare(whole)
    assert differences == []
    assert compared.rows == compare(log)[1].rows
    assert whole.models() == log.models()
    for table in TABLES.values():
        assert list(whole.owned(table)) == list(log.owned(table)), table.name


def test_a_row_that_was_wrong_when_it_was_handed_out_is_named(firm: Mixed, tmp_path: Path) -> None:
    database, tenant = firm.house.database, firm.tenant
    with superuser(database) as conn:
        changing = "UPDATE grants SET number = number || %s WHERE tenant_id = %s AND number = %s"
        number = conn.execute(
            "SELECT min(number) FROM grants WHERE tenant_id = %s", (tenant,)
        ).fetchone()
        assert number is not None
        conn.execute(changing, ("x", tenant, number[0]))
        try:
            with opened_log(database.auditor, tenant) as log:
                file = made(log, tmp_path / "wrong.bundle")
        finally:
            undoing = "UPDATE grants SET number = %s WHERE tenant_id = %s AND number = %s"
            conn.execute(undoing, (number[0], tenant, f"{number[0]}x"))
    with opened(file) as bundle:
        [found] = compare(bundle)[0]
    assert (found.table, found.column, found.folded) == ("grants", "number", number[0])


@pytest.mark.parametrize("cut", [(1, 40), (17, 63), (30, 30)])
def test_a_period_is_proved_to_belong_to_the_log_wherever_it_is_cut(
    log: Log, tmp_path: Path, cut: tuple[int, int]
) -> None:
    with opened(made(log, tmp_path / "period", Reach(*cut))) as bundle:
        positions = [stored.position for stored in every(bundle)]
        assert positions == list(range(cut[0], cut[1] + 1))
        assert verified(bundle).findings == ()
        assert verified(log, bundle).findings == ()
        assert bundle.models() == {}


def test_a_period_that_cuts_a_batch_carries_the_paths_of_its_part(
    large_batch: Log, tmp_path: Path
) -> None:
    file = made(large_batch, tmp_path / "period", Reach(3, 9))
    with opened(file) as bundle:
        assert all(bundle.proof(position) for position in range(3, 10))
        assert verified(bundle).findings == ()
        again = tmp_path / "again"
        with again.open("wb") as sink:
            write(bundle, sink, Reach(4, 8), NOW)
    with opened(again) as smaller:
        assert verified(smaller).findings == ()


def test_chosen_records_come_with_proofs_and_nothing_else(log: Log, tmp_path: Path) -> None:
    streams = sorted({stored.stream_id for stored in every(log)})[3:7]
    reach = Reach(1, log.head.position, frozenset(streams))
    with opened(made(log, tmp_path / "chosen", reach)) as bundle:
        assert {stored.stream_id for stored in every(bundle)} == set(streams)
        assert list(bundle.batches()) == list(log.batches())
        assert verified(bundle).findings == ()
        for stream in streams:
            assert bundle.stream(stream) == log.stream(stream)


def test_a_forged_event_in_a_bundle_made_to_look_whole_is_named(log: Log, tmp_path: Path) -> None:
    """Whoever makes the sums anew passes the archive, and fails at the hashes of the log."""
    stream = next(one for one in every(log) if one.type == "grant.requested.1").stream_id
    forged = log.stream(stream)[0].position
    for number, reach in enumerate((log.reach, Reach(1, log.reach.last, frozenset({stream})))):
        file = tmp_path / f"forged-{number}"
        with file.open("wb") as sink:
            write(_Forging(log, forged), sink, reach, NOW)  # pyright: ignore[reportArgumentType]
        with opened(file) as bundle:
            assert "log.hash" in {one.code for one in verified(bundle).findings}


class _Forging:
    """A log in which one event says something else."""

    def __init__(self, log: Log, position: int) -> None:
        self._log = log
        self._position = position

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def events(self, *asked: Any) -> Iterator[list[Stored]]:
        for page in self._log.events(*asked):
            yield [
                one._replace(data=one.data + b" ") if one.position == self._position else one
                for one in page
            ]


def test_no_sealed_text_and_no_key_is_in_a_bundle(firm: Mixed, log: Log, tmp_path: Path) -> None:
    """What people wrote in clear, and what keeps it closed, is nowhere in the file."""
    file = made(log, tmp_path / "whole")
    with zipfile.ZipFile(file) as archive:
        unpacked = b"".join(archive.read(name) for name in archive.namelist())
    assert b'"box":' in unpacked, "there are sealed texts to look for"
    with superuser(firm.house.database) as conn:
        hashes = conn.execute("SELECT keyed_hash, encode(keyed_hash, 'hex') FROM claims").fetchall()
    assert hashes
    for raw, text in hashes:
        assert raw not in unpacked
        assert text.encode() not in unpacked
    assert b"fingerprint" not in unpacked
    assert firm.house.database.auditor.encode() not in unpacked


def test_a_bundle_explains_every_type_of_event_in_it(log: Log, tmp_path: Path) -> None:
    file = made(log, tmp_path / "whole")
    with zipfile.ZipFile(file) as archive:
        known = json.loads(archive.read("schemas.json"))
        types = json.loads(archive.read("manifest.json"))["types"]
    assert set(known["events"]) == set(types) == {one.type for one in every(log)}
    for schema in known["events"].values():
        assert schema["$ref"].removeprefix("#/$defs/") in known["$defs"]


def test_every_event_there_is_has_a_schema() -> None:
    known = json.loads(schemas(list(EVENTS)))
    assert set(known["events"]) == set(EVENTS)


def test_bytes_that_are_no_json_are_handed_out_as_they_lie(firm: Mixed, tmp_path: Path) -> None:
    odd = b'{"a":1}\n\t\r\x00\xff not json'
    database, tenant = firm.house.database, firm.tenant
    with superuser(database) as conn:
        kept = conn.execute(
            "SELECT data FROM events WHERE tenant_id = %s AND position = 9", (tenant,)
        ).fetchone()
        assert kept is not None
        changing = "UPDATE events SET data = %s WHERE tenant_id = %s AND position = 9"
        conn.execute(changing, (odd, tenant))
        try:
            with opened_log(database.auditor, tenant) as log:
                file = made(log, tmp_path / "odd", Reach(1, 20))
        finally:
            conn.execute(changing, (kept[0], tenant))
    with opened(file) as bundle:
        assert every(bundle)[8].data == odd
        assert {one.code for one in verified(bundle).findings} >= {"log.hash", "event.undecodable"}


def test_the_same_log_gives_the_same_bundle(log: Log, tmp_path: Path) -> None:
    one, two = made(log, tmp_path / "one"), made(log, tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()


# --- read by an outsider --------------------------------------------------------------------------


def test_an_outsider_proves_a_bundle_by_the_document_alone(log: Log, tmp_path: Path) -> None:
    """As docs/bundle.md says it, with nothing of ours: ZIP, JSON, SHA-256."""
    file = made(log, tmp_path / "whole")
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        told = archive.read("manifest.sha256").decode().strip()
        assert hashlib.sha256(archive.read("manifest.json")).hexdigest() == told
        for part in manifest["parts"]:
            assert hashlib.sha256(archive.read(part["name"])).hexdigest() == part["sha256"]
        names = archive.namelist()
        events = [
            _outsiders_event(line)
            for name in names
            if name.startswith("events/")
            for line in archive.read(name).split(b"\n")[:-1]
        ]
        batches = [
            json.loads(line)
            for name in names
            if name.startswith("batches/")
            for line in archive.read(name).split(b"\n")[:-1]
        ]
    tenant = bytes.fromhex(manifest["tenant"]["id"].replace("-", ""))
    leaves = {one["position"]: _outsiders_leaf(tenant, one, data) for one, data in events}
    chain = bytes(32)
    for batch in batches:
        places = range(batch["first"], batch["first"] + batch["count"])
        root = _outsiders_root([leaves[place] for place in places])
        assert root.hex() == batch["root"]
        chain = hashlib.sha256(chain + root + _outsiders_instant(batch["recorded_at"])).digest()
        assert chain.hex() == batch["chain"]
    assert chain.hex() == manifest["head"]["chain"]


def _outsiders_event(line: bytes) -> tuple[dict[str, Any], bytes]:
    head, _, data = line.partition(b"\t")
    one = json.loads(head)
    assert len(data) == one["length"]
    return one, data


def _outsiders_instant(text: str) -> bytes:
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    return struct.pack(">q", micros)


def _outsiders_leaf(tenant: bytes, one: dict[str, Any], data: bytes) -> bytes:
    behalf, cause = one.get("on_behalf_of"), one.get("causation")
    columns: list[bytes | None] = [
        tenant,
        struct.pack(">q", one["position"]),
        bytes.fromhex(one["stream"].replace("-", "")),
        struct.pack(">i", one["version"]),
        one["type"].encode(),
        _outsiders_instant(one["recorded_at"]),
        one["actor"].encode(),
        None if behalf is None else behalf.encode(),
        bytes.fromhex(one["command"].replace("-", "")),
        None if cause is None else struct.pack(">q", cause),
        data,
    ]
    told = b"".join(
        b"\xff\xff\xff\xff" if column is None else struct.pack(">i", len(column)) + column
        for column in columns
    )
    return hashlib.sha256(b"\x00" + told).digest()


def _outsiders_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written there: split at the largest power of two."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = _outsiders_root(leaves[:split]), _outsiders_root(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()
