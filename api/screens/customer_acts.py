"""The acts on a customer, and what can be chosen in their forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.screens.acts import Act
from api.screens.grant_acts import CHANNELS, EVIDENCE
from api.screens.visits import Visit

ACTS: Final[tuple[Act, ...]] = (
    Act(
        "record_identity_check",
        "customer.record_identity_check",
        ("kind", "channel", "passed", "document", "document_ends_at", "note"),
        evidence=True,
        weight="primary",
    ),
    Act("confirm", "customer.confirm", ("policy_kind",), weight="primary"),
    Act("block", "customer.block", reason=True, weight="danger"),
    Act("unblock", "customer.unblock", reason=True),
)
BY_NAME: Final[Mapping[str, Act]] = {one.name: one for one in ACTS}

_KINDS: Final = ("licence", "identity_card", "passport", "call_back", "documents")
_DOCUMENTS: Final = ("business_licence", "resident_identity_card", "passport", "other")


class OnCustomer:
    """A customer as the record that forms are offered on."""

    def __init__(
        self, visit: Visit, stream: str, version: int, kinds: Sequence[tuple[str, str]]
    ) -> None:
        self._visit = visit
        self.id = stream
        self.version = version
        self._kinds = kinds

    def choices(self, act: Act, name: str) -> Sequence[tuple[str, str]] | None:
        """Return what can be chosen for a field; see `acts.Subject`."""
        word = self._visit.words.word
        match name:
            case "kind":
                return [(one, word("kind", one)) for one in _KINDS]
            case "channel":
                return [(one, word("channel", one)) for one in CHANNELS]
            case "passed":
                return [(one, word("passed", one)) for one in ("true", "false")]
            case "document":
                return [(one, word("evidence", one)) for one in _DOCUMENTS]
            case "evidence_kind":
                return [(one, word("evidence", one)) for one in EVIDENCE]
            case "policy_kind":
                return self._kinds if act.name == "confirm" else []
            case _:
                return None

    def principals(self) -> Sequence[tuple[str, str]]:
        """Return nobody: these acts are one's own."""
        return ()

    def expected(self) -> frozenset[str]:
        """Return no act: what waits on a customer is seen on the list of work."""
        return frozenset[str]()


def kinds_of(visit: Visit, items: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the kinds of policies by which a customer may be confirmed."""
    return [(one["kind"], one["names"][visit.language]) for one in items]
