"""What cases stand on: people become staff, grantees customers, and nothing there is changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import xlsxwriter

from api.importing.mapping import parse_mapping
from api.keys import FieldSealer
from api.provisioning import Database
from domain.commands.catalogue import AddPoint, DeclareDimension
from domain.commands.imports import IMPORTER, Facts, RecordImported
from domain.commands.persons import RegisterPerson
from domain.commands.staff import AppointStaff, DeactivateStaff
from domain.customers import Customer
from domain.effect import in_force
from domain.events.customer import CustomerConfirmed, CustomerRegistered
from domain.events.grant import GrantRequested
from domain.events.person import PersonRegistered
from domain.events.staff import StaffAppointed
from domain.policies import Policy
from domain.policies import in_force as ruling
from domain.sealing import Context
from domain.values import Imported, Names, Party, Reason
from domain.view import Claim
from tests.support.importing import (
    HEADER,
    WHOLE,
    Bench,
    Fact,
    Import,
    rows,
    small_mapping,
    small_text,
    table,
)
from tests.support.ledger import new_id, say

FULL_WIDTH = {sign: sign + 0xFEE0 for sign in range(0x21, 0x7F)}
"""From a sign of ASCII to the one of Chinese typesetting."""

# --- people ---------------------------------------------------------------------------------------


def test_people_are_appointed_in_the_roles_their_steps_ask_for(
    bench: Bench, imported: Import
) -> None:
    imported(table(rows("a", *WHOLE, who="ann bob bob dan")))
    found = {one.number: one.roles for one in bench.of_type(StaffAppointed)}
    assert found == {"ann": ("requester",), "bob": ("approver", "verifier"), "dan": ()}


def test_names_of_people_are_sealed_and_nowhere_in_the_clear(
    bench: Bench, imported: Import
) -> None:
    data = table(rows("a", *WHOLE, who="张小三 李阿四"))
    report = imported(data, people='called = "name"\nroles = []')
    assert report.made["person.registered.1"] == 2
    raw = b"".join(row.data for row in bench.log())
    for name in ("张小三", "李阿四"):
        assert name.encode() not in raw
        assert name.encode("unicode_escape") not in raw
    opened = set[str]()
    for row, fact in zip(bench.log(), bench.facts(), strict=True):
        if isinstance(fact.event, PersonRegistered):
            sealed = fact.event.full_name
            assert sealed is not None
            assert sealed.subject == fact.stream_id
            place = Context(bench.tenant, fact.stream_id, str(row.command_id), "full_name")
            opened.add(FieldSealer(bench.keys).open(sealed, place))
    assert opened == {"张小三", "李阿四"}
    assert imported(data, people='called = "name"\nroles = []').events == 0


def test_a_staff_member_with_that_number_is_the_one_meant(bench: Bench, imported: Import) -> None:
    person, staff = new_id(), new_id()
    claim = bench.keys.keyed_hash(bench.tenant, "staff_number", "ann")
    say(bench.ledgers, bench.tenant, RegisterPerson(person=person))
    say(
        bench.ledgers,
        bench.tenant,
        AppointStaff(
            staff=staff, person=person, number="ann", number_claim=claim, level="senior", roles=()
        ),
    )
    imported(table(rows("a", *WHOLE, who="ann bob")))
    asked = bench.of_type(GrantRequested)[0]
    assert (asked.by.ref, asked.by.person) == (f"staff:{staff}", person)
    assert len(bench.of_type(StaffAppointed)) == 2


def test_people_whose_numbers_differ_in_case_alone_stay_two(bench: Bench, imported: Import) -> None:
    imported(table(rows("a", "ask", "look", who="test TEST")))
    appointed = bench.of_type(StaffAppointed)
    assert {one.number for one in appointed} == {"test", "TEST"}
    assert len({one.person for one in appointed}) == 2
    assert imported(table(rows("b", "ask", "look", who="TEST test"))).made.keys() == {
        "customer.registered.1", "customer.confirmed.1",
    }  # fmt: skip


def test_a_person_met_again_in_a_later_file_is_the_same(bench: Bench, imported: Import) -> None:
    imported(table(rows("b", *WHOLE, day=9)))
    imported(table(rows("a", *WHOLE, day=1), rows("b", *WHOLE, day=9)))
    assert len(bench.of_type(StaffAppointed)) == 4


def test_a_step_that_nobody_took_is_a_services_where_the_mapping_says_so(
    bench: Bench, imported: Import
) -> None:
    data = table(["a,ask,,2011-05-01T08:00:00Z,1,CN"])
    assert imported(data).faults == {"import.cell_empty": 1}
    imported(data, people='nobody = "old-system"')
    asked = bench.of_type(GrantRequested)[0]
    assert (asked.by.ref, asked.by.person) == ("service:old-system", None)


# --- customers, catalogue, policy -----------------------------------------------------------------


def test_a_customer_is_made_for_each_case_and_stands_as_long_as_the_mapping_says(
    bench: Bench, imported: Import
) -> None:
    imported(table(rows("a", *WHOLE)))
    registered, confirmed = bench.of_type(CustomerRegistered), bench.of_type(CustomerConfirmed)
    assert [(one.number, one.form, one.title) for one in registered] == [
        ("a", "organization", None)
    ]
    assert [one.until for one in confirmed] == [datetime(2100, 1, 1, tzinfo=UTC)]
    assert all(one.imported.inferred for one in (*registered, *confirmed))


def test_cases_of_one_grantee_share_its_record(
    bench: Bench, imported: Import, tmp_path: Path
) -> None:
    text = table(rows("a", *WHOLE), rows("b", *WHOLE, day=2), rows("c", *WHOLE, day=3))
    path = tmp_path / "shared"
    path.write_text(text)
    mapping = parse_mapping(small_text().replace("customer:{case}", "customer:{where}").encode())
    dry = bench.run(path, mapping, dry_run=True)
    report = bench.run(path, mapping)
    assert (dry.made, dry.events) == (report.made, report.events)
    assert report.cases.written == 3
    assert [one.number for one in bench.of_type(CustomerRegistered)] == ["CN/31"]
    assert len({one.grantee for one in bench.of_type(GrantRequested)}) == 1
    assert bench.run(path, mapping).events == 0


def test_spellings_of_one_number_are_one_customer_however_near_they_stand(
    bench: Bench, imported: Import, tmp_path: Path
) -> None:
    spelled = ("D-001", "d-001", "D-001".translate(FULL_WIDTH), "D- 001", "D-002")
    lines = [
        [line.replace("CN/31", f"CN/31,{number}") for line in rows(name, *WHOLE, day=1 + place)]
        for place, (name, number) in enumerate(zip("abcde", spelled, strict=True))
    ]
    path = tmp_path / "spelled"
    path.write_text(table(*lines).replace(HEADER, f"{HEADER},dealer"), encoding="utf-8")
    mapping = parse_mapping(small_text().replace("customer:{case}", "customer:{dealer}").encode())
    dry = bench.run(path, mapping, dry_run=True)
    report = bench.run(path, mapping)
    assert (dry.made, dry.events, dry.cases) == (report.made, report.events, dry.cases)
    assert (report.cases.written, report.cases.refused) == (5, 0)
    assert [one.number for one in bench.of_type(CustomerRegistered)] == ["D-001", "D-002"]
    assert len({one.grantee for one in bench.of_type(GrantRequested)}) == 2
    assert bench.run(path, mapping).events == 0


def test_a_customer_with_that_number_is_the_one_meant_and_nothing_is_said_of_it(
    bench: Bench, imported: Import
) -> None:
    known = new_id()
    at = datetime(2010, 1, 1, tzinfo=UTC)
    mark = Imported("elsewhere", 1)
    event = CustomerRegistered(
        at=at, by=IMPORTER, imported=mark, number="a", form="organization", title="Known Ltd"
    )
    claim = bench.keys.keyed_hash(bench.tenant, "customer_number", "a")
    facts = Facts("customer", known, (event,), (Claim("customer_number", claim, known),))
    say(bench.ledgers, bench.tenant, RecordImported(facts=(facts,)), by=IMPORTER)
    imported(table(rows("a", *WHOLE)))
    assert bench.grant().grantee == f"customer:{known}"
    state: Customer = bench.ledgers.load(bench.tenant, "customer", known).state
    assert (state.title, state.status) == ("Known Ltd", "registered")


def test_the_catalogue_keeps_what_it_has_and_gets_what_it_lacks(
    bench: Bench, imported: Import
) -> None:
    own = Names("我的地点", "My places")
    say(
        bench.ledgers,
        bench.tenant,
        DeclareDimension(tenant=bench.tenant, dimension="place", names=own),
    )
    say(
        bench.ledgers,
        bench.tenant,
        AddPoint(
            tenant=bench.tenant, dimension="place", path="CN/31", names=Names("上海", "Shanghai")
        ),
    )
    report = imported(table(rows("a", *WHOLE), [
        row.replace("CN/31", "CN/32") for row in rows("b", *WHOLE, day=2)
    ]))  # fmt: skip
    assert report.made["catalogue.point_added.1"] == 1
    assert "catalogue.dimension_declared.1" not in report.made
    kept = bench.ledgers.load(bench.tenant, "catalogue", bench.tenant).state
    assert kept.dimensions["place"].names == own
    assert kept.dimensions["place"].paths() == ["CN/31", "CN/32"]


def test_no_new_request_may_rest_on_the_imported_policy_unless_the_mapping_says_so(
    bench: Bench, imported: Import, import_place: tuple[Database, Path], tmp_path: Path
) -> None:
    imported(table(rows("a", *WHOLE)))

    def policy(of: Bench) -> Policy:
        ref = of.of_type(GrantRequested)[0].policy
        assert ref.version == 1
        return of.ledgers.load(of.tenant, "policy", ref.policy).state

    now = datetime.now(UTC)
    assert ruling(policy(bench), now) is None
    assert ruling(policy(bench), datetime(2011, 5, 1, 1, tzinfo=UTC)) is not None
    other = Bench(*import_place)
    try:
        path = tmp_path / "other"
        path.write_text(table(rows("a", *WHOLE)))
        other.run(path, small_mapping(source="policy_stays = true"))
        assert ruling(policy(other), now) is not None
    finally:
        other.close()


def test_a_second_source_rests_on_the_policy_that_is_there(
    bench: Bench, imported: Import, tmp_path: Path
) -> None:
    imported(table(rows("a", *WHOLE)))
    path = tmp_path / "other"
    path.write_text(table(rows("b", *WHOLE, who="ann eve eve eve")))
    mapping = parse_mapping(small_text().replace('"small"\n', '"other"\n', 1).encode())
    report = bench.run(path, mapping)
    assert report.cases.written == 1
    assert "policy.drafted.1" not in report.made
    assert report.made["staff.appointed.1"] == 1  # ann has her number, eve is new
    assert len({one.policy for one in bench.of_type(GrantRequested)}) == 1


def test_a_tenant_with_a_given_clock_takes_history_too(
    import_place: tuple[Database, Path], tmp_path: Path
) -> None:
    made = Bench(*import_place, given_clock=True)
    try:
        path = tmp_path / "file"
        path.write_text(table(rows("a", *WHOLE)))
        assert made.run(path, small_mapping()).cases.written == 1
        assert made.run(path, small_mapping()).cases.present == 1
    finally:
        made.close()


def test_a_workbook_is_imported_like_a_text(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "steps.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write_row(0, 0, ["case", "step", "who", "when", "id", "where"])
        for number, step in enumerate(WHOLE, 1):
            sheet.write(number, 0, 17)
            sheet.write(number, 1, step)
            sheet.write(number, 2, f"p{number}")
            sheet.write_datetime(number, 3, datetime(2011, 5, 1, 8 + number), day)  # noqa: DTZ001
            sheet.write(number, 4, number)
            sheet.write(number, 5, "CN/31")
    report = bench.run(path, small_mapping(instants='[instants]\nzone = "Asia/Shanghai"'))
    assert (report.cases.written, report.refused) == (1, 0)
    assert bench.of_type(CustomerRegistered)[0].number == "17"
    assert in_force(bench.grant())[0][0] == datetime(2011, 5, 1, 4, tzinfo=UTC)


def test_every_fact_says_which_row_of_which_source_it_comes_from(
    bench: Bench, imported: Import
) -> None:
    imported(table(rows("a", *WHOLE), rows("b", *WHOLE, day=2)))
    facts: list[Fact] = list(bench.facts())
    assert facts
    for fact in facts:
        assert fact.event.imported is not None
        assert fact.event.imported.source == "small"
        assert 1 <= fact.event.imported.row <= 8


def test_who_was_appointed_again_with_another_number_is_who_their_name_says(
    bench: Bench, imported: Import
) -> None:
    people = 'called = "name"\nroles = []'
    imported(table(rows("a", *WHOLE, who="Ann Bob")), people=people)
    (who,) = {one.event.by.ref for one in bench.facts() if isinstance(one.event, GrantRequested)}
    fact = next(one for one in bench.facts() if f"staff:{one.stream_id}" == who)
    assert isinstance(fact.event, StaffAppointed)
    person = fact.event.person
    admin = Party(f"staff:{new_id()}", new_id())
    say(bench.ledgers, bench.tenant, RegisterPerson(person=admin.person or ""))
    appointed = AppointStaff(
        staff=admin.id,
        person=admin.person or "",
        number="adm",
        number_claim=b"a" * 32,
        level="senior",
        roles=("administrator",),
    )
    say(bench.ledgers, bench.tenant, appointed)
    left = DeactivateStaff(staff=fact.stream_id)
    say(bench.ledgers, bench.tenant, left, by=admin, reason=Reason("left"))
    again = AppointStaff(
        staff=fact.stream_id,
        person=person,
        number="1001",
        number_claim=b"b" * 32,
        level="senior",
        roles=("requester",),
    )
    say(bench.ledgers, bench.tenant, again, by=admin)
    imported(table(rows("b", *WHOLE, day=2, who="Ann Bob")), people=people)
    doers = {one.event.by.person for one in bench.facts() if isinstance(one.event, GrantRequested)}
    assert doers == {person}
