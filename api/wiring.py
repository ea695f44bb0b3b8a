"""Settings to everything: the only place where the parts are put together."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import psycopg

from api.access_log import AccessLog
from api.arrivals import Arrivals
from api.edge import Edge
from api.evidence import EvidenceStore
from api.gate import Gate
from api.keys import FieldSealer, KeyStore
from api.measures import Measures
from api.postgres_host import StartRefused
from api.provisioning import Database, embedded_database, migrate_both
from api.service_role import check_service_role
from api.settings import Settings
from api.threads import Threads, take_short_turns
from domain.ledger import Ledgers
from domain.values import Party
from projections import migrate
from projections.check_reader import CheckReader
from projections.inline import InlineTables
from projections.memory import Memory

CONNECT_SECONDS = 10


class Addresses(NamedTuple):
    """Where a serving process finds its databases; `projector` only where it runs read models."""

    service: str
    keys: str
    projector: str | None


def addresses(settings: Settings) -> Addresses:
    """Return the addresses; the embedded server is started, provisioned and migrated for it.

    Raises `IncompleteSettings`, `StartRefused`, `MigrationRefused`.
    """
    if settings.embedded:
        database = embedded_database(settings.postgres_folder)
        migrate_both(database)
        return of_database(database)
    projector = settings.projector_database_url
    return Addresses(
        settings.url("database_url"),
        settings.url("keys_database_url"),
        None if projector is None else projector.get_secret_value(),
    )


def of_database(database: Database) -> Addresses:
    """Return the addresses of a provisioned database."""
    return Addresses(database.service, database.keys, database.projector)


def clock() -> datetime:
    """Return this machine's clock."""
    return datetime.now(UTC)


def check_database(service_url: str) -> None:
    """Refuse to start under a wrong role, or on a database that is not of this version.

    Raises `StartRefused` (those of `check_service_role`, `database.migrations_pending`),
    `MigrationRefused`.
    """
    with psycopg.connect(service_url, autocommit=True, connect_timeout=CONNECT_SECONDS) as conn:
        check_service_role(conn)
        lacking = migrate.pending(conn, migrate.FOLDER)
    if lacking:
        raise StartRefused(
            "database.migrations_pending",
            f"The database lacks {lacking[0].name}. Run `counterseal migrate` first.",
        )


class Services:
    """Everything that the doors stand on, one a process. `close` ends it in the right order."""

    def __init__(self, settings: Settings, where: Addresses) -> None:
        """Open what does not need the serving event loop.

        Raises what `check_database` and `KeyStore.check` raise; nothing stays open then.
        """
        check_database(where.service)
        self.settings = settings
        self.measures = Measures()
        self._decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}
        with ExitStack() as opened:
            self.keys = opened.enter_context(KeyStore(where.keys, settings.key_file))
            self.keys.check()
            self.sealer = FieldSealer(self.keys)
            self.evidence = EvidenceStore(settings.evidence_folder, self.keys)
            self.ledgers = Ledgers(where.service, InlineTables(), clock)
            opened.callback(self.ledgers.close)
            self.arrivals = Arrivals(self.ledgers.hand_over)
            self.ledgers.pool.open()  # does not wait; whoever asks first does
            self.threads = Threads(settings.threads)
            opened.callback(self.threads.close)
            self.access_log = AccessLog(self.ledgers.pool, self.threads)
            self.gate = Gate(
                self.ledgers.pool,
                self.keys,
                self.ledgers,
                self.threads,
                self.access_log,
                settings.requests_a_key,
            )
            self._reader = CheckReader(where.service)
            self.memory = Memory(
                self._reader, now=clock, monotonic=time.monotonic, seconds=time.time
            )
            self._opened = opened.pop_all()

    def decoder(self, shape: type[Any]) -> msgspec.json.Decoder[Any]:
        """Return the decoder of a body's shape."""
        found = self._decoders.get(shape)
        if found is None:
            found = self._decoders[shape] = msgspec.json.Decoder(shape)
        return found

    def edge(self, tenant: str, by: Party, *, patient: bool = True) -> Edge:
        """Return what makes one command of this party; not patient, it never asks a database."""
        return Edge(
            tenant, by, self.ledgers, self.keys, self.sealer, self.evidence, patient=patient
        )

    async def begin(self) -> None:
        """Open what lives in the event loop that serves: the memory of checks and its reader."""
        take_short_turns()
        self.arrivals = Arrivals(self.ledgers.hand_over)
        await self._reader.open()
        await self.memory.open()

    async def end(self) -> None:
        """Close what `begin` opened, in the same event loop."""
        await self.memory.close()
        await self._reader.close()

    def close(self) -> None:
        """Let what was accepted be written, then close every connection."""
        self._opened.close()


def open_services(settings: Settings) -> Services:
    """Return the services of this process; raises what `addresses` and `Services` raise."""
    return Services(settings, addresses(settings))
