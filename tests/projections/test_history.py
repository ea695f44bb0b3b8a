"""The read model of history: what a row holds, what it never holds, and what is found."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from msgspec.structs import replace
from psycopg.rows import dict_row

from api.provisioning import Database
from domain.errors import Refused
from domain.events import EVENTS
from domain.events.customer import CustomerGraded, CustomerRegistered
from domain.events.grant import GrantNoted
from domain.ledger import Ledgers
from domain.sealing import Sealed
from domain.values import Evidence, Reason
from projections.history import Place, row, unversioned
from projections.history_asked import asked, filter_of
from projections.history_reading import around, find
from projections.history_words import folded
from projections.runner import Runner
from tests.projections import facts
from tests.projections.conftest import FOLDS
from tests.projections.facts import BY, FACT, START, Record, day
from tests.projections.histories import World
from tests.support.ledger import make_tenant, new_id, say, submission
from tests.support.owner import superuser
from tests.support.samples import full

Conn = psycopg.Connection[Any]
SCOPE = {"territory": ("CN/31",)}
SECRET = "c2VjcmV0"
PLACE = Place(7, new_id(), 1, "customer.graded.1", START, BY.ref, None, new_id(), None)


def found(conn: Conn, tenant: str, question: str = "", **more: Any) -> list[dict[str, Any]]:
    """Everything that a question finds, page by page."""
    wanted = filter_of(conn, tenant, asked(question))
    rows: list[dict[str, Any]] = []
    after: list[Any] | None = None
    while True:
        page = find(conn, tenant, wanted=wanted, after=after, **more)
        rows += page.items
        if page.last is None:
            return rows
        after = page.last


def positions(conn: Conn, tenant: str, question: str = "", **more: Any) -> list[int]:
    return [one["position"] for one in found(conn, tenant, question, **more)]


@pytest.mark.parametrize("name", EVENTS)
def test_nothing_sealed_and_no_id_is_among_the_words_of_any_event(name: str) -> None:
    event = full(EVENTS[name])
    place = PLACE._replace(type=name, actor="staff:x", stream_id=new_id())
    kept = row(place, event, None)
    document = msgspec.json.encode([kept.row, kept.keys]).decode()
    for sealed in sealed_in(event):
        for part in (sealed.subject, sealed.key, sealed.box.decode("latin-1")):
            assert folded(part) not in document
    said = kept.row["said"].splitlines()
    assert all(one == folded(one) for one in said)
    assert new_id()[:8] not in kept.row["said"]
    assert f"t:{unversioned(name)}" in {one["key"] for one in kept.keys}


def sealed_in(value: Any) -> list[Sealed]:
    match value:
        case Sealed():
            return [value]
        case msgspec.Struct():
            return [x for name in value.__struct_fields__ for x in sealed_in(getattr(value, name))]
        case tuple():
            return [x for one in value for x in sealed_in(one)]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return []


def test_words_are_those_of_clear_fields_of_the_reason_and_of_the_evidence() -> None:
    sealed = Sealed(new_id(), new_id(), SECRET.encode())
    event = GrantNoted(
        at=START,
        by=BY,
        label="Old Contract",
        text=sealed,
        reason=Reason("moved_away", sealed),
        evidence=(Evidence("photo", new_id(), "a" * 64, 5, sealed),),
    )
    kept = row(PLACE._replace(type="grant.noted.1"), event, None)
    assert kept.row["said"].splitlines() == ["old contract", "moved_away", "photo"]
    assert kept.row["reason"] == "moved_away"
    keys = {one["key"] for one in kept.keys}
    assert {"w:old", "w:contract", "w:moved", "w:away", "w:photo"} <= keys
    assert SECRET not in json.dumps(sorted(keys))


def test_an_event_without_readable_bytes_is_kept_with_its_place() -> None:
    kept = row(PLACE, None, None)
    assert kept.row["said"] == ""
    assert kept.row["at"] == START
    keys = {one["key"] for one in kept.keys}
    assert keys == {f"a:{BY.ref}", f"c:{PLACE.stream_id}", "t:customer.graded"}


def test_each_event_tells_whom_it_concerns(
    ledgers: Ledgers, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    ben = facts.customer(ledgers, tenant)
    grant = facts.grant(ledgers, tenant, ann, policy, SCOPE)
    shared = facts.grant(ledgers, tenant, ben, policy, {"customer": (ann[9:],)})
    facts.merge(ledgers, tenant, ben, ann, 3)
    follow()
    rows = {one["position"]: one for one in found(service, tenant)}
    concerned = {
        (one["grant_id"], one["type"]): one["customers"]
        for one in rows.values()
        if one["stream_kind"] == "grant"
    }
    assert concerned[grant, "grant.activated.1"] == [ann[9:]]
    assert concerned[shared, "grant.activated.1"] == sorted([ann[9:], ben[9:]])
    assert {one["case_id"] for one in rows.values() if one["grant_id"] == grant} != {None}
    assert [one["persons"] for one in rows.values() if one["stream_kind"] == "policy"] == [
        [BY.person]
    ]
    assert all(one["imported"] for one in rows.values())
    everything = positions(service, tenant, f"customer:{ann[9:]}")
    assert set(everything) == {p for p, one in rows.items() if one["stream_kind"] != "policy"}
    merged_away = positions(service, tenant, f"customer:{ben[9:]} type:customer")
    assert len(merged_away) == 4  # registered, confirmed, proposed, merged: its own


def test_facts_of_long_ago_stand_where_they_happened(
    ledgers: Ledgers, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    customer = facts.customer(ledgers, tenant)[9:]
    for number in (5, 2, 8):
        graded = CustomerGraded(at=day(number), by=BY, grade=f"g{number}", imported=FACT)
        facts.put(ledgers, tenant, "customer", customer, graded)
    follow()
    rows = found(service, tenant, "type:customer.graded", order="oldest")
    assert [one["at"] for one in rows] == [day(2), day(5), day(8)]
    assert positions(service, tenant, "type:customer.graded since:2026-01-03 until:2026-01-09") == [
        one["position"] for one in rows[2::-1] if day(2) <= one["at"] < day(8)
    ]
    assert positions(service, tenant, "g8") == [rows[2]["position"]]


def matches(one: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """The plain reading of a question, on a row as it is kept."""
    return (
        ("actor" not in wanted or wanted["actor"] in (one["actor"], one["on_behalf_of"]))
        and ("customer" not in wanted or not wanted["records"].isdisjoint(one["customers"]))
        and ("grant" not in wanted or str(one["grant_id"]) == wanted["grant"])
        and ("type" not in wanted or one["type"].startswith(wanted["type"]))
        and ("since" not in wanted or one["at"] >= wanted["since"])
        and ("until" not in wanted or one["at"] < wanted["until"])
        and all(
            re.search(rf"(?<![a-z0-9]){re.escape(folded(text))}(?![a-z0-9])", one["said"])
            for text in wanted.get("texts", ())
        )
    )


def with_merged(rows: list[dict[str, Any]], customer: str) -> set[str]:
    """The customer and all whose records were merged into theirs, one after another."""
    merged = [one["customers"] for one in rows if one["type"] == "customer.merged.1"]
    streams = [str(one["stream_id"]) for one in rows if one["type"] == "customer.merged.1"]
    found = {customer}
    for _ in merged:
        for own, both in zip(streams, merged, strict=True):
            if found & (set(both) - {own}):
                found.add(own)
    return found


def as_question(wanted: dict[str, Any]) -> str:
    parts = [f"{name}:{wanted[name]}" for name in ("actor", "customer", "grant", "type")
             if name in wanted]  # fmt: skip
    parts += [f"{name}:{wanted[name].isoformat()}" for name in ("since", "until") if name in wanted]
    return " ".join([*parts, *(f'"{text}"' for text in wanted.get("texts", ()))])


def test_random_questions_find_what_reading_every_row_finds(
    ledgers: Ledgers,
    tenant: str,
    service: Conn,
    follow: Callable[[], int],
    rounds: Callable[[int, int], int],
) -> None:
    """Against a plain walk over the rows; pages of any size, and with hardly any steps a page."""
    chance = random.Random(3)
    world = World(chance, facts.policy(ledgers, tenant), tenant)
    for command in world.commands(60):
        say(ledgers, tenant, Record(facts=tuple(command)))
    follow()
    with service.transaction():
        service.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        cursor = service.cursor(row_factory=dict_row)
        rows = cursor.execute("SELECT * FROM history ORDER BY at, position").fetchall()
    assert len(rows) > 100
    texts = [one for row in rows for one in row["said"].splitlines() if re.search(r"\w", one)]
    hits, questions = 0, rounds(60, 600)
    for _ in range(questions):
        one = chance.choice(rows)
        known = {
            "actor": BY.ref, "customer": chance.choice([*one["customers"], new_id()]),
            "grant": str(one["grant_id"] or new_id()), "type": unversioned(one["type"]),
            "since": one["at"], "until": one["at"] + timedelta(days=9),
            "texts": [chance.choice(texts) for _ in range(chance.randint(1, 2))],
        }  # fmt: skip
        wanted = {name: known[name] for name in chance.sample(sorted(known), chance.randint(0, 3))}
        if "customer" in wanted:
            wanted["records"] = with_merged(rows, wanted["customer"])
        expected = [row["position"] for row in rows if matches(row, wanted)]
        hits += bool(expected)
        question = as_question(wanted)
        limit, steps = chance.choice([1, 2, 7, 1000]), chance.choice([1, 5, 20_000])
        told = positions(service, tenant, question, order="oldest", limit=limit, steps=steps)
        assert told == expected, question
        newest = positions(service, tenant, question, order="newest", limit=limit, steps=steps)
        assert newest == expected[::-1], question
    assert hits > questions / 3


def test_a_page_that_runs_out_of_steps_is_short_and_says_where_to_go_on(
    ledgers: Ledgers, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    customer = facts.customer(ledgers, tenant)[9:]
    for number in range(30):
        graded = CustomerGraded(at=day(number), by=BY, grade="ab ba", imported=FACT)
        facts.put(ledgers, tenant, "customer", customer, graded)
    facts.put(
        ledgers, tenant, "customer", customer,
        CustomerGraded(at=day(40), by=BY, grade="ba ab", imported=FACT),
    )  # fmt: skip
    follow()
    wanted = filter_of(service, tenant, asked('"ba ab"'))
    page = find(service, tenant, wanted=wanted, order="oldest", steps=20)
    assert page.items == []
    assert page.last is not None
    assert len(positions(service, tenant, '"ba ab"', order="oldest", steps=20)) == 1


def test_the_rows_are_those_of_the_log_alone_however_often_they_are_made(
    ledgers: Ledgers, database: Database, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    world = World(random.Random(5), facts.policy(ledgers, tenant), tenant)
    waiting = [ledgers.submit(submission(tenant, Record(facts=tuple(one)))) for one in
               world.commands(30)]  # fmt: skip
    for one in waiting:
        one.result()
    follow()

    def kept() -> list[Any]:
        with service.transaction():
            service.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
            return [
                service.execute("SELECT * FROM history ORDER BY position").fetchall(),
                service.execute("SELECT * FROM history_keys ORDER BY position, key").fetchall(),
            ]

    before = kept()
    with superuser(database) as conn:
        for table in ("history", "history_keys"):
            conn.execute(f"DELETE FROM {table} WHERE tenant_id = %s", (tenant,))  # pyright: ignore[reportArgumentType]
        conn.execute(
            "UPDATE checkpoints SET position = 0 WHERE tenant_id = %s AND projection = 'history'",
            (tenant,),
        )
    runner = Runner(database.projector, page=3)
    while runner.step():
        pass
    runner.close()
    assert kept() == before
    assert len(before[0]) > 50


def test_what_happened_to_a_stopped_stream_is_seen_all_the_same(
    ledgers: Ledgers, database: Database, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    grant = facts.grant(ledgers, tenant, ann, policy, SCOPE)
    broken = facts.put(ledgers, tenant, "grant", grant, facts.suspended(7)).position
    later = facts.put(ledgers, tenant, "grant", grant, facts.resumed(8)).position
    with superuser(database) as conn:
        conn.execute(
            "UPDATE events SET data = '{\"at\": 1}' WHERE tenant_id = %s AND position = %s",
            (tenant, broken),
        )
    follow()
    assert set(positions(service, tenant, f"grant:{grant}")) >= {broken, later}
    assert around(service, tenant, broken).item["type"] == "grant.suspended.1"


def test_another_tenants_history_is_not_there(
    ledgers: Ledgers, database: Database, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    facts.customer(ledgers, tenant)
    follow()
    other = make_tenant(database, FOLDS)
    assert positions(service, other) == []
    with pytest.raises(Refused, match=r"history\.unknown"):
        around(service, other, 1)
    assert service.execute("SELECT count(*) FROM history").fetchone() == (0,)
    assert service.execute("SELECT count(*) FROM history_keys").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute("DELETE FROM history")


def test_a_cause_that_was_recorded_is_told_on_both_sides(
    ledgers: Ledgers, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    customer = facts.customer(ledgers, tenant)[9:]
    graded = CustomerGraded(at=day(1), by=BY, grade="A", imported=FACT)
    first = facts.put(ledgers, tenant, "customer", customer, graded).position
    known = Record(facts=(("customer", customer, replace(graded, grade="B")),))
    second = ledgers.execute(submission(tenant, known, causation=first)).position
    follow()
    assert ("cause", first) in near(around(service, tenant, second).led_to)
    assert ("cause", second) in near(around(service, tenant, first).followed)


def near(ones: Any) -> list[tuple[str, int]]:
    return [(one.relation, one.item["position"]) for one in ones]


def test_many_neighbours_are_cut_and_said_to_be(
    ledgers: Ledgers, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    policy, ann = facts.policy(ledgers, tenant), facts.customer(ledgers, tenant)
    drafted = positions(service, tenant, "type:policy") or [1]
    for number in range(52):
        facts.grant(ledgers, tenant, ann, policy, SCOPE, number=f"N{number}")
    follow()
    seen = around(service, tenant, drafted[0])
    assert seen.more == ["followed.names"]
    assert len([one for one in seen.followed if one.relation == "names"]) == 50


def test_characters_that_a_database_refuses_stop_nobody(
    ledgers: Ledgers, tenant: str, service: Conn, follow: Callable[[], int]
) -> None:
    customer = new_id()
    registered = CustomerRegistered(
        at=START,
        by=BY,
        number="C",
        form="organization",
        title="上海\x00茶",
        imported=FACT,
        reason=Reason("why\x00not"),
    )
    kept = row(PLACE._replace(stream_id=customer), registered, None)
    assert kept.row["said"].splitlines() == ["c", "organization", "上海 茶", "why not"]
    assert "\x00" not in kept.row["reason"]
    refused = facts.put(ledgers, tenant, "customer", customer, registered).position
    head = follow()
    assert head == refused
    assert positions(service, tenant, f"customer:{customer}") == [refused]
