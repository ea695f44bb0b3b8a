"""Reading a stream, masked or not: unmasked takes a scope, a stated purpose, a log row first."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from api import rendering
from api.bodies import Malformed
from api.routes.operations import Call
from domain.codec import decode
from domain.events import stream_kind
from domain.ledger import Recorded
from domain.sealing import Sealed
from projections.unseen import Show

PURPOSE: Final = b"counterseal-purpose"
"""The header that says what unmasked texts are needed for; it is written to the access log."""

PURPOSE_FORM: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class Told(NamedTuple):
    """An event and the command that made it, to which its sealed texts are bound."""

    recorded: Recorded
    command_id: str


async def unmasks(call: Call, stream: str | None) -> bool:
    """Return whether this read shows sealed texts; the access log has its row when it does.

    Raises `Refused`: `purpose.malformed`, `scope_of_key.missing`, `access_log.unreachable`.
    """
    raw = call.header(PURPOSE)
    if raw is None:
        return False
    purpose = raw.decode("latin-1").strip()
    if PURPOSE_FORM.fullmatch(purpose) is None:
        raise Malformed("purpose.malformed")
    caller = call.caller
    caller.require("personal:read")
    await call.services.access_log.unmasked_read(
        caller.tenant, caller.key_id, caller.party, call.operation.name, stream, purpose
    )
    return True


def told(call: Call, stream_id: str, after: int = 0) -> list[Told]:
    """Return the events of a stream behind a version, oldest first. Blocks."""
    records = call.services.ledgers.ledger(call.tenant).records
    return [
        Told(
            Recorded(
                row.position,
                stream_kind(row.type),
                stream_id,
                row.version,
                row.type,
                row.recorded_at,
                decode(row.type, row.data),
            ),
            str(row.command_id),
        )
        for row in records.read_streams([(stream_id, after)])
    ]


def opener_for(call: Call, stream_id: str, command_id: str) -> Show:
    """Return what opens the texts of one command on one stream. Opening blocks."""
    return rendering.opened(call.services.sealer, call.tenant, stream_id, command_id)


def opener_for_state(call: Call, stream_id: str, history: list[Told]) -> Show:
    """Return what opens the texts of a state: each is bound to the command it came with."""
    came_with: dict[Sealed, Show] = {}
    for one in history:
        show = opener_for(call, stream_id, one.command_id)
        for sealed in _sealed_in(one.recorded.event):
            came_with.setdefault(sealed, show)

    def opened(sealed: Sealed, field: str) -> Any:
        show = came_with.get(sealed)
        return rendering.MASKED if show is None else show(sealed, field)

    return opened


def _sealed_in(event: Any) -> list[Sealed]:
    values = [getattr(event, name) for name in event.__struct_fields__]
    return [value for value in values if isinstance(value, Sealed)]
