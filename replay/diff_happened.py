"""By what had happened: acts that took place between two instants, and the states they led to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domain.grant_states import status_at
from domain.values import Instant
from replay.diff_effect import grants_asked, wanted
from replay.diff_past import Past, act
from replay.diff_records import About, Asked, CaseChange, Tally
from replay.sources import Source, Stored


def case_changes(source: Source, asked: Asked, tally: Tally) -> Iterator[CaseChange]:
    """Yield the grants on which acts took place after the first instant and not after the second
    one, in the order of their ids; by what was known at one position.

    The state at an instant is what the acts until then made of it, at that instant by the clock.
    Raises `OutOfReach` `source.partial`, `UnknownEvent`.
    """
    past = Past(source, asked.known[1])
    for stream, events in grants_asked(source, asked, past):
        own = list(events)
        state = past.fold(own)
        if state is None:
            continue
        about = About(stream, state.number, state.grantee, state.terms.kind)
        if not wanted(about, asked):
            continue
        tally.looked_at += 1
        before, after = (_state(past, own, at) for at in asked.at)
        tally.states[before, after] += 1
        acts = [one for one in map(act, own) if asked.at[0] < one.event.at <= asked.at[1]]
        for one in acts:
            tally.acts[one.stored.type.rpartition(".")[0]] += 1
        if acts:
            tally.changes["acted"] += 1
            ordered = sorted(acts, key=lambda one: (one.event.at, one.stored.version))
            yield CaseChange(about, before, after, tuple(ordered))
    tally.unreadable |= past.unreadable


def _state(past: Past, events: Sequence[Stored], at: Instant) -> str | None:
    state = past.fold(events, at)
    return None if state is None else status_at(state, at)
