"""A change behind the ledger's back is found and named, done as whoever owns the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from api.provisioning import Database
from replay.verify import Verdict, verify
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
