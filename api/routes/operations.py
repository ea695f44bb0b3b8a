"""An operation: its row in the table that routes, scopes, OpenAPI and tests are made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
import orjson
import psycopg
from eventsourcing import persistence
from psycopg_pool import PoolClosed, PoolTimeout

from api import bodies
from api.bodies import Malformed
from api.identity import Caller
from api.ids import is_id
from api.layers import Receive, Scope, Send, answer, header
from api.problems import Answered, language_of, problem, status_of
from api.texts import Language
from domain.errors import Refused

if TYPE_CHECKING:
    from api.wiring import Services

QUERY_BYTES: Final = 4096
QUERY_FIELDS: Final = 32
JSON: Final = b"application/json"

UNLOGGED: Final = frozenset({429, 503})
"""Statuses of refusals that say nothing of the caller: the service was not able to."""

OPEN_TO_CUSTOMERS: Final = ("me.", "policy.", "catalogue.", "evidence.", "access.", "documents.")
"""How the names of operations begin that whoever acts for a customer may read by, whatever scopes
their key has: their own view, and what is the same for everyone.
"""

T = TypeVar("T")
Method = Literal["GET", "POST"]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one path.

    `scope` is the scope a key needs, None where no key is asked for; those in `also` do as well.
    `example` is a request body that passes the shape, `shows` an answer; `answer` says what a
    success is. `unmasks` marks what shows sealed texts to those who may see them. `past` says which
    ways of asking for the past it takes; the others are refused.
    """

    name: str
    method: Method
    path: str
    scope: str | None
    also: tuple[str, ...] = ()
    summary: str
    summary_zh: str
    handle: Callable[[Call], Awaitable[Answered | None]]
    body: type[msgspec.Struct] | None = None
    raw_body: str | None = None
    query: type[msgspec.Struct] | None = None
    example: Mapping[str, Any] | None = None
    answer: str = "The answer."
    shows: Mapping[str, Any] | None = None
    media_type: str = "application/json"
    command: bool = False
    if_match: bool = False
    description: str = ""
    created: bool = False
    unmasks: bool = False
    past: tuple[Literal["as_of", "at", "happened"], ...] = ()


class Call:
    """One request, as an operation sees it."""

    __slots__ = ("entered", "operation", "receive", "scope", "send", "services")

    def __init__(
        self,
        services: Services,
        operation: Operation,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self.services = services
        self.operation = operation
        self.scope = scope
        self.receive = receive
        self.send = send
        self.entered: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Who calls. Without one nothing that belongs to a tenant can be asked: fail closed."""
        if self.entered is None:
            raise Refused("login.missing")
        return self.entered

    @property
    def language(self) -> Language:
        """The language the caller prefers."""
        return language_of(header(self.scope, b"accept-language"))

    @property
    def tenant(self) -> str:
        return self.caller.tenant

    def enter(self, caller: Caller) -> None:
        """Take over who was proved to call."""
        self.entered = caller
        self.scope["counterseal.key"] = caller.key_id

    def header(self, name: bytes) -> bytes | None:
        """Return a header as it was sent; `name` in lower case."""
        return header(self.scope, name)

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.scope["path_params"][name])

    def id(self, name: str, kind: str) -> str:
        """Return an id of the path. Raises `Refused` `<kind>.unknown` for what is no id."""
        text = self.part(name)
        if not is_id(text):
            raise Refused(f"{kind}.unknown", **{kind: text[:64]})
        return text

    def query(self, shape: type[T]) -> T:
        """Return the query as its struct. Raises `Malformed`: `query.invalid`, `query.repeated`."""
        raw: bytes = self.scope["query_string"]
        if not raw:
            return bodies.convert({}, shape, "query.invalid")
        if len(raw) > QUERY_BYTES:
            raise Malformed("query.too_long", limit_bytes=QUERY_BYTES)
        try:
            pairs = parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=True,
                errors="strict",
                max_num_fields=QUERY_FIELDS,
            )
        except ValueError:
            raise Malformed("query.invalid") from None
        found = dict(pairs)
        if len(found) != len(pairs):
            raise Malformed("query.repeated")
        return bodies.convert(found, shape, "query.invalid")

    async def read(self) -> bytes:
        """Return the whole body. Raises `Refused`: `body.too_large`, `body.encoding`."""
        if self.header(b"content-encoding") not in (None, b"identity"):
            raise Malformed("body.encoding")
        parts: list[bytes] = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Malformed("body.cut")
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def json(self) -> bytes:
        """Return a body that says it is JSON. Raises `Malformed`: `body.content_type`."""
        data = await self.read()
        if not bodies.is_json(self.header(b"content-type")):
            raise Malformed("body.content_type")
        return data

    async def work(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run something that blocks beside the event loop; return what it returns."""
        return await self.services.threads.run(call, *args, **kwargs)


def answered(
    document: Any, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
) -> Answered:
    """Return a document as a JSON answer."""
    return Answered(status, [(b"content-type", JSON), *(headers or [])], orjson.dumps(document))


class Endpoint:
    """The ASGI application of one operation: who calls, may they, then the operation itself."""

    def __init__(self, services: Services, operation: Operation) -> None:
        self.operation = operation
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["counterseal.operation"] = self.operation.name
        call = Call(self._services, self.operation, scope, receive, send)
        try:
            found = await self._handled(call)
        except Exception as fault:
            found = await self._refused(call, fault)
            if found is None:
                raise
        if found is not None:
            await answer(send, found)

    async def _refused(self, call: Call, fault: Exception) -> Answered | None:
        """Return the answer that a fault stands for; None where it is nobody's expectation.

        Here, because a frame that the fault came through and that holds it would keep itself.
        """
        refused = as_refused(fault)
        if refused is None:
            return None
        if self.operation.command:
            await log_refusal(call, refused)
        return problem(refused, call.language)

    async def _handled(self, call: Call) -> Answered | None:
        operation = self.operation
        if operation.scope is None:
            return await operation.handle(call)
        gate = self._services.gate
        caller = await gate.enter(call.header(b"authorization"), operation.name)
        admit(call, caller)
        with gate.slot(caller):
            return await operation.handle(call)


def admit(call: Call, caller: Caller) -> None:
    """Let who was proved to call into an operation.

    Raises `Refused`: `scope_of_key.missing`, `actor.not_in_standing`, `actor.own_view_only`.
    """
    call.enter(caller)
    operation = call.operation
    if operation.scope is not None and caller.scopes.isdisjoint(operation.also):
        caller.require(operation.scope)
    if not operation.command:
        caller.require_standing()
        if caller.party.kind == "customer" and not operation.name.startswith(OPEN_TO_CUSTOMERS):
            raise Refused("actor.own_view_only")


async def log_refusal(call: Call, refused: Refused) -> None:
    """Write a refused command to the access log, unless nobody is known to have called."""
    if call.entered is None or status_of(refused.code) in UNLOGGED:
        return
    named = call.scope["path_params"].get("id", "")
    stream = named if is_id(named) else None
    caller, log = call.entered, call.services.access_log
    operation = call.operation.name
    await log.refused(caller.tenant, caller.key_id, caller.party, operation, stream, refused.code)


def as_refused(fault: Exception) -> Refused | None:
    """Return the refusal that a fault stands for; None where it is nobody's expectation.

    A database error becomes a code; its message and DETAIL go nowhere.
    """
    if isinstance(fault, Refused):
        return fault
    if isinstance(fault, psycopg.errors.QueryCanceled):
        return Refused("request.deadline")
    if isinstance(fault, psycopg.OperationalError | PoolTimeout | PoolClosed):
        return Refused("database.unreachable")
    if isinstance(fault, persistence.OperationalError | persistence.InterfaceError):
        return Refused("ledger.unreachable")  # the same, as the library tells it
    return None
