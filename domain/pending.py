"""A command in the queue: decided as often as needed, answered once."""

from __future__ import annotations

from domain.errors import Refused, without_frames
from domain.ledger import InlineRows, Outcome, Submission, Waiting
from domain.view import View


class Pending:
    """A submission, what was decided of it last, and who waits for its outcome."""

    def __init__(self, submission: Submission, waiting: Waiting, now: float) -> None:
        self.submission = submission
        self.future = waiting
        self.since = now
        self.attempts = 0
        self.delays = 0
        self.stale: set[str] = set()
        self.view: View | None = None
        self.refusal: Refused | None = None
        self.inline: InlineRows | None = None

    @property
    def decided(self) -> View:
        """The view its decision was made through."""
        if self.view is None:
            raise RuntimeError("not decided yet")
        return self.view

    @property
    def writes(self) -> bool:
        """Whether the decision is to be stored: not a refusal, not a dry run."""
        return self.refusal is None and not self.submission.dry_run

    def refuse(self, refusal: BaseException) -> None:
        """Answer no."""
        if not self.future.done():
            self.future.set_exception(without_frames(refusal))

    def answer(self, outcome: Outcome) -> None:
        """Answer."""
        if not self.future.done():
            self.future.set_result(outcome)
