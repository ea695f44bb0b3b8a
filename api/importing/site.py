"""Where an import writes to: the tenant's ledger, and what it holds already."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Final, LiteralString, Protocol

from psycopg.rows import tuple_row

from api.ids import new_id
from api.importing.naming import Namer
from domain.commands.imports import IMPORTER, Facts, RecordImported
from domain.ledger import Ledgers, Outcome, Submission
from domain.sealing import Context, Sealed, Sealer
from domain.values import Instant

CALLER: Final = "import"
"""Under which the idempotency keys of imports stand."""


class KeyedHashes(Protocol):
    """What is needed of `api.keys.KeyStore`."""

    def keyed_hash(self, tenant: str, kind: str, value: str) -> bytes:
        """Return 32 bytes, equal for values that are the same to a person."""
        ...


class Site:
    """One tenant's ledger for one import; `at` only where the tenant's clock is given."""

    def __init__(
        self,
        ledgers: Ledgers,
        hashes: KeyedHashes,
        sealer: Sealer,
        tenant: str,
        source: str,
        *,
        dry_run: bool,
    ) -> None:
        self.ledgers = ledgers
        self.tenant = tenant
        self.dry_run = dry_run
        self.namer = Namer(hashes.keyed_hash(tenant, "import", source), tenant, source)
        self.at: Instant | None = None
        self._hashes = hashes
        self._sealer = sealer
        self._acknowledge_at = 0.0

    def hash(self, kind: str, value: str) -> bytes:
        """Return the keyed hash under which a value is claimed."""
        return self._hashes.keyed_hash(self.tenant, kind, value)

    def seal(self, person: str, text: str, command_id: str, field: str) -> Sealed:
        """Return a text about a person, sealed for a field of an event on their stream."""
        return self._sealer.seal(person, text, Context(self.tenant, person, command_id, field))

    def submit(
        self,
        facts: Sequence[Facts],
        *,
        key: str | None = None,
        fingerprint: bytes = b"",
        command_id: str | None = None,
    ) -> Future[Outcome]:
        """Queue facts as one command, all of it or nothing of it.

        Without a key it is written again unless its facts are `if_absent`."""
        return self.ledgers.submit(
            Submission(
                tenant=self.tenant,
                caller=CALLER,
                key=key,
                fingerprint=fingerprint,
                command=RecordImported(facts=tuple(facts)),
                by=IMPORTER,
                command_id=command_id or new_id(),
                dry_run=self.dry_run,
                at=self.at,
            )
        )

    def settled(self, outcome: Outcome) -> Outcome:
        """Take note of an answer, and return it."""
        self._acknowledge_at = max(self._acknowledge_at, outcome.acknowledge_at)
        return outcome

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Let the process not remember streams that nobody is about to ask for."""
        self.ledgers.ledger(self.tenant).forget(stream_ids)

    def acknowledge(self) -> None:
        """Wait until what was written may be told: until then another process may still answer a
        check from before it."""
        time.sleep(max(0.0, self._acknowledge_at - time.monotonic()))

    def claimed(self, kind: str, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """Return the streams that hold claims, by hash; one round trip."""
        rows = self._ask(
            "SELECT keyed_hash, stream_id FROM claims"
            " WHERE tenant_id = %s AND kind = %s AND keyed_hash = ANY(%s)",
            (self.tenant, kind, list(hashes)),
        )
        return {bytes(keyed_hash): str(stream_id) for keyed_hash, stream_id in rows}

    def known(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the fingerprints of commands that are in the log, by key.

        It only saves deciding them again: that none is written twice, the append itself sees to."""
        rows = self._ask(
            "SELECT key, fingerprint FROM commands"
            " WHERE tenant_id = %s AND caller = %s AND key = ANY(%s)",
            (self.tenant, CALLER, list(keys)),
        )
        return {key: bytes(fingerprint) for key, fingerprint in rows}

    def _ask(self, statement: LiteralString, params: Sequence[object]) -> list[tuple[Any, ...]]:
        with self.ledgers.pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            cursor.execute("SELECT set_config('counterseal.tenant', %s, true)", (self.tenant,))
            return cursor.execute(statement, params).fetchall()
