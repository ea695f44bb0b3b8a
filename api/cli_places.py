"""Where a command finds things: the databases, a tenant, a party, an instant."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from api.cli_errors import Usage

if TYPE_CHECKING:
    import psycopg

    from api.keys import KeyStore
    from api.settings import Settings
    from api.wiring import Services

CONNECT_SECONDS: Final = 5
EMBEDDED_FIELDS: Final[Mapping[str, str]] = {
    "database_url": "service",
    "keys_database_url": "keys",
    "projector_database_url": "projector",
    "migrator_database_url": "migrator",
    "keys_migrator_database_url": "keys_migrator",
    "auditor_database_url": "auditor",
}
"""Field of the settings -> the embedded database's address of the same role."""

NUMBER_CLAIMS: Final[Mapping[str, str]] = {"staff": "staff_number", "customer": "customer_number"}
"""Kind of party -> the claim by which its readable number is found."""


class Tenant(NamedTuple):
    """A tenant as its head row tells; `clock` is `system` or `given`."""

    id: str
    name: str
    clock: str
    created_at: datetime
    position: int
    recorded_at: datetime


class Places:
    """The addresses of this installation; the embedded server is started for the first one."""

    def __init__(self, *, migrates: bool = True) -> None:
        from api.settings import read_settings

        self._migrates = migrates
        self.settings: Settings = read_settings()
        self._embedded: Any = None

    def url(self, field: str) -> str:
        """Return the address of a role, by its field of the settings.

        The embedded database is provisioned, and migrated unless told not to. Raises
        `IncompleteSettings`, `StartRefused`, `MigrationRefused`.
        """
        if not self.settings.embedded:
            return self.settings.url(field)
        if self._embedded is None:
            from api.provisioning import embedded_database, migrate_both

            self._embedded = embedded_database(self.settings.postgres_folder)
            if self._migrates:
                migrate_both(self._embedded)
        return str(getattr(self._embedded, EMBEDDED_FIELDS[field]))

    def has(self, field: str) -> bool:
        """Return whether there is an address for this role."""
        return self.settings.embedded or getattr(self.settings, field) is not None

    @contextmanager
    def connection(self, field: str = "database_url") -> Generator[psycopg.Connection[Any]]:
        """Give a connection of a role, in autocommit; it ends with the block."""
        import psycopg

        conn = psycopg.connect(self.url(field), autocommit=True, connect_timeout=CONNECT_SECONDS)
        try:
            yield conn
        finally:
            conn.close()

    @contextmanager
    def keys(self) -> Generator[KeyStore]:
        """Give the subject keys and keyed hashes, closed with the block."""
        from api.keys import KeyStore

        with KeyStore(self.url("keys_database_url"), self.settings.key_file) as keys:
            keys.check()
            yield keys

    @contextmanager
    def services(self) -> Generator[Services]:
        """Give everything the doors stand on, closed with the block."""
        from api.wiring import Addresses, Services

        projector = "projector_database_url"
        services = Services(
            self.settings,
            Addresses(
                self.url("database_url"),
                self.url("keys_database_url"),
                self.url(projector) if self.has(projector) else None,
            ),
        )
        try:
            yield services
        finally:
            services.close()


def tenants(conn: psycopg.Connection[Any]) -> list[Tenant]:
    """Return every tenant, oldest first."""
    rows = conn.execute(
        "SELECT t.tenant_id::text, t.name, l.clock, t.created_at, l.position, l.recorded_at"
        " FROM tenants t JOIN ledgers l USING (tenant_id) ORDER BY t.created_at, t.tenant_id"
    ).fetchall()
    return [Tenant(*row) for row in rows]


def tenant_of(conn: psycopg.Connection[Any], text: str | None) -> Tenant:
    """Return the tenant of this name or id; without one, the only tenant there is.

    Raises `Usage`: `tenant.unknown`, `tenant.none`, `tenant.which`.
    """
    known = tenants(conn)
    if text is None:
        if len(known) == 1:
            return known[0]
        names = [one.name for one in known]
        raise Usage("tenant.which" if known else "tenant.none", names=names)
    for one in known:
        if text in (one.name, one.id):
            return one
    raise Usage("tenant.unknown", tenant=text)


def instant_of(text: str | None) -> datetime | None:
    """Return an RFC 3339 instant with its zone, in UTC. Raises `Usage` `instant.malformed`."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Usage("instant.malformed", value=text) from None
    if found.tzinfo is None:
        raise Usage("instant.malformed", value=text)
    return found.astimezone(UTC)


def party_of(places: Places, conn: psycopg.Connection[Any], tenant: str, text: str) -> str:
    """Return a party's ref; staff and customers may be named by their number as well.

    Raises `Usage`: `party.malformed`, `party.unknown`.
    """
    from api.ids import is_id

    kind, _, name = text.partition(":")
    if kind == "service" and name:
        return text
    if kind not in NUMBER_CLAIMS or not name:
        raise Usage("party.malformed", party=text)
    found = name if is_id(name) else claimed(places, conn, tenant, NUMBER_CLAIMS[kind], name)
    if found is None or not exists(conn, tenant, kind, found):
        raise Usage("party.unknown", party=text)
    return f"{kind}:{found}"


def claimed(
    places: Places, conn: psycopg.Connection[Any], tenant: str, kind: str, value: str
) -> str | None:
    """Return the stream that claimed a readable number, or None."""
    with places.keys() as keys:
        hashed = keys.keyed_hash(tenant, kind, value)
    row = conn.execute(
        "SELECT read_claim(%s::uuid, %s, %s)::text", (tenant, kind, hashed)
    ).fetchone()
    return None if row is None else row[0]


def exists(conn: psycopg.Connection[Any], tenant: str, kind: str, stream: str) -> bool:
    """Return whether there is a stream of this kind."""
    row = conn.execute(
        "SELECT type FROM read_streams(%s::uuid, ARRAY[%s::uuid], ARRAY[0]) LIMIT 1",
        (tenant, stream),
    ).fetchone()
    return row is not None and str(row[0]).partition(".")[0] == kind
