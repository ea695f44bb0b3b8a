"""The six stages of a grant, each with the acts that belong to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

Stage = Literal["identify", "collect", "verify", "approve", "supervise", "end"]
Mark = Literal["done", "now", "ahead", "not_needed", "stopped"]

STAGES: Final[tuple[Stage, ...]] = (
    "identify",
    "collect",
    "verify",
    "approve",
    "supervise",
    "end",
)
"""In their order: identify the customer, collect the request, verify it, approve and sign,
supervise, revoke or end."""

_OF: Final[Mapping[str, Stage]] = {
    "requested": "collect",
    "information_requested": "collect",
    "information_provided": "collect",
    "checked": "verify",
    "verified": "verify",
    "verification_failed": "verify",
    "stage_approved": "approve",
    "approval_retracted": "approve",
    "approved": "approve",
    "signed": "approve",
    "scheduled": "approve",
    "activated": "approve",
    "suspended": "supervise",
    "suspension_confirmed": "supervise",
    "resumed": "supervise",
    "renewed": "supervise",
    "amended": "supervise",
    "revocation_requested": "end",
    "revocation_proposed": "end",
    "revocation_cancelled": "end",
    "revoked": "end",
    "expired": "end",
    "superseded": "end",
    "error_proposed": "end",
    "error_dismissed": "end",
    "error_marked": "end",
}
_STOPS: Final = frozenset({"rejected", "withdrawn", "lapsed"})
_CUSTOMER: Final = frozenset({"registered", "identity_checked", "confirmed", "lapsed"})
_CASES: Final = ("renewal_", "amendment_")

_NOW: Final[Mapping[str, Stage]] = {
    "information_requested": "collect",
    "submitted": "verify",
    "verifying": "verify",
    "pending_approval": "approve",
    "approved": "approve",
    "scheduled": "supervise",
    "active": "supervise",
    "suspended": "supervise",
}
"""Main state -> the stage whose turn it is."""


class Told(NamedTuple):
    """A stage: how far it is, and the acts in it, each ready to be shown."""

    name: Stage
    mark: Mark
    acts: tuple[Any, ...]


def of_grant(names: Sequence[str], acts: Sequence[Any]) -> dict[Stage, list[Any]]:
    """Return the acts of each stage; `names` are the stored names of their events, in order.

    A stop (rejected, withdrawn, lapsed) belongs to the stage at which it came.
    """
    found: dict[Stage, list[Any]] = {one: [] for one in STAGES}
    current: Stage = "collect"
    for name, act in zip(names, acts, strict=True):
        what = name.split(".")[1]
        stage = "supervise" if what.startswith(_CASES) else _OF.get(what)
        if what in _STOPS:
            stage = current
        if stage is None:
            continue  # a note decides nothing: it stands in the timeline
        found[stage].append(act)
        current = "approve" if what == "verified" else _next(stage)
    return found


def _next(stage: Stage) -> Stage:
    return "verify" if stage == "collect" else stage


def belongs_to_identity(name: str) -> bool:
    """Tell whether an event of a customer says how well it is known."""
    kind, what, _ = name.split(".")
    return kind == "customer" and what in _CUSTOMER


def told(
    acts: Mapping[Stage, Iterable[Any]], status: str, standing: str | None, *, verifies: bool
) -> list[Told]:
    """Return the stages with how far each is.

    `standing` is the grantee's, None where it is not known; `verifies` whether the policy demands a
    check.
    """
    marks = _marks(acts, status, verifies=verifies)
    marks["identify"] = "done" if standing in (None, "confirmed", "appointed") else "now"
    return [Told(one, marks[one], tuple(acts[one])) for one in STAGES]


def _marks(
    acts: Mapping[Stage, Iterable[Any]], status: str, *, verifies: bool
) -> dict[Stage, Mark]:
    now = _NOW.get(status)
    if now is not None:
        turn = STAGES.index(now)
        marks: dict[Stage, Mark] = {
            one: "done" if place < turn else "now" if place == turn else "ahead"
            for place, one in enumerate(STAGES)
        }
    elif status in _STOPS:
        last = max(place for place, one in enumerate(STAGES) if tuple(acts[one]) or place == 1)
        marks = {
            one: "done" if place < last else "stopped" if place == last else "not_needed"
            for place, one in enumerate(STAGES)
        }
    else:
        marks = dict.fromkeys(STAGES, "done")
    if not verifies and not tuple(acts["verify"]) and marks["verify"] == "done":
        marks["verify"] = "not_needed"
    return marks
