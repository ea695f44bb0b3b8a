"""Every command once and more, with a marked value in every field that takes words of a person."""

from __future__ import annotations

import re
from typing import Any

import httpx

from api.routes.commands import CommandOperation
from domain.values import Party
from tests.support.doors import Caller, House
from tests.support.marks import Marks
from tests.support.text_fields import texts
from tests.support.trade import POLICY, Trade

NAMES = {"zh": "渠道", "en": "Channel"}
DEALERSHIP = {"policy_kind": "dealership"}


class Marking:
    """A firm whose every command carries marked values.

    `marks` are the values; `sent` says which fields they went in by, `passed` which commands passed
    with them, `kept` what they left in events; `told` is everything the doors answered, to callers
    who may see nothing unmasked.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.marks = Marks()
        self.sent: set[tuple[str, str]] = set()
        self.passed: set[str] = set()
        self.kept: list[str] = []
        self.told: list[bytes] = []
        self.streams: list[str] = []
        self.files: dict[str, tuple[str, str]] = {}
        self._operations = [
            (re.compile(re.sub(r"\{[^}]*\}", "[^/]+", one.path)), one.name)
            for one in house.app.operations
            if isinstance(one, CommandOperation)
        ]

    def trade(self) -> Trade:
        """A firm with people, catalogue and policy; two more who are needed as second persons."""
        trade = Trade(self.house)
        trade.appoint("keeper", "compliance")
        trade.appoint("third", "approver")
        trade.catalogue()
        trade.policy()
        return trade

    def name_of(self, path: str) -> str:
        """The command that answers on this path."""
        return next(name for shape, name in self._operations if shape.fullmatch(path))

    def give(self, caller: Caller, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Give a command with a marked reason, evidence and request id; keep what is answered."""
        shown = {"kind": "statement", "place": self.marks.text()}
        reason = {"code": "why", "text": self.marks.text()}
        whole = {"reason": reason, "evidence": [shown]} | (body or {})
        plain = self.marks.email()
        answer = caller.post(path, whole, x_request_id=plain, user_agent=plain, **headers)
        echoed = answer.headers.pop("x-request-id")
        assert echoed == plain
        self.told += [answer.content, repr(answer.headers).encode()]
        if answer.status_code in (200, 201):
            operation = self.name_of(path)
            self.passed.add(operation)
            given = [one for one in texts(whole) if one[1] in self.marks.stored]
            self.sent |= {(operation, field) for field, _ in given}
            if answer.json()["events"]:
                self.kept += [self.marks.stored[text] for _, text in given]
            self.streams += [one["stream"] for one in answer.json()["events"]]
        return answer

    def say(self, caller: Caller, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """Give a command that succeeds."""
        answer = self.give(caller, path, body, **headers)
        assert answer.status_code in (200, 201), (path, answer.text)
        return answer.json()

    def contact(self) -> dict[str, str]:
        marks = self.marks
        return {
            "name": marks.name(),
            "phone": marks.phone(),
            "email": marks.email(),
            "note": marks.text(),
        }

    def file(self, caller: Caller, customer: str) -> dict[str, str]:
        """Hand in a written note that says something of the customer."""
        text = self.marks.text()
        headers = caller.headers | {"content-type": "text/plain; charset=utf-8"}
        path = f"/v1/evidence?subject=customer:{customer}"
        answer = self.house.send("POST", path, content=text.encode(), headers=headers)
        assert answer.status_code == 201, answer.text
        self.told.append(answer.content)
        self.files[answer.json()["file"]] = (customer, text)
        return {"kind": "written_note", "file": answer.json()["file"], "place": self.marks.text()}


def catalogue(marking: Marking, trade: Trade) -> None:
    """A dimension with a point, and a policy of two versions."""
    say, admin, compliance = marking.say, trade["admin"], trade["compliance"]
    say(admin, "/v1/catalogue/dimensions", {"dimension": "channel", "names": NAMES})
    point = {"dimension": "channel", "path": "online"}
    say(admin, "/v1/catalogue/points", point | {"names": NAMES})
    say(admin, "/v1/catalogue/points/names", point | {"names": {"zh": "线上", "en": "Online"}})
    say(admin, "/v1/catalogue/points/end", point)
    drafted = say(admin, "/v1/policies", {"body": POLICY | {"kind": "loan"}})
    path = f"/v1/policies/{drafted['id']}/versions/1"
    say(admin, f"{path}/body", {"body": POLICY | {"kind": "loan", "longest_days": 9}})
    for deed in ("sending-back", "approval"):
        seen = f'"v{say(admin, f"{path}/submission")["version"]}"'
        say(compliance, f"{path}/{deed}", if_match=seen)
    say(admin, f"{path}/publication")
    say(compliance, f"{path}/retirement")


def people(marking: Marking, trade: Trade) -> str:
    """Persons, accounts and staff; returns a person who may be a member."""
    say, root, marks = marking.say, trade["root"], marking.marks
    member: str = say(root, "/v1/persons", {"full_name": marks.name()})["id"]
    twin = say(root, "/v1/persons", {"full_name": marks.name()})["id"]
    login = {"issuer": "https://login.example.com", "login": marks.email()}
    linked = say(root, f"/v1/persons/{member}/accounts", login)
    account = linked["events"][0]["fields"]["account"]
    say(root, f"/v1/persons/{member}/accounts/{account}/unlinking")
    say(root, f"/v1/persons/{twin}/merge", {"into": member})
    staff = {"person": member, "number": "m-1", "level": "junior", "roles": ["requester"]}
    hired = say(root, "/v1/staff", staff)["id"]
    path = f"/v1/staff/{hired}"
    say(root, f"{path}/level", {"level": "senior"})
    say(root, f"{path}/roles", {"roles": ["reviewer"]})
    teams = {"dimension": "team", "names": NAMES}
    say(trade["admin"], "/v1/catalogue/dimensions", teams)
    say(trade["admin"], "/v1/catalogue/points", teams | {"path": "sales"})
    say(root, f"{path}/team", {"team": "sales"})
    say(root, f"{path}/deputy", {"deputy": trade.staff["second"], "until": "2999-01-01T00:00:00Z"})
    say(root, f"{path}/deputy/end")
    say(root, f"{path}/deactivation")
    say(root, f"{path}/appointment", staff)
    trade.staff["hired"] = hired
    return member


def customers(marking: Marking, trade: Trade, member: str) -> str:
    """Two natural persons, identified and kept, one merged into the other, whom it returns."""
    say, marks = marking.say, marking.marks
    requester, verifier, compliance = trade["requester"], trade["verifier"], trade["compliance"]
    known: list[str] = []
    for number in ("N-1", "N-2"):
        given = {"number": number, "form": "person", "full_name": marks.name()}
        given |= {"identity_number": marks.identity(), "contact": marking.contact()}
        known.append(say(requester, "/v1/customers", given)["id"])
        path = f"/v1/customers/{known[-1]}"
        check = {"kind": "card", "channel": "phone", "passed": True, "document": "card"}
        check |= {"note": marks.text(), "evidence": [marking.file(verifier, known[-1])]}
        say(verifier, f"{path}/identity-checks", check)
        say(verifier, f"{path}/confirmation", DEALERSHIP)
    one, two = known
    path = f"/v1/customers/{one}"
    changed = {"contact": marking.contact(), "address": marks.text()}
    say(requester, f"{path}/profile", changed)
    for end in ("acceptance", "rejection"):
        other = {"full_name": marks.name(), "identity_number": marks.identity()}
        proposed = say(requester, f"{path}/corrections", other)
        correction = proposed["events"][0]["fields"]["correction"]
        say(compliance, f"{path}/corrections/{correction}/{end}")
    say(requester, f"{path}/grade", {"grade": "A"})
    say(requester, f"{path}/links", {"system": "crm", "external_id": "4711"})
    hired = f"/v1/staff/{trade.staff['hired']}"
    say(trade["root"], f"{hired}/assignments", {"customers": [one]})
    say(trade["root"], f"{hired}/handover", {"to": trade.staff["second"]})
    say(compliance, f"{path}/block")
    say(compliance, f"{path}/unblock")
    added = say(requester, f"{path}/members", {"person": member, "acts": ["request", "revoke"]})
    say(requester, f"{path}/members", {"person": member, "acts": ["request", "revoke"]})
    say(requester, f"{path}/members/{added['events'][0]['fields']['member']}/end")
    for end in ("rejection", "acceptance"):
        say(requester, f"/v1/customers/{two}/merge", {"into": one})
        say(compliance, f"/v1/customers/{two}/merge/{end}")
    return one


class Grants:
    """Grants of one customer, along every way there is."""

    def __init__(self, marking: Marking, trade: Trade, customer: str, person: str) -> None:
        self.marking, self.trade, self.say = marking, trade, marking.say
        self.member = trade.member("member", customer, person)
        self.asked = {
            "grantee": f"customer:{customer}",
            "kind": "dealership",
            "actions": ["sell"],
            "scope": {"territory": ["CN/31"], "product": ["tea"]},
            "term": {"days": 365},
        }

    def at(self, path: str) -> str:
        """The version someone sees who decides now."""
        return str(self.trade["admin"].get(path).headers["etag"])

    def request(self) -> str:
        return f"/v1/grants/{self.say(self.trade['requester'], '/v1/grants', self.asked)['id']}"

    def pending(self) -> str:
        path = self.request()
        check = {"kind": "documents", "channel": "online", "note": self.marking.marks.text()}
        self.say(self.trade["verifier"], f"{path}/checks", check)
        return path

    def ended_before(self) -> None:
        """Failed, withdrawn, rejected; and one approval taken back."""
        say, trade = self.say, self.trade
        check = {"kind": "documents", "channel": "online"}
        say(trade["verifier"], f"{self.request()}/verification-failure", check)
        say(trade["requester"], f"{self.request()}/withdrawal")
        path = self.pending()
        say(trade["approver"], f"{path}/rejection", if_match=self.at(path))
        two = [POLICY["stages"][0] | {"groups": [{"role": "approver", "number": 2}]}]
        trade.policy(stages=two)
        path, stage = self.pending(), {"stage": "first"}
        say(trade["approver"], f"{path}/approvals", stage, if_match=self.at(path))
        say(trade["approver"], f"{path}/approvals/retraction", stage)
        trade.policy()

    def approved(self) -> str:
        say, trade, marks = self.say, self.trade, self.marking.marks
        path = self.pending()
        say(trade["approver"], f"{path}/information-requests", {"question": marks.text()})
        say(trade["requester"], f"{path}/information", {"answer": marks.text()})
        say(trade["approver"], f"{path}/approvals", {"stage": "first"}, if_match=self.at(path))
        return path

    def active(self) -> str:
        """In force, held for a while."""
        say, trade, compliance = self.say, self.trade, self.trade["compliance"]
        path = self.approved()
        digest = trade["admin"].get(path).json()["agreement"]["digest"]
        signature = {"party": "tenant", "digest": digest}
        say(compliance, f"{path}/signatures", signature, if_match=self.at(path))
        noted = {"label": "call", "text": self.marking.marks.text()}
        say(trade["requester"], f"{path}/notes", noted)
        held = say(compliance, f"{path}/suspension", {"provisional": True})
        hold = held["events"][0]["fields"]["hold"]
        say(trade["keeper"], f"{path}/suspension/{hold}/confirmation")
        say(compliance, f"{path}/resumption", {"hold": hold})
        return path

    def ended_after(self) -> None:
        """Declined; revoked by each who may."""
        say, compliance = self.say, self.trade["compliance"]
        path = self.approved()
        say(compliance, f"{path}/decline", {"party": "tenant"}, if_match=self.at(path))
        say(compliance, f"{self.active()}/revocation")
        path = self.active()
        for by, end in ((self.member, "cancellation"), (compliance, "confirmation")):
            asked = say(self.member, f"{path}/revocation-request")
            case = {"case": asked["events"][0]["fields"]["case"]}
            say(by, f"{path}/revocation-request/{end}", case)
        rules = Caller(
            self.marking.house, self.trade.tenant, Party("service:rules"), ["grants:supervise"]
        )
        say(rules, f"{self.active()}/revocation/rule", {"cause": "licence_withdrawn"})
