"""Material of checks made by hand, in days; no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from projections.checks import Decision, Material, Question, decide
from projections.material import PermissionRow, Rows, Subject, subject
from projections.permissions import Stop
from tests.projections.facts import day

ANN = "customer:00000000-0000-7000-8000-0000000000aa"
BEN = "customer:00000000-0000-7000-8000-0000000000bb"
CAT = "customer:00000000-0000-7000-8000-0000000000cc"
GRANT = "00000000-0000-7000-8000-000000000001"
POLICY = "00000000-0000-7000-8000-000000000002"
TEA_IN_SHANGHAI = {"territory": ("CN/31",), "product": ("tea",)}


def row(
    grantee: str = ANN,
    scope: Mapping[str, Sequence[str]] = TEA_IN_SHANGHAI,
    *,
    since: float = 0,
    until: float | None = 100,
    stops: Sequence[Stop] = (),
    **more: Any,
) -> PermissionRow:
    """A row in force during `[since, until)` days."""
    given: dict[str, Any] = {
        "grantee": grantee,
        "grant": GRANT,
        "number": "G1",
        "kind": "dealership",
        "actions": ("sell",),
        "scope": msgspec.Raw(msgspec.json.encode(scope)),
        "terms": 1,
        "valid_from": day(since),
        "valid_to": None if until is None else day(until),
        "policy": POLICY,
        "policy_version": 3,
        "policy_known": True,
        "parent": None,
        "stops": tuple(stops),
        "known_from": 7,
    }
    return PermissionRow(**(given | more))


def stands(party: str = ANN, since: float = 0, until: float | None = None) -> Any:
    """In standing during `[since, until)` days."""
    return (party, day(since), None if until is None else day(until))


def someone(
    *rows: PermissionRow,
    ref: str = ANN,
    standings: Sequence[Any] = (stands(),),
    merges: Sequence[Any] = (),
    above: Sequence[PermissionRow] = (),
    members: Sequence[Any] = (),
    exists: bool = True,
    position: int = 20,
) -> Subject:
    """A subject with these rows."""
    return subject(ref, position, Rows(rows, standings, merges, above, members), exists=exists)


def question(subject_: str = ANN, **more: Any) -> Question:
    """May they sell tea in Shanghai?"""
    given: dict[str, Any] = {
        "tenant": "t",
        "subject": subject_,
        "action": "sell",
        "resource_type": "territory",
        "resource_id": "CN/31/0115",
        "properties": {"product": "tea/green"},
    }
    return Question(**(given | more))


def decided(
    who: Subject,
    at: float = 10,
    *,
    attributes: Mapping[str, str] | None = None,
    quarantined: Mapping[str, int] | None = None,
    as_of: int | None = None,
    **more: Any,
) -> Decision:
    """The decision on day `at`."""
    material = Material(who, attributes or {}, quarantined or {}, 20, as_of)
    return decide(material, question(who.ref, **more), day(at))


def code(who: Subject, at: float = 10, **more: Any) -> str:
    """The code of the explanation on day `at`."""
    return decided(who, at, **more).explanation().code
