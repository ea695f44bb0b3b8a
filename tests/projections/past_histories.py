"""Random histories with all that time can do: several holds at once, renewals and amendments that
take effect later, revocations in the past and the future, chains, blocks, merges, facts told late.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from domain.events.customer import CustomerBlocked, CustomerConfirmed, CustomerUnblocked
from domain.events.grant import GrantResumed, GrantRevoked, GrantSuspended
from domain.events.grant_cases import (
    GrantAmended,
    GrantAmendmentApproved,
    GrantAmendmentProposed,
    GrantErrorMarked,
    GrantRenewalApproved,
    GrantRenewalRequested,
    GrantRenewed,
)
from domain.values import PolicyRef, Terms
from tests.projections.facts import BY, FACT
from tests.projections.histories import PATTERNS, One, World
from tests.support.ledger import new_id


class Told(World):
    """Such a history; `seen` counts what of it there was."""

    def __init__(self, random_: random.Random, policy_id: str, tenant: str) -> None:
        super().__init__(random_, policy_id, tenant)
        self._chance = random_
        self._pinned = PolicyRef(policy_id, 1)
        self._terms: dict[str, Terms] = {}
        self.seen: Counter[str] = Counter()

    def _step(self) -> list[One]:
        if self._chance.random() < 0.55:
            made = super()._step()
            for kind, stream, event in made:
                if kind == "grant" and event.name == "grant.approved.1":
                    self._terms[stream] = event.terms  # type: ignore[attr-defined]
                self.seen[event.name.removesuffix(".1")] += 1
            return made
        self._now += timedelta(hours=self._chance.randint(1, 48))
        self.moments.append(self._now)
        ways = (self._changed, self._changed, self._holds, self._told_late, self._wrong)
        made = self._chance.choices(ways, (4, 4, 3, 5, 0.3))[0]()
        for _, _, event in made:
            self.seen[event.name.removesuffix(".1")] += 1
        return made

    def _some(self) -> str | None:
        free = [ref for ref, one in self.grants.items() if not one["over"] and ref in self._terms]
        return self._chance.choice(free) if free else None

    def _before(self, days: int) -> datetime:
        moment = self._now - timedelta(days=self._chance.randint(1, days))
        self.moments.append(moment)
        return moment

    def _changed(self) -> list[One]:
        """A renewal or an amendment, agreed on at once, in effect now or later."""
        ref = self._some()
        if ref is None:
            return []
        one, known, case = self.grants[ref], self._known(), new_id()
        begins = self._now if self._chance.random() < 0.3 else self._later(30)
        ends = begins + timedelta(days=self._chance.randint(1, 60))
        self.moments.append(ends)
        scope = {name: (self._chance.choice(ones),) for name, ones in PATTERNS.items()}
        old = self._terms[ref]
        terms = replace(old, scope=scope, number=old.number + 1)
        if self._chance.random() < 0.5:
            terms = replace(terms, scope=old.scope)
            begins = max(begins, one["ends"] or begins)
            ends = max(ends, begins + timedelta(days=5))
            events: tuple[Any, ...] = (
                GrantRenewalRequested(case=case, terms=terms, policy=self._pinned, **known),
                GrantRenewalApproved(case=case, terms=terms, **known),
                GrantRenewed(case=case, starts_at=begins, ends_at=ends, **known),
            )
            one["ends"] = ends
        else:
            events = (
                GrantAmendmentProposed(
                    case=case, terms=terms, policy=self._pinned, effective_at=begins, **known
                ),
                GrantAmendmentApproved(case=case, terms=terms, **known),
                GrantAmended(case=case, effective_at=begins, ends_at=one["ends"], **known),
            )
        self.moments += [begins, ends]
        self._terms[ref] = terms
        return [("grant", ref, event) for event in events]

    def _holds(self) -> list[One]:
        """Two holds at once, one of them provisional."""
        ref = self._some()
        if ref is None:
            return []
        one, made = self.grants[ref], list[One]()
        for by in (None, self._later(10)):
            one["holds"] += 1
            hold = f"h{one['holds']}"
            one["open"][hold] = by
            made.append(("grant", ref, GrantSuspended(hold=hold, confirm_by=by, **self._known())))
        return made

    def _told_late(self) -> list[One]:
        """What happened some time ago and is told only now."""
        then = self._before(60)
        known: dict[str, Any] = {"at": then, "by": BY, "imported": FACT}
        self.seen["told late"] += 1
        ref = self._some()
        match self._chance.choice(["grant", "hold", "hold", "revoked", "customer", "customer"]):
            case "hold" if ref is not None:
                one = self.grants[ref]
                one["holds"] += 1
                hold = f"h{one['holds']}"
                until = then + timedelta(days=self._chance.randint(1, 20))
                self.moments.append(until)
                made: list[One] = [("grant", ref, GrantSuspended(hold=hold, **known))]
                if until < self._now:
                    ended = replace(GrantResumed(hold=hold, **known), at=until)
                    made.append(("grant", ref, ended))
                else:
                    one["open"][hold] = None
                return made
            case "revoked" if ref is not None and self._chance.random() < 0.4:
                self.grants[ref]["over"] = True
                revoked = GrantRevoked(origin="staff", effective_at=then, **known)
                return [("grant", ref, revoked)]
            case "customer" if self.customers:
                customer = self._chance.choice(list(self.customers))
                if self.customers[customer]["merged"]:
                    return []
                if self._chance.random() < 0.5:
                    until = self._later(60)
                    confirmed = CustomerConfirmed(until=until, **known)
                    return [("customer", customer, confirmed)]
                until = then + timedelta(hours=self._chance.randint(1, 200))
                self.moments.append(until)
                return [
                    ("customer", customer, CustomerBlocked(**known)),
                    ("customer", customer, replace(CustomerUnblocked(**known), at=until)),
                ]
            case _:
                here, self._now = self._now, then
                made = self._grant()
                self._now = here
                for _, grant, event in made:
                    if event.name == "grant.approved.1":
                        self._terms[grant] = event.terms  # type: ignore[attr-defined]
                return made

    def _wrong(self) -> list[One]:
        ref = self._some()
        if ref is None:
            return []
        self.grants[ref]["over"] = True
        return [("grant", ref, GrantErrorMarked(case=new_id(), **self._known()))]
