"""A state written straight from its struct is the very JSON that is shown elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from api import rendering
from domain.customers import Customer
from domain.grant_states import Check, Effect, Grant, Hold
from domain.staff import Deputy, Staff
from domain.values import PolicyRef, Term, Terms

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TERMS = Terms(
    kind="dealership",
    actions=("display",),
    scope={"territory": ("CN/31",), "product": ("tea",)},
    term=Term(starts_at=NOW, ends_at=NOW + timedelta(days=9, microseconds=7)),
)
PLAIN = Grant("active", "N1", "customer:c", "k", TERMS, PolicyRef("p", 1))
RICH = Grant(
    "active",
    "N2",
    "customer:c",
    "k",
    TERMS,
    PolicyRef("p", 1),
    hands={"z": frozenset({"b", "a"}), "a": frozenset()},
    askers=frozenset({"y", "x"}),
    checks=(Check("documents", "online", frozenset({"q", "p"})),),
    effects=(Effect(NOW, None, TERMS, PolicyRef("p", 1)),),
    closed={"k": "agreed"},
    holds=(Hold("h", NOW, frozenset({"p"}), until=NOW),),
    irregular=True,
)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("grant", PLAIN),
        ("grant", RICH),
        ("grant", None),
        ("staff", Staff("appointed", "p", "S1", roles=("sales",), deputy=Deputy("s", NOW, NOW))),
        ("staff", Staff()),
        ("customer", Customer("registered", number="C1")),
    ],
)
@pytest.mark.parametrize("at", [NOW - timedelta(days=1), NOW, NOW + timedelta(days=30)])
def test_a_written_state_reads_as_the_state(kind: str, found: Any, at: datetime) -> None:
    written = orjson.dumps({"state": rendering.state_written(kind, found, at)})
    assert written == orjson.dumps({"state": rendering.state(kind, found, at)})
