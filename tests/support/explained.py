"""What an explanation must say by the slow reference: the grant that allows, or how near the
nearest one comes and what fails in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.projections.oracle import FAR, Oracle

RANKS = {
    "check.no_grant": -1,
    "scope.not_covered": 2,
    "scope.dimension_missing": 2,
    "check.action_not_granted": 1,
    "check.entered_in_error": 4,
    "check.ended": 5,
    "check.revoked": 6,
    "check.not_yet": 7,
    "check.suspended": 8,
    "check.grantee_not_in_standing": 9,
    "check.not_in_team": 9,
}
"""How near to allowing a grant comes that fails so; what fails only above it is nearer than all."""

ABOVE = 10


@dataclass(frozen=True)
class Asked:
    """A question: who (all their parties), what, the points it may be read as, when."""

    parties: set[str]
    action: str
    type: str
    points: list[dict[str, str]]
    at: datetime


def effects(told: dict[str, Any]) -> list[tuple[datetime, datetime, dict[str, Any], Any]]:
    """Return when each agreed terms rule, those agreed on later going before, until when by the
    term alone.
    """
    found: list[tuple[datetime, datetime, dict[str, Any], Any]] = []
    for begins, until, terms, policy in told["effects"]:
        found = [(b, min(u, begins), t, p) for b, u, t, p in found if b < begins]
        found.append((begins, until, terms, policy))
    return found


def uncovered(terms: dict[str, Any], points: list[dict[str, str]]) -> str | None:
    """Return the first dimension, by name, that covers none of the points; None where all do."""
    for dimension, patterns in sorted(terms["scope"].items()):
        if not any(
            pattern == "*" or f"{point[dimension]}/".startswith(f"{pattern}/")
            for point in points
            if dimension in point
            for pattern in patterns
        ):
            return dimension
    return None


def rank(log: Oracle, told: dict[str, Any], asked: Asked, depth: int = 0) -> int:
    """Return how near this grant comes; 99 where it allows."""
    return max((_rank(log, told, one, asked, depth) for one in effects(told)), default=-1)


def _by_terms(terms: dict[str, Any], asked: Asked) -> int | None:
    if asked.type not in terms["scope"]:
        return 0
    if asked.action not in terms["actions"]:
        return 1
    return None if uncovered(terms, asked.points) is None else 2


def _rank(
    log: Oracle,
    told: dict[str, Any],
    effect: tuple[datetime, datetime, dict[str, Any], Any],
    asked: Asked,
    depth: int,
) -> int:
    begins, until, terms, _ = effect
    at = asked.at
    by_terms = _by_terms(terms, asked)
    if by_terms is not None:
        return by_terms
    if told["error"]:
        return 4
    if min(until, told["ended"]) <= at:
        return 5
    if told["revoked"] <= at:
        return 6
    if at < begins:
        return 7
    if any(since <= at < min(by, over) for since, by, over in told["holds"].values()):
        return 8
    if not log.stands(told["grantee"], at) or told["grantee"] not in asked.parties:
        return 9
    parent = terms.get("parent")
    if parent is None:
        return 99
    above = log.grants_of_id(parent)
    asked_above = Asked({above["grantee"]}, asked.action, asked.type, asked.points, at)
    found = rank(log, above, asked_above, depth + 1)
    return 99 if found == 99 else ABOVE


def confirm(log: Oracle, asked: Asked, decision: bool, why: dict[str, Any]) -> None:
    """Fail unless what the explanation says is so, and no grant comes nearer."""
    held = log.grants_of(asked.parties)
    ranks = {grant: rank(log, told, asked) for grant, told in held.items()}
    if decision:
        _confirm_grant(log, asked, why)
        assert ranks[why["grant"]] == 99, ranks
        return
    nearest = max(ranks.values(), default=-1)
    assert nearest < 99, (ranks, why)
    code = why["code"]
    if "level" in why:
        assert nearest == ABOVE, (ranks, why)
        assert ranks[why["own"]["grant"]] == ABOVE
        _confirm_chain(log, why["own"]["grant"], why["chain"])
        assert why["chain"][-1]["grant"] == why["grant"]
        told = log.grants_of_id(why["grant"])
        above = Asked({told["grantee"]}, asked.action, asked.type, asked.points, asked.at)
        assert rank(log, told, above) == RANKS[code], (code, why)
    else:
        assert RANKS[code] == nearest or (nearest == 0 and RANKS[code] == 2), (ranks, why)
        if nearest >= 0:
            assert ranks[why["grant"]] == nearest, (ranks, why)
    _confirm_reason(log, asked, why)


def _confirm_grant(log: Oracle, asked: Asked, why: dict[str, Any]) -> None:
    told = log.grants_in_force(asked.at)[why["grant"]]
    assert told["number"] == why["number"]
    assert told["terms"].get("number", 1) == why["terms"], (told, why)
    assert (told["policy"]["policy"], told["policy"]["version"]) == (
        why["policy"],
        why["policy_version"],
    )
    assert log.event_at(why["rests_on"]).stream == why["grant"]
    _confirm_chain(log, why["grant"], why.get("chain", []))
    chain = [log.grants_of_id(one["grant"]) for one in why.get("chain", [])]
    assert (chain[-1] if chain else told)["terms"].get("parent") is None


def _confirm_chain(log: Oracle, grant: str, chain: list[dict[str, Any]]) -> None:
    """Each grant of the chain is the parent of the one before it."""
    for one in chain:
        assert log.grants_of_id(grant)["terms"]["parent"] == one["grant"]
        told = log.grants_of_id(one["grant"])
        assert (told["number"], told["grantee"]) == (one["number"], one["grantee"])
        grant = one["grant"]


def _confirm_reason(log: Oracle, asked: Asked, why: dict[str, Any]) -> None:
    """The dimension, instant, hold or party that is named is the one that fails."""
    if "grant" not in why:
        assert why["code"] in ("check.no_grant", "check.subject_unknown")
        return
    told = log.grants_of_id(why["grant"])
    terms = next(
        (one[2] for one in told["effects"] if one[2].get("number", 1) == why["terms"]),
        told["terms"],
    )
    at = asked.at
    match why["code"]:
        case "scope.not_covered" | "scope.dimension_missing":
            first = asked.type if asked.type not in terms["scope"] else None
            assert why["dimension"] == (first or uncovered(terms, asked.points)), why
        case "check.action_not_granted":
            assert asked.action not in terms["actions"]
        case "check.not_yet":
            begins = datetime.fromisoformat(why["instant"])
            assert at < begins
            assert begins in [one[0] for one in effects(told)]
        case "check.suspended":
            since, by, over = told["holds"][why["hold"]]
            assert since == datetime.fromisoformat(why["instant"])
            assert since <= at < min(by, over)
        case "check.revoked":
            assert told["revoked"] <= at
        case "check.entered_in_error":
            assert told["error"]
        case "check.ended":
            ends = [one[1] for one in effects(told)]
            assert not ends or min(ends) <= at or told["ended"] != FAR
        case "check.grantee_not_in_standing":
            assert not log.stands(why["party"], at)
        case code:
            raise AssertionError(code)
