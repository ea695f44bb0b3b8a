"""What the reference says to a command: what happens, or by which codes it may be refused."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """Events by name in their order (none: no news), or every refusal that would be right.

    Where several guards fail at once the specification does not say which of them speaks.
    """

    events: tuple[str, ...] = ()
    refusals: frozenset[str] = field(default_factory=frozenset[str])

    @property
    def result(self) -> str:
        """`refused`, `done`, or `no_op`."""
        return "refused" if self.refusals else "done" if self.events else "no_op"


NO_NEWS = Answer()


def happened(*events: str) -> Answer:
    """These events."""
    return Answer(events)


def failing(*guards: tuple[str, bool]) -> Answer | None:
    """The refusals of the guards that fail (code, whether it fails); None where all hold."""
    found = frozenset(code for code, fails in guards if fails)
    return Answer(refusals=found) if found else None


FORBIDDEN = ("actor", "approver", "duties", "member", "role", "scope_of_key")
"""First words of codes that say who one is or was, not what is the case."""

EXACT = {
    "action.unknown": 422,
    "case.open": 409,
    "channel.unknown": 422,
    "claim.taken": 409,
    "error.open": 409,
    "grantee.unknown": 422,
    "member.act_unknown": 422,
    "member.taken": 409,
    "member.term_empty": 422,
    "member.too_many": 422,
    "member.unknown": 404,
    "stage.not_open": 409,
    "stage.unknown": 422,
    "successor.unknown": 422,
    "version.missing": 428,
    "version.moved": 412,
}


def http_status(code: str) -> int:
    """The HTTP status of a refusal, as `api.md` has it: 403, 404, 409, 412, 428, else 422."""
    first, _, last = code.partition(".")
    if code in EXACT:
        return EXACT[code]
    if first in FORBIDDEN:
        return 403
    return {"unknown": 404, "state": 409}.get(last, 422)
