"""Searches find rights by whichever way they came: merged records, teams, grants passed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.events.staff import StaffAppointed, StaffTeamChanged
from domain.ledger import Ledgers
from projections import search
from tests.projections import facts
from tests.projections.facts import BY, FACT, START
from tests.projections.test_search import Conn, question, walked
from tests.support.ledger import new_id


def test_merged_records_are_found_with_what_each_of_them_was_given(
    ledgers: Ledgers, tenant: str, service: Conn
) -> None:
    policy = facts.policy(ledgers, tenant)
    ann, ben = sorted(facts.customer(ledgers, tenant) for _ in range(2))
    facts.grant(ledgers, tenant, ann, policy, {"territory": ("CN",)})
    asked = question(tenant, resource_id="CN")
    ids = [one.partition(":")[2] for one in (ann, ben)]
    assert walked(search.subjects, service, asked, "customer", limit=9) == ids[:1]
    facts.merge(ledgers, tenant, ann, ben, at=5)
    assert walked(search.subjects, service, asked, "customer", limit=1) == ids


def hired(
    ledgers: Ledgers, tenant: str, *, team: str | None = None, customers: Sequence[str] = ()
) -> str:
    """A staff member with a team and customers to look after; return their id."""
    staff = new_id()
    known: dict[str, Any] = {"at": START, "by": BY, "imported": FACT}
    person: dict[str, Any] = {"person": new_id(), "number": "S", "level": "a", "roles": ()}
    events: list[Any] = [StaffAppointed(customers=tuple(customers), **person, **known)]
    if team is not None:
        events.append(StaffTeamChanged(team=team, **known))
    facts.put(ledgers, tenant, "staff", staff, *events)
    return staff


def test_what_a_team_was_given_is_found_for_the_team_and_for_its_members(
    ledgers: Ledgers, tenant: str, service: Conn
) -> None:
    made = [facts.dimension("team"), *(facts.point("team", one) for one in ("a", "a/b", "c"))]
    facts.put(ledgers, tenant, "catalogue", tenant, *made)
    policy = facts.policy(ledgers, tenant)
    above, inside, _beside, _alone = (
        hired(ledgers, tenant, team=team) for team in ("a", "a/b", "c", None)
    )
    asked = question(tenant, resource_id="CN/31")
    facts.grant(ledgers, tenant, "team:a/b", policy, {"territory": ("CN",)})
    for limit in (1, 9):
        assert walked(search.subjects, service, asked, "staff", limit=limit) == [inside]
        assert walked(search.subjects, service, asked, "team", limit=limit) == ["a/b"]
    facts.grant(ledgers, tenant, "team:a", policy, {"territory": ("CN",)})
    assert walked(search.subjects, service, asked, "staff", limit=1) == sorted([above, inside])
    assert walked(search.subjects, service, asked, "team", limit=1) == ["a", "a/b"]
    member = question(tenant, subject=f"staff:{inside}", resource_id="CN/31")
    assert walked(search.actions, service, member, limit=1) == ["sell"]


def test_what_was_passed_on_is_found_while_the_grant_above_covers_it(
    ledgers: Ledgers, tenant: str, service: Conn
) -> None:
    paths = ("CN", "CN/31", "CN/31/0115", "CN/44")
    made = [facts.dimension("territory"), *(facts.point("territory", one) for one in paths)]
    facts.put(ledgers, tenant, "catalogue", tenant, *made)
    policy = facts.policy(ledgers, tenant)
    ann, ben = (facts.customer(ledgers, tenant) for _ in range(2))
    parent = facts.grant(ledgers, tenant, ann, policy, {"territory": ("CN/31",)})
    facts.grant(ledgers, tenant, ben, policy, {"territory": ("CN",)}, parent=parent)
    bens = question(tenant, subject=ben)
    assert walked(search.resources, service, bens, limit=1) == ["CN/31", "CN/31/0115"]
    asked = question(tenant, resource_id="CN/31")
    both = sorted(one.partition(":")[2] for one in (ann, ben))
    assert walked(search.subjects, service, asked, "customer", limit=1) == both
    facts.put(ledgers, tenant, "grant", parent, facts.suspended(1))
    assert walked(search.subjects, service, asked, "customer", limit=1) == []
    assert walked(search.resources, service, bens, limit=1) == []


def test_customers_and_staff_are_found_as_resources(
    ledgers: Ledgers, tenant: str, service: Conn
) -> None:
    policy = facts.policy(ledgers, tenant)
    ann, ben, cat = (facts.customer(ledgers, tenant).partition(":")[2] for _ in range(3))
    mine = hired(ledgers, tenant, customers=(ann, cat))
    other = hired(ledgers, tenant, customers=(ben,))
    everything = {"customer": ("*",), "manager": (mine,)}
    facts.grant(ledgers, tenant, f"staff:{mine}", policy, everything, actions=("read",))
    facts.grant(ledgers, tenant, f"staff:{other}", policy, {"customer": (cat,)}, actions=("read",))
    facts.grant(ledgers, tenant, f"staff:{other}", policy, {"staff": ("*",)}, actions=("read",))

    def found(who: str, kind: str, limit: int) -> list[str]:
        asked = question(tenant, subject=f"staff:{who}", action="read", resource_type=kind)
        return walked(search.resources, service, asked, limit=limit)

    for limit in (1, 2, 9):
        assert found(mine, "customer", limit) == sorted([ann, cat])
        assert found(other, "customer", limit) == [cat]
        assert found(mine, "staff", limit) == []
        assert found(other, "staff", limit) == sorted([mine, other])
    readers = question(tenant, action="read", resource_type="customer", resource_id=cat)
    assert walked(search.subjects, service, readers, "staff", limit=1) == sorted([mine, other])
