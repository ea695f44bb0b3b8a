"""The service as it is served: processes of `counterseal serve`, and callers who speak HTTP to
them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from msgspec.structs import replace

from api.identity import SCOPES, create_key
from api.keys import KeyStore
from api.provisioning import Database
from api.settings import Settings
from domain.commands.customers import BlockCustomer
from domain.commands.grants import ApproveStage, RecordCheck, RequestGrant
from domain.commands.policies import DraftPolicy, RetirePolicy
from domain.commands.staff import DeactivateStaff
from domain.commands.supervision import RevokeGrant, SuspendGrant
from domain.events.policy import PolicyBody
from domain.ledger import Outcome, Submission
from domain.values import Party
from domain.view import Command
from tests.support.drill_worker import PATIENCE_S, Answer, NotThere, WorkerGone
from tests.support.world import World

SERVE = ("-m", "api.cli", "serve", "--only", "doors", "--port", "0", "--json")
ROOT = Path(__file__).parents[2]
START_S = 60
REQUEST_S = 30
CALLERS = 16
IDLE_S = 5
"""An older connection is not used again: the service closes what was idle for twice as long."""


class Said(NamedTuple):
    """An HTTP answer: status, headers by lower-case name, document; and when it had come in."""

    status: int
    headers: Mapping[str, str]
    document: Any
    received: float  # time.monotonic


class Doors:
    """Where services of one database stand: the addresses, the key file, the API keys made."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.environment = {
            "DATABASE_URL": database.service,
            "KEYS_DATABASE_URL": database.keys,
            "COUNTERSEAL_DATA_DIR": str(folder),
            "COUNTERSEAL_LOG_LEVEL": "warning",
        }
        self.keys = KeyStore(database.keys, Settings(data_dir=folder).key_file)
        self.keys.check()
        self._tokens: dict[tuple[str, Party], str] = {}

    def token(self, tenant: str, party: Party) -> str:
        """Return the party's API key; made at the first use."""
        known = self._tokens.get((tenant, party))
        if known is None:
            with psycopg.connect(self.database.migrator) as conn:
                person = party if party.kind == "customer" else Party(party.ref)
                known = create_key(conn, self.keys, tenant, person, SCOPES)
            self._tokens[tenant, party] = known
        return known

    def open(
        self, *, program: Iterable[str] = SERVE, database_url: str | None = None, port: int = 0
    ) -> Service:
        """Start a process of the service; ask it for `ready` before it is used."""
        more = {} if database_url is None else {"DATABASE_URL": database_url}
        return Service(self, tuple(program), self.environment | more, port)

    def close(self) -> None:
        self.keys.close()


class Service:
    """One process of `counterseal serve`. Leaving the `with` ends it."""

    def __init__(
        self, doors: Doors, program: tuple[str, ...], environment: Mapping[str, str], port: int
    ) -> None:
        self.doors = doors
        self.host, self.port = "127.0.0.1", port
        given = [str(port) if one == "0" else one for one in program]
        self._log = (doors.folder / f"service-{time.monotonic_ns()}.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, *given],
            cwd=ROOT,
            env={**_inherited(), **environment},
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._threads = ThreadPoolExecutor(CALLERS, "caller")
        self._connections = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def ready(self) -> Service:
        """Wait until it listens; what it said of where is where it is asked from then on."""
        assert self.process.stdout is not None
        timer = threading.Timer(START_S, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        assert line, Path(self._log.name).read_text()[-2000:]
        self.port = int(json.loads(line)["listening"].rpartition(":")[2])
        return self

    def say(
        self,
        method: str,
        path: str,
        token: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """Send one request on this thread's connection. Raises `WorkerGone` without an answer."""
        data = b"" if body is None else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        sent.update(headers or {})
        try:
            connection = self._connection()
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            found = answer.read()
        except ConnectionRefusedError as fault:
            self._forget()
            raise NotThere(repr(fault)) from fault
        except (OSError, ValueError, AttributeError, http.client.HTTPException) as fault:
            self._forget()  # the last two: closed under our hands, by whoever killed it
            raise WorkerGone(repr(fault)) from fault
        received = time.monotonic()
        document = json.loads(found) if found else None
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Said(answer.status, named, document, received)

    def _connection(self) -> http.client.HTTPConnection:
        known = getattr(self._connections, "one", None)
        if known is not None and time.monotonic() - self._connections.used > IDLE_S:
            known.close()
            known = None
        if known is None:
            known = http.client.HTTPConnection(self.host, self.port, timeout=REQUEST_S)
            self._connections.one = known
            self._opened.append(known)
        self._connections.used = time.monotonic()
        return known

    def _forget(self) -> None:
        known = getattr(self._connections, "one", None)
        if known is not None:
            known.close()
            self._connections.one = None

    def command(self, submission: Submission) -> Said:
        """Send a command as its party; raises `WorkerGone` without an answer."""
        path, body, headers = request_of(submission)
        token = self.doors.token(submission.tenant, submission.by)
        return self.say("POST", path, token, body, headers)

    def submit(self, submission: Submission) -> Future[Answer]:
        """Send a command without waiting for its answer."""
        return self._threads.submit(lambda: answer_of(self.command(submission)))

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._end()

    def freeze(self) -> None:
        """Stop it where it stands."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Let it end as an operator would."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE_S)
        self._end()

    def _end(self) -> None:
        self._threads.shutdown(wait=True)
        for connection in self._opened:
            connection.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


def _inherited() -> dict[str, str]:
    """What a process needs of ours, and no address of another database."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


def answer_of(said: Said) -> Answer:
    """Return an HTTP answer as the ledger's own would be."""
    document = said.document
    if said.status not in (200, 201):
        return Answer(document["code"])
    events = tuple(
        (e["position"], e["type"], e["stream"], e["version"]) for e in document["events"]
    )
    status = "repeated" if "idempotent-replayed" in said.headers else document["result"]
    return Answer(status, events, document["position"])


def request_of(submission: Submission) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Return path, body and headers that say the same over HTTP. Ids are the edge's there."""
    path, body = _door_of(submission.command)
    if submission.reason is not None:
        body["reason"] = {"code": submission.reason.code}
    assert submission.key is not None
    headers = {"idempotency-key": submission.key}
    if submission.expected_version is not None:
        headers["if-match"] = f'"v{submission.expected_version}"'
    return path, body, headers


def _door_of(command: Command) -> tuple[str, dict[str, Any]]:
    match command:
        case RequestGrant():
            term = command.term
            assert term.starts_at is not None
            assert term.ends_at is not None
            return "/v1/grants", {
                "grantee": command.grantee,
                "kind": _kinds[command.policy],
                "actions": command.actions,
                "scope": command.scope,
                "term": {
                    "starts_at": term.starts_at.isoformat(),
                    "ends_at": term.ends_at.isoformat(),
                },
            }
        case RecordCheck():
            body = {"kind": command.check, "channel": command.channel}
            return f"/v1/grants/{command.grant_id}/checks", body
        case ApproveStage():
            return f"/v1/grants/{command.grant_id}/approvals", {"stage": command.stage}
        case SuspendGrant():
            return f"/v1/grants/{command.grant_id}/suspension", {}
        case RevokeGrant():
            return f"/v1/grants/{command.grant_id}/revocation", {}
        case DeactivateStaff():
            return f"/v1/staff/{command.staff}/deactivation", {}
        case BlockCustomer():
            return f"/v1/customers/{command.customer}/block", {}
        case RetirePolicy():
            return f"/v1/policies/{command.policy}/versions/{command.version}/retirement", {}
        case _:
            raise LookupError(type(command).__name__)


_kinds: dict[str, str] = {}
"""Policy -> its kind, by which requests name it over HTTP."""


class DoorsWorld(World):
    """A world whose policies are found over HTTP too: their kinds are claimed under the real
    keyed hash."""

    def __init__(self, doors: Doors, **more: Any) -> None:
        self.doors = doors
        super().__init__(doors.database, **more)

    def say(self, who: str | Party, command: Command, **more: Any) -> Outcome:
        """Submit as a staff member or a party; wait."""
        if isinstance(command, DraftPolicy):
            claim = self.doors.keys.keyed_hash(self.tenant, "policy_kind", command.body.kind)
            command = replace(command, kind_claim=claim)
        return super().say(who, command, **more)

    def publish(self, body: PolicyBody, policy: str | None = None) -> int:
        """Draft, submit, approve and publish a version; return its number."""
        version = super().publish(body, policy)
        _kinds[policy or self.policy] = body.kind
        return version
