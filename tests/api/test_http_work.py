"""The list of work over HTTP: what waits, since when, and exactly those who could do it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projections import worklists
from tests.api.test_http_lists import pages
from tests.support.doors import House
from tests.support.trade import BECAUSE, POLICY, SHA256, Trade

GROUPS = [{"role": "approver", "number": 2}, {"role": "compliance", "number": 1}]
STAGE = {"id": "first", "names": {"zh": "审批", "en": "Approval"}, "groups": GROUPS}
SIGNED = {"template": "standard", "version": "1", "sha256": SHA256, "signers": ["grantee"]}


@pytest.fixture(scope="module")
def firm(house: House) -> Trade:
    """A firm with a member of its customer, and two people who may do everything."""
    trade = Trade(house)
    trade.catalogue()
    for name in ("all", "also"):
        trade.appoint(name, "requester", "verifier", "approver", "compliance")
    trade.policy(stages=[STAGE], agreement=SIGNED)
    return trade


def work(firm: Trade, query: str = "", by: str = "admin") -> list[dict[str, Any]]:
    """Every item of a list; page by page it is the same."""
    firm.house.follow()
    joint = "&" if query else ""
    found, small = (
        [row for one in pages(firm[by], f"/v1/worklist?{query}{joint}limit={limit}") for row in one]
        for limit in (1000, 2)
    )
    assert small == found
    return found


def about(firm: Trade, stream: str, query: str = "") -> list[dict[str, Any]]:
    return [row for row in work(firm, query) if row["id"] == stream]


def could(row: dict[str, Any]) -> set[str]:
    assert row["could_count"] == len(row["could"])
    return {one["number"] for one in row["could"]}


def member(firm: Trade, customer: str, name: str, *acts: str) -> None:
    person = firm["root"].done("/v1/persons", {"full_name": f"Someone {name}"})["id"]
    body = {"person": person, "acts": acts}
    firm["requester"].done(f"/v1/customers/{customer}/members", body)
    firm.member(name, customer, person)


def test_where_staff_are_many_a_page_looks_at_fewer_tasks_and_leads_on(
    firm: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who could do each task is tried person by person: a page makes so many tries at the most."""
    customer = firm.customer("W-0")
    for _ in range(3):
        firm.request(customer)
    whole = work(firm, f"customer=customer:{customer}")
    monkeypatch.setattr(worklists, "TRIES", 1)
    path = f"/v1/worklist?customer=customer:{customer}&limit=1000"
    single = pages(firm["admin"], path)
    assert [len(one) for one in single] == [1, 1, 1]
    assert [row for one in single for row in one] == whole


def test_a_request_is_work_for_other_people_at_every_step(firm: Trade) -> None:
    customer = firm.customer("W-1")
    member(firm, customer, "ming", "sign", "provide")
    asked = firm.request(customer)
    grant = asked["id"]
    (row,) = about(firm, grant)
    assert (row["kind"], row["about"], row["case_kind"]) == ("check", "grant", "request")
    assert row["number"] == asked["state"]["number"]
    assert row["customer"] == f"customer:{customer}"
    assert row["needs"] == [{"role": "verifier", "missing": 1, "kinds": ["documents"]}]
    assert could(row) == {"verifier", "all", "also"}
    assert row["lapses_at"] == asked["state"]["lapses_at"]

    firm["all"].done(f"/v1/grants/{grant}/information-requests", {"question": "Which shops?"})
    (row,) = about(firm, grant)
    assert (row["kind"], could(row), row["members"]) == ("answer", {"requester"}, 1)
    firm["requester"].done(f"/v1/grants/{grant}/information", {"answer": "All."})

    check = {"kind": "documents", "channel": "online"}
    firm["all"].done(f"/v1/grants/{grant}/checks", check)
    (row,) = about(firm, grant)
    assert (row["kind"], row["stage"]) == ("approve", "first")
    assert row["stage_names"] == STAGE["names"]
    assert [(one["role"], one["missing"]) for one in row["needs"]] == [
        ("approver", 2), ("compliance", 1),
    ]  # fmt: skip
    assert could(row) == {"approver", "second", "also", "compliance"}, "all has checked"

    approve(firm, "approver", grant)
    approve(firm, "second", grant)
    (row,) = about(firm, grant)
    assert row["needs"] == [{"role": "compliance", "levels": [], "missing": 1}]
    assert could(row) == {"also", "compliance"}
    before = row["since"]
    approve(firm, "compliance", grant)
    (row,) = about(firm, grant)
    assert (row["kind"], row["signer"]) == ("sign", "grantee")
    assert (could(row), row["members"]) == (set(), 1)
    assert row["since"] > before
    shown = firm["admin"].get(f"/v1/grants/{grant}")
    body = {"party": "grantee", "digest": shown.json()["agreement"]["digest"]}
    firm["ming"].done(f"/v1/grants/{grant}/signatures", body, if_match=shown.headers["etag"])
    assert about(firm, grant) == []


def approve(firm: Trade, who: str, grant: str) -> None:
    etag = firm["admin"].get(f"/v1/grants/{grant}").headers["etag"]
    firm[who].done(f"/v1/grants/{grant}/approvals", {"stage": "first"}, if_match=etag)


def test_who_could_is_who_the_doors_would_let(firm: Trade) -> None:
    """Every staff member tries every step, dry: those who succeed are those who are listed."""
    customer = firm.customer("W-2")
    firm.request(customer)
    firm.pending(customer)
    held = firm.pending(customer)["id"]
    approve(firm, "approver", held)
    tried = 0
    for row in work(firm, f"customer=customer:{customer}"):
        path, body = {
            "check": ("checks", {"kind": "documents", "channel": "online"}),
            "approve": ("approvals", {"stage": "first"}),
        }[row["kind"]]
        etag = firm["admin"].get(f"/v1/grants/{row['id']}").headers["etag"]
        assert could(row) == able(firm, f"/v1/grants/{row['id']}/{path}", body, etag), row["kind"]
        tried += 1
    assert tried == 3


def test_the_list_of_one_person_is_what_they_could_do_now(firm: Trade) -> None:
    customer = firm.customer("W-3")
    mine, other = firm.pending(customer)["id"], firm.request(customer)["id"]
    of = f"customer=customer:{customer}"
    assert {row["id"] for row in work(firm, of)} == {mine, other}

    def list_of(name: str) -> set[str]:
        found = {row["id"] for row in work(firm, f"{of}&for=staff:{firm.staff[name]}")}
        assert {row["id"] for row in work(firm, f"{of}&mine=true", by=name)} == found
        return found

    assert list_of("verifier") == {other}, "checked by them: not theirs to approve, either"
    assert list_of("requester") == set()
    assert list_of("approver") == {mine}
    assert list_of("also") == {mine, other}
    robot = firm.service("robot", "grants:read")
    answer = robot.get("/v1/worklist?mine=true")
    assert (answer.status_code, answer.json()["code"]) == (422, "worklist.not_staff")
    answer = firm["admin"].get(f"/v1/worklist?mine=true&for=staff:{firm.staff['also']}")
    assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid")


def test_a_deputy_finds_what_they_can_do_for_another(firm: Trade) -> None:
    customer = firm.customer("W-4")
    grant = firm.pending(customer)["id"]
    firm.appoint("stand-in", "auditor")
    of = f"customer=customer:{customer}&for=staff:{firm.staff['stand-in']}"
    assert work(firm, of) == []
    path = f"/v1/staff/{firm.staff['approver']}/deputy"
    later = {"from": "2100-01-01T00:00:00Z", "until": "2100-02-01T00:00:00Z"}
    firm["root"].done(path, {"deputy": firm.staff["stand-in"]} | later)
    assert work(firm, of) == []
    firm["root"].done(path, {"deputy": firm.staff["stand-in"], "until": later["until"]})
    (row,) = work(firm, of)
    assert row["id"] == grant
    entry = next(one for one in row["could"] if one["number"] == "stand-in")
    assert entry["on_behalf_of"] == f"staff:{firm.staff['approver']}"
    firm["root"].done(f"{path}/end")


def test_what_is_to_be_confirmed_by_another_person_is_work(firm: Trade) -> None:
    customer = firm.customer("W-5")
    member(firm, customer, "lan", "sign", "revoke")
    grant = active(firm, customer, "lan")
    path = f"/v1/grants/{grant}"
    firm["compliance"].done(f"{path}/suspension", BECAUSE | {"provisional": True})
    firm["lan"].done(f"{path}/revocation-request")
    firm["verifier"].done(f"{path}/error", BECAUSE)
    rows = {row["kind"]: row for row in about(firm, grant)}
    assert set(rows) == {"confirm_suspension", "confirm_revocation", "confirm_error"}
    assert could(rows["confirm_suspension"]) == {"all", "also"}
    assert could(rows["confirm_revocation"]) == {"approver", "second", "compliance", "all", "also"}
    assert rows["confirm_revocation"]["members"] == 0, "who asked does not confirm"
    assert could(rows["confirm_error"]) >= {"compliance", "all", "also"}


def active(firm: Trade, customer: str, signer: str) -> str:
    """A grant in force, signed by a member."""
    grant = firm.pending(customer)["id"]
    for who in ("approver", "second", "compliance"):
        approve(firm, who, grant)
    shown = firm["admin"].get(f"/v1/grants/{grant}")
    body = {"party": "grantee", "digest": shown.json()["agreement"]["digest"]}
    firm[signer].done(f"/v1/grants/{grant}/signatures", body, if_match=shown.headers["etag"])
    return grant


def able(firm: Trade, path: str, body: dict[str, Any], etag: str) -> set[str]:
    """The staff who could do it: each tries, dry."""
    found: set[str] = set()
    for name in firm.staff:
        answer = firm[name].post(f"{path}?dry_run=true", body, if_match=etag)
        if answer.status_code < 300 and answer.json()["events"]:
            found.add(name)
    return found


@pytest.mark.parametrize("kind", ["renewal", "amendment"])
def test_a_renewal_and_an_amendment_are_work_at_each_of_their_steps(firm: Trade, kind: str) -> None:
    customer = firm.customer(f"W-{kind}")
    member(firm, customer, f"hai-{kind}", "sign")
    grant = active(firm, customer, f"hai-{kind}")
    assert about(firm, grant) == []
    path = f"/v1/grants/{grant}"
    if kind == "renewal":
        firm["requester"].done(f"{path}/renewals", {"term": {"days": 300}})
    else:
        scope = {"territory": ["CN/32"], "product": ["tea"]}
        firm["requester"].done(f"{path}/amendments", {"scope": scope})
    for step, body in (
        ("checks", {"kind": "documents", "channel": "online"}),
        ("approvals", {"stage": "first"}),
        ("approvals", {"stage": "first"}),
        ("approvals", {"stage": "first"}),
    ):
        (row,) = about(firm, grant)
        assert row["case_kind"] == kind
        assert row["kind"] == {"checks": "check", "approvals": "approve"}[step]
        etag = firm["admin"].get(path).headers["etag"]
        case = f"{path}/cases/{row['case_id']}/{step}"
        names = could(row)
        assert names == able(firm, case, body, etag)
        assert names
        firm[min(names - {"also"})].done(case, body, if_match=etag)
    (row,) = about(firm, grant)
    assert (row["kind"], row["signer"], row["members"], could(row)) == ("sign", "grantee", 1, set())


def test_a_step_whose_time_is_over_is_no_work(firm: Trade) -> None:
    """By the clock: nobody has recorded the lapse."""
    customer = firm.customer("W-12")
    firm.request(customer)
    firm.pending(customer)
    firm.house.follow()
    ledgers = firm.house.services.ledgers
    wish = worklists.Wish(customer=f"customer:{customer}")

    def waiting(days: float) -> list[str]:
        at = datetime.now(UTC) + timedelta(days=days)
        with ledgers.pool.connection() as conn:
            page = worklists.worklist(conn, ledgers.ledger(firm.tenant), at, wish)
        return [row["kind"] for row in page.items]

    assert waiting(29) == ["check", "approve"]
    assert waiting(31) == []


def test_an_identity_about_to_end_is_work(firm: Trade) -> None:
    body = {"number": "W-10", "form": "organization", "title": "茶庄 W-10"}
    customer = firm["requester"].done("/v1/customers", body)["id"]
    ends_at = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    check = {"kind": "licence", "channel": "online", "passed": True, "document": "licence"}
    path = f"/v1/customers/{customer}"
    firm["verifier"].done(f"{path}/identity-checks", check | {"document_ends_at": ends_at})
    assert about(firm, customer) == []
    firm["verifier"].done(f"{path}/confirmation", {"policy_kind": "dealership"})
    (row,) = about(firm, customer)
    assert (row["kind"], row["waiting_days"], row["number"]) == ("identify", 0, "W-10")
    assert datetime.fromisoformat(row["lapses_at"]) == datetime.fromisoformat(ends_at)
    assert could(row) == {"requester", "verifier", "all", "also"}
    firm.customer("W-11")
    assert len(work(firm, "kind=identify")) == 1, "a year to go"


def test_records_of_customers_and_policies_wait_too(firm: Trade) -> None:
    customer, other = firm.customer("W-6"), firm.customer("W-7")
    path = f"/v1/customers/{customer}"
    firm["requester"].done(f"{path}/corrections", {"title": "新茶庄"})
    firm["all"].done(f"{path}/merge", {"into": other})
    rows = {row["kind"]: row for row in about(firm, customer)}
    assert set(rows) == {"decide_correction", "decide_merge"}
    assert could(rows["decide_correction"]) == {"verifier", "compliance", "all", "also"}
    assert could(rows["decide_merge"]) == {"compliance", "also"}, "proposed by all"
    assert rows["decide_merge"]["number"] == "W-6"

    drafted = firm["admin"].done("/v1/policies", {"body": POLICY | {"kind": "work"}})
    version = f"/v1/policies/{drafted['id']}/versions/1"
    assert about(firm, drafted["id"]) == []
    submitted = firm["admin"].done(f"{version}/submission")
    (row,) = about(firm, drafted["id"])
    assert (row["kind"], row["grant_kind"]) == ("approve_policy", "work")
    assert could(row) == {"compliance", "all", "also"}
    firm["compliance"].done(f"{version}/approval", if_match=f'"v{submitted["version"]}"')
    (row,) = about(firm, drafted["id"], "kind=publish_policy")
    assert could(row) == {"root", "admin"}


def test_what_nobody_can_do_says_what_hinders_it(firm: Trade) -> None:
    customer = firm.customer("W-8")
    grant = firm.pending(customer)["id"]
    assert about(firm, grant)[0]["hindrance"] is None
    firm["compliance"].done(f"/v1/customers/{customer}/block", BECAUSE)
    (row,) = about(firm, grant)
    assert (could(row), row["hindrance"]) == (set(), "grantee.standing")


def test_work_of_who_left_shows_as_unassigned(firm: Trade) -> None:
    firm.appoint("leaver", "requester")
    customer = firm.customer("W-9")
    firm.callers["requester"], kept = firm.callers["leaver"], firm.callers["requester"]
    left = firm.request(customer)["id"]
    firm.callers["requester"] = kept
    stays = firm.request(customer)["id"]
    of = f"customer=customer:{customer}"
    assert work(firm, f"{of}&unassigned=true") == []
    firm["root"].done(f"/v1/staff/{firm.staff['leaver']}/deactivation", BECAUSE)
    assert [row["id"] for row in work(firm, f"{of}&unassigned=true")] == [left]
    assert [row["id"] for row in work(firm, f"{of}&unassigned=false")] == [stays]

    firm.appoint("manager", "requester")
    body = {"customers": [customer]}
    firm["root"].done(f"/v1/staff/{firm.staff['manager']}/assignments", body)
    assert [row["id"] for row in work(firm, f"{of}&unassigned=true")] == [left]
    firm["root"].done(f"/v1/staff/{firm.staff['manager']}/deactivation", BECAUSE)
    assert {row["id"] for row in work(firm, f"{of}&unassigned=true")} == {left, stays}


def test_the_list_is_filtered_and_comes_as_csv(firm: Trade) -> None:
    customer = firm.customer("W-13")
    firm.request(customer)
    firm.pending(customer)
    every = work(firm)
    assert [row["since"] for row in every] == sorted(row["since"] for row in every)
    assert {row["kind"] for row in work(firm, "kind=check")} == {"check"}
    assert work(firm, "overdue=0") == every
    assert work(firm, "overdue=1") == []
    answer = firm["admin"].get("/v1/worklist.csv")
    assert answer.content.startswith(b"\xef\xbb\xbfkind,about,id,")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == [row["id"] for row in every]
    for query in ("kind=x", "for=customer:x", "overdue=-1", "mine=x"):
        answer = firm["admin"].get(f"/v1/worklist?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid"), query
