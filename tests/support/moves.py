"""What someone might do next in the firm: likely things mostly, and all others now and then."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tests.support.case_moves import CASE_VERBS, about_cases, less_than
from tests.support.firm import (
    BODIES,
    COUNTED,
    MEMBERS,
    POINTS,
    ROBOT,
    ROOT,
    VARIANTS,
    member,
    staff,
    terms,
)
from tests.support.likely import (
    AFTERWARDS,
    ANY,
    CATALOGUE_VERBS,
    CUSTOMER_VERBS,
    FOR_MEMBERS,
    LIKELY,
    NEXT,
    PEOPLE_VERBS,
    POLICY_NEXT,
    POLICY_STEPS,
    SUGGESTED,
    WALKED,
)
from tests.support.mirror import Said
from tests.support.reference.grants import Grant
from tests.support.reference.people import Party
from tests.support.reference.world import World

Item = TypeVar("Item")
Pick = Callable[[Sequence[Any]], Any]
"""Chooses one of several; the first is the simplest."""


VER1 = staff("ver1")
"""Staff may be given something too."""
SHOWN = {"kind": "extract", "channel": "register", "passed": True, "document": True, "ends": None}
"""What identifies a customer."""


class Moves:
    """Makes up commands in a world; `pick` makes every choice."""

    def __init__(self, world: World, pick: Pick) -> None:
        self.world = world
        self.pick = pick
        self._made = 0

    def new(self, word: str) -> str:
        """A name that nothing has yet."""
        self._made += 1
        return f"{word}-{self._made}"

    def some(self, items: Sequence[Item]) -> Item:
        """One of them, each as likely as the others."""
        return self.pick(items)

    def chance(self, one_in: int) -> bool:
        """True now and then; False is simpler."""
        return self.pick(range(one_in)) == one_in - 1

    # --- who --------------------------------------------------------------------------------------

    def everyone(self) -> list[Party]:
        """Every party there could be."""
        return [*map(staff, sorted(self.world.staff)), *map(member, sorted(MEMBERS)), ROBOT]

    def party(self, verb: str, grant: Grant | None = None) -> Party:
        """Someone who may well do it; one time in six anyone."""
        if self.chance(6):
            return self.some(self.everyone())
        members = [
            member(name)
            for name in sorted(MEMBERS)
            if grant is not None and member(name).name == grant.grantee.name
        ]
        if verb == "revoke_by_rule":
            return ROBOT
        if members and (verb == "request_revocation" or (verb in FOR_MEMBERS and self.chance(2))):
            return self.some(members)
        roles = LIKELY.get(verb, ("administrator",))
        likely = [
            staff(name)
            for name in sorted(self.world.staff)
            if not self.world.staff[name].roles.isdisjoint(roles)
        ]
        return self.some(likely or self.everyone())

    def said(self, verb: str, about: Grant | None = None, /, **given: Any) -> Said:
        """The command, by someone; now and then on behalf of someone else."""
        by = self.party(verb, about)
        behalf = ""
        if by.kind == "staff":
            lending = [
                name
                for name in sorted(self.world.staff)
                if (lent := self.world.staff[name].deputy) and lent[0] == by.name
            ]
            if lending and self.chance(2):
                behalf = self.some(lending)
            elif self.chance(24):
                behalf = self.some(sorted(self.world.staff))
        return Said(verb, by, given, behalf)

    def reason(self) -> bool:
        return not self.chance(10)

    # --- grants -----------------------------------------------------------------------------------

    def request(self) -> Said:
        world = self.world
        grantees = [Party("customer", name) for name in ("c1", "c1", "c2", "c3")]
        if self.chance(6):
            grantees = [*(Party("customer", name) for name in sorted(world.customers)), VER1]
        kind = self.some([*sorted(BODIES), "sample"])
        asked = terms(kind, world.now, begins=self.some([0, 0, 0, 2]), days=self.some([30, 60]))
        if self.chance(6):
            begins, days = self.some([(-9, 9), (1, 0), (0, 101), (-1, 5), (0, 99)])
            kind = self.some([kind, "dealership"])
            asked = terms(kind, world.now, begins=begins, days=days or int(kind in COUNTED))
        if self.chance(12):
            scope = {**asked.scope, "territory": self.some([("CN/99",), ("CN/31", "CN/31/0115")])}
            asked = replace(asked, scope=scope)
        grantee = self.some(grantees)
        channel = "phone" if self.chance(20) else "online"
        given = {"new": self.new("g"), "grantee": grantee, "terms": asked, "channel": channel}
        return self.said("request", None, **given)

    def living(self) -> list[str]:
        """The grants that are asked for or in effect."""
        grants, now = self.world.grants, self.world.now
        return [name for name in sorted(grants) if grants[name].status(now) in SUGGESTED]

    def on_a_grant(self) -> Said:
        """What the grant's status suggests; one time in five anything."""
        living = self.living()
        name = self.some(living if living and not self.chance(8) else sorted(self.world.grants))
        grant = self.world.grants[name]
        now = self.world.now
        verbs = SUGGESTED.get(grant.status(now), AFTERWARDS)
        if grant.case is not None and self.chance(2):
            case = grant.open_case(now)
            verbs = WALKED["lapsed" if case is None else case.state]
        elif grant.error is not None and self.chance(2):
            verbs = ("confirm_error", "dismiss_error")
        verb = self.some(ANY) if self.chance(5) else self.some(verbs)
        return self.command(verb, name)

    def next_step(self) -> Said:
        """What a grant waits for, by someone who may do it where there is anyone."""
        waiting: list[tuple[str, str]] = []
        for name in self.living():
            grant = self.world.grants[name]
            status = grant.status(self.world.now)
            if status in NEXT:
                waiting.append((NEXT[status], name))
            if grant.revocation is not None:
                waiting.append(("confirm_revocation", name))
            if status == "suspended":
                waiting.append((self.some(["confirm_hold", "resume"]), name))
            case = grant.open_case(self.world.now)
            if case is not None:
                waiting += 3 * [(f"{NEXT[case.state]}_case", name)]
            elif grant.effects:
                waiting.append((self.some(["request_renewal", "propose_amendment"]), name))
            if grant.error is not None and self.chance(4):
                waiting.append(("confirm_error", name))
        if not waiting:
            return self.on_a_grant()
        return self._by_someone(self.command(*self.some(waiting)))

    def next_in_the_house(self) -> Said:
        """What a customer or a policy waits for, by someone who may do it."""
        world = self.world
        waiting: list[Said] = []
        for name, one in sorted(world.customers.items()):
            known = {"customer": name}
            if one.merge is not None:
                waiting.append(Said("accept_merge", ROOT, known))
            for correction, found in sorted(one.corrections.items()):
                if not found.outcome:
                    given = {**known, "correction": correction}
                    waiting.append(Said("accept_correction", ROOT, given))
            status = world.customer_status(name, world.now)
            if status in ("registered", "lapsed"):
                given = {**known, "kind": "sample"} if one.checks else {**known, **SHOWN}
                waiting.append(Said("confirm" if one.checks else "identify", ROOT, given))
            if status == "blocked":
                waiting.append(Said("unblock", ROOT, {**known, "reason": True}))
        for kind in sorted(VARIANTS):
            for number in range(1, len(world.policies[kind].versions) + 1):
                verb = POLICY_NEXT.get(world.version_status(kind, number, world.now))
                begins = {"begins": None} if verb == "publish" else {}
                if verb:
                    waiting.append(Said(verb, ROOT, {"kind": kind, "number": number, **begins}))
        return self._by_someone(self.some(waiting)) if waiting else self.on_a_customer()

    def _by_someone(self, said: Said) -> Said:
        """The command, by a party who may give it if there is one."""
        parties = self.everyone()
        turn = parties.index(self.some(parties))
        for party in (*parties[turn:], *parties[:turn]):
            trial = copy.deepcopy(self.world)
            if trial.do(said.verb, party, **said.given).events:
                return said._replace(by=party, behalf="")
        return said

    def command(self, verb: str, name: str) -> Said:
        """This command on this grant, with what it needs."""
        grant = self.world.grants[name]
        if verb in CASE_VERBS:
            return self.said(verb, grant, **about_cases(self, verb, name))
        given: dict[str, Any] = {"grant": name}
        body = self.world.body(grant)
        match verb:
            case "provide":
                other = terms(grant.terms.kind, self.world.now, begins=1, days=20)
                given["terms"] = self.some([None, None, other])
            case "check" | "fail":
                kinds = body["verification"]["kinds"] if body["verification"] else ["visit"]
                given["kind"] = self.some([*kinds, *kinds, "visit"])
                if self.chance(12):
                    given["channel"] = "interview"
            case "approve" | "retract":
                stage = self.world.open_stage(grant)
                others = [one["id"] for one in body["stages"]]
                likely = stage["id"] if stage else "nothing"
                given["stage"] = likely if not self.chance(8) else self.some([*others, "nothing"])
                if verb == "approve" and self.chance(5):
                    given["less"] = less_than(self, grant.terms)
            case "sign" | "decline":
                given["party"] = self.some(["grantee", "tenant"])
                if verb == "sign" and self.chance(10):
                    given["right"] = False
            case "suspend":
                given |= {"new": self.new("h"), "provisional": self.chance(2)}
            case "confirm_hold" | "resume":
                holds = sorted(grant.holds)
                given["hold"] = self.some(holds if holds and not self.chance(12) else ["nothing"])
            case "request_revocation":
                given["new"] = self.new("r")
            case "confirm_revocation" | "cancel_revocation":
                given["case"] = grant.revocation.name if grant.revocation else "nothing"
            case "revoke":
                given |= {"new": self.new("r"), "effective": self._effective(grant)}
            case "note":
                given["empty"] = self.chance(6)
            case _:
                pass
        if verb in ("fail", "reject", "suspend", "resume", "revoke"):
            given["reason"] = self.reason()
        return self.said(verb, grant, **given)

    def _effective(self, grant: Grant) -> datetime | None:
        """Mostly now; else later, earlier, or just when something else happens."""
        now = self.world.now
        others = [now + timedelta(days=one) for one in (2, -1, -9, 200)]
        known = [one for one in (grant.revoked, grant.ends()) if one]
        return self.some([None, None, *others, *known])

    # --- everything else --------------------------------------------------------------------------

    def on_a_customer(self) -> Said:
        world, name = self.world, self.some(sorted(self.world.customers))
        customer = world.customers[name]
        verb = self.some(CUSTOMER_VERBS)
        given: dict[str, Any] = {"customer": name}
        match verb:
            case "register_customer":
                new = self.new("d")
                number = self.some([new, "c1"])
                form = self.some(["organization", "person"])
                given = {"new": new, "form": form, "number": number}
            case "identify":
                ends = self.some([None, None, world.days(3), world.days(-1)])
                channel = self.some(["register", "register", "online", "video", "site_visit"])
                given |= {"kind": self.some(["extract", "card"]), "channel": channel, "ends": ends}
                given |= {"passed": not self.chance(5), "document": not self.chance(8)}
            case "confirm":
                given["kind"] = self.some(["dealership", "sample"])
            case "grade":
                given["grade"] = self.some(["A", "B"])
            case "propose_correction":
                given |= {"new": self.new("k"), "title": self.some([name, "other"])}
            case "accept_correction" | "reject_correction":
                if not customer.corrections:
                    return self.said("change_profile", None, customer=name)
                given["correction"] = self.some(sorted(customer.corrections))
            case "add_member":
                acts = self.some([frozenset({"request", "sign"}), frozenset({"revoke"})])
                person = self.some(sorted(world.persons))
                given |= {"new": self.new("m"), "person": person, "acts": acts}
                given["days"] = self.some([0, 5])
            case "end_member":
                if not customer.members:
                    return self.said("change_profile", None, customer=name)
                given["member"] = self.some(sorted(customer.members))
            case "block" | "unblock":
                given["reason"] = self.reason()
            case "propose_merge":
                given["into"] = self.some(sorted(world.customers))
            case _:
                pass
        return self.said(verb, None, **given)

    def on_people(self) -> Said:
        world = self.world
        names = [name for name in sorted(world.staff) if name != "root"]
        name, verb = self.some(names), self.some(PEOPLE_VERBS)
        given: dict[str, Any] = {"staff": name}
        match verb:
            case "merge_person":
                persons = sorted(world.persons)
                given = {"person": self.some(persons), "into": self.some(persons)}
            case "register_person":
                given = {"new": self.new("p")}
            case "link_account":
                login = self.some(["one", "two"])
                person = self.some(sorted(world.persons))
                given = {"person": person, "new": self.new("a"), "login": login}
            case "unlink_account":
                having = [one for one in sorted(world.persons) if world.persons[one].accounts]
                if not having:
                    return self.said("register_person", None, new=self.new("p"))
                person = self.some(having)
                given = {"person": person, "account": world.persons[person].accounts[0]}
            case "appoint_again":
                known = world.staff[name]
                person = known.person if not self.chance(5) else self.some(sorted(world.persons))
                roles = self.some([known.roles, frozenset({"verifier", "requester"})])
                given = {"new": name, "person": person, "level": known.level, "roles": roles}
            case "change_roles":
                sets = [world.staff[name].roles, frozenset({"approver"}), frozenset({"verifier"})]
                given["roles"] = self.some(sets)
            case "change_level":
                given["level"] = self.some(["senior", "director"])
            case "assign":
                given["customers"] = self.some([frozenset({"c1", "c2"}), frozenset({"c3"})])
            case "hand_over":
                given["to"] = self.some(names)
            case "set_deputy":
                given |= {"deputy": self.some(names), "days": self.some([10, 3, 0])}
            case _:
                pass
        return self.said(verb, None, **given)

    def on_a_policy(self) -> Said:
        """Policies of `loan` and `sample` get new versions; the others stay as they are."""
        world, kind = self.world, self.some(sorted(VARIANTS))
        versions = world.policies[kind].versions
        number = self.some(range(len(versions), 0, -1))
        status = world.version_status(kind, number, world.now)
        verb = self.some(POLICY_STEPS.get(status, ("draft",)))
        if self.chance(6):
            verb = self.some(["edit", "submit", "approve_policy", "publish", "retire"])
        given: dict[str, Any] = {"kind": kind, "number": number}
        match verb:
            case "draft":
                given = {"kind": kind, "body": self.some(VARIANTS[kind])}
            case "edit":
                given["body"] = self.some(VARIANTS[kind])
            case "publish":
                given["begins"] = self.some([None, None, world.days(2), world.days(-2)])
            case "send_back":
                given["reason"] = self.reason()
            case _:
                pass
        return self.said(verb, None, **given)

    def on_the_catalogue(self) -> Said:
        verb, dimension = self.some(CATALOGUE_VERBS), self.some(sorted(POINTS))
        given: dict[str, Any] = {"dimension": dimension}
        given["path"] = self.some([*POINTS[dimension], "CN/33"])
        match verb:
            case "declare":
                return self.said(verb, None, dimension=dimension, names=self.some(["x", dimension]))
            case "add_point":
                attributes = self.some([{}, {"product": "tea"}, {"territory": "CN/32"}])
                given |= {"names": given["path"], "attributes": attributes}
            case "rename_point":
                given["names"] = self.some(["new name", given["path"]])
            case _:
                days = self.some([None, 3, -3])
                given["ends"] = None if days is None else self.world.days(days)
        return self.said(verb, None, **given)
