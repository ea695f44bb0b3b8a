"""What a command needs that the domain may not make: ids, sealed texts, keyed hashes, stored files.

One Edge a command; HTTP, the command line and the import stand on the same one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from api.ids import new_id
from api.shapes import Deed, EvidenceGiven, ReasonGiven
from domain import numbers
from domain.codec import UnknownEvent, decode
from domain.errors import Refused
from domain.events import Event
from domain.grants import Grant
from domain.ledger import Submission
from domain.sealing import Context, Opener, Sealed, Sealer
from domain.values import Evidence, Instant, Party, Reason
from domain.view import Command, Loaded

REASON: Final = "reason"
"""The field under which a reason's text is sealed; other texts are sealed under their own name."""

PLACE: Final = "place"
"""The field under which the place of a paper is sealed."""


class Streams(Protocol):
    """What is needed of `domain.ledger.Ledgers`."""

    def load(self, tenant: str, kind: str, stream_id: str) -> Loaded:
        """Return a stream as committed now."""
        ...

    def ledger(self, tenant: str) -> Any:
        """Return the tenant's ledger, whose `recall` answers from memory."""
        ...

    def claim(self, tenant: str, kind: str, keyed_hash: bytes) -> str | None:
        """Return the stream that holds a claim."""
        ...


class Blocks(Exception):
    """This has to ask a database, and the caller cannot wait here."""


class Hashes(Protocol):
    """What is needed of `api.keys.KeyStore`."""

    def at_hand(self, tenant: str, subject: str | None = None) -> bool:
        """Return whether a key is in memory."""
        ...

    def fingerprint(self, tenant: str, data: bytes) -> bytes:
        """Return what tells a repeated request from another."""
        ...

    def keyed_hash(self, tenant: str, kind: str, value: str) -> bytes:
        """Return 32 bytes, equal for values that are the same to a person."""
        ...


class Files(Protocol):
    """What is needed of `api.evidence.EvidenceStore`."""

    def find(self, tenant: str, subject: str, file_id: str) -> Any:
        """Return what an event says of a stored file. Raises `Refused` `evidence.unknown`."""
        ...


class Texts(Sealer, Opener, Protocol):
    """Seals texts, and opens them where a command rests on one that is sealed already."""


class Edge:
    """Makes what one command carries.

    Its methods may ask the databases. One that is not `patient` never does: it raises `Blocks`
    where it would have to, and the command is made again by one that is.
    """

    def __init__(
        self,
        tenant: str,
        by: Party,
        streams: Streams,
        hashes: Hashes,
        texts: Texts,
        files: Files,
        *,
        patient: bool = True,
    ) -> None:
        self._patient = patient
        self.tenant = tenant
        self.by = by
        self.command_id = new_id()
        self._streams = streams
        self._hashes = hashes
        self._texts = texts
        self._files = files

    def wait(self) -> None:
        """Raise `Blocks` unless patient: what follows asks a database."""
        if not self._patient:
            raise Blocks

    def new_id(self) -> str:
        """Return a new id for a stream, a case, a hold, ..."""
        return new_id()

    def sealed(self, text: str, field: str, stream_id: str, subject: str) -> Sealed:
        """Return a text sealed for one field of an event on a stream."""
        if not (self._patient or self._hashes.at_hand(self.tenant, subject)):
            raise Blocks
        context = Context(self.tenant, stream_id, self.command_id, field)
        return self._texts.seal(subject, text, context)

    def seal(self, text: str | None, field: str, stream_id: str, subject: str) -> Sealed | None:
        """Return a text sealed as `sealed` does; None stays None."""
        return None if text is None else self.sealed(text, field, stream_id, subject)

    def hash(self, kind: str, value: str) -> bytes:
        """Return the keyed hash under which a value is claimed."""
        self._need_hash_key()
        return self._hashes.keyed_hash(self.tenant, kind, value)

    def fingerprint(self, data: bytes) -> bytes:
        """Return what tells a repeated request from another under the same key."""
        self._need_hash_key()
        return self._hashes.fingerprint(self.tenant, data)

    def _need_hash_key(self) -> None:
        if not (self._patient or self._hashes.at_hand(self.tenant)):
            raise Blocks

    def claimed(self, kind: str, value: str) -> str | None:
        """Return the stream that claimed a value."""
        if not self._patient:
            raise Blocks
        return self._streams.claim(self.tenant, kind, self.hash(kind, value))

    def state(self, kind: str, stream_id: str) -> Any:
        """Return a stream's state, from memory where it is there, which may be a moment old.

        Enough for what never changes: that a stream exists, a grant's grantee, a staff member's
        person. What rests on more is the domain's to read. Raises `Refused` `<kind>.unknown`.
        """
        found = self._streams.ledger(self.tenant).recall(kind, stream_id)
        if found is None or found.state is None:
            if not self._patient:
                raise Blocks
            found = self._streams.load(self.tenant, kind, stream_id)
        if found.state is None:
            raise Refused(f"{kind}.unknown", **{kind: stream_id})
        return found.state

    def recorded(self, stream_id: str) -> Iterator[tuple[str, Event]]:
        """Yield a stream's events as committed now, each with the id of its command. Raises
        `Refused` `ledger.other_release`."""
        self.wait()
        for row in self._streams.ledger(self.tenant).records.read_streams([(stream_id, 0)]):
            try:
                event = decode(row.type, row.data)
            except UnknownEvent as fault:
                raise Refused("ledger.other_release", event=fault.name) from fault
            yield str(row.command_id), event

    def opened(self, sealed: Sealed, field: str, stream_id: str, command_id: str) -> str:
        """Return a text that a command sealed for one field of an event on a stream. Raises
        `Unopenable`."""
        self.wait()
        return self._texts.open(sealed, Context(self.tenant, stream_id, command_id, field))

    def grant_number(self, at: Instant | None) -> str:
        """Return a number of this day; that nobody else has it is a claim of the command."""
        day = (at or datetime.now(UTC)).date()
        return numbers.make(day, secrets.randbelow(numbers.SPAN))

    def subject(self, kind: str, stream_id: str) -> str:
        """Return whom texts on a stream speak of.

        The customer of a customer's or a grant's stream; the person of a person's or a staff
        member's; else whoever acts, and the tenant where a service does. Raises `Refused`
        `<kind>.unknown`: no key is made for someone who is not there.
        """
        match kind:
            case "customer" | "person":
                self.state(kind, stream_id)
                return stream_id
            case "staff":
                return str(self.state("staff", stream_id).person)
            case "grant":
                grant: Grant = self.state("grant", stream_id)
                return self.subject_of_party(grant.grantee)
            case _:
                return self.by.person or self.tenant

    def subject_of_party(self, ref: str) -> str:
        """Return whom texts about a party speak of; see `subject`."""
        kind, _, stream_id = ref.partition(":")
        return self.subject(kind, stream_id)

    def principal(self, ref: str | None) -> Party | None:
        """Return whom a deputy acts for, with the person behind; the rules ask the rest."""
        if ref is None:
            return None
        party = Party(ref)
        if party.kind != "staff":
            return party
        return Party(ref, self.state("staff", party.id).person)

    def submission(
        self,
        command: Command,
        deed: Deed,
        *,
        caller: str,
        key: str | None,
        fingerprint: bytes,
        subject: str | None = None,
        expected_version: int | None = None,
        dry_run: bool = False,
        at: Instant | None = None,
    ) -> Submission:
        """Return the command with reason and evidence, ready for the ledger.

        `subject` is whom they speak of, where it is not what the command's stream says.
        """
        if subject is None and (deed.reason is not None or deed.evidence):
            subject = self.subject(command.kind, command.stream_id)
        about = subject or self.tenant
        return Submission(
            tenant=self.tenant,
            caller=caller,
            key=key,
            fingerprint=fingerprint,
            command=command,
            by=self.by,
            command_id=self.command_id,
            on_behalf_of=self.principal(deed.on_behalf_of),
            reason=self._reason(deed.reason, command.stream_id, about),
            evidence=tuple(self._evidence(one, command.stream_id, about) for one in deed.evidence),
            expected_version=expected_version,
            dry_run=dry_run,
            at=at,
        )

    def _reason(self, given: ReasonGiven | None, stream_id: str, subject: str) -> Reason | None:
        if given is None or (given.code is None and given.text is None):
            return None
        return Reason(given.code, self.seal(given.text, REASON, stream_id, subject))

    def _evidence(self, given: EvidenceGiven, stream_id: str, subject: str) -> Evidence:
        """Hash and size of a stored file come from the store, never from a body. Where a paper lies
        is a line that people write, so names may stand in it: it is sealed.
        """
        place = self.seal(given.place, PLACE, stream_id, subject)
        if given.file is None:
            return Evidence(given.kind, place=place, ends_at=given.ends_at)
        if not self._patient:
            raise Blocks
        stored = self._files.find(self.tenant, subject, given.file)
        return Evidence(
            given.kind,
            file=stored.id,
            sha256=stored.hash,
            size=stored.size,
            place=place,
            ends_at=given.ends_at,
        )
