"""The two things that are raised on purpose: Refused, when the rules say no, and Impossible, when a
history cannot be."""

from __future__ import annotations

from typing import Any, TypeVar

Fault = TypeVar("Fault", bound=BaseException)


class Refused(Exception):
    """The rules say no; nothing was recorded.

    `code` is stable and documented (`grant.state`, `duties.not_separate`, ...); `params` hold the
    facts a person needs to understand it. They are codes, ids, instants and numbers, never free
    text of a person. The sentences in Chinese and English are made at the door from both."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params: dict[str, Any] = params

    def __str__(self) -> str:
        return f"{self.code} {self.params}" if self.params else self.code


class Impossible(Exception):
    """An order of events that no verb emits: the stream is closed until someone has looked."""

    def __init__(self, event: object, state: object) -> None:
        super().__init__(f"{type(event).__name__} after {_status(state)}")
        self.event = event
        self.state = state


def without_frames(fault: Fault) -> Fault:
    """Return a fault that somebody waits for, without the frames it was raised through.

    They hold what was looked at, and with it the command whose answer the fault is: that would be
    left to the collector of cycles.
    """
    fault.__traceback__ = fault.__cause__ = fault.__context__ = None
    return fault


def _status(state: object) -> str:
    return "nothing" if state is None else str(getattr(state, "status", type(state).__name__))
