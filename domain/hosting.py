"""How eventsourcing sees our events, and how it gets the process's one datastore."""

from __future__ import annotations

from typing import cast
from uuid import UUID

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    ProcessRecorder,
    StoredEvent,
    TrackingRecorder,
)
from eventsourcing.utils import Environment

from domain.codec import decode, encode
from domain.events import Event
from domain.recorder import LedgerDatastore, LedgerRecorder


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """An event on its way to the log: what the library calls a domain event."""

    originator_id: UUID
    originator_version: int
    event: Event


class LedgerMapper(Mapper[UUID]):
    """Knows the stored names of our events and refuses others; the library's would import what a
    name says."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        envelope = cast(Envelope, domain_event)
        event = envelope.event
        return StoredEvent(
            envelope.originator_id, envelope.originator_version, event.name, encode(event)
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        event = decode(stored_event.topic, stored_event.state)
        envelope = Envelope(
            UUID(str(stored_event.originator_id)), stored_event.originator_version, event
        )
        return cast(DomainEventProtocol[UUID], envelope)


class LedgerFactory(InfrastructureFactory[TrackingRecorder]):
    """Gives every tenant's application the one datastore of the process."""

    def __init__(self, env: Environment, datastore: LedgerDatastore, tenant: str) -> None:
        super().__init__(env)
        self._recorder = LedgerRecorder(datastore, tenant)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        del purpose  # there is one log, and no snapshots beside it
        return self._recorder

    def application_recorder(self) -> ApplicationRecorder:
        return self._recorder

    def tracking_recorder(
        self, tracking_recorder_class: type[TrackingRecorder] | None = None
    ) -> TrackingRecorder:
        del tracking_recorder_class
        raise TypeError("read models keep their checkpoints themselves")

    def process_recorder(self) -> ProcessRecorder:
        raise TypeError("read models keep their checkpoints themselves")
