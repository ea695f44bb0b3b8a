"""Says a command to the doors and to the reference, and holds what the two answer against another.

People and things have names here; `ids` knows what the doors call them.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import httpx
import psycopg

from api.identity import create_key
from domain.values import Party as DoorParty
from tests.support.doors import ALL, House
from tests.support.reference.answers import Answer, http_status
from tests.support.reference.grants import instant
from tests.support.reference.people import Party
from tests.support.reference.world import World
from tests.support.wire import SIGHT, WIRE, Line

UNKNOWN_ID = "01900000-0000-7000-8000-00000000dead"


class Said(NamedTuple):
    """A command: what, by whom, on whose behalf, with what."""

    verb: str
    by: Party
    given: dict[str, Any]
    behalf: str = ""


class Question(NamedTuple):
    """May `subject` do `action` on a point at an instant? `resource` is its dimension and path."""

    subject: Party
    action: str
    resource: tuple[str, str]
    properties: dict[str, str]
    at: datetime


class Mirror:
    """One tenant with a given clock, and the reference beside it."""

    def __init__(self, house: House, tenant: str, now: datetime) -> None:
        self.house = house
        self.tenant = tenant
        self.world = World(now)
        self.seen = now
        self.ids: dict[tuple[str, str], str] = {}
        self.versions: dict[str, int] = {}
        self.tokens: dict[Party, str] = {}
        self.last: tuple[dict[str, Any], httpx.Response] | None = None
        self._conn = psycopg.connect(house.database.migrator, autocommit=True)

    def close(self) -> None:
        self._conn.close()

    def id(self, kind: str, name: str) -> str:
        """What the doors call it; an id of nothing for a name that nothing has."""
        return self.ids.get((kind, name), UNKNOWN_ID)

    def ref(self, party: Party) -> str:
        """What the doors call a party."""
        service = party.kind == "service"
        return f"{party.kind}:{party.name if service else self.id(party.kind, party.name)}"

    def token(self, party: Party) -> str:
        """A key of this party, made when it is first needed."""
        if party not in self.tokens:
            person = self.id("person", party.person) if party.person else None
            door = DoorParty(self.ref(party), person)
            keys = self.house.services.keys
            self.tokens[party] = create_key(self._conn, keys, self.tenant, door, ALL)
        return self.tokens[party]

    # --- commands ---------------------------------------------------------------------------------

    def say(
        self, verb: str, by: Party, *, behalf: str = "", dry: bool = False, **given: Any
    ) -> Answer:
        """Give a command to both; assert that they agree; return what the reference said."""
        said = Said(verb, by, given, behalf)
        world = copy.deepcopy(self.world) if dry else self.world
        request = self._request(said, dry=dry)
        expected = world.do(verb, by, behalf, **given)
        answer = self.house.send(**request)
        self._agree(said, expected, answer, world, dry=dry)
        if expected.events and not dry:
            self.last = (request, answer)
        return expected

    def say_together(self, commands: Iterable[Said]) -> None:
        """Give commands that have nothing to do with each other at the same time; all succeed."""
        said = list(commands)
        requests = [self._request(one, dry=False) for one in said]
        expected = [self.world.do(one.verb, one.by, one.behalf, **one.given) for one in said]
        for request in requests:
            request["path"] = request.pop("path")
        answers = self.house.together((one.pop("method"), one.pop("path"), one) for one in requests)
        for one, wanted, answer in zip(said, expected, answers, strict=True):
            assert wanted.events, (one, wanted)
            self._agree(one, wanted, answer, self.world, dry=False)

    def stale(self, verb: str, by: Party, **given: Any) -> None:
        """A decision on a version that is not the current one changes nothing: 412."""
        request = self._request(Said(verb, by, given), dry=False)
        stream = self.id(*self._stream(WIRE[verb], given))
        request["headers"]["if-match"] = f'"v{self.versions[stream] + 1}"'
        answer = self.house.send(**request)
        assert (answer.status_code, answer.json()["code"]) == (412, "version.moved"), answer.text
        assert answer.json()["version"] == self.versions[stream]
        del request["headers"]["if-match"]
        answer = self.house.send(**request)
        assert (answer.status_code, answer.json()["code"]) == (428, "version.missing"), answer.text

    def again(self) -> bool:
        """The last command sent again gives the first answer again; another under its key none."""
        if self.last is None:
            return False
        request, first = self.last
        answer = self.house.send(**request)
        assert answer.content == first.content, (answer.text, first.text)
        assert answer.status_code == first.status_code
        assert answer.headers["etag"] == first.headers["etag"]
        assert answer.headers["idempotent-replayed"] == "true"
        other = {**request, "json": {**request["json"], "reason": {"code": "other"}}}
        answer = self.house.send(**other)
        assert (answer.status_code, answer.json()["code"]) == (422, "key.reused"), answer.text
        return True

    def _stream(self, line: Line, given: dict[str, Any]) -> tuple[str, str]:
        return line.kind, given.get(line.names, given.get("new", ""))

    def _request(self, said: Said, *, dry: bool) -> dict[str, Any]:
        line, given = WIRE[said.verb], said.given
        body = line.body(self, given)
        if given.get("reason"):
            body["reason"] = {"code": "test"}
        if said.behalf:
            body["on_behalf_of"] = f"staff:{self.id('staff', said.behalf)}"
        headers = {
            "authorization": f"Bearer {self.token(said.by)}",
            "idempotency-key": secrets.token_hex(8),
            "counterseal-at": instant(self.world.now),
        }
        if said.verb in SIGHT:
            stream = self.id(*self._stream(line, given))
            headers["if-match"] = f'"v{self.versions[stream]}"'
        path = line.path.format_map(Place(self, line, given))
        query = "?dry_run=true" if dry else ""
        return {"method": "POST", "path": path + query, "json": body, "headers": headers}

    def _agree(
        self, said: Said, expected: Answer, answer: httpx.Response, world: World, *, dry: bool
    ) -> None:
        document = answer.json()
        context = (said, expected, document, world.now)
        if said.given.get("less") == {"days": 0}:  # the door takes no such body
            assert expected.refusals, context
            assert (answer.status_code, document["code"]) == (400, "body.invalid"), context
            return
        if expected.refusals:
            assert document.get("code") in expected.refusals, context
            assert answer.status_code == http_status(document["code"]), context
            return
        line = WIRE[said.verb]
        created = line.created and expected.events and not dry
        assert answer.status_code == (201 if created else 200), context
        assert document["result"] == ("would" if dry else expected.result), context
        told = (one["type"].rpartition(".")[0] for one in document["events"])
        happened = tuple(name for name in told if name not in BY_THE_CLOCK)
        assert happened == expected.events, context
        kind, name = self._stream(line, said.given)
        status = world.status(kind, name, world.now)
        assert document["state"]["status"] == status, (status, *context)
        if not dry:
            self._learn(line, said.given, document)

    def _learn(self, line: Line, given: dict[str, Any], document: dict[str, Any]) -> None:
        """Take over what the doors made up: ids, versions, the log's own time."""
        for event in document["events"]:
            self.versions[event["stream"]] = event["version"]
            self.seen = max(self.seen, datetime.fromisoformat(event["recorded_at"]))
        if "new" in given and document["events"]:
            if not line.part:
                self.ids[line.kind, given["new"]] = document["id"]
            else:
                named = [one["fields"].get(line.part) for one in document["events"]]
                known = {made for (kind, _), made in self.ids.items() if kind == line.part}
                made = [one for one in named if one is not None and one not in known]
                if made:
                    self.ids[line.part, given["new"]] = made[0]
        if line.kind == "policy":
            self.ids["policy", given["kind"]] = document["id"]

    # --- questions --------------------------------------------------------------------------------

    def look(
        self, by: Party, records: Sequence[tuple[str, str]], questions: Sequence[Question]
    ) -> list[bool]:
        """Read records (kind, name) and ask access checks, all at once and from the database.

        Asserts that both agree on every status, version, digest and decision; returns decisions.
        """
        headers = {"headers": {"authorization": f"Bearer {self.token(by)}"}}
        reads = [
            ("GET", f"/v1/{PLURALS[kind]}/{self.id(kind, name)}", headers) for kind, name in records
        ]
        asked = [("POST", "/v1/checks", headers | {"json": self._asked(one)}) for one in questions]
        answers = self.house.together([*reads, *asked])
        for record, answer in zip(records, answers, strict=False):
            assert answer.status_code == 200, (record, answer.text)
            self._agree_on_record(*record, answer.json())
        return [
            self._agree_on_decision(one, answer)
            for one, answer in zip(questions, answers[len(reads) :], strict=True)
        ]

    def _asked(self, one: Question) -> dict[str, Any]:
        return {
            "subject": self.ref(one.subject),
            "action": one.action,
            "resource": {
                "type": one.resource[0],
                "id": one.resource[1],
                "properties": one.properties,
            },
            "at": instant(one.at),
            "consistency": "full",
        }

    def _agree_on_decision(self, one: Question, answer: httpx.Response) -> bool:
        document = answer.json()
        assert answer.status_code == 200, (one, document)
        stored = self.world.points.get(one.resource)
        point = {**(stored.attributes if stored else {}), **one.properties}
        point[one.resource[0]] = one.resource[1]
        may = self.world.may(one.subject, one.action, point, one.at)
        assert document["decision"] == may, (one, may, document, self.world.grants)
        return may

    def _agree_on_record(self, kind: str, name: str, document: dict[str, Any]) -> None:
        """By the log's own time, which is the last command's, not what the clock says now."""
        status = self.world.status(kind, name, self.seen)
        assert document["state"]["status"] == status, (kind, name, status, document)
        assert document["version"] == self.versions[self.id(kind, name)], document
        if kind == "policy":
            for number in document["state"]["versions"]:
                shown = document["state"]["versions"][number]["status"]
                assert shown == self.world.version_status(name, int(number), self.seen), document
        if kind == "grant":
            self._agree_on_case(name, document)
        if kind == "grant" and document["agreement"] is not None:
            assert document["agreement"]["digest"] == self.world.digest(name), document

    def _agree_on_case(self, name: str, document: dict[str, Any]) -> None:
        """The renewal or amendment beside it; what the clock ended may be shown or not."""
        case, shown = (
            self.world.grants[name].open_case(self.seen),
            document["state"].get("open_case"),
        )
        if case is not None:
            assert shown is not None, (name, document)
            known = (self.id("case", case.name), case.kind, case.state, case.terms.number)
            asked = (shown["case"], shown["kind"], shown["status"], shown["terms"]["number"])
            assert asked == known, (name, document)
        elif self.world.grants[name].case is None:
            assert shown is None, (name, document)


BY_THE_CLOCK = frozenset({"grant.expired", "grant.renewal_lapsed", "grant.amendment_lapsed"})
"""Written down with a command where no timekeeper did before; the reference has no word for it."""

PLURALS = {"grant": "grants", "customer": "customers", "policy": "policies", "staff": "staff"}


class Place(dict[str, str]):
    """Fills the places of a path: `{grant}` is the id of the grant that was named."""

    def __init__(self, mirror: Mirror, line: Line, given: dict[str, Any]) -> None:
        super().__init__()
        self._mirror, self._line, self._given = mirror, line, given

    def __missing__(self, name: str) -> str:
        if name == "number":
            return str(self._given[name])
        if name == "policy":
            return self._mirror.id(name, self._given["kind"])
        kind = self._line.kind if name == "new" else name
        return self._mirror.id(kind, self._given[name])
