"""Editing through a share that an amendment changes from a later day on."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from domain.duties import Actor
from domain.errors import Refused
from domain.events.policy import ShareTemplate
from domain.grant_states import Effect, Grant
from domain.sharing import Share, require_may_edit, ruling_at
from domain.values import PolicyRef, Term, Terms
from tests.domain.grant_world import DAY, ENDS, T0, names, staff

POLICY = PolicyRef("share", 1)
BOTH = Terms("share", ("edit", "read"), {"customer": ("c1", "c2")}, Term(T0, ENDS))
ONE = replace(BOTH, number=2, scope={"customer": ("c1",)})
TEMPLATE = ShareTemplate("full", names("full"), {"address": "edit"})
CHANGES = T0 + 9 * DAY
GRANT = Grant(
    "active",
    "N-1",
    "staff:ann",
    "the-request",
    ONE,
    POLICY,
    effects=(Effect(T0, ENDS, BOTH, POLICY), Effect(CHANGES, ENDS, ONE, POLICY)),
    activated=True,
)


@pytest.mark.parametrize(
    ("customer", "days", "code"),
    [
        ("c1", 0, ""),
        ("c2", 0, ""),
        ("c1", 9, ""),
        ("c2", 9, "share.not_in_force"),
        ("c3", 0, "share.unknown"),
    ],
)
def test_a_customer_taken_out_from_a_later_day_on_is_shared_until_then(
    customer: str, days: int, code: str
) -> None:
    effect = ruling_at(GRANT, T0 + days * DAY)
    assert effect is not None
    refused = ""
    try:
        require_may_edit(
            Share(effect.terms, TEMPLATE),
            GRANT,
            {"staff:ann"},
            grant_id="the-grant",
            customer=customer,
            fields=("address",),
            actor=Actor(staff("ann"), "p-ann", staff_id="ann"),
        )
    except Refused as found:
        refused = found.code
    assert refused == code
