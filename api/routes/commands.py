"""Commands over HTTP: one way for all of them, from the headers to the events that happened."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, Final, Literal, NamedTuple, cast

import msgspec

from api import bodies, rendering
from api.bodies import Malformed
from api.edge import Blocks, Edge
from api.problems import Answered, problem
from api.routes.operations import Call, Operation, answered, log_refusal
from api.shapes import Deed
from domain.errors import Refused
from domain.ledger import Outcome, Submission
from domain.sealing import framed
from domain.values import Instant
from domain.view import Command

KEY_CHARACTERS: Final = 255
"""Longest Idempotency-Key, without its quotes."""

NUMBER_DRAWS: Final = 8
"""How often a grant number is drawn again when it was taken; one in 800 million a grant and day."""

_BARE = re.compile(r"[\x21-\x7e]+")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_VERSION = re.compile(r'"v(0|[1-9][0-9]{0,9})"')


class Made(NamedTuple):
    """A body turned into a command; `subject` is whom its texts speak of, where that is new."""

    command: Command
    subject: str | None = None


Make = Callable[[Edge, Call, Any, Instant | None], Made]


class CommandQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`dry_run`: say what would happen, and write nothing."""

    dry_run: bool = False


class Asked(NamedTuple):
    """What the headers and the query of a command say."""

    key: str
    expected_version: int | None
    dry_run: bool
    at: Instant | None


async def handle(call: Call) -> Answered:
    """Answer one command."""
    try:
        return await _handled(call)
    except Refused as refused:
        if refused.code != "version.moved":
            raise
        await log_refusal(call, refused)
        return await _moved(call, refused)


async def _handled(call: Call) -> Answered:
    operation = cast(CommandOperation, call.operation)
    asked, deed, data = await read(call, operation)
    for draw in range(NUMBER_DRAWS):
        try:  # mostly all is in memory: then no thread is needed
            submission = _prepare(call, operation, asked, deed, data, patient=False)
        except Blocks:
            submission = await call.work(_prepare, call, operation, asked, deed, data)
        try:
            outcome = await _submit(call, submission)
            return _answer(call, operation, submission, outcome)
        except Refused as refused:
            drawn_again = refused.params.get("kind") == "grant_number"
            if refused.code != "claim.taken" or not drawn_again or draw == NUMBER_DRAWS - 1:
                raise
    raise Refused("ledger.contended")


async def read(call: Call, operation: CommandOperation) -> tuple[Asked, Any, bytes]:
    """Return all that a request says: headers and query, the body as its struct and as it came."""
    asked = _asked(call, operation)
    data = await call.read()
    if data or _needs_body(operation.body):
        if not bodies.is_json(call.header(b"content-type")):
            raise Malformed("body.content_type")
    else:
        data = b"{}"  # nothing is needed and nothing was sent
    deed = bodies.in_utc(bodies.decode(call.services.decoder(operation.body), data))
    return asked, deed, data


def _prepare(
    call: Call,
    operation: CommandOperation,
    asked: Asked,
    deed: Any,
    data: bytes,
    *,
    patient: bool = True,
) -> Submission:
    """Make the command: ids, sealed texts, claims. Blocks, or raises `Blocks` where not patient."""
    services, caller = call.services, call.caller
    edge = services.edge(caller.tenant, caller.party, patient=patient)
    made = operation.make(edge, call, deed, asked.at)
    path: str = call.scope["path"]
    request = framed(operation.method.encode(), path.encode(), call.scope["query_string"], data)
    return edge.submission(
        made.command,
        deed,
        caller=caller.name,
        key=asked.key,
        fingerprint=edge.fingerprint(request),
        subject=made.subject,
        expected_version=asked.expected_version,
        dry_run=asked.dry_run,
        at=asked.at,
    )


async def _submit(call: Call, submission: Submission) -> Outcome:
    """Hand it to the ledger and wait until it may be acknowledged.

    Giving up waiting is not rolling back: what was handed over may be committed all the same, and
    the caller's next try with the same key finds it.
    """
    outcome = await call.services.arrivals.outcome(submission)
    pause = outcome.acknowledge_at - time.monotonic()
    if pause > 0:
        await asyncio.sleep(pause)
    return outcome


def _answer(
    call: Call, operation: CommandOperation, submission: Submission, outcome: Outcome
) -> Answered:
    """Return what happened and the state after it; texts stay masked, the caller just sent them.

    Repeated it is the first answer again: the same events, and the state and its status as of them.
    """
    happened = bool(outcome.events)
    if outcome.status == "would":
        result, status = "would", 200
    else:
        result = "done" if happened else "no_op"
        status = 201 if operation.created and happened else 200
    stream = submission.command.stream_id
    if happened and operation.created:  # repeated, the id is the one made the first time
        stream = next(one.stream_id for one in outcome.events if one.kind == operation.kind)
    if happened:
        at = outcome.events[-1].event.at
    else:
        at = submission.at or call.services.ledgers.now(call.tenant)
    document: dict[str, Any] = {
        "result": result,
        "id": stream,
        "version": outcome.version,
        "position": outcome.position,
        "events": [rendering.event(one) for one in outcome.events],
    }
    if operation.states:
        document["state"] = rendering.state_written(operation.kind, outcome.state, at)
    headers = [
        (b"etag", f'"v{outcome.version}"'.encode()),
        (b"position", str(outcome.position).encode()),
    ]
    if outcome.status == "repeated":
        headers.append((b"idempotent-replayed", b"true"))
    if status == 201 and operation.location is not None:
        headers.append((b"location", operation.location.format(id=stream).encode()))
    return answered(document, status, headers)


async def _moved(call: Call, refused: Refused) -> Answered:
    """412 with what is there now, so that whoever decides can look again."""
    operation = cast(CommandOperation, call.operation)
    services = call.services
    stream = call.scope["path_params"].get("id", call.tenant)
    loaded = await call.work(services.ledgers.load, call.tenant, operation.kind, stream)
    now = await call.work(services.ledgers.now, call.tenant)
    shown: dict[str, Any] = {"version": loaded.version}
    if operation.states:
        shown["state"] = rendering.state(operation.kind, loaded.state, now)
    return problem(
        refused,
        call.language,
        headers=[(b"etag", f'"v{loaded.version}"'.encode())],
        **shown,
    )


def _asked(call: Call, operation: CommandOperation) -> Asked:
    query = call.query(CommandQuery)
    key = idempotency_key(call.header(b"idempotency-key"))
    expected = if_match(call.header(b"if-match"))
    if expected is None and operation.if_match:
        raise Refused("version.missing")
    return Asked(key, expected, query.dry_run, given_instant(call.header(b"counterseal-at")))


def idempotency_key(raw: bytes | None) -> str:
    """Return the key, sent bare or as a quoted string (RFC 8941, 3.3.3).

    Raises `Malformed`: `idempotency_key.missing`, `idempotency_key.malformed`.
    """
    text = (raw or b"").decode("latin-1").strip()
    if not text:
        raise Malformed("idempotency_key.missing")
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if quoted is None and (_BARE.fullmatch(text) is None or text.startswith('"')):
        raise Malformed("idempotency_key.malformed", limit=KEY_CHARACTERS)
    if not 0 < len(key) <= KEY_CHARACTERS:
        raise Malformed("idempotency_key.malformed", limit=KEY_CHARACTERS)
    return key


def if_match(raw: bytes | None) -> int | None:
    """Return the version of an `If-Match: "v<n>"`. Raises `Malformed` `header.if_match`."""
    if raw is None:
        return None
    found = _VERSION.fullmatch(raw.decode("latin-1").strip())
    if found is None:
        raise Malformed("header.if_match")
    return int(found[1])


def given_instant(raw: bytes | None) -> Instant | None:
    """Return `Counterseal-At`, for a tenant with a given clock. Raises `Malformed` `header.at`."""
    if raw is None:
        return None
    try:
        return msgspec.convert(raw.decode("ascii"), Instant)
    except (msgspec.ValidationError, UnicodeDecodeError):
        raise Malformed("header.at") from None


@cache
def _needs_body(body: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(body))


class CommandOperation(Operation, frozen=True, kw_only=True):
    """A row of the command table: which body becomes which command.

    `make` gets the edge, the call with its path, the body, and the given instant if any.
    `if_match` marks what a person decides on what they saw. Without `states` the answer has no
    state: the caller may not see all of it.
    """

    kind: str
    make: Make
    method: Literal["POST"] = "POST"
    command: bool = True
    handle: Callable[[Call], Awaitable[Answered | None]] = handle
    body: type[msgspec.Struct] = Deed
    location: str | None = None
    states: bool = True
