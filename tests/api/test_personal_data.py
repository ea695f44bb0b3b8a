"""No personal data in the clear: marked values go in by every command and are found nowhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo

from api import logs
from api.provisioning import Database
from api.routes.commands import CommandOperation
from domain.values import Party
from tests.support.doors import Caller, House, opened
from tests.support.ledger import new_id
from tests.support.trade import POLICY, Trade

MARK = "Qz7Marked"
NAMES = {"zh": "渠道", "en": "Channel"}
WANTED = 100


class Marking:
    """Every command that passes carries a marked reason; the values are counted."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.marks = 0
        self.passed: set[str] = set()

    def mark(self) -> str:
        self.marks += 1
        return f"{MARK} {self.marks}"

    def say(self, caller: Caller, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """Give a command that succeeds, with a marked reason."""
        reason = {"code": "why", "text": self.mark()}
        answer = caller.post(path, {"reason": reason} | (body or {}), **headers)
        assert answer.status_code in (200, 201), (path, answer.text)
        assert MARK not in answer.text
        for operation in self.house.app.operations:
            shape = re.sub(r"\{[^}]*\}", "[^/]+", operation.path)
            if operation.method == "POST" and re.fullmatch(shape, path):
                self.passed.add(operation.name)
        return answer.json()


@pytest.fixture(scope="module")
def heard() -> Iterator[io.StringIO]:
    out, before = io.StringIO(), structlog.get_config()
    logs.configure("debug", out)
    with pytest.MonkeyPatch.context() as patch:  # a logger once used keeps where it wrote to
        patch.setattr("api.layers.log", structlog.get_logger("counterseal.http"))
        patch.setattr("api.access_log.log", structlog.get_logger("counterseal.access"))
        yield out
    structlog.configure(**before)


@pytest.fixture(scope="module")
def marking(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marking]:
    with opened(database, tmp_path_factory.mktemp("marked")) as house:
        yield Marking(house)


def catalogue(marking: Marking, trade: Trade) -> None:
    """A dimension with a point, and a policy of two versions."""
    say, admin, compliance = marking.say, trade["admin"], trade["compliance"]
    say(admin, "/v1/catalogue/dimensions", {"dimension": "channel", "names": NAMES})
    point = {"dimension": "channel", "path": "online"}
    say(admin, "/v1/catalogue/points", point | {"names": NAMES})
    say(admin, "/v1/catalogue/points/names", point | {"names": {"zh": "线上", "en": "Online"}})
    say(admin, "/v1/catalogue/points/end", point)
    drafted = say(admin, "/v1/policies", {"body": POLICY | {"kind": "share"}})
    path = f"/v1/policies/{drafted['id']}/versions/1"
    say(admin, f"{path}/body", {"body": POLICY | {"kind": "share", "longest_days": 9}})
    for deed in ("sending-back", "approval"):
        seen = f'"v{say(admin, f"{path}/submission")["version"]}"'
        say(compliance, f"{path}/{deed}", if_match=seen)
    say(admin, f"{path}/publication")
    say(compliance, f"{path}/retirement")


def people(marking: Marking, trade: Trade) -> str:
    """Persons, accounts, staff and the catalogue; returns a person who may be a member."""
    say, root = marking.say, trade["root"]
    member: str = say(root, "/v1/persons", {"full_name": marking.mark()})["id"]
    twin = say(root, "/v1/persons", {"full_name": marking.mark()})["id"]
    login = {"issuer": "https://login.example.com", "login": marking.mark()}
    linked = say(root, f"/v1/persons/{member}/accounts", login)
    account = linked["events"][0]["fields"]["account"]
    say(root, f"/v1/persons/{member}/accounts/{account}/unlinking")
    say(root, f"/v1/persons/{twin}/merge", {"into": member})
    staff = {"person": member, "number": "m-1", "level": "junior", "roles": ["requester"]}
    hired = say(root, "/v1/staff", staff)["id"]
    say(root, f"/v1/staff/{hired}/level", {"level": "senior"})
    say(root, f"/v1/staff/{hired}/roles", {"roles": ["reviewer"]})
    deputy = {"deputy": trade.staff["second"], "until": "2999-01-01T00:00:00Z"}
    say(root, f"/v1/staff/{hired}/deputy", deputy)
    say(root, f"/v1/staff/{hired}/deputy/end")
    say(root, f"/v1/staff/{hired}/deactivation")
    again = {"person": member, "number": "m-1", "level": "junior", "roles": ["requester"]}
    say(root, f"/v1/staff/{hired}/appointment", again)
    trade.staff["hired"] = hired
    return member


def customers(marking: Marking, trade: Trade, member: str) -> tuple[str, str]:
    """A natural person identified and kept; returns them and a member id's person."""
    say = marking.say
    requester, verifier, compliance = trade["requester"], trade["verifier"], trade["compliance"]
    contact = {"name": marking.mark(), "note": marking.mark()}
    given = {"number": "N-1", "form": "person", "full_name": marking.mark(), "contact": contact}
    other = {"number": "N-2", "form": "person", "full_name": marking.mark()}
    other |= {"identity_number": f"{MARK}{marking.marks}", "document": "other"}
    one = say(requester, "/v1/customers", given)["id"]
    two = say(requester, "/v1/customers", other)["id"]
    check = {"kind": "card", "channel": "online", "passed": True, "document": "card"}
    for customer in (one, two):
        path = f"/v1/customers/{customer}"
        say(verifier, f"{path}/identity-checks", check | {"note": marking.mark()})
        say(verifier, f"{path}/confirmation", {"policy_kind": "dealership"})
    path = f"/v1/customers/{one}"
    say(requester, f"{path}/profile", {"contact": contact, "address": marking.mark()})
    for end in ("acceptance", "rejection"):
        proposed = say(requester, f"{path}/corrections", {"full_name": marking.mark()})
        correction = proposed["events"][0]["fields"]["correction"]
        say(compliance, f"{path}/corrections/{correction}/{end}")
    say(requester, f"{path}/grade", {"grade": "A"})
    say(requester, f"{path}/links", {"system": "crm", "external_id": "4711"})
    say(trade["root"], f"/v1/staff/{trade.staff['hired']}/assignments", {"customers": [one]})
    say(trade["root"], f"/v1/staff/{trade.staff['hired']}/handover", {"to": trade.staff["second"]})
    say(compliance, f"{path}/block")
    say(compliance, f"{path}/unblock")
    added = say(requester, f"{path}/members", {"person": member, "acts": ["request", "revoke"]})
    say(requester, f"{path}/members", {"person": member, "acts": ["request", "revoke"]})
    say(requester, f"{path}/members/{added['events'][0]['fields']['member']}/end")
    for end in ("rejection", "acceptance"):
        say(requester, f"/v1/customers/{two}/merge", {"into": one})
        say(compliance, f"/v1/customers/{two}/merge/{end}")
    return one, member


def grants(marking: Marking, trade: Trade, customer: str, person: str) -> None:
    """A grant along its main way, and those that ended before."""
    say = marking.say
    requester, verifier, approver = trade["requester"], trade["verifier"], trade["approver"]
    compliance, member = trade["compliance"], trade.member("member", customer, person)
    asked = {
        "grantee": f"customer:{customer}",
        "kind": "dealership",
        "actions": ["sell"],
        "scope": {"territory": ["CN/31"], "product": ["tea"]},
        "term": {"days": 365},
    }
    check = {"kind": "documents", "channel": "online"}

    def at(grant: str) -> str:
        return str(trade["admin"].get(f"/v1/grants/{grant}").headers["etag"])

    def pending() -> str:
        grant = str(say(requester, "/v1/grants", asked)["id"])
        say(verifier, f"/v1/grants/{grant}/checks", check | {"note": marking.mark()})
        return grant

    failed = say(requester, "/v1/grants", asked)["id"]
    say(verifier, f"/v1/grants/{failed}/verification-failure", check)
    taken_back = say(requester, "/v1/grants", asked)["id"]
    say(requester, f"/v1/grants/{taken_back}/withdrawal")
    rejected = pending()
    say(approver, f"/v1/grants/{rejected}/rejection", if_match=at(rejected))
    rules = Caller(marking.house, trade.tenant, Party("service:rules"), ["grants:supervise"])
    two = [POLICY["stages"][0] | {"groups": [{"role": "approver", "number": 2}]}]
    trade.policy(stages=two)
    retracted = pending()
    stage, path = {"stage": "first"}, f"/v1/grants/{retracted}"
    say(trade["approver"], f"{path}/approvals", stage, if_match=at(retracted))
    say(trade["approver"], f"{path}/approvals/retraction", stage)
    trade.policy()
    for way in ("decline", "revocation", "revocation-request", "rule"):
        grant = pending()
        path = f"/v1/grants/{grant}"
        say(approver, f"{path}/information-requests", {"question": marking.mark()})
        say(requester, f"{path}/information", {"answer": marking.mark()})
        say(approver, f"{path}/approvals", {"stage": "first"}, if_match=at(grant))
        if way == "decline":
            say(compliance, f"{path}/decline", {"party": "tenant"}, if_match=at(grant))
            continue
        digest = trade["admin"].get(path).json()["agreement"]["digest"]
        body = {"party": "tenant", "digest": digest}
        say(compliance, f"{path}/signatures", body, if_match=at(grant))
        say(requester, f"{path}/notes", {"label": "call", "text": marking.mark()})
        held = say(compliance, f"{path}/suspension", {"provisional": True})
        hold = held["events"][0]["fields"]["hold"]
        say(trade["keeper"], f"{path}/suspension/{hold}/confirmation")
        say(compliance, f"{path}/resumption", {"hold": hold})
        if way == "revocation":
            say(compliance, f"{path}/revocation")
        elif way == "revocation-request":
            for end in ("cancellation", "confirmation"):
                case = say(member, f"{path}/{way}")["events"][0]["fields"]["case"]
                by = member if end == "cancellation" else compliance
                say(by, f"{path}/{way}/{end}", {"case": case})
        else:
            say(rules, f"{path}/revocation/rule", {"cause": "licence_withdrawn"})


def tables(database: Database) -> Iterator[tuple[str, str]]:
    """Every row of every table of both databases, as a dump would hold them."""
    for name in (database.name, f"{database.name}_keys"):
        with psycopg.connect(make_conninfo(database.admin or "", dbname=name)) as conn:
            found = conn.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r'"
                " AND relnamespace = 'public'::regnamespace"
            ).fetchall()
            for (table,) in found:
                rows = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
                for (row,) in conn.execute(rows):
                    yield table, row


def files(folder: Path) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_marked_value_lies_anywhere_in_the_clear(marking: Marking, heard: io.StringIO) -> None:
    house = marking.house
    trade = Trade(house)
    trade.appoint("keeper", "compliance")
    trade.appoint("third", "approver")
    trade.catalogue()
    trade.policy()
    catalogue(marking, trade)
    member = people(marking, trade)
    customer, person = customers(marking, trade, member)
    grants(marking, trade, customer, person)
    for operation in house.app.operations:  # and by every command that is refused
        if isinstance(operation, CommandOperation):
            path = re.sub(r"\{[^}]*\}", new_id(), operation.path)
            body = dict(operation.example or {}) | {"reason": {"text": marking.mark()}}
            for caller in (trade["shop"], trade["admin"]):
                answer = caller.post(path, body, if_match='"v1"')
                assert answer.status_code >= 200
                assert MARK not in answer.text
    house.follow()
    assert marking.marks >= WANTED
    commands = {one.name for one in house.app.operations if isinstance(one, CommandOperation)}
    assert commands <= marking.passed
    hexed = MARK.encode().hex()
    seen = 0
    for table, row in tables(house.database):
        seen += 1
        assert MARK not in row, table
        assert hexed not in row, table
    assert seen > WANTED
    assert heard.getvalue().count("answered") > WANTED
    assert MARK not in heard.getvalue()
    assert all(MARK.encode() not in content for content in files(house.settings.data_dir))
    reader = Caller(house, trade.tenant, trade["compliance"].party, ["customers", "personal:read"])
    told = reader.get(f"/v1/customers/{customer}/events", counterseal_purpose="test")
    assert told.text.count(MARK) >= 10  # they are there for who may see them: it was sealed
