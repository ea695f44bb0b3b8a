"""Who is signed in on a screen: sessions and one-time links, each bound to a key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool

from api.identity import (
    MAX_KEYS_HELD,
    RESERVED,
    SECRET_BYTES,
    Caller,
    KeyRow,
    Pepper,
    Token,
    format_key,
    parse,
)
from api.ids import new_id
from domain.errors import Refused
from domain.values import Party

SESSION_SECONDS: Final = 8 * 3600
"""A session is over after so long, however much it is used."""

IDLE_SECONDS: Final = 30 * 60
"""A session is over when nobody has used it for so long."""

TOUCH_SECONDS: Final = 30.0
"""`used_at` of a session is written at most so often by one process."""

SESSIONS_A_KEY: Final = 20
"""Beyond so many the oldest session of a key ends."""

LINK_SECONDS: Final = 15 * 60
LINK_SECONDS_AT_MOST: Final = 24 * 3600

_KEY: Final = "ak_"
SESSION: Final = "ss_"
LINK: Final = "sl_"


class Session(NamedTuple):
    """Someone signed in. `form_token` stands in every form of theirs and nowhere else."""

    id: str
    caller: Caller
    form_token: str


class Sessions:
    """Opens, finds and closes sessions under the service's role. Its methods block."""

    def __init__(
        self,
        pool: ConnectionPool[Any],
        pepper: Pepper,
        caller: Callable[[str, str, KeyRow], Caller],
    ) -> None:
        self._pool = pool
        self._pepper = pepper
        self._caller = caller
        self._touched: OrderedDict[str, float] = OrderedDict()

    def open(self, tenant: str, key_id: str) -> str:
        """Return the token of a new session of a key that was proved; it is in the cookie alone."""
        session, raw = new_id(), secrets.token_bytes(SECRET_BYTES)
        made = _token(SESSION, tenant, session, raw)
        ends_at = datetime.now(UTC) + timedelta(seconds=SESSION_SECONDS)
        # A crash right here leaves a session that no cookie knows: it opens nothing for anyone.
        self._rows(
            "SELECT open_session(%s::uuid, %s::uuid, %s, %s::uuid, %s, %s)",
            (tenant, session, self._hashed(made), key_id, ends_at, SESSIONS_A_KEY),
        )
        return made

    def find(self, text: str) -> Session | None:
        """Return who is signed in; None where the session, or the key it is bound to, is over."""
        token = _parts(SESSION, text)
        if token is None:
            return None
        rows = self._rows(
            "SELECT * FROM find_session(%s::uuid, %s::uuid)", (token.tenant, token.key_id)
        )
        hashed = self._pepper.api_key_hash(token.secret)
        stored: bytes = rows[0][0] if rows else bytes(len(hashed))
        if not hmac.compare_digest(stored, hashed) or not rows:
            return None
        _, used_at, ends_at, key_id, *of_key = rows[0]
        row, now = KeyRow(*of_key), datetime.now(UTC)
        if min(ends_at, used_at + timedelta(seconds=IDLE_SECONDS)) <= now:
            self._close(token)
            return None
        ended = row.ends_at is not None and row.ends_at <= now
        if row.withdrawn_at is not None or ended or Party(row.party) in RESERVED:
            return None
        if self._untouched(token.key_id):
            self._rows("SELECT touch_session(%s::uuid, %s::uuid)", (token.tenant, token.key_id))
        caller = self._caller(token.tenant, str(key_id), row)
        return Session(token.key_id, caller, _form_token(token.secret))

    def close(self, text: str) -> None:
        """End a session, whoever it belongs to; a token that is none ends nothing."""
        token = _parts(SESSION, text)
        if token is not None and self.find(text) is not None:
            self._close(token)

    def use_link(self, text: str) -> tuple[str, str] | None:
        """Return tenant and key of a link, which is used up by that; None where it is not good."""
        token = _parts(LINK, text)
        if token is None or not self.is_good(text):
            return None
        # A crash right after it leaves a link that is used up, and nobody signed in by it.
        rows = self._rows("SELECT use_link(%s::uuid, %s::uuid)", (token.tenant, token.key_id))
        return None if rows[0][0] is None else (token.tenant, str(rows[0][0]))

    def is_good(self, text: str) -> bool:
        """Tell whether a link would sign in now; looking at it does not use it up."""
        token = _parts(LINK, text)
        if token is None:
            return False
        rows = self._rows(
            "SELECT * FROM find_link(%s::uuid, %s::uuid)", (token.tenant, token.key_id)
        )
        hashed = self._pepper.api_key_hash(token.secret)
        stored: bytes = rows[0][0] if rows else bytes(len(hashed))
        if not hmac.compare_digest(stored, hashed) or not rows:
            return False
        _, ends_at, used_at = rows[0]
        return used_at is None and ends_at > datetime.now(UTC)

    def _hashed(self, made: str) -> bytes:
        return self._pepper.api_key_hash(made.rpartition(".")[2])

    def _close(self, token: Token) -> None:
        self._rows("SELECT close_session(%s::uuid, %s::uuid)", (token.tenant, token.key_id))

    def _rows(self, statement: LiteralString, parameters: tuple[Any, ...]) -> list[Any]:
        with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as asked,
        ):
            return asked.execute(statement, parameters).fetchall()

    def _untouched(self, session: str) -> bool:
        now = time.monotonic()
        if now - self._touched.get(session, -TOUCH_SECONDS) < TOUCH_SECONDS:
            return False
        self._touched[session] = now
        if len(self._touched) > MAX_KEYS_HELD:
            self._touched.popitem(last=False)
        return True


def tenant_of(link: str) -> tuple[str, str] | None:
    """Return tenant and id that a link names, for the access log; None where it is no link."""
    token = _parts(LINK, link)
    return None if token is None else (token.tenant, token.key_id)


def create_link(
    conn: psycopg.Connection[Any], pepper: Pepper, tenant: str, key_id: str, seconds: int
) -> str:
    """Make a link that signs in once with a key, good for so many seconds; return its token.

    `conn` is of the migrator's role. Raises `Refused` `key.not_good` for a key that is unknown,
    withdrawn or over.
    """
    link, raw = new_id(), secrets.token_bytes(SECRET_BYTES)
    made = _token(LINK, tenant, link, raw)
    ends_at = datetime.now(UTC) + timedelta(seconds=seconds)
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        good = conn.execute(
            "SELECT 1 FROM api_keys WHERE tenant_id = %s AND key_id = %s AND withdrawn_at IS NULL"
            " AND (ends_at IS NULL OR ends_at > clock_timestamp())",
            (tenant, key_id),
        ).fetchone()
        if good is None:
            raise Refused("key.not_good", key=key_id)
        conn.execute(
            "DELETE FROM sign_in_links WHERE tenant_id = %s AND ends_at < clock_timestamp()",
            (tenant,),
        )
        conn.execute(
            "INSERT INTO sign_in_links (tenant_id, link_id, hash, key_id, ends_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            (tenant, link, pepper.api_key_hash(made.rpartition(".")[2]), key_id, ends_at),
        )
    # A crash right here leaves a link that nobody was shown; it ends by itself.
    return made


def _token(prefix: str, tenant: str, name: str, raw: bytes) -> str:
    return prefix + format_key(tenant, name, raw).removeprefix(_KEY)


def _parts(prefix: str, text: str) -> Token | None:
    return parse(_KEY + text.removeprefix(prefix)) if text.startswith(prefix) else None


def _form_token(secret: str) -> str:
    """Return what only a page of this session can know; the secret cannot be told from it."""
    return hashlib.sha256(b"form:" + secret.encode()).hexdigest()
