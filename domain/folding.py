"""How every `evolve` treats an order of events that no verb emits: never lost when imported, else
Impossible.
"""

from __future__ import annotations

from domain.errors import Impossible
from domain.events.common import Event


def disorder(expected: bool, event: Event, state: object) -> bool:
    """Return False where `event` was `expected`, True (irregular) where it was not but is imported.

    Raises `Impossible` where it was neither: then the stream is closed until someone has looked.
    """
    if expected:
        return False
    if event.imported is None:
        raise Impossible(event, state)
    return True


def hands_of(event: Event) -> frozenset[str]:
    """Return the persons whose hands the event shows, deputy and principal both, as they were
    written down.
    """
    parties = (event.by, event.on_behalf_of)
    return frozenset(party.person for party in parties if party is not None and party.person)
