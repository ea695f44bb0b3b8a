"""Where an import writes to: the tenant's ledger, and what it holds already."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Final, LiteralString, NamedTuple, Protocol

from psycopg.rows import tuple_row

from api.ids import new_id
from api.importing.naming import Namer
from domain.codec import decode
from domain.commands.imports import IMPORTER, Facts, RecordImported
from domain.customers import Customer
from domain.events.exclusion import Reservation
from domain.ledger import Ledgers, Outcome, Submission
from domain.sealing import Context, Opener, Sealed, Sealer, Unopenable
from domain.values import Instant

CALLER: Final = "import"
"""Under which the idempotency keys of imports stand."""


class KeyedHashes(Protocol):
    """What is needed of `api.keys.KeyStore`."""

    def keyed_hash(self, tenant: str, kind: str, value: str) -> bytes:
        """Return 32 bytes, equal for values that are the same to a person."""
        ...


class Texts(Sealer, Opener, Protocol):
    """What is needed of `api.keys.FieldSealer`."""


class Held(NamedTuple):
    """What a customer may do by a grant: its id and number, the scope and the time."""

    customer: str
    grant_id: str
    number: str
    taken: Reservation


class Site:
    """One tenant's ledger for one import; `at` only where the tenant's clock is given."""

    def __init__(
        self,
        ledgers: Ledgers,
        hashes: KeyedHashes,
        sealer: Texts,
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

    def seal(
        self, person: str, text: str, command_id: str, field: str, stream_id: str | None = None
    ) -> Sealed:
        """Return a text about a person, sealed for a field of an event on a stream, else their
        own."""
        place = Context(self.tenant, stream_id or person, command_id, field)
        return self._sealer.seal(person, text, place)

    def make_key(self, person: str) -> None:
        """Make the key that texts about a person are sealed under, where they have none."""
        self._sealer.seal(person, "", Context(self.tenant, person, "", ""))

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

    def held(
        self, grantees: Sequence[str], kind: str, actions: Sequence[str], after: Instant
    ) -> list[Held]:
        """Return what customers (`customer:<id>`) may do after an instant by grants of a kind."""
        rows = self._ask(
            "SELECT grantee, grant_id::text, number, scope, valid_from,"
            " nullif(valid_to, 'infinity') FROM permissions"
            " WHERE tenant_id = %s AND generation = (SELECT g.generation FROM generations g"
            "  WHERE g.tenant_id = current_tenant() AND g.projection = 'permissions' AND g.live)"
            " AND grantee = ANY(%s) AND kind = %s AND known_to IS NULL AND valid_to > %s"
            " AND actions && %s ORDER BY grantee, grant_id, terms_number, valid_from",
            (self.tenant, list(grantees), kind, after, list(actions)),
        )
        return [
            Held(
                grantee.partition(":")[2],
                grant_id,
                number,
                Reservation(
                    {name: tuple(some) for name, some in scope.items()}, valid_from, valid_to
                ),
            )
            for grantee, grant_id, number, scope, valid_from, valid_to in rows
        ]

    def titled(self, customer_id: str, customer: Customer) -> str | None:
        """Return the name of a customer, opened where it is a person's; None where it does not
        open."""
        sealed = customer.full_name
        if sealed is None:
            return customer.title
        for row in self.ledgers.ledger(self.tenant).records.read_streams([(customer_id, 0)]):
            event = decode(row.type, row.data)
            if getattr(event, "full_name", None) == sealed:
                place = Context(self.tenant, customer_id, str(row.command_id), "full_name")
                try:
                    return self._sealer.open(sealed, place)
                except Unopenable:
                    return None
        return None

    def _ask(self, statement: LiteralString, params: Sequence[object]) -> list[tuple[Any, ...]]:
        with self.ledgers.pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            cursor.execute("SELECT set_config('counterseal.tenant', %s, true)", (self.tenant,))
            return cursor.execute(statement, params).fetchall()
