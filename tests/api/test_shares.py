"""A customer shared between people of the firm: what the template shows, for how long, for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from domain.values import Party
from tests.support.doors import ALL, Caller, House
from tests.support.ledger import new_id
from tests.support.sharing import SHARE
from tests.support.trade import BECAUSE, Trade

CONTACT = {"name": "王小明", "phone": "13812341234", "email": "wang@example.com"}
REPAIR = {"counterseal_purpose": "repair"}


@pytest.fixture(scope="module")
def firm(house: House) -> Trade:
    """A firm with a policy for shares, and two who look after its customers."""
    made = Trade(house)
    made.catalogue()
    made.policy()
    made.policy(**SHARE)
    made.appoint("sales", "requester")
    made.appoint("service", "requester")
    made.appoint("other", "requester")
    return made


@pytest.fixture(scope="module")
def customer(firm: Trade) -> str:
    """A customer that `sales` looks after."""
    return assigned(firm, "S-0")


def assigned(firm: Trade, number: str, to: str = "sales", **fields: Any) -> str:
    """A customer with a contact and an address, that this one looks after beside all before."""
    customer = firm.customer(number, contact=CONTACT, **fields)
    firm["requester"].done(f"/v1/customers/{customer}/profile", {"address": "上海市浦东新区一号"})
    firm["requester"].done(f"/v1/customers/{customer}/grade", {"grade": "A"})
    before = firm["root"].get(f"/v1/staff/{firm.staff[to]}").json()["state"].get("customers", [])
    body = {"customers": [*before, customer]}
    firm["root"].done(f"/v1/staff/{firm.staff[to]}/assignments", body)
    return customer


def ask(firm: Trade, customer: str, by: str = "sales", **changes: Any) -> httpx.Response:
    """Ask to share a customer with `service`."""
    body: dict[str, Any] = {
        "grantee": f"staff:{firm.staff['service']}",
        "kind": "share",
        "actions": ["read"],
        "scope": {"customer": [customer]},
        "term": {"days": 30},
        "template": "after-sales",
        "purpose": "repair",
    }
    return firm[by].post("/v1/grants", body | changes)


def share(firm: Trade, customer: str, **changes: Any) -> str:
    """A share in force; return the grant's id."""
    asked = ask(firm, customer, **changes)
    assert asked.status_code == 201, asked.text
    grant = asked.json()["id"]
    approve(firm, grant, asked.headers["etag"])
    return grant


def approve(firm: Trade, grant: str, seen: str) -> None:
    firm["approver"].done(f"/v1/grants/{grant}/approvals", {"stage": "first"}, if_match=seen)


def read(firm: Trade, customer: str, grant: str, who: str = "service", **headers: str) -> Any:
    return firm[who].get(f"/v1/customers/{customer}/shared/{grant}", **(REPAIR | headers))


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def log_rows(firm: Trade, customer: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(firm.house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (firm.tenant,))
        return conn.execute(
            "SELECT party, purpose, grant_id::text, fields FROM access_log"
            " WHERE kind = 'shared_read' AND stream_id = %s ORDER BY entry_id",
            (customer,),
        ).fetchall()


def test_a_share_shows_exactly_the_fields_of_its_template_and_every_read_is_logged(
    firm: Trade,
) -> None:
    customer = assigned(firm, "S-1", uscc="91110000600037341L")
    grant = share(firm, customer)
    shown = read(firm, customer, grant)
    assert shown.status_code == 200, shown.text
    assert shown.json()["fields"] == {
        "title": {"level": "read", "value": "茶庄 S-1"},
        "uscc": {"level": "masked", "value": "****341L"},
        "contact.name": {"level": "masked", "value": "王*"},
        "contact.phone": {"level": "read", "value": "+8613812341234"},
        "address": {"level": "masked", "value": "上*"},
        "grade": {"level": "masked", "value": "****"},
    }
    assert "wang" not in shown.text
    assert read(firm, customer, grant).status_code == 200
    levels = {field: one["level"] for field, one in shown.json()["fields"].items()}
    row = (f"staff:{firm.staff['service']}", "repair", grant, levels)
    assert log_rows(firm, customer) == [row, row]


def test_a_team_shares_a_customer_with_another_whose_members_see_it_while_they_belong(
    firm: Trade,
) -> None:
    """Sales share with after-sales for thirty days: whoever is of the team then, sees."""
    teams = {"dimension": "team", "names": {"zh": "团队", "en": "Team"}}
    firm["admin"].done("/v1/catalogue/dimensions", teams)
    for path in ("after-sales", "after-sales/east", "warehouse"):
        firm["admin"].done("/v1/catalogue/points", teams | {"path": path})
    customer = assigned(firm, "S-20")
    firm.appoint("fitter", "requester")
    fitter = f"/v1/staff/{firm.staff['fitter']}/team"
    firm["root"].done(fitter, {"team": "after-sales/east"})
    grant = share(firm, customer, grantee="team:after-sales")
    assert read(firm, customer, grant, "fitter").json()["fields"]["contact.name"]["value"] == "王*"
    assert code(read(firm, customer, grant, "service")) == (404, "share.unknown")
    firm["root"].done(fitter, {"team": "warehouse"})
    assert code(read(firm, customer, grant, "fitter")) == (404, "share.unknown")
    firm["root"].done(fitter, {"team": "after-sales"})
    assert read(firm, customer, grant, "fitter").status_code == 200
    firm["compliance"].done(f"/v1/grants/{grant}/suspension", BECAUSE)
    assert code(read(firm, customer, grant, "fitter")) == (403, "share.not_in_force")
    assert len(log_rows(firm, customer)) == 2


def test_nothing_is_shown_while_suspended_or_after_it_was_revoked(firm: Trade) -> None:
    customer = assigned(firm, "S-2")
    grant = share(firm, customer)
    path = f"/v1/grants/{grant}"
    held = firm["compliance"].done(f"{path}/suspension", BECAUSE)
    assert code(read(firm, customer, grant)) == (403, "share.not_in_force")
    hold = held["events"][0]["fields"]["hold"]
    firm["compliance"].done(f"{path}/resumption", BECAUSE | {"hold": hold})
    assert read(firm, customer, grant).status_code == 200
    firm["compliance"].done(f"{path}/revocation", BECAUSE)
    refused = read(firm, customer, grant)
    assert code(refused) == (403, "share.not_in_force")
    assert refused.json()["params"]["state"] == "revoked"
    assert len(log_rows(firm, customer)) == 1


def test_nothing_is_shown_after_the_end(house: House) -> None:
    """On a given clock: in the thirtieth day's last second it is shown, then no more."""
    start = datetime(2027, 3, 1, 9, tzinfo=UTC)
    made = Told(house, start)
    customer = assigned(made, "S-3")
    grant = share(made, customer)
    path = f"/v1/grants/{grant}"
    end = datetime.fromisoformat(made["admin"].get(path).json()["state"]["effects"][0]["ends_at"])
    since = made.pass_to(end - timedelta(seconds=1))
    assert read(made, customer, f"{grant}?at_least={since}").status_code == 200
    since = made.pass_to(end)
    refused = read(made, customer, f"{grant}?at_least={since}")
    assert code(refused) == (403, "share.not_in_force")
    assert refused.json()["params"]["state"] == "expired"
    assert len(log_rows(made, customer)) == 1


class Told(Trade):
    """A firm whose clock is given: it stands at the last instant recorded."""

    def __init__(self, house: House, at: datetime) -> None:
        self._at = at
        super().__init__(house, given_clock=True)
        self.catalogue()
        self.policy()
        self.policy(**SHARE)
        self.appoint("sales", "requester")
        self.appoint("service", "requester")

    def first_administrator(self, name: str = "root", **more: Any) -> Caller:
        return super().first_administrator(name, at=self._at, **more)

    def pass_to(self, at: datetime) -> int:
        """Let something be recorded at that instant, where the clock stands then; return its
        position.
        """
        return self["root"].done("/v1/persons", {}, counterseal_at=at.isoformat())["position"]


def test_whoever_has_no_share_sees_what_they_would_see_if_there_were_no_customer(
    firm: Trade, house: House
) -> None:
    customer = assigned(firm, "S-4")
    grant = share(firm, customer)
    expected = (404, "share.unknown")
    assert code(read(firm, customer, grant, "other")) == expected
    assert code(read(firm, customer, new_id())) == expected
    assert code(read(firm, new_id(), grant)) == expected
    dealing = firm.active(customer)["id"]
    assert code(read(firm, customer, dealing)) == expected
    with psycopg.connect(firm.house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (firm.tenant,))
        refused = conn.execute(
            "SELECT party, code FROM access_log WHERE kind = 'refused' AND stream_id = %s",
            (customer,),
        ).fetchall()
    assert (f"staff:{firm.staff['other']}", "share.unknown") in refused
    stranger = Trade(house)
    assert code(read(stranger, customer, grant, "admin")) == expected
    assert log_rows(firm, customer) == []


def test_the_purpose_is_named_and_is_that_of_the_share(firm: Trade) -> None:
    customer = assigned(firm, "S-5")
    grant = share(firm, customer)
    path = f"/v1/customers/{customer}/shared/{grant}"
    assert code(firm["service"].get(path)) == (403, "purpose.missing")
    assert code(read(firm, customer, grant, counterseal_purpose="!")) == (400, "purpose.malformed")
    assert code(read(firm, customer, grant, counterseal_purpose="recall")) == (
        403,
        "share.purpose_other",
    )
    reader = Caller(firm.house, firm.tenant, firm["service"].party, ALL - {"shares"})
    assert code(reader.get(path, **REPAIR)) == (403, "scope_of_key.missing")
    assert log_rows(firm, customer) == []


def test_what_cannot_be_logged_is_not_shown(firm: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = assigned(firm, "S-6")
    grant = share(firm, customer)
    monkeypatch.setattr("api.access_log.SHARED", "SELECT nothing(%s,%s,%s,%s,%s,%s,%s,%s,%s)")
    refused = read(firm, customer, grant)
    assert code(refused) == (503, "access_log.unreachable")
    assert "茶庄" not in refused.text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"template": "none"}, (422, "share.template_unknown")),
        ({"template": None}, (422, "share.template_unknown")),
        ({"purpose": "sale"}, (422, "share.purpose_unknown")),
        ({"term": {"days": 31}}, (422, "term.too_long")),
        ({"scope": {"customer": ["*"]}}, (422, "share.customers_named")),
        ({"scope": {"customer": [new_id()]}}, (403, "share.not_assigned")),
        ({"grantee": None}, (422, "grantee.not_staff")),
        ({"by": "other"}, (403, "share.not_assigned")),
        ({"by": "approver"}, (403, "role.missing")),
    ],
)
def test_a_share_is_asked_for_as_its_template_says_by_whoever_looks_after_the_customer(
    firm: Trade, customer: str, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    if changes.get("grantee", "") is None:
        changes = {"grantee": f"customer:{customer}"}
    assert code(ask(firm, customer, **changes)) == expected


def test_a_share_is_widened_by_whoever_looks_after_the_customers_too_and_within_the_template(
    firm: Trade, customer: str
) -> None:
    foreign = assigned(firm, "S-12", to="other")
    own = assigned(firm, "S-13")
    grant = share(firm, customer, term={"days": 20})
    path = f"/v1/grants/{grant}/amendments"

    def widen(*customers: str) -> httpx.Response:
        return firm["sales"].post(path, {"scope": {"customer": customers}})

    assert code(widen(customer, foreign)) == (403, "share.not_assigned")
    assert code(widen("*")) == (422, "share.customers_named")
    starts = firm["admin"].get(f"/v1/grants/{grant}").json()["state"]["effects"][0]["starts_at"]
    late = (datetime.fromisoformat(starts) + timedelta(days=31)).isoformat()
    assert code(firm["sales"].post(path, {"ends_at": late})) == (422, "term.too_long")
    asked = widen(customer, own)
    assert asked.status_code in (200, 201), asked.text
    assert code(read(firm, own, grant)) == (404, "share.unknown")
    case = asked.json()["events"][0]["fields"]["case"]
    done = f"/v1/grants/{grant}/cases/{case}/approvals"
    firm["approver"].done(done, {"stage": "first"}, if_match=asked.headers["etag"])
    assert read(firm, own, grant).status_code == 200


def test_compliance_may_share_any_customer_there_is(firm: Trade) -> None:
    customer = assigned(firm, "S-8", to="other")
    firm.appoint("officer", "compliance", "requester")
    assert ask(firm, customer, by="officer").status_code == 201
    nobody = ask(firm, customer, by="officer", scope={"customer": [new_id()]})
    assert code(nobody) == (422, "scope.point_unknown")


def test_a_share_that_grants_edit_lets_the_editable_fields_be_changed_and_no_other(
    firm: Trade,
) -> None:
    customer = assigned(firm, "S-9")
    grant = share(firm, customer, actions=["read", "edit"])
    path = f"/v1/customers/{customer}/shared/{grant}/profile"
    shown = read(firm, customer, grant)
    assert shown.json()["fields"]["contact.phone"]["level"] == "edit"
    seen = shown.headers["etag"]
    body = {"contact": {"phone": "13900005678"}}
    assert code(firm["service"].post(path, body)) == (428, "version.missing")
    done = firm["service"].done(path, body, if_match=seen)
    assert "state" not in done
    assert done["events"][0]["fields"]["share"] == grant
    shown = read(firm, customer, grant)
    assert shown.json()["fields"]["contact.phone"]["value"] == "+8613900005678"
    assert shown.json()["fields"]["contact.name"]["value"] == "王*", "the other parts stay"
    moved = firm["service"].post(path, {"contact": {"phone": "13900000000"}}, if_match=seen)
    assert code(moved) == (412, "version.moved")
    assert "state" not in moved.json()
    seen = shown.headers["etag"]
    for more in ({"address": "北京"}, {"contact": {"email": "x@example.com"}}):
        refused = firm["service"].post(path, more, if_match=seen)
        assert code(refused) == (403, "share.field_not_editable")
    assert code(firm["other"].post(path, body, if_match=seen)) == (404, "share.unknown")
    firm["compliance"].done(f"/v1/grants/{grant}/revocation", BECAUSE)
    gone = firm["service"].post(path, body, if_match=seen)
    assert code(gone) == (403, "share.not_in_force")


def test_a_change_that_names_no_field_changes_nothing(firm: Trade) -> None:
    """The right to edit is asked field by field; without one there is nothing to have it for."""
    customer = assigned(firm, "S-21")
    grant = share(firm, customer, actions=["read", "edit"])
    seen = firm["admin"].get(f"/v1/customers/{customer}").headers["etag"]
    path = f"/v1/customers/{customer}/shared/{grant}/profile"
    for contact in ({}, {"name": None}):
        same = firm["service"].done(path, {"contact": contact}, if_match=seen)
        assert (same["result"], same["events"]) == ("no_op", [])


def test_a_change_sent_again_after_the_share_was_suspended_is_answered_again(firm: Trade) -> None:
    customer = assigned(firm, "S-22")
    grant = share(firm, customer, actions=["read", "edit"])
    seen = firm["admin"].get(f"/v1/customers/{customer}").headers["etag"]
    path = f"/v1/customers/{customer}/shared/{grant}/profile"
    body = {"contact": {"phone": "13812341298"}}
    first = firm["service"].post(path, body, if_match=seen, key="once")
    firm["compliance"].done(f"/v1/grants/{grant}/suspension", BECAUSE)
    again = firm["service"].post(path, body, if_match=seen, key="once")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    for version in (seen, first.headers["etag"]):  # moved or not: nothing is told of the customer
        new = firm["service"].post(path, body, if_match=version)
        assert code(new) == (403, "share.not_in_force")
        assert "etag" not in new.headers


def test_a_share_to_read_alone_changes_nothing(firm: Trade) -> None:
    customer = assigned(firm, "S-10")
    grant = share(firm, customer)
    path = f"/v1/customers/{customer}/shared/{grant}/profile"
    seen = read(firm, customer, grant).headers["etag"]
    refused = firm["service"].post(path, {"contact": {"phone": "13900005678"}}, if_match=seen)
    assert refused.status_code == 403


def test_a_service_or_a_member_reads_nothing_through_a_share(firm: Trade) -> None:
    customer = assigned(firm, "S-11")
    grant = share(firm, customer)
    for party, refusal in (
        (Party("service:robot"), (404, "share.unknown")),
        (Party(f"customer:{customer}", new_id()), (403, "actor.own_view_only")),
    ):
        caller = Caller(firm.house, firm.tenant, party, ALL | {"shares"})
        answer = caller.get(f"/v1/customers/{customer}/shared/{grant}", **REPAIR)
        assert code(answer) == refusal
