"""A second program: it answers compliance from the stored events by itself, none of our code in it.

An event is its stream, its type without the version, and its JSON. Rights hang on people: whoever
stands in for another lends a hand to both. It knows no imports and no changed terms, as the sample
tenant has none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, NamedTuple

HANDS = {
    "requested": "requested", "renewal_requested": "requested", "amendment_proposed": "requested",
    "checked": "checked", "renewal_checked": "checked", "amendment_checked": "checked",
    "stage_approved": "approved", "renewal_stage_approved": "approved",
    "amendment_stage_approved": "approved",
}  # fmt: skip
OPENS = {
    "requested", "renewal_requested", "amendment_proposed", "revocation_requested",
    "revocation_proposed",
}  # fmt: skip
ENDS_THE_REQUEST = {
    "activated", "scheduled", "rejected", "verification_failed", "withdrawn", "lapsed",
}  # fmt: skip
ENDS_ITS_CASE = {
    "renewed", "renewal_rejected", "renewal_verification_failed", "renewal_withdrawn",
    "renewal_lapsed", "amended", "amendment_rejected", "amendment_verification_failed",
    "amendment_withdrawn", "amendment_lapsed", "revocation_cancelled",
}  # fmt: skip
ENDS_ALL = {"revoked", "expired", "superseded", "error_marked"}
RETRACTED = {"approval_retracted", "renewal_approval_retracted", "amendment_approval_retracted"}


class Event(NamedTuple):
    """One row of `events`, as stored."""

    stream: str
    type: str
    data: dict[str, Any]


class Hand(NamedTuple):
    """What a person did in a case."""

    grant: str
    case: str
    act: str
    person: str
    stage: str | None


def hands(events: Sequence[Event]) -> list[Hand]:
    """Return the hands that stand: a retracted approval does not."""
    found: list[Hand] = []
    first: dict[str, str] = {}
    for event in events:
        kind, _, name = event.type.partition(".")
        if kind != "grant":
            continue
        if name == "requested":
            first[event.stream] = event.data["case"]
        case = event.data.get("case", first.get(event.stream))
        if name in RETRACTED:
            gone = event.data["approver"], event.data["stage"]
            found = [
                one for one in found
                if (one.grant, one.case, one.person, one.stage) != (event.stream, case, *gone)
            ]  # fmt: skip
        elif act := HANDS.get(name):
            stage = event.data.get("stage")
            found += [Hand(event.stream, case, act, one, stage) for one in people(event)]
    return found


def people(event: Event) -> Iterator[str]:
    """Yield the person who did it, and the one they stood in for."""
    yield event.data["by"]["person"]
    if other := event.data.get("on_behalf_of"):
        yield other["person"]


def two_hands(events: Sequence[Event]) -> tuple[int, int]:
    """Return how many cases there are with a hand, and in how many one person had two."""
    acts: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in hands(events):
        acts[one.grant, one.case][one.act].add(one.person)
    broken = [
        case
        for case, by_act in acts.items()
        if any(by_act[one] & by_act[other] for one, other in combinations(sorted(by_act), 2))
    ]
    return len(acts), len(broken)


def unchecked(events: Sequence[Event]) -> set[str]:
    """Return the numbers of the grants with a case that was approved and not checked."""
    acts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in hands(events):
        acts[one.grant, one.case].add(one.act)
    called = numbers(events)
    return {
        called[grant]
        for (grant, _), done in acts.items()
        if "approved" in done and "checked" not in done
    }


def approvals(events: Sequence[Event]) -> Counter[str]:
    """Return staff number -> approvals that stand."""
    known = {one.data["person"]: one.data["number"] for one in of_type(events, "staff.appointed")}
    return Counter(known[one.person] for one in hands(events) if one.act == "approved")


def open_for(events: Sequence[Event], days: int, instant: datetime) -> dict[str, int]:
    """Return number of a grant -> whole days, of cases open for at least so many days."""
    opened: dict[tuple[str, str], datetime] = {}
    first: dict[str, str] = {}
    for event in events:
        kind, _, name = event.type.partition(".")
        if kind != "grant":
            continue
        if name in OPENS:
            first.setdefault(event.stream, event.data["case"])
            begun = datetime.fromisoformat(event.data["at"])
            opened.setdefault((event.stream, event.data["case"]), begun)
        elif name in ENDS_ITS_CASE:
            opened.pop((event.stream, event.data["case"]), None)
        elif name in ENDS_THE_REQUEST:
            opened.pop((event.stream, first[event.stream]), None)
        elif name in ENDS_ALL:
            opened = {case: at for case, at in opened.items() if case[0] != event.stream}
    called = numbers(events)
    return {
        called[grant]: (instant - begun).days
        for (grant, _), begun in opened.items()
        if begun <= instant - timedelta(days=days)
    }


def numbers(events: Sequence[Event]) -> dict[str, str]:
    """Return stream of a grant -> its number."""
    return {one.stream: one.data["number"] for one in of_type(events, "grant.requested")}


def of_type(events: Sequence[Event], name: str) -> Iterator[Event]:
    """Yield the events of a type."""
    return (one for one in events if one.type == name)
