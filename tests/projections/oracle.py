"""A slow reference of its own: what may be done at an instant by what was known at a position.

It reads the stored JSON of the events and nothing else; it shares no code with the read models.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

FAR = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
LONG_AGO = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
DEEPEST = 8
"""So many grants may stand above one another over the one that is asked about."""


class Fact(NamedTuple):
    """A stored event: position, stream kind, what happened, its stream, its JSON."""

    position: int
    kind: str
    happened: str
    stream: str
    data: dict[str, Any]


def read(conn: psycopg.Connection[Any], tenant: str) -> list[Fact]:
    """Return the whole log of a tenant."""
    rows = conn.execute(
        "SELECT position, type, stream_id::text, data FROM read_events(%s, 1, 1000000, 1000000)",
        (UUID(tenant),),
    ).fetchall()
    facts: list[Fact] = []
    for position, name, stream, data in rows:
        kind, happened, _ = name.split(".")
        facts.append(Fact(position, kind, happened, stream, json.loads(bytes(data))))
    return facts


class Oracle:
    """Answers from the events up to a position, one by one, each time from the start."""

    def __init__(self, facts: list[Fact], known: int) -> None:
        self._facts = [fact for fact in facts if fact.position <= known]
        self._streams: dict[tuple[str, str], list[Fact]] = {}
        for fact in self._facts:
            self._streams.setdefault((fact.kind, fact.stream), []).append(fact)

    def grants_in_force(self, at: datetime) -> dict[str, dict[str, Any]]:
        """Return the grants whose own stream says they are in force: id -> grantee and terms."""
        found: dict[str, dict[str, Any]] = {}
        for stream in {fact.stream for fact in self._facts if fact.kind == "grant"}:
            told = _grant(self._of("grant", stream))
            holding = None if told is None else _in_force(told, at)
            if holding is not None:
                found[stream] = holding
        return found

    def grants_of(self, parties: set[str]) -> dict[str, dict[str, Any]]:
        """Return every grant ever given to these parties, in force or not: id -> what was told."""
        found: dict[str, dict[str, Any]] = {}
        for stream in {fact.stream for fact in self._facts if fact.kind == "grant"}:
            told = _grant(self._of("grant", stream))
            if told is not None and told["grantee"] in parties:
                found[stream] = told
        return found

    def grants_of_id(self, grant: str) -> dict[str, Any]:
        """Return what was told of one grant. Raises `KeyError`."""
        told = _grant(self._of("grant", grant))
        if told is None:
            raise KeyError(grant)
        return told

    def event_at(self, position: int) -> Fact:
        """Return the event at a position."""
        return next(fact for fact in self._facts if fact.position == position)

    def stands(self, party: str, at: datetime) -> bool:
        """Tell whether a party is in standing, as the one it was merged into from then on."""
        kind, _, stream = party.partition(":")
        if kind == "team":
            return self._point_stands("team", stream, at)
        facts = self._of(kind, stream)
        if kind == "staff":
            acts = ("appointed", "deactivated")
            told = [one for one in facts if one.happened in acts and _time(one.data["at"]) <= at]
            return bool(told) and told[-1].happened == "appointed"
        for fact in facts:
            if fact.happened == "merged" and _time(fact.data["at"]) <= at:
                return self.stands(f"customer:{fact.data['into']}", at)
        return _confirmed(facts, at) and not _blocked(facts, at)

    def same(self, party: str) -> set[str]:
        """Return all records that are one with a party, by every merge known."""
        merges = [
            (f"customer:{fact.stream}", f"customer:{fact.data['into']}")
            for fact in self._facts
            if fact.kind == "customer" and fact.happened == "merged"
        ]
        found = {party}
        while True:
            more = {b for a, b in merges if a in found} | {a for a, b in merges if b in found}
            if more <= found:
                return found
            found |= more

    def teams(self, party: str, at: datetime) -> set[str]:
        """Return the team someone belongs to and all above it, as parties, while they stand."""
        kind, _, stream = party.partition(":")
        acts = {"appointed": None, "deactivated": None, "team_changed": "team"}
        team: str | None = None
        for fact in self._of(kind, stream) if kind == "staff" else ():
            if fact.happened in acts and _time(fact.data["at"]) <= at:
                team = fact.data.get(acts[fact.happened] or "")
        if team is None or not self.stands(party, at):
            return set()
        parts = team.split("/")
        return {"team:" + "/".join(parts[: n + 1]) for n in range(len(parts))}

    def allows(self, subject: str, action: str, point: dict[str, str], at: datetime) -> bool:
        """Tell whether some grant of the subject, or of its teams, allows it."""
        subjects = self.same(subject) | self.teams(subject, at)
        forced = self.grants_in_force(at)
        return any(
            told["grantee"] in subjects and self._backed(grant, forced, action, point, at)
            for grant, told in forced.items()
        )

    def _backed(
        self,
        grant: str | None,
        forced: dict[str, dict[str, Any]],
        action: str,
        point: dict[str, str],
        at: datetime,
    ) -> bool:
        """Tell whether a grant and all above it allow it."""
        for _ in range(DEEPEST + 1):
            told = forced.get(grant or "")
            if told is None or not (
                self.stands(told["grantee"], at)
                and action in told["terms"]["actions"]
                and _covers(told["terms"]["scope"], point)
            ):
                return False
            grant = told["terms"].get("parent")
            if grant is None:
                return True
        return False

    def _point_stands(self, dimension: str, path: str, at: datetime) -> bool:
        begins, ends = None, FAR
        for fact in self._facts:
            if (fact.data.get("dimension"), fact.data.get("path")) != (dimension, path):
                continue
            if fact.happened == "point_added":
                begins = LONG_AGO if fact.data.get("from") is None else _time(fact.data["from"])
                ends = _time(fact.data.get("until"))
            if fact.happened == "point_ended":
                ends = _time(fact.data["ends_at"])
        return begins is not None and begins <= at < ends

    def attributes(self, dimension: str, path: str) -> dict[str, str]:
        """Return what the catalogue says of a point."""
        found: dict[str, str] = {}
        for fact in self._facts:
            here = fact.data.get("dimension") == dimension and fact.data.get("path") == path
            if fact.happened == "point_added" and here:
                found = fact.data.get("attributes", {})
        return found

    def _of(self, kind: str, stream: str) -> list[Fact]:
        return self._streams.get((kind, stream), [])


def _time(text: str | None) -> datetime:
    return FAR if text is None else datetime.fromisoformat(text)


def _grant(facts: list[Fact]) -> dict[str, Any] | None:
    told: dict[str, Any] = {"effects": [], "holds": {}, "revoked": FAR, "ended": FAR}
    told["error"] = False
    case: dict[str, Any] = {}
    for fact in facts:
        data = fact.data
        match fact.happened:
            case "requested":
                told |= {"grantee": data["grantee"], "terms": data["terms"]}
                told |= {"number": data["number"], "policy": data["policy"]}
            case "approved":
                told["terms"] = data["terms"]
            case "scheduled" | "activated":
                times = (_time(data["starts_at"]), _time(data["ends_at"]))
                told["effects"][:1] = [(*times, told["terms"], told["policy"])]
            case "renewal_requested" | "amendment_proposed":
                case = {"terms": data["terms"], "policy": data["policy"]}
            case "renewal_approved" | "amendment_approved":
                case["terms"] = data["terms"]
            case "renewed" | "amended":
                begins = _time(data.get("starts_at") or data.get("effective_at"))
                until = _time(data["ends_at"])
                told["effects"].append((begins, until, case["terms"], case["policy"]))
                if fact.happened == "renewed":
                    told["ended"] = FAR
            case "suspended":
                told["holds"][data["hold"]] = [
                    _time(data["at"]), _time(data.get("confirm_by")), FAR
                ]  # fmt: skip
            case "suspension_confirmed":
                told["holds"][data["hold"]][1] = FAR
            case "resumed":
                told["holds"][data["hold"]][2] = _time(data.get("lapsed_at", data["at"]))
            case "revoked":
                told["revoked"] = _time(data["effective_at"])
            case "expired":
                told["ended"] = _time(data["expired_at"])
            case "superseded":
                told["ended"] = _time(data["at"])
            case "error_marked":
                told["error"] = True
            case _:
                pass
    return told if "grantee" in told else None


def _ruling(told: dict[str, Any], at: datetime) -> tuple[Any, ...] | None:
    """Return the agreed terms that rule: of those that have begun the ones agreed on last."""
    begun = [effect for effect in told["effects"] if effect[0] <= at]
    return begun[-1] if begun else None


def _in_force(told: dict[str, Any], at: datetime) -> dict[str, Any] | None:
    """Return the grant with the terms in force at an instant; None where it is not."""
    ruling = _ruling(told, at)
    if (
        told["error"]
        or ruling is None
        or ruling[1] <= at
        or told["revoked"] <= at
        or told["ended"] <= at
    ):
        return None
    if any(since <= at < min(by, until) for since, by, until in told["holds"].values()):
        return None
    return told | {"terms": ruling[2], "policy": ruling[3]}


def _confirmed(facts: list[Fact], at: datetime) -> bool:
    holds = False
    for fact in facts:
        since = _time(fact.data["at"])
        if fact.happened == "confirmed" and since <= at:
            holds = holds or at < _time(fact.data["until"])
        if fact.happened == "lapsed" and since <= at:
            holds = False
    return holds


def _blocked(facts: list[Fact], at: datetime) -> bool:
    holds = False
    for fact in facts:
        if fact.happened in ("blocked", "unblocked") and _time(fact.data["at"]) <= at:
            holds = fact.happened == "blocked"
    return holds


def _covers(scope: dict[str, list[str]], point: dict[str, str]) -> bool:
    return all(
        dimension in point
        and any(
            pattern in ("*", point[dimension]) or point[dimension].startswith(pattern + "/")
            for pattern in patterns
        )
        for dimension, patterns in scope.items()
    )
