"""What one command sees and does: the streams it looked at, at which version, and the events and
claims it wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from domain.catalogue import Catalogue
from domain.customers import Customer
from domain.errors import Refused
from domain.events.common import Event
from domain.exclusions import Exclusion, exclusion_stream
from domain.grants import Grant
from domain.persons import Person
from domain.policies import Policy
from domain.staff import Staff
from domain.streams import evolve
from domain.values import Act, Evidence, Instant, Party, Reason

MAX_MERGE_STEPS = 8
"""How far `merged into` is followed; longer chains are refused rather than walked for ever."""


class Loaded(NamedTuple):
    """A stream as far as it is known: its version (0: it does not exist) and its folded state."""

    version: int
    state: Any


class Load(Protocol):
    """Gives a stream's newest known version and state."""

    def __call__(self, kind: str, stream_id: str) -> Loaded: ...


class NewEvent(NamedTuple):
    """An event decided on and not yet written, with the states around it."""

    kind: str
    stream_id: str
    version: int
    event: Event
    before: Any
    after: Any


How = Literal["hold", "look", "replace"]


class Claim(NamedTuple):
    """What may exist once: `keyed_hash` of kind `kind` belongs to `stream_id`.

    `how`: `hold` takes it; `look` only demands that nobody else has it; `replace` takes it and
    gives back what the stream held of this kind (`uscc` or `identity_number`) before."""

    kind: str
    keyed_hash: bytes
    stream_id: str
    how: How = "hold"


class Circumstances(msgspec.Struct, frozen=True, gc=False):
    """What the edge gives with a command: tenant, instant, ids, the calling party, why and on what
    evidence."""

    tenant: str
    at: Instant
    command_id: str
    by: Party
    on_behalf_of: Party | None = None
    reason: Reason | None = None
    evidence: tuple[Evidence, ...] = ()


class View:
    """The door through which a command's decision looks at streams and hands over what is to
    happen.

    Every stream looked at is a read with its version; the append compares them all under the head
    row's lock."""

    def __init__(
        self,
        load: Load,
        given: Circumstances,
        staff_ids: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.given = given
        self.reads: dict[str, int] = {}
        self.events: list[NewEvent] = []
        self.claims: list[Claim] = []
        self._load = load
        self._staff_ids = staff_ids
        self._seen: dict[tuple[str, str], Loaded] = {}

    @property
    def tenant(self) -> str:
        return self.given.tenant

    @property
    def at(self) -> Instant:
        return self.given.at

    @property
    def by(self) -> Party:
        return self.given.by

    @property
    def act(self) -> Act:
        """The circumstances as verbs want them."""
        given = self.given
        return Act(given.at, given.by, given.on_behalf_of, given.reason, given.evidence)

    def look(self, kind: str, stream_id: str) -> Loaded:
        """Return the stream as this command sees it, its own earlier events included; the stream of
        another kind is nothing."""
        seen = self._seen.get((kind, stream_id))
        if seen is None:
            seen = self._seen[kind, stream_id] = self._load(kind, stream_id)
            self.reads.setdefault(stream_id, seen.version)
        return seen

    def catalogue(self) -> Catalogue | None:
        return self.look("catalogue", self.tenant).state

    def person(self, person_id: str) -> Person | None:
        return self.look("person", person_id).state

    def staff(self, staff_id: str) -> Staff | None:
        return self.look("staff", staff_id).state

    def customer(self, customer_id: str) -> Customer | None:
        return self.look("customer", customer_id).state

    def policy(self, policy_id: str) -> Policy | None:
        return self.look("policy", policy_id).state

    def grant(self, grant_id: str) -> Grant | None:
        return self.look("grant", grant_id).state

    def exclusion(self, policy_id: str) -> Exclusion | None:
        """Return what the approved grants of an exclusive policy take."""
        return self.look("exclusion", exclusion_stream(policy_id)).state

    def all_staff(self) -> list[Staff]:
        """Return every staff member there is; each of their streams becomes a read."""
        found = [self.staff(staff_id) for staff_id in self._staff_ids()]
        return [member for member in found if member is not None]

    def same_person(self, person_id: str) -> str:
        """Return who this person turned out to be: follows `merged into`, each step a read."""
        current = person_id
        for _ in range(MAX_MERGE_STEPS):
            person = self.person(current)
            if person is None or person.merged_into is None:
                return current
            current = person.merged_into
        raise Refused("person.merge_too_long", person=person_id)

    def record(self, kind: str, stream_id: str, events: Sequence[Event]) -> Any:
        """Take over the events a verb returned for one stream; return the state after them."""
        version, state = self.look(kind, stream_id)
        for event in events:
            after = evolve(kind, state, event)
            version += 1
            self.events.append(NewEvent(kind, stream_id, version, event, state, after))
            state = after
        self._seen[kind, stream_id] = Loaded(version, state)
        return state

    def claim(self, kind: str, keyed_hash: bytes, stream_id: str, how: How = "hold") -> None:
        """Ask for what may exist once; the append refuses the command with `claim.taken` where
        another has it."""
        self.claims.append(Claim(kind, keyed_hash, stream_id, how))


class Command(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An intent. Subclasses say on which stream it acts and how it is decided.

    `kind` and `stream_id` name the stream it is about, whose version If-Match speaks of. `decide`
    looks at streams through the view, calls verbs, hands their events to `view.record`, and raises
    `Refused` where the rules say no."""

    @property
    def kind(self) -> str:
        raise TypeError(f"{type(self).__name__} does not say its stream kind")

    @property
    def stream_id(self) -> str:
        raise TypeError(f"{type(self).__name__} does not say its stream")

    def hints(self) -> tuple[tuple[str, str], ...]:
        """Return (kind, stream id) pairs the decision will surely look at, to be loaded in one
        round trip."""
        return ((self.kind, self.stream_id),)

    def decide(self, view: View) -> None:
        raise TypeError(f"{type(self).__name__} cannot be decided at {view.at}")
