"""Who calls: API keys, the party behind each, and what its scopes let it ask for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import msgspec
import psycopg

from api.ids import new_id
from domain.commands.imports import IMPORTER
from domain.duties import OPERATOR
from domain.errors import Refused
from domain.values import TIMEKEEPER, Party

SCOPES: Final = frozenset(
    {
        "evaluate",
        "search",
        "grants:read",
        "grants:request",
        "grants:verify",
        "grants:approve",
        "grants:sign",
        "grants:supervise",
        "use:report",
        "import",
        "customers",
        "shares",
        "me",
        "policies",
        "staff",
        "audit:read",
        "personal:read",
        "privacy",
        "admin",
    }
)

KEY_LIFE_SECONDS: Final = 1.0
"""For how long a process believes a key without asking the database again. `withdraw_key` waits it
out, so a key whose withdrawal was acknowledged opens nothing any more.
"""

MAX_KEYS_HELD: Final = 10_000
TOUCH_SECONDS: Final = 60.0
"""`last_used_at` of a key is written at most so often by one process."""

RESERVED: Final = frozenset({OPERATOR, TIMEKEEPER, IMPORTER})
"""Parties that act within this program only: nobody comes through a door as one (ADR 0003)."""

SECRET_BYTES: Final = 32
_PREFIX: Final = "ak_"
_PART: Final = 43  # characters of 32 bytes in base64url without padding


class Caller(msgspec.Struct, frozen=True):
    """Whoever holds a valid key: tenant, party and scopes. Nothing in a body can say otherwise.

    `works_here` is False for a staff member not in standing when the key was proved. The rules
    refuse their commands on what is committed; reading has no rules, so the doors refuse it.
    """

    tenant: str
    key_id: str
    party: Party
    scopes: frozenset[str]
    works_here: bool = True

    @property
    def name(self) -> str:
        """By what idempotency keys are told apart: the party, not the key, which may be renewed."""
        return f"{self.party.ref}/{self.party.person}" if self.party.person else self.party.ref

    def require(self, scope: str) -> None:
        """Raises `Refused` `scope_of_key.missing`."""
        if scope not in self.scopes:
            raise Refused("scope_of_key.missing", scope=scope)

    def require_standing(self) -> None:
        """Raises `Refused` `actor.not_in_standing`."""
        if not self.works_here:
            raise Refused("actor.not_in_standing", party=self.party.ref)


class Token(NamedTuple):
    """What a key says of itself before anyone believed it."""

    tenant: str
    key_id: str
    secret: str


class KeyRow(NamedTuple):
    """A row of `api_keys`, as far as the doors need it."""

    hash: bytes
    party: str
    person: UUID | None
    scopes: list[str]
    ends_at: datetime | None
    withdrawn_at: datetime | None
    former_hash: bytes | None = None
    former_ends_at: datetime | None = None


class Proof(NamedTuple):
    """A secret opens something: until `ends_at`, None for as long as nobody ends it."""

    ends_at: datetime | None


class Pepper(Protocol):
    """What is needed of `api.keys.KeyStore`."""

    def api_key_hash(self, secret: str) -> bytes:
        """Return the 32 bytes stored for a secret."""
        ...


def parse(token: str) -> Token | None:
    """Return the parts of `ak_<tenant and key>.<secret>`, None where it is no key of ours."""
    name, dot, secret = token.removeprefix(_PREFIX).partition(".")
    if not token.startswith(_PREFIX) or not dot or len(name) != _PART or len(secret) != _PART:
        return None
    raw = _decoded(name)
    if raw is None or _decoded(secret) is None:
        return None
    return Token(str(UUID(bytes=raw[:16])), str(UUID(bytes=raw[16:])), secret)


def format_key(tenant: str, key_id: str, secret: bytes) -> str:
    """Return the text of a key: the tenant stands in it, so it is looked up behind that wall."""
    return f"{_PREFIX}{_encoded(UUID(tenant).bytes + UUID(key_id).bytes)}.{_encoded(secret)}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes | None:
    """Return 32 bytes; None for anything else, and for a second spelling of the same bytes."""
    try:
        raw = base64.urlsafe_b64decode(text + "=")
    except ValueError:
        return None
    return raw if len(raw) == SECRET_BYTES and _encoded(raw) == text else None


def create_key(
    conn: psycopg.Connection[Any],
    pepper: Pepper,
    tenant: str,
    party: Party,
    scopes: Collection[str],
    ends_at: datetime | None = None,
) -> str:
    """Make a key and return it; it is shown this once and stored nowhere.

    `conn` is of the migrator's role. Raises `Refused`: `key.scope_unknown`, `key.party_malformed`
    (a customer's key names the person who acts, the others name none), `key.party_reserved`.
    """
    unknown = sorted(set(scopes) - SCOPES)
    if unknown:
        raise Refused("key.scope_unknown", scopes=unknown)
    if party in RESERVED:
        raise Refused("key.party_reserved", party=party.ref)
    kind = party.kind
    if kind not in ("staff", "customer", "service") or not party.id:
        raise Refused("key.party_malformed", party=party.ref)
    if (kind == "customer") != (party.person is not None):
        raise Refused("key.party_malformed", party=party.ref)
    key_id, raw = new_id(), secrets.token_bytes(SECRET_BYTES)
    hashed = pepper.api_key_hash(_encoded(raw))
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        conn.execute(
            "INSERT INTO api_keys (tenant_id, key_id, hash, party, person, scopes, ends_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (tenant, key_id, hashed, party.ref, party.person, sorted(scopes), ends_at),
        )
    # A crash right here leaves a key that nobody was shown: it opens nothing for anyone.
    return format_key(tenant, key_id, raw)


class Rotated(NamedTuple):
    """The new text of a key, whose it is, and until when the former secret opens."""

    key: str
    party: str
    former_until: datetime


def rotate_key(
    conn: psycopg.Connection[Any], pepper: Pepper, tenant: str, key_id: str, overlap: timedelta
) -> Rotated:
    """Give a key a new secret, shown this once and stored nowhere. Party, scopes and end stay.

    The former secret is good for `overlap` longer; without any it opens nothing any more once this
    returns, nor do sessions on the screens. One that was rotated away before ends at once. `conn`
    is of the migrator's role. Raises `Refused` `key.not_good` for a key that is unknown, withdrawn
    or over.
    """
    raw = secrets.token_bytes(SECRET_BYTES)
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        row = conn.execute(
            "UPDATE api_keys k SET hash = %s, former_hash = CASE WHEN o.kept THEN k.hash END,"
            " former_ends_at = CASE WHEN o.kept THEN least(o.until, k.ends_at) END"
            " FROM (SELECT %s::interval > interval '0', clock_timestamp() + %s) AS o(kept, until)"
            " WHERE tenant_id = %s AND key_id = %s AND withdrawn_at IS NULL"
            " AND (ends_at IS NULL OR ends_at > clock_timestamp())"
            " RETURNING party, coalesce(former_ends_at, o.until)",
            (pepper.api_key_hash(_encoded(raw)), overlap, overlap, tenant, key_id),
        ).fetchone()
        if row is None:
            raise Refused("key.not_good", key=key_id)
        if not overlap:
            conn.execute(
                "DELETE FROM sessions WHERE tenant_id = %s AND key_id = %s", (tenant, key_id)
            )
    # A crash right here leaves a new secret that nobody was shown, and the former one for the
    # overlap: rotate again. Until no process believes what was rotated away:
    time.sleep(KEY_LIFE_SECONDS)
    return Rotated(format_key(tenant, key_id, raw), row[0], row[1])


def withdraw_key(conn: psycopg.Connection[Any], tenant: str, key_id: str) -> bool:
    """Withdraw a key; return whether there was one that still worked.

    Returns `KEY_LIFE_SECONDS` after the commit, when no process believes it any more. A crash in
    between leaves it withdrawn; asked again it answers False after the same wait.
    """
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        done = conn.execute(
            "UPDATE api_keys SET withdrawn_at = clock_timestamp()"
            " WHERE tenant_id = %s AND key_id = %s AND withdrawn_at IS NULL",
            (tenant, key_id),
        )
        found = done.rowcount > 0
    time.sleep(KEY_LIFE_SECONDS)
    return found


def list_keys(conn: psycopg.Connection[Any], tenant: str) -> Sequence[tuple[Any, ...]]:
    """Return key id, party, person, scopes, made, end, withdrawn, last use; oldest first."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        return conn.execute(
            "SELECT key_id, party, person, scopes, created_at, ends_at, withdrawn_at, last_used_at"
            " FROM api_keys WHERE tenant_id = %s ORDER BY key_id",
            (tenant,),
        ).fetchall()


class Believed(NamedTuple):
    """A key that was proved at `sent_at` (monotonic)."""

    caller: Caller
    ends_at: datetime | None
    sent_at: float


class KeyMemory:
    """Keys proved less than `KEY_LIFE_SECONDS` ago, by the hash of the whole key; bounded."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, Believed] = OrderedDict()
        self._touched: OrderedDict[str, float] = OrderedDict()

    def get(self, token: str) -> Caller | None:
        """Return who holds this key, if that was proved a moment ago and the key has not ended."""
        name = hashlib.sha256(token.encode()).digest()
        found = self._held.get(name)
        if found is None:
            return None
        over = found.ends_at is not None and found.ends_at <= datetime.now(UTC)
        if over or time.monotonic() - found.sent_at >= KEY_LIFE_SECONDS:
            del self._held[name]
            return None
        return found.caller

    def put(self, token: str, believed: Believed) -> None:
        """Remember a key that was proved."""
        self._held[hashlib.sha256(token.encode()).digest()] = believed
        if len(self._held) > MAX_KEYS_HELD:
            self._held.popitem(last=False)

    def untouched(self, key_id: str) -> bool:
        """Return whether `last_used_at` is due, and take it as written."""
        now = time.monotonic()
        if now - self._touched.get(key_id, -TOUCH_SECONDS) < TOUCH_SECONDS:
            return False
        self._touched[key_id] = now
        if len(self._touched) > MAX_KEYS_HELD:
            self._touched.popitem(last=False)
        return True


def proved(row: KeyRow | None, hashed: bytes, now: datetime) -> Proof | None:
    """Return until when a secret is good whose hash is this row's, or was before it was rotated;
    None where it is not good at `now`.

    The comparison takes the same time whether or not there is such a key.
    """
    none = bytes(len(hashed))
    known = hmac.compare_digest(row.hash if row else none, hashed)
    former = hmac.compare_digest((row.former_hash if row else None) or none, hashed)
    if row is None or not (known or former) or row.withdrawn_at is not None:
        return None
    ends = [row.ends_at] if known else [row.ends_at, row.former_ends_at]
    ends_at = min((at for at in ends if at is not None), default=None)
    return None if ends_at is not None and ends_at <= now else Proof(ends_at)
