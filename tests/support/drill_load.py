"""Callers who keep a service busy over HTTP, each command with a key and a mark of its own, and
what the log has to say of each mark."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from api.provisioning import Database
from tests.support.drill_doors import DoorsWorld, Said, Service
from tests.support.drill_worker import NotThere, WorkerGone
from tests.support.ledger import clock
from tests.support.owner import superuser

AGAIN_S = 0.02
GIVE_UP_S = 60.0
NOT_NOW = 503


class Line:
    """Where the service is now; whoever restarts it says so here."""

    def __init__(self, service: Service) -> None:
        self.service = service


class Sent(NamedTuple):
    """A command that was sent: its mark, and the positions it was acknowledged with, or None."""

    mark: str
    positions: tuple[int, ...] | None


class GaveUp(Exception):
    """A caller was cut off and does not come back for the answer."""


class Caller(threading.Thread):
    """Takes grants from request to revocation, one after another, until told to stop.

    Cut off, it sends the same command again under the same key; one time in four it gives up and
    goes on to another grant, and nobody knows what became of that command.
    """

    def __init__(self, line: Line, world: DoorsWorld, number: int, seed: int) -> None:
        super().__init__(name=f"caller-{number}", daemon=True)
        self._line = line
        self._world = world
        self._number = number
        self._chance = random.Random(seed * 1000 + number)
        self._customer = world.customer()
        self._spare = world.customer()
        self._tokens = {
            who: world.doors.token(world.tenant, world.party(who))
            for who in ("requester", "verifier", "approver0", "compliance")
        }
        self._count = 0
        self.sent: list[Sent] = []
        self.unexpected: list[Said] = []
        self.fault: BaseException | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                try:
                    self._one_grant()
                except GaveUp:
                    continue
        except BaseException as fault:
            self.fault = fault
            raise

    def _one_grant(self) -> None:
        starts = clock()
        asked = {
            "grantee": f"customer:{self._customer}",
            "kind": self._world.body.kind,
            "actions": ["sell"],
            "scope": {"territory": ["CN/31"], "product": ["tea"]},
            "term": {
                "starts_at": starts.isoformat(),
                "ends_at": starts.replace(year=starts.year + 1).isoformat(),
            },
        }
        grant = f"/v1/grants/{self._say('requester', '/v1/grants', asked)['id']}"
        check = {"kind": "documents", "channel": "online"}
        checked = self._say("verifier", f"{grant}/checks", check)
        stage = {"stage": "sales"}
        self._say("approver0", f"{grant}/approvals", stage, seen=checked["version"])
        held = self._say("compliance", f"{grant}/suspension", {})
        hold = {"hold": held["events"][0]["fields"]["hold"]}
        self._say("compliance", f"{grant}/resumption", hold)
        spare = f"/v1/customers/{self._spare}"
        self._say("compliance", f"{spare}/block", {})
        self._say("compliance", f"{spare}/unblock", {})
        if self._chance.random() < 0.5:
            self._say("compliance", f"{grant}/revocation", {})

    def _say(self, who: str, path: str, body: dict[str, Any], seen: int | None = None) -> Any:
        if self.stopped.is_set():
            raise GaveUp
        self._count += 1
        mark = f"m{self._number}-{self._count}"
        headers = {"idempotency-key": mark}
        if seen is not None:
            headers["if-match"] = f'"v{seen}"'
        until = time.monotonic() + GIVE_UP_S
        while True:
            try:
                said = self._line.service.say(
                    "POST", path, self._tokens[who], body | {"reason": {"code": mark}}, headers
                )
            except NotThere:
                pass
            except WorkerGone:
                if self._chance.random() < 0.25:
                    self.sent.append(Sent(mark, None))
                    raise GaveUp from None
            else:
                if said.status in (200, 201):
                    events = tuple(event["position"] for event in said.document["events"])
                    self.sent.append(Sent(mark, events))
                    return said.document
                if said.status != NOT_NOW:
                    self.sent.append(Sent(mark, None))
                    self.unexpected.append(said)
                    raise GaveUp
            if time.monotonic() > until:
                raise TimeoutError(f"{path} was never answered")
            time.sleep(AGAIN_S)


class Reckoning(NamedTuple):
    """What the log has to say of the commands sent."""

    acknowledged: int
    unknown: int  # nobody was told what became of them
    unknown_there: int  # of these, committed all the same
    lost: list[str]
    doubled: list[str]
    elsewhere: list[str]  # acknowledged with other positions than it has


def reckon(database: Database, tenant: str, sent: Iterable[Sent]) -> Reckoning:
    """Hold what callers were told against the log, mark by mark."""
    there: dict[str, list[int]] = {}
    commands: dict[str, set[str]] = {}
    with superuser(database) as conn:
        for position, command, data in conn.execute(
            "SELECT position, command_id::text, data FROM events WHERE tenant_id = %s"
            " ORDER BY position",
            (tenant,),
        ):
            mark = json.loads(data).get("reason", {}).get("code", "")
            there.setdefault(mark, []).append(position)
            commands.setdefault(mark, set()).add(command)
    marks: Sequence[Sent] = list(sent)
    assert max(Counter(one.mark for one in marks).values(), default=1) == 1
    told = [one for one in marks if one.positions is not None]
    silent = [one.mark for one in marks if one.positions is None]
    return Reckoning(
        acknowledged=len(told),
        unknown=len(silent),
        unknown_there=sum(mark in there for mark in silent),
        lost=[one.mark for one in told if one.mark not in there],
        doubled=[one.mark for one in marks if len(commands.get(one.mark, ())) > 1],
        elsewhere=[one.mark for one in told if list(one.positions or ()) != there.get(one.mark)],
    )
