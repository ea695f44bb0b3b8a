"""How rows of history are shown over HTTP: lines, and sealed texts for those who may see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from api import rendering
from api.routes.operations import Call
from api.routes.past import View
from api.routes.reading import PURPOSE, opener_for, unmasks
from domain.events import Event
from domain.ledger import Recorded
from domain.sealing import Sealed
from projections import history_names
from projections.history_lines import line, named_in, told
from projections.history_lines_names import Book
from projections.unseen import masked


async def opens(call: Call, rows: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether sealed texts are shown; the log has a row for each record they stand in.

    Raises as `unmasks`.
    """
    if call.header(PURPOSE) is None:
        return False
    streams = {row["stream_id"] for row in rows if _has_sealed(told(row).event)}
    for stream in sorted(streams) or [None]:
        await unmasks(call, stream)
    return True


def _has_sealed(value: Any) -> bool:
    match value:
        case Sealed():
            return True
        case msgspec.Struct():
            return any(_has_sealed(getattr(value, name)) for name in value.__struct_fields__)
        case tuple():
            return any(_has_sealed(one) for one in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return False


def items(
    call: Call,
    rows: Sequence[Mapping[str, Any]],
    *,
    unmasked: bool = False,
    full: bool = False,
    view: View | None = None,
) -> list[dict[str, Any]]:
    """Return rows as they are shown, each with its line; `full` adds the whole event. Blocks.

    What they name is called as it was called where `view` looks.
    """
    every = [told(row) for row in rows]
    ids, points = named_in(every)
    looked = view or View(call)
    with looked.reading() as connection:
        known = history_names.names(connection, call.tenant, ids, points)

    def policy(stream: str) -> Any:
        return looked.load("policy", stream).state

    book = Book(call.language, known, policy)
    found: list[dict[str, Any]] = []
    for row, one in zip(rows, every, strict=True):
        show = opener_for(call, row["stream_id"], row["command_id"]) if unmasked else masked
        item = _item(row, line(one, book, show))
        if full and one.event is not None:
            item["event"] = rendering.event(_recorded(row, one.kind, one.event), show)
        found.append(item)
    return found


def _recorded(row: Mapping[str, Any], kind: str, event: Event) -> Recorded:
    return Recorded(
        row["position"],
        kind,
        row["stream_id"],
        row["version"],
        row["type"],
        row["recorded_at"],
        event,
    )


def _item(row: Mapping[str, Any], said: str) -> dict[str, Any]:
    return {
        "position": row["position"],
        "at": rendering.instant(row["at"]),
        "recorded_at": rendering.instant(row["recorded_at"]),
        "type": row["type"],
        "kind": row["stream_kind"],
        "stream": row["stream_id"],
        "version": row["version"],
        "actor": row["actor"],
        "on_behalf_of": row["on_behalf_of"],
        "persons": row["persons"],
        "grant": row["grant_id"],
        "customers": row["customers"],
        "case": row["case_id"],
        "reason": row["reason"],
        "command": row["command_id"],
        "cause": row["causation"],
        "imported": row["imported"],
        "line": said,
    }
