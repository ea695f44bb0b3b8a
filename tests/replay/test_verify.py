"""A change behind the ledger's back is found and named, done as whoever owns the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from api.provisioning import Database
from replay.bundle import opened as opened_bundle
from replay.bundle_writing import write
from replay.reader import opened
from replay.sources import Reach
from replay.verify import Verdict, verified, verify
from tests.support.ledger import make_ledgers, make_tenant, new_id, say, submission
from tests.support.owner import superuser
from tests.support.toys import Link, Register

Tamper = Callable[[str, tuple[object, ...]], None]


@pytest.fixture
def tenant(database: Database) -> str:
    """Twelve events: ten one a batch, then two in one batch."""
    tenant = make_tenant(database)
    ledgers = make_ledgers(database)
    person = new_id()
    say(ledgers, tenant, Register(person=person))
    for number in range(9):
        say(ledgers, tenant, Link(person=person, account=f"a{number}"))
    both = [ledgers.submit(submission(tenant, Register(person=new_id()))) for _ in range(2)]
    for future in both:
        future.result()
    ledgers.close()
    return tenant


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with superuser(database) as conn:
        yield conn


def codes(verdict: Verdict) -> dict[str, list[int | None]]:
    found: dict[str, list[int | None]] = {}
    for finding in verdict.findings:
        found.setdefault(finding.code, []).append(finding.position)
    return found


def test_an_untouched_log_is_whole(database: Database, tenant: str) -> None:
    verdict = verify(database.auditor, tenant)
    assert verdict.findings == ()
    assert (verdict.events, verdict.position) == (12, 12)


def test_a_flipped_letter_that_still_decodes_is_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    changed = owner.execute(
        "UPDATE events SET data = convert_to(replace(convert_from(data, 'UTF8'),"
        ' \'"account":"a3"\', \'"account":"b3"\'), \'UTF8\') WHERE tenant_id = %s AND position = 5',
        (tenant,),
    )
    assert changed.rowcount == 1
    assert codes(verify(database.auditor, tenant)) == {"log.hash": [5]}


def test_a_flipped_letter_that_does_not_decode_is_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    owner.execute(
        "UPDATE events SET data = set_byte(data, 0, 91) WHERE tenant_id = %s AND position = 5",
        (tenant,),
    )
    found = codes(verify(database.auditor, tenant))
    assert found == {"log.hash": [5], "event.undecodable": [5]}


def test_a_removed_event_is_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    owner.execute("DELETE FROM events WHERE tenant_id = %s AND position = 6", (tenant,))
    found = codes(verify(database.auditor, tenant))
    assert found["log.position_missing"] == [6]
    assert found["stream.version"] == [7]


def test_a_removed_last_event_is_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    owner.execute("DELETE FROM events WHERE tenant_id = %s AND position = 12", (tenant,))
    assert codes(verify(database.auditor, tenant))["log.position_missing"] == [12]


def test_a_cut_tail_is_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    owner.execute("DELETE FROM events WHERE tenant_id = %s AND position > 10", (tenant,))
    owner.execute("DELETE FROM batches WHERE tenant_id = %s AND first_position > 10", (tenant,))
    assert codes(verify(database.auditor, tenant)) == {"log.head": [12]}


def test_exchanged_events_are_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    for old, new in ((4, -1), (5, 4), (-1, 5)):
        owner.execute(
            "UPDATE events SET position = %s WHERE tenant_id = %s AND position = %s",
            (new, tenant, old),
        )
    assert codes(verify(database.auditor, tenant))["log.hash"] == [4, 5]


def test_events_exchanged_inside_one_batch_are_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    for old, new in ((11, -1), (12, 11), (-1, 12)):
        owner.execute(
            "UPDATE events SET position = %s WHERE tenant_id = %s AND position = %s",
            (new, tenant, old),
        )
    assert set(codes(verify(database.auditor, tenant))["log.hash"]) <= {11, 12}
    assert codes(verify(database.auditor, tenant))["log.hash"]


def test_a_forged_time_of_an_event_is_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    owner.execute(
        "UPDATE events SET recorded_at = recorded_at - interval '1 day'"
        " WHERE tenant_id = %s AND position = 7",
        (tenant,),
    )
    assert codes(verify(database.auditor, tenant)) == {"log.time": [7], "log.hash": [7]}


def test_a_forged_time_of_a_whole_batch_is_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    for table, column in (("events", "position"), ("batches", "first_position")):
        owner.execute(
            (
                f"UPDATE {table} SET recorded_at = recorded_at - interval '1 day'"
                f" WHERE tenant_id = %s AND {column} = 7"
            ).encode(),
            (tenant,),
        )
    found = codes(verify(database.auditor, tenant))
    assert found["log.chain"] == [7]
    assert found["log.time"] == [7]


def test_a_forged_position_beyond_the_head_is_named(
    database: Database, tenant: str, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    owner.execute(
        "INSERT INTO events SELECT tenant_id, 13, stream_id, 99, type, recorded_at, actor,"
        " on_behalf_of, command_id, causation, data FROM events"
        " WHERE tenant_id = %s AND position = 12",
        (tenant,),
    )
    assert codes(verify(database.auditor, tenant))["log.position_extra"] == [13]


NOW = datetime(2026, 6, 1, tzinfo=UTC)


def handed_out(database: Database, tenant: str, file: Path, last: int | None = None) -> Path:
    """A bundle of the log as it is, up to a position."""
    with opened(database.auditor, tenant) as source, file.open("wb") as sink:
        write(source, sink, Reach(1, last or source.head.position), NOW)
    return file


def against(database: Database, tenant: str, earlier: Path) -> dict[str, list[int | None]]:
    with opened(database.auditor, tenant) as source, opened_bundle(earlier) as bundle:
        return codes(verified(source, bundle))


def changed(owner: psycopg.Connection[tuple[object, ...]], statement: str, tenant: str) -> None:
    found = owner.execute(statement.encode(), (tenant,))
    assert found.rowcount > 0, statement


Owner = psycopg.Connection[tuple[object, ...]]
WHERE = "WHERE tenant_id = %s AND"
FLIPPED = "set_byte({0}, 3, get_byte({0}, 3) # 1)"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            f"UPDATE events SET position = 99 {WHERE} position = 6",
            {
                "log.position_missing": [6],
                "log.hash": [6],
                "log.position_extra": [99],
            },
        ),
        (
            f"UPDATE events SET version = 99 {WHERE} position = 6",
            {"log.hash": [6], "stream.version": [7, 6]},
        ),
        (
            f"UPDATE events SET type = 'person.account_unlinked.1' {WHERE} position = 6",
            {"log.hash": [6], "event.undecodable": [6]},
        ),
        (
            f"UPDATE events SET type = 'person.forgotten.1' {WHERE} position = 6",
            {"log.hash": [6], "event.unknown": [6]},
        ),
        (
            f"UPDATE events SET type = 'planet.registered.1' {WHERE} position = 6",
            {"log.hash": [6], "event.unknown": [6]},
        ),
        (
            f"UPDATE events SET actor = 'staff:somebody' {WHERE} position = 6",
            {"log.hash": [6], "event.actor": [6]},
        ),
        (
            f"UPDATE events SET on_behalf_of = 'staff:boss' {WHERE} position = 6",
            {"log.hash": [6], "event.actor": [6]},
        ),
        (
            f"UPDATE events SET command_id = gen_random_uuid() {WHERE} position = 6",
            {"log.hash": [6]},
        ),
        (f"UPDATE events SET causation = 3 {WHERE} position = 6", {"log.hash": [6]}),
        (
            f"UPDATE batches SET root = {FLIPPED.format('root')} {WHERE} first_position = 6",
            {"log.hash": [6], "log.chain": [6]},
        ),
        (
            f"UPDATE batches SET chain = {FLIPPED.format('chain')} {WHERE} first_position = 6",
            {"log.chain": [6, 7]},
        ),
        (
            f"UPDATE batches SET count = 2 {WHERE} first_position = 6",
            {
                "log.hash": [6, 7],
                "log.time": [7],
                "log.count": [7],
                "log.position_missing": [7],
            },
        ),
        (
            f"DELETE FROM batches {WHERE} first_position = 6",
            {"log.position_missing": [6], "log.position_extra": [6], "log.chain": [7]},
        ),
        (
            f"UPDATE ledgers SET position = 13 {WHERE} true",
            {"log.head": [13]},
        ),
        (
            f"UPDATE ledgers SET chain = {FLIPPED.format('chain')} {WHERE} true",
            {"log.head": [12]},
        ),
        (
            f"UPDATE ledgers SET recorded_at = recorded_at + interval '1 day' {WHERE} true",
            {"log.head": [12]},
        ),
    ],
)
def test_a_planted_fault_is_named_with_its_place(
    database: Database, tenant: str, owner: Owner, statement: str, found: dict[str, list[int]]
) -> None:
    changed(owner, statement, tenant)
    assert codes(verify(database.auditor, tenant)) == found


def test_an_event_put_into_another_kind_of_stream_is_named(
    database: Database, tenant: str, owner: Owner
) -> None:
    changed(owner, f"UPDATE events SET type = 'staff.deactivated.1' {WHERE} position = 6", tenant)
    assert codes(verify(database.auditor, tenant))["stream.kind"] == [6]


def test_a_tail_cut_with_its_head_is_found_against_what_was_handed_out(
    database: Database, tenant: str, owner: Owner, tmp_path: Path
) -> None:
    earlier = handed_out(database, tenant, tmp_path / "earlier")
    assert against(database, tenant, earlier) == {}
    changed(owner, f"DELETE FROM events {WHERE} position > 9", tenant)
    changed(owner, f"DELETE FROM batches {WHERE} first_position > 9", tenant)
    changed(
        owner,
        "UPDATE ledgers l SET position = 9, chain = b.chain, recorded_at = b.recorded_at"
        " FROM batches b WHERE b.tenant_id = l.tenant_id AND b.first_position = 9"
        " AND l.tenant_id = %s",
        tenant,
    )
    assert verify(database.auditor, tenant).findings == (), "alone it looks whole"
    assert against(database, tenant, earlier) == {"log.cut": [10]}


def test_a_log_that_goes_on_agrees_with_what_was_handed_out_of_its_beginning(
    database: Database, tenant: str, tmp_path: Path
) -> None:
    earlier = handed_out(database, tenant, tmp_path / "earlier", last=7)
    assert against(database, tenant, earlier) == {}


def test_a_log_written_anew_is_found_where_it_parts_from_what_was_handed_out(
    database: Database, tenant: str, owner: Owner, tmp_path: Path
) -> None:
    earlier = handed_out(database, tenant, tmp_path / "earlier")
    changed(
        owner,
        f"UPDATE batches SET root = {FLIPPED.format('root')} {WHERE} first_position = 8",
        tenant,
    )
    assert against(database, tenant, earlier)["log.rewritten"] == [8]


def test_the_bundle_of_another_tenant_proves_nothing(
    database: Database, tenant: str, tmp_path: Path
) -> None:
    earlier = handed_out(database, tenant, tmp_path / "earlier")
    other = make_tenant(database)
    with opened(database.auditor, other) as source, opened_bundle(earlier) as bundle:
        assert codes(verified(source, bundle)) == {"log.other_tenant": [None]}


def test_an_unknown_tenant_is_told(database: Database) -> None:
    with pytest.raises(LookupError):
        verify(database.auditor, new_id())
