"""A tenant a test, and short ways to put commands to its ledger."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from api.provisioning import Database
from domain.ledger import Inline, Ledgers, Outcome, Submission
from domain.values import Party
from domain.view import Command

OPERATOR = Party("service:operator")


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562, 5.7)."""
    millis = time.time_ns() // 1_000_000
    value = (millis << 80) | (7 << 76) | (secrets.randbits(12) << 64) | (2 << 62)
    return str(uuid.UUID(int=value | secrets.randbits(62)))


def clock() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


def make_tenant(
    database: Database, folds: Mapping[str, int] | None = None, given_clock: bool = False
) -> str:
    """Make a tenant and return its id."""
    tenant = new_id()
    with psycopg.connect(database.migrator) as conn:
        conn.execute("SET ROLE counterseal_owner")
        conn.execute(
            "SELECT create_tenant(%s, %s, %s, %s)",
            (tenant, f"t-{tenant}", "given" if given_clock else "system", Jsonb(dict(folds or {}))),
        )
    return tenant


def make_ledgers(database: Database, inline: Inline | None = None, **more: Any) -> Ledgers:
    """Open the process's ledgers as the service role."""
    return Ledgers(database.service, inline, clock, **more)


def submission(tenant: str, command: Command, by: Party = OPERATOR, **more: Any) -> Submission:
    """A command as a door would hand it over; its key is random unless given."""
    given: dict[str, Any] = {
        "caller": "test",
        "key": secrets.token_hex(8),
        "fingerprint": b"same",
        "command_id": new_id(),
    }
    return Submission(tenant=tenant, command=command, by=by, **(given | more))


def say(
    ledgers: Ledgers, tenant: str, command: Command, by: Party = OPERATOR, **more: Any
) -> Outcome:
    """Submit a command and wait for its outcome; raises `Refused`."""
    return ledgers.execute(submission(tenant, command, by, **more))
