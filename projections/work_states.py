"""The states that one page of work is judged by: each stream read once, as committed now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from domain.errors import Impossible, Refused
from domain.view import Circumstances, Command, Loaded, View

if TYPE_CHECKING:
    from domain.values import Instant, Party

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOTHING: Final = Loaded(0, None)
ALREADY: Final = "work.already"
"""The intent already holds: there is nothing left for them to do. Never leaves this package."""


class Records(Protocol):
    """Who was ever appointed."""

    def staff_ids(self) -> Sequence[str]: ...


class Streams(Protocol):
    """Where states come from: a ledger now, or as it was at a position."""

    @property
    def tenant(self) -> str: ...
    @property
    def records(self) -> Records: ...
    def refresh(self, wanted: Iterable[str]) -> None: ...
    def recall(self, kind: str, stream_id: str) -> Loaded | None: ...


class States:
    """Streams of one ledger by kind and id; what was read once is not read again."""

    def __init__(self, ledger: Streams, at: Instant) -> None:
        self.at = at
        self._ledger = ledger
        self._known: dict[tuple[str, str], Loaded] = {}
        self._closed: dict[str, Refused] = {}
        self._staff_ids: Sequence[str] | None = None

    def bring(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Read (kind, id) pairs that are not known yet, in one round trip."""
        new = [one for one in dict.fromkeys(wanted) if one not in self._known]
        for one in [one for one in new if _ID.fullmatch(one[1]) is None]:
            new.remove(one)  # imported history may name what never was a stream
            self._known[one] = NOTHING
        if not new:
            return
        try:
            self._ledger.refresh({stream for _, stream in new})
        except Refused as fault:
            if len(new) == 1:
                self._closed |= {stream: fault for _, stream in new}
                return
            for one in new:  # one of them cannot be folded: find which
                self.bring([one])
            return
        for kind, stream in new:
            self._known[kind, stream] = self._ledger.recall(kind, stream) or NOTHING

    def load(self, kind: str, stream_id: str) -> Loaded:
        """Return a stream. Raises `Refused` `stream.closed` where it cannot be folded."""
        if (kind, stream_id) not in self._known:
            if stream_id not in self._closed:
                self.bring([(kind, stream_id)])
            if stream_id in self._closed:
                raise self._closed[stream_id]
        return self._known[kind, stream_id]

    def staff_ids(self) -> Sequence[str]:
        """Return the ids of everyone who was ever appointed."""
        if self._staff_ids is None:
            self._staff_ids = self._ledger.records.staff_ids()
        return self._staff_ids

    def view(self, by: Party, on_behalf_of: Party | None = None) -> View:
        """Return what a command of these parties would see; nothing of it is ever written."""
        given = Circumstances(self._ledger.tenant, self.at, "", by, on_behalf_of)
        return View(self.load, given, self.staff_ids)

    def refusal(self, command: Command, by: Party, on_behalf_of: Party | None) -> str | None:
        """Return the code by which the rules would refuse this command now, None where it passes.

        It is decided as the ledger would decide it; so what is listed here is what can be done.
        """
        view = self.view(by, on_behalf_of)
        try:
            command.decide(view)
        except Refused as fault:
            return fault.code
        except Impossible:
            return "stream.closed"
        return None if view.events else ALREADY
