"""The doors on a migrated database, and a caller who speaks HTTP to them without a socket."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from api.app import Served, create_app
from api.identity import create_key
from api.provisioning import Database
from api.settings import Settings
from api.wiring import Services, of_database
from domain.commands.persons import RegisterPerson
from domain.commands.staff import AppointStaff
from domain.values import Party
from projections.inline import FOLDS
from projections.models import FOLDS as RUNNER_FOLDS
from projections.runner import Runner
from tests.support.ledger import OPERATOR, make_tenant, new_id, say

ALL = frozenset(
    {
        "evaluate",
        "search",
        "grants:read",
        "grants:request",
        "grants:verify",
        "grants:approve",
        "grants:sign",
        "grants:supervise",
        "customers",
        "shares",
        "me",
        "policies",
        "staff",
        "admin",
        "audit:read",
    }
)


class Loop:
    """An event loop in a thread of its own, so that tests stay plain functions."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, awaitable: Any, seconds: float = 40) -> Any:
        """Wait for a coroutine and return its result."""
        return asyncio.run_coroutine_threadsafe(awaitable, self.loop).result(seconds)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


class House:
    """The services, the application on them, and whoever calls."""

    def __init__(self, database: Database, folder: Path, **settings: Any) -> None:
        self.database = database
        self.settings = Settings(data_dir=folder, **settings)
        self.services = Services(self.settings, of_database(database))
        self.app: Served = create_app(self.services)
        self.loop = Loop()
        self.loop.run(self.services.begin())
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://doors")

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request and return its answer."""
        return self.loop.run(self.client.request(method, path, **more))

    def together(self, requests: Iterable[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Send requests at the same time; return the answers in their order."""

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(
                *(self.client.request(method, path, **more) for method, path, more in requests)
            )

        return self.loop.run(all_of_them())

    def follow(self) -> None:
        """Bring every read model up to the log, as the runner does all the time."""
        runner = Runner(self.database.projector)
        try:
            while runner.step():
                pass
        finally:
            runner.close()

    def close(self) -> None:
        self.loop.run(self.client.aclose())
        self.loop.run(self.services.end())
        self.loop.close()
        self.services.close()


@contextmanager
def opened(database: Database, folder: Path, **settings: Any) -> Iterator[House]:
    """Open the doors for a while."""
    house = House(database, folder, **settings)
    try:
        yield house
    finally:
        house.close()


class Caller:
    """One party with a key of its own."""

    def __init__(self, house: House, tenant: str, party: Party, scopes: Iterable[str]) -> None:
        self.house = house
        self.tenant = tenant
        self.party = party
        with psycopg.connect(house.database.migrator) as conn:
            self.key = create_key(conn, house.services.keys, tenant, party, list(scopes))
        self.headers = {"authorization": f"Bearer {self.key}"}

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for something; headers with `_` for `-`."""
        return self.house.send("GET", path, headers=self.headers | _dashed(headers))

    def post(
        self, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        """Give a command; its key is random unless given."""
        sent = {"idempotency-key": key or secrets.token_hex(8)} | self.headers | _dashed(headers)
        return self.house.send("POST", path, json={} if body is None else body, headers=sent)

    def done(self, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """Give a command that succeeds; return the answer."""
        answer = self.post(path, body, **headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def ask(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Post a question: no command, no key."""
        return self.house.send("POST", path, json=body, headers=self.headers | _dashed(headers))


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Firm:
    """A tenant with staff, each a caller; everything else is said over HTTP."""

    def __init__(self, house: House, *, given_clock: bool = False) -> None:
        self.house = house
        self.tenant = make_tenant(house.database, {**FOLDS, **RUNNER_FOLDS}, given_clock)
        self.callers: dict[str, Caller] = {}
        self.staff: dict[str, str] = {}
        self.people: dict[str, str] = {}

    def __getitem__(self, name: str) -> Caller:
        return self.callers[name]

    def first_administrator(self, name: str = "root", **more: Any) -> Caller:
        """Made by the operator, as `counterseal tenant create` does."""
        ledgers, keys = self.house.services.ledgers, self.house.services.keys
        person, staff = new_id(), new_id()
        say(ledgers, self.tenant, RegisterPerson(person=person), OPERATOR, **more)
        appointed = AppointStaff(
            staff=staff,
            person=person,
            number=name,
            number_claim=keys.keyed_hash(self.tenant, "staff_number", name),
            level="senior",
            roles=("administrator",),
        )
        say(ledgers, self.tenant, appointed, OPERATOR, **more)
        return self._caller(name, staff, person)

    def appoint(self, name: str, *roles: str, person: str | None = None) -> Caller:
        """Appoint over HTTP, by the first administrator."""
        root = self.callers["root"]
        if person is None:
            person = root.done("/v1/persons", {"full_name": f"Someone {name}"})["id"]
        body = {"person": person, "number": name, "level": "senior", "roles": roles}
        staff = root.done("/v1/staff", body)["id"]
        assert person is not None
        return self._caller(name, staff, person)

    def service(self, name: str, *scopes: str) -> Caller:
        """A service with a key."""
        self.callers[name] = Caller(self.house, self.tenant, Party(f"service:{name}"), scopes)
        return self.callers[name]

    def member(self, name: str, customer: str, person: str) -> Caller:
        """Someone who acts for a customer."""
        party = Party(f"customer:{customer}", person)
        self.callers[name] = Caller(self.house, self.tenant, party, ALL)
        return self.callers[name]

    def _caller(self, name: str, staff: str, person: str) -> Caller:
        self.staff[name], self.people[name] = staff, person
        self.callers[name] = Caller(self.house, self.tenant, Party(f"staff:{staff}"), ALL)
        return self.callers[name]
