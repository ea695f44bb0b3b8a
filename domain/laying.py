"""A decided command becomes a part of its batch, and what it leaves lies over the streams for the
next one to be decided on."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from domain.batches import Batch
from domain.ledger import InlineRows, Kept
from domain.pending import Pending
from domain.view import Loaded, View
from domain.wire import uuid_bytes

_kept_encoder = msgspec.json.Encoder()
_rows_encoder = msgspec.json.Encoder()


class Laid(NamedTuple):
    """A stream as a command leaves it that is not committed yet.

    `number` is that command's place in this batch, `before` its place in the batch under way; both
    are 0 for what is committed and was looked at.
    """

    kind: str
    loaded: Loaded
    number: int
    before: int


def lay(batch: Batch, pending: Pending, number: int, overlay: dict[str, Laid]) -> set[int]:
    """Lay a decided command, the batch's `number`th, into it, and what it leaves over the streams.

    Returns the places in the batch under way of the commands that it relies on.
    """
    given, view = pending.submission, pending.decided
    relied: set[int] = set()
    places = batch.places
    for stream_id, version in view.reads.items():
        laid = overlay.get(stream_id)
        if laid is None:
            batch.read_by.append(0)
        else:
            if laid.before:
                relied.add(laid.before)
            batch.read_by.append(laid.number)
        batch.read_streams.append(places.get(stream_id) or batch.place(stream_id))
        batch.read_versions.append(version)
    if pending.writes:
        for claim in view.claims:
            batch.claim_kinds.append(claim.kind)
            batch.claim_hashes.append(claim.keyed_hash)
            batch.claim_streams.append(uuid_bytes(claim.stream_id))
            batch.claim_hows.append(claim.how)
        if pending.inline is not None and pending.inline.touched:
            _lay_rows(batch, pending.inline, number)
        for new in view.events:
            batch.lay(number, new.stream_id, new.version, new.event)
            overlay[new.stream_id] = Laid(new.kind, Loaded(new.version, new.after), number, 0)
    keeps = pending.writes and given.key is not None
    batch.command_ids.append(uuid_bytes(given.command_id))
    batch.callers.append(given.caller)
    batch.keys.append(None if given.dry_run else given.key)
    batch.fingerprints.append(given.fingerprint)
    batch.outcomes.append(_kept(pending, view) if keeps else b"")
    batch.keep.append(keeps)
    batch.causations.append(given.causation)
    batch.reads_end.append(len(batch.read_streams))
    batch.claims_end.append(len(batch.claim_kinds))
    batch.events_end.append(len(batch.types))
    return relied


def _lay_rows(batch: Batch, inline: InlineRows, number: int) -> None:
    """Lay the rows of a command whose events are not in the batch yet."""
    offset = len(batch.types)
    batch.closed += [(offset + place + 1, row) for place, row in inline.closed]
    batch.opened += [(offset + place + 1, row) for place, row in inline.opened]
    for row in inline.rows:
        batch.rows.append(_rows_encoder.encode(row | {"e": offset + row["e"]}))
    batch.touched += inline.touched
    batch.touched_by += [number] * len(inline.touched)


def _kept(pending: Pending, view: View) -> bytes:
    """Return what is kept with the key: enough to give the first answer again."""
    command = pending.submission.command
    version = view.look(command.kind, command.stream_id).version
    narrowing = pending.inline is not None and pending.inline.narrowing
    return _kept_encoder.encode(Kept(command.kind, command.stream_id, version, narrowing))
