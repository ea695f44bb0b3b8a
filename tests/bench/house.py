"""A tenant full of grants and a served door on it: the stage of the HTTP benchmarks."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg

from api.identity import create_key
from api.keys import KeyStore
from api.provisioning import Database
from api.settings import Settings
from domain.commands.customers import ConfirmCustomer, RecordIdentityCheck, RegisterCustomer
from domain.ledger import Outcome
from domain.values import Party
from domain.view import Command
from tests.bench.server import served
from tests.bench.stage import database
from tests.support.ledger import new_id
from tests.support.world import BODY, World, hashed

WINDOW = 512
SCOPES = ("evaluate", "grants:supervise", "grants:read")


class House(NamedTuple):
    """What an HTTP benchmark works on."""

    world: World
    grants: list[str]
    customers: list[str]
    key: str
    compliance_key: str
    ports: tuple[int, ...]


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def house(grants: int, each: int, servers: int = 1) -> Iterator[House]:
    """Give a tenant with so many grants in force, `each` a customer, and servers on it."""
    folder = Path(tempfile.mkdtemp(prefix="cs-house-"))
    try:
        with database() as made:
            world = World(made, body=msgspec.structs.replace(BODY, verification=None))
            customers, found = fill(world, grants, each)
            keys = [
                _key(made, folder, world.tenant, party)
                for party in (Party("service:bench"), Party(world.parties["compliance"].ref))
            ]
            ports = tuple(free_port() for _ in range(servers))
            bare = replace(made, admin=None)
            with _all_served(bare, folder, ports):
                yield House(world, found, customers, keys[0], keys[1], ports)
            world.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _all_served(made: Database, folder: Path, ports: tuple[int, ...]) -> Iterator[None]:
    if not ports:
        yield
        return
    with served(made, folder, ports[0]), _all_served(made, folder, ports[1:]):
        yield


def _key(made: Database, folder: Path, tenant: str, party: Party) -> str:
    settings = Settings(data_dir=folder)
    with KeyStore(made.keys, settings.key_file) as keys, psycopg.connect(made.migrator) as conn:
        return create_key(conn, keys, tenant, party, list(SCOPES))


def fill(world: World, grants: int, each: int) -> tuple[list[str], list[str]]:
    """Make customers and free grants in force by the real commands; return both lists of ids."""
    customers = [new_id() for _ in range(max(1, grants // each))]
    _all(
        world,
        "requester",
        (
            RegisterCustomer(
                customer=one,
                number=f"B{number}",
                number_claim=hashed("customer", str(number)),
                form="organization",
                title=f"茶庄{number}",
            )
            for number, one in enumerate(customers)
        ),
    )
    _all(
        world,
        "verifier",
        (
            RecordIdentityCheck(
                customer=one,
                check_kind="licence",
                channel="online",
                passed=True,
                document="business_licence",
            )
            for one in customers
        ),
    )
    _all(
        world,
        "verifier",
        (ConfirmCustomer(customer=one, policy=world.policy) for one in customers),
    )
    commands = [
        world.request_command(
            customers[number % len(customers)],
            actions=("display",),
            scope={"territory": ("CN/31", "CN/32"), "product": ("tea",)},
        )
        for number in range(grants)
    ]
    _all(world, "requester", commands)
    return customers, [one.grant_id for one in commands]


def _all(world: World, who: str, commands: Any) -> None:
    flying: list[Future[Outcome]] = []
    command: Command
    for command in commands:
        flying.append(world.submit(who, command))
        if len(flying) >= WINDOW:
            for future in flying:
                future.result()
            flying.clear()
    for future in flying:
        future.result()


ASKED: dict[str, Any] = {
    "action": {"name": "display"},
    "resource": {"type": "territory", "id": "CN/31", "properties": {"product": "tea"}},
}


def evaluation(customer: str, **context: Any) -> bytes:
    """Return the body of a question that is allowed."""
    asked: dict[str, Any] = {"subject": {"type": "customer", "id": customer}, **ASKED}
    if context:
        asked["context"] = context
    return msgspec.json.encode(asked)


def evaluations(customers: list[str]) -> bytes:
    """Return the body that asks the same of many customers."""
    items = [{"subject": {"type": "customer", "id": one}} for one in customers]
    return msgspec.json.encode({**ASKED, "evaluations": items})


def unique() -> str:
    """Return an Idempotency-Key."""
    return f"idempotency-key: {secrets.token_hex(12)}"
