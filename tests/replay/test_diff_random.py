"""Over random histories: what differs, put on what an independent reference says of the first
moment, gives what it says of the second one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from api.provisioning import Database
from domain import scopes
from domain.events.grant_cases import (
    GrantAmended,
    GrantAmendmentApproved,
    GrantAmendmentProposed,
)
from domain.ledger import Ledgers
from domain.values import PolicyRef
from replay import diff_touched
from replay.diff import asked, differences
from replay.diff_past import at_instant
from replay.diff_records import CaseChange, Difference, EffectChange, PermissionChange, Right
from replay.reader import opened
from replay.sources import Source
from tests.projections import facts
from tests.projections.facts import BY, FACT, START, day
from tests.projections.histories import PATTERNS, PRODUCTS, TERRITORIES, World
from tests.projections.oracle import FAR, Fact, Oracle
from tests.replay.diff_story import POLICY, TENANT, Story, agreed
from tests.support.ledger import make_ledgers, make_tenant, say

Allowed = frozenset[tuple[str, str, str]]
"""Action, territory, product."""

POINTS = [*product(["sell", "show"], TERRITORIES, PRODUCTS)]
LEAST = timedelta(microseconds=1)


class Told(Story):
    """A random history, with amendments that rule from later on, or from earlier."""

    def __init__(self, seed: int, commands: int = 80) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.world = World(self.random, POLICY, TENANT)
        self.told(POLICY, agreed())
        for command in self.world.commands(commands):
            for _, stream, event in command:
                self.told(stream, event, recorded=self.stored[-1].recorded_at)
            self._amend()
        self.moments = sorted(set(self.world.moments))

    def _amend(self) -> None:
        free = [one for one, told in self.world.grants.items() if not told["over"]]
        if not free or self.random.random() < 0.8:
            return
        grant = self.random.choice(free)
        now = self.world.moments[-1]
        number = 2 + sum(one.type == GrantAmended.name for one in self.stream(grant))
        scope = {name: (self.random.choice(one),) for name, one in PATTERNS.items()}
        new = replace(facts.terms(scope, ["sell"]), number=number)
        known: dict[str, Any] = {"by": BY, "at": now, "imported": FACT, "case": f"a{number}"}
        begins = now + timedelta(days=self.random.randint(-3, 20))
        self.world.moments.append(begins)
        self.told(
            grant,
            GrantAmendmentProposed(terms=new, policy=PolicyRef(POLICY, 1), **known),
            GrantAmendmentApproved(terms=new, **known),
            GrantAmended(effective_at=begins, ends_at=begins + timedelta(days=30), **known),
        )

    def instant(self) -> datetime:
        """An instant at which something happened, begins or ends, or near one."""
        near = self.random.choice([timedelta(0), -LEAST, timedelta(hours=7)])
        return self.random.choice(self.moments) + near

    def facts(self) -> list[Fact]:
        """The log as the reference reads it."""
        return [
            Fact(one.position, kind, happened, one.stream_id, json.loads(one.data))
            for one in self.stored
            for kind, happened, _ in [one.type.split(".")]
        ]


def by_reference(told: Sequence[Fact], known: int, at: datetime) -> dict[str, Allowed]:
    """What each grant allows at an instant by what was known: nothing where it is left out."""
    oracle = Oracle(list(told), known)
    forced = oracle.grants_in_force(at)
    found: dict[str, Allowed] = {}
    for grant in forced:
        allowed = frozenset(
            (action, territory, good)
            for action, territory, good in POINTS
            if oracle._backed(  # pyright: ignore[reportPrivateUsage]
                grant, forced, action, {"territory": territory, "product": good}, at
            )
        )
        if allowed:
            found[grant] = allowed
    return found


def allowed_by(right: Right | None) -> Allowed:
    """What a side of a difference allows."""
    if right is None:
        return frozenset()
    return frozenset(
        (action, territory, good)
        for action, territory, good in POINTS
        if action in right.actions
        and scopes.covers(right.scope, {"territory": territory, "product": good})
    )


def applied(first: dict[str, Allowed], found: Sequence[Difference], at: datetime) -> Any:
    """The set at the first moment with each difference put in its place.

    Fails where a difference takes something else for what was before than the set has.
    """
    after = dict(first)
    for one in found:
        assert isinstance(one, PermissionChange | EffectChange)
        before, now = (
            (at_instant(one.before, at), at_instant(one.after, at))
            if isinstance(one, PermissionChange)
            else (one.before, one.after)
        )
        assert allowed_by(before) == after.pop(one.about.grant, frozenset()), one.about
        if allowed_by(now):
            after[one.about.grant] = allowed_by(now)
    return after


@pytest.fixture(params=[3, 4, 13])
def told(request: pytest.FixtureRequest) -> Told:
    return Told(request.param)


def positions(told: Told) -> tuple[int, int]:
    last = len(told.stored)
    first, second = sorted(told.random.randint(0, last) for _ in range(2))
    return first, second


def test_what_we_hold_then_with_the_differences_is_what_we_hold_later(told: Told) -> None:
    counts: dict[str, int] = {}
    log = told.facts()
    for _ in range(24):
        first, last = positions(told)
        at = told.instant()
        found = told.by_known(first, last)
        before, after = (by_reference(log, position, at) for position in (first, last))
        assert applied(before, found, at) == after, (first, last, at)
        exactly = told.by_known(first, last, at=at)
        assert applied(before, exactly, at) == after, (first, last, at)
        for one in exactly:
            counts[one.change] = counts.get(one.change, 0) + 1
            assert one.acts, one.about
            assert all(first < act.stored.position <= last for act in one.acts)
    assert set(counts) >= {"appeared", "ended"}


def test_where_very_many_were_touched_all_are_looked_at_and_the_same_is_found(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = [positions(told) for _ in range(6)]
    few = [told.by_known(first, last) for first, last in asked_for]
    monkeypatch.setattr(diff_touched, "MAX_TOUCHED", 0)
    assert [told.by_known(first, last) for first, last in asked_for] == few
    assert any(few)


def test_what_is_in_force_then_with_the_differences_is_what_is_later(told: Told) -> None:
    log, counts, reasons = told.facts(), set[str](), set[str]()
    for _ in range(10):
        first, last = sorted((told.instant(), told.instant()))
        known = told.random.randint(1, len(told.stored))
        found = told.by_valid(first, last, known=known)
        before, after = (by_reference(log, known, at) for at in (first, last))
        assert applied(before, found, last) == after, (first, last, known)
        quiet = {one.about.grant for one in found}
        for at in told.random.sample([one for one in told.moments if first <= one <= last] or
                                     [last], 1):  # fmt: skip
            now = by_reference(log, known, at)
            for grant in {*now, *before} - quiet:
                assert now.get(grant) == before.get(grant), (grant, at)
        for one in found:
            counts.add(one.change)
            for turn in one.turns:
                reasons.add(turn.why)
                assert first < turn.at <= last
                assert turn.before != turn.after
            turn = told.random.choice(one.turns)
            for at, right in ((turn.at - LEAST, turn.before), (turn.at, turn.after)):
                side = by_reference(log, known, at)
                assert allowed_by(right) == side.get(one.about.grant, frozenset())
    assert counts >= {"came", "went"}
    assert reasons >= {"start", "suspended", "end", "standing"}


def status(told: Sequence[Fact], at: datetime) -> str | None:
    """The state of a grant by acts up to an instant, as the reference tells it."""
    seen = [one for one in told if datetime.fromisoformat(one.data["at"]) <= at]
    if "requested" not in {one.happened for one in seen}:
        return None
    terms: list[tuple[datetime, datetime]] = []
    revoked, holds = FAR, dict[str, datetime]()
    for one in seen:
        match one.happened:
            case "scheduled" | "activated":
                terms[:1] = [(then(one.data["starts_at"]), then(one.data.get("ends_at")))]
            case "amended":
                terms.append((then(one.data["effective_at"]), then(one.data.get("ends_at"))))
            case "suspended":
                holds[one.data["hold"]] = then(one.data.get("confirm_by"))
            case "suspension_confirmed":
                holds[one.data["hold"]] = FAR
            case "resumed":
                del holds[one.data["hold"]]
            case "revoked":
                revoked = then(one.data["effective_at"])
            case "expired":
                return "expired"
            case _:
                pass
    if not terms:  # known up to the middle of a command
        stages = {"requested": "submitted", "verified": "pending_approval", "approved": "approved"}
        return [stages[one.happened] for one in seen if one.happened in stages][-1]
    if revoked <= at:
        return "revoked"
    if terms[-1][1] <= at:
        return "expired"
    if any(at < by for by in holds.values()):
        return "suspended"
    begun = [one for one in terms if one[0] <= at]
    return "active" if begun and at < begun[-1][1] else "scheduled"


def then(text: str | None) -> datetime:
    return FAR if text is None else datetime.fromisoformat(text)


def test_what_was_done_and_the_states_it_led_to_are_those_of_the_reference(told: Told) -> None:
    log = told.facts()
    grants: dict[str, list[Fact]] = {}
    for one in log:
        if one.kind == "grant":
            grants.setdefault(one.stream, []).append(one)
    met: set[str | None] = set()
    for _ in range(25):
        first, last = sorted((told.instant(), told.instant()))
        known = told.random.randint(1, len(told.stored))
        wanted: dict[str, tuple[Any, ...]] = {}
        for grant, all_of in grants.items():
            seen = [one for one in all_of if one.position <= known]
            acts = {
                one.position
                for one in seen
                if first < datetime.fromisoformat(one.data["at"]) <= last
            }
            if acts and "requested" in {one.happened for one in seen}:
                wanted[grant] = status(seen, first), status(seen, last), acts
        found = {
            one.about.grant: (one.before, one.after, {act.stored.position for act in one.acts})
            for one in told.by_happened(first, last, None, known=known)
        }
        assert found == wanted
        met |= {state for one in found.values() for state in one[:2]}
    assert met >= {None, "active", "suspended", "expired"}


def test_a_difference_that_is_not_told_is_found_out(told: Told) -> None:
    """The reference itself is worth something: it does not agree with a diff that lacks one."""
    log, last = told.facts(), len(told.stored)
    some = told.moments[:: max(1, len(told.moments) // 12)]
    at = max(some, key=lambda one: len(by_reference(log, last, one)))
    found = told.by_known(0, last, at=at)
    assert found
    before, after = by_reference(log, 0, at), by_reference(log, last, at)
    assert applied(before, found, at) == after
    for one in found:
        if allowed_by(at_instant(one.after, at)):
            rest = [other for other in found if other is not one]
            assert applied(before, rest, at) != after


def test_the_database_gives_the_same_differences_as_the_bare_events(
    database: Database, told: Told
) -> None:
    tenant = make_tenant(database)
    ledgers = make_ledgers(database)
    try:
        put(ledgers, tenant, told)
    finally:
        ledgers.close()
    last = len(told.stored)
    begin, end = START, max(told.moments)
    with opened(database.auditor, tenant) as source:
        assert source.reach.last == last
        for first in (0, last // 2, last - 1):
            assert shorn(source, "known", first, last) == shorn(told, "known", first, last)
        for by in ("valid", "happened"):
            assert shorn(source, by, begin, end) == shorn(told, by, begin, end)


def put(ledgers: Ledgers, tenant: str, told: Told) -> None:
    """Write the same events in the same order; the catalogue is the tenant's own stream."""
    from domain.codec import decode

    for one in told.stored:
        kind = one.type.partition(".")[0]
        stream = tenant if one.stream_id == TENANT else one.stream_id
        say(ledgers, tenant, facts.Record(facts=((kind, stream, decode(one.type, one.data)),)))


def shorn(source: Source, by: Any, first: Any, last: Any) -> list[Any]:
    """Differences without what a database adds of its own: when something was recorded."""
    at = day(40) if by == "known" else None
    question = asked(source, by, first, last, at=at)
    return [_shorn(one) for one in differences(source, question)]


def _shorn(one: Difference) -> Any:
    match one:
        case EffectChange():
            turns = [
                (turn.at, turn.before, turn.after, turn.why, turn.hold, turn.above,
                 turn.act and turn.act.stored.position)
                for turn in one.turns
            ]  # fmt: skip
            return one.about, one.change, one.before, one.after, turns
        case PermissionChange() | CaseChange():
            acts = [act.stored.position for act in one.acts]
            return one.about, one.before, one.after, acts
