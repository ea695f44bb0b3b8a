"""What every event carries: when it happened, whose hand it was, on whose behalf, why, and on what
evidence."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from domain.values import Evidence, Imported, Instant, Party, Reason


class Event(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"from_": "from"},
):
    """A fact. `name` is the stored name, a contract for good: `<stream>.<past
    participle>.<version>`."""

    name: ClassVar[str] = ""

    at: Instant
    by: Party
    on_behalf_of: Party | None = None
    reason: Reason | None = None
    evidence: tuple[Evidence, ...] = ()
    imported: Imported | None = None
