"""What is left below a grant that ended for good is revoked by the timekeeper, by its name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from api.timekeeper import tick
from domain.codec import decode
from domain.events import Event
from domain.events.grant import GrantExpired, GrantRevoked
from domain.events.grant_cases import GrantErrorMarked, GrantErrorProposed, GrantSuperseded
from domain.events.policy import PolicyBody, PolicyDrafted
from domain.grant_states import Grant
from domain.ledger import Ledgers
from projections.due import PAGE, TOP, below
from tests.projections import facts
from tests.projections.conftest import Asker
from tests.projections.facts import BY, FACT, NAMES, START, day
from tests.support.ledger import clock, new_id

SCOPE = {"territory": ("CN",)}
KNOWN: dict[str, Any] = {"by": BY, "imported": FACT}
Follow = Callable[[], int]


class Family:
    """A parent, two children of it, a grandchild; all in effect."""

    def __init__(self, ledgers: Ledgers, tenant: str, grace_days: int = 0) -> None:
        self.ledgers, self.tenant = ledgers, tenant
        self.policy = new_id()
        body = PolicyBody(
            kind="dealership",
            names=NAMES,
            dimensions=("territory",),
            actions=(),
            grace_days=grace_days,
        )
        self.put("policy", self.policy, PolicyDrafted(at=START, version=1, body=body, **KNOWN))
        self.parent = self.grant(None)
        self.children = [self.grant(self.parent) for _ in range(2)]
        self.grandchild = self.grant(self.children[0])

    def put(self, kind: str, stream_id: str, *events: Event) -> None:
        facts.put(self.ledgers, self.tenant, kind, stream_id, *events)

    def grant(self, parent: str | None, **more: Any) -> str:
        grantee = facts.customer(self.ledgers, self.tenant)
        return facts.grant(
            self.ledgers, self.tenant, grantee, self.policy, SCOPE, parent=parent, **more
        )

    def state(self, grant_id: str) -> Grant:
        return self.ledgers.load(self.tenant, "grant", grant_id).state

    def statuses(self) -> list[str]:
        return [self.state(one).status for one in (*self.children, self.grandchild)]

    def last(self, grant_id: str) -> Event:
        rows = self.ledgers.events(self.tenant, 1)
        stored = [one for one in rows if str(one.stream_id) == grant_id]
        return decode(stored[-1].type, stored[-1].data)


def ended(parent: str) -> dict[str, tuple[Event, ...]]:
    proposed = GrantErrorProposed(at=day(5), case="e", **KNOWN)
    return {
        "revoked": (facts.revoked(5),),
        "revoked from an instant that passed": (facts.revoked(5, effective=20),),
        "expired": (GrantExpired(at=day(5), expired_at=day(5), **KNOWN),),
        "superseded": (GrantSuperseded(at=day(5), successor=parent, **KNOWN),),
        "entered in error": (proposed, GrantErrorMarked(at=day(5), case="e", **KNOWN)),
    }


@pytest.mark.parametrize("how", ended(""))
def test_children_of_a_grant_that_ended_for_good_are_revoked_and_theirs_in_the_next_pass(
    ledgers: Ledgers, tenant: str, follow: Follow, how: str
) -> None:
    family = Family(ledgers, tenant)
    family.put("grant", family.parent, *ended(new_id())[how])
    follow()
    done = tick(ledgers, tenant)
    assert (done.due, done.written, done.left) == (2, 2, 0)
    assert family.statuses() == ["revoked", "revoked", "active"]
    follow()
    assert tick(ledgers, tenant).written == 1
    follow()
    assert tick(ledgers, tenant).due == 0
    assert family.statuses() == ["revoked"] * 3


def test_the_revocation_is_automatic_and_names_the_grant_above(
    ledgers: Ledgers, tenant: str, follow: Follow
) -> None:
    family = Family(ledgers, tenant)
    family.put("grant", family.parent, facts.revoked(5))
    follow()
    tick(ledgers, tenant)
    event = family.last(family.children[0])
    assert isinstance(event, GrantRevoked)
    assert (event.origin, event.cause, event.parent) == (
        "automatic", "parent_ended", family.parent,
    )  # fmt: skip
    assert event.by.ref == "service:timekeeper"


@pytest.mark.parametrize(
    "step",
    [
        facts.suspended(5),
        facts.revoked(5, effective=900),
        facts.suspended(5, confirm_by=900),
    ],
)
def test_what_may_come_back_or_still_runs_above_revokes_nothing(
    ledgers: Ledgers, tenant: str, follow: Follow, step: Event
) -> None:
    family = Family(ledgers, tenant)
    family.put("grant", family.parent, step)
    follow()
    assert tick(ledgers, tenant).due == 0
    assert family.statuses() == ["active"] * 3


def test_a_grant_above_that_expired_ends_what_is_below_only_after_its_grace(
    ledgers: Ledgers, tenant: str, follow: Follow
) -> None:
    family = Family(ledgers, tenant, grace_days=400)
    over = GrantExpired(at=day(5), expired_at=day(5), **KNOWN)
    family.put("grant", family.parent, over)
    follow()
    assert tick(ledgers, tenant).due == 0
    assert family.statuses() == ["active"] * 3


def test_two_timekeepers_at_once_write_it_once(
    ledgers: Ledgers, tenant: str, follow: Follow
) -> None:
    family = Family(ledgers, tenant)
    family.put("grant", family.parent, facts.revoked(5))
    head = follow()
    written: list[int] = []
    both = [
        threading.Thread(target=lambda: written.append(tick(ledgers, tenant).written))
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    assert sum(written) >= 2
    assert ledgers.tail(tenant, 0).position == head + 2


def test_what_was_denied_above_stays_denied_and_is_explained_by_its_own_end(
    ledgers: Ledgers, tenant: str, follow: Follow, ask: Asker
) -> None:
    family = Family(ledgers, tenant)
    grantee = family.state(family.children[0]).grantee
    family.put("grant", family.parent, facts.revoked(5))
    now = clock()
    assert (ask.code(grantee, at=now), ask.why(grantee, at=now).level) == ("check.revoked", 1)
    follow()
    tick(ledgers, tenant)
    later = ask.why(grantee, at=clock())
    assert (later.code, later.level) == ("check.revoked", None)


def test_a_running_timekeeper_looks_at_one_page_a_pass_and_comes_round(
    ledgers: Ledgers,
    tenant: str,
    follow: Follow,
    service: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = Family(ledgers, tenant)
    assert PAGE == 500
    monkeypatch.setattr("projections.due.PAGE", 1)
    family.put("grant", family.children[0], facts.revoked(5))  # the grandchild is on page two
    follow()
    found, following = below(service, tenant, clock(), TOP)
    assert found == []
    assert following is not None
    assert [one.grant_id for one in below(service, tenant, clock(), following)[0]] == [
        family.grandchild
    ]
    places: dict[str, Any] = {}
    written = [tick(ledgers, tenant, places=places).written for _ in range(3)]
    assert written == [0, 1, 0]
    assert places == {tenant: TOP}
