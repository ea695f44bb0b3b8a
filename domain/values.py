"""The small values that events and states are made of: instants, parties, reasons, evidence,
terms."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypedDict

import msgspec

from domain.sealing import Sealed

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware instant; always UTC with microseconds where we write it."""

Scope = dict[str, tuple[str, ...]]
"""Dimension -> patterns; see `domain.scopes`."""


class Value(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """Anything written inside an event: immutable, and a field it does not know is an error, never
    lost."""


class Party(Value, frozen=True):
    """Who acts or is acted for.

    `ref` is `staff:<id>`, `customer:<id>` or `service:<name>`; `person` is the human being behind
    it, by whom duties are counted, and None for a service."""

    ref: str
    person: str | None = None

    @property
    def kind(self) -> str:
        return self.ref.partition(":")[0]

    @property
    def id(self) -> str:
        return self.ref.partition(":")[2]


TIMEKEEPER = Party("service:timekeeper")
"""Records what the clock did; it decides nothing."""


class Reason(Value, frozen=True):
    """Why a person decided so: a code of the tenant's list, a sealed text, or both."""

    code: str | None = None
    text: Sealed | None = None


class Evidence(Value, frozen=True):
    """What was shown: a stored file (`file`: its id, hash and size) or a paper `place`.

    `kind` says what it is: `recording`, `written_note`, `identity_card`, `passport`,
    `business_licence`, `contract`, `photo`, `statement`, `other`."""

    kind: str
    file: str | None = None
    sha256: str | None = None
    size: int | None = None
    place: Sealed | None = None
    ends_at: Instant | None = None


SPOKEN_RECORDS = frozenset({"recording", "written_note"})
"""Evidence kinds that make a spoken consent count; only as a stored file."""

SPOKEN_CHANNELS = frozenset({"phone", "interview", "video"})
"""Channels on which nothing written comes about by itself."""

CHANNELS = SPOKEN_CHANNELS | {"online", "post", "email", "site_visit", "third_party", "register"}


class Imported(Value, frozen=True):
    """Marks a fact taken over from before the ledger: where it stood (`row` counts from 1, the
    header not counted).

    `inferred` marks what the tables need and the source lacks.
    """

    source: str
    row: int
    inferred: bool = False


class Names(Value, frozen=True):
    """A clear name of a thing (never of a natural person) in Chinese and English."""

    zh: str
    en: str


class Term(Value, frozen=True):
    """Half-open `[starts_at, ends_at)`.

    Without `starts_at` it starts where the policy says (on approval, on signature) and lasts
    `days`. `ends_at` may be open only in imported history."""

    starts_at: Instant | None = None
    ends_at: Instant | None = None
    days: int | None = None


class Terms(Value, frozen=True):
    """What is granted: kind, actions, scope and term. `number` is 1 for the first terms of a
    grant.

    `parent` is the grant it is passed on from; `pass_on` how many levels below may be given from
    it. `template` and `purpose` are a share's: which fields of a customer, and for what."""

    kind: str
    actions: tuple[str, ...]
    scope: Scope
    term: Term
    number: int = 1
    parent: str | None = None
    pass_on: int = 0
    template: str | None = None
    purpose: str | None = None


class PolicyRef(Value, frozen=True):
    """The policy version a grant rests on: the policy's stream and the number of the version in
    it."""

    policy: str
    version: int


class Act(msgspec.Struct, frozen=True, gc=False):
    """The circumstances of one command: when, whose hand, for whom, why, on what evidence.

    Verbs write them into every event they return: `GrantWithdrawn(**stamp(act))`.
    """

    at: Instant
    by: Party
    on_behalf_of: Party | None = None
    reason: Reason | None = None
    evidence: tuple[Evidence, ...] = ()


def without_texts(act: Act) -> Act:
    """Return the circumstances for an event on another stream than the command's own.

    Texts are sealed for the command's stream and open nowhere else; codes and files stay.
    """
    code = None if act.reason is None else act.reason.code
    return msgspec.structs.replace(
        act,
        reason=None if code is None else Reason(code),
        evidence=tuple(msgspec.structs.replace(one, place=None) for one in act.evidence),
    )


class Stamp(TypedDict):
    """The fields that `stamp` gives to an event."""

    at: Instant
    by: Party
    on_behalf_of: Party | None
    reason: Reason | None
    evidence: tuple[Evidence, ...]


def stamp(act: Act) -> Stamp:
    """Return the common fields of an event, to be spread into its constructor."""
    return Stamp(
        at=act.at,
        by=act.by,
        on_behalf_of=act.on_behalf_of,
        reason=act.reason,
        evidence=act.evidence,
    )
