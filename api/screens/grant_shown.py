"""What a grant's page shows, made of the grant as its operation answers it and of its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from api import rendering
from api.rendering import Show
from api.routes.reading import Told as Recorded
from api.routes.reading import opener_for, told
from api.screens import stages
from api.screens.grants import row
from api.screens.moments import Mark, marks_of
from api.screens.naming import LocalBook, book, ids_of, link_of, points_of
from api.screens.terms_shown import TermsShown
from api.screens.visits import Visit
from api.screens.work import needs
from api.texts import Language, text
from domain.events.policy import PolicyBody
from domain.passing_on import MAX_CHAIN
from domain.values import PolicyRef
from projections import queries, worklists
from projections.history_lines import Told, line, named_in
from projections.unseen import masked

IDENTITY: Final = 5
"""Steps of identification that a page shows."""

CHILDREN: Final = 50
"""Grants passed on that a page shows."""


class Facts(NamedTuple):
    """A grant as `grant.get` answers it: `now`, or of the past; `opens` where texts are shown."""

    id: str
    document: Mapping[str, Any]
    position: int
    now: bool
    opens: bool


class Shown:
    """A grant, ready to be drawn. Its methods block."""

    def __init__(self, visit: Visit, facts: Facts) -> None:
        self.visit = visit
        self.facts = facts
        self.id = facts.id
        self.state: Mapping[str, Any] = facts.document["state"]
        self.version: int = facts.document["version"]
        self.events: Sequence[dict[str, Any]] = ()
        self.body: PolicyBody | None = None
        self.names: LocalBook
        self.waiting: list[dict[str, Any]] = []
        self.marks: list[Mark] = []
        self._known_by: list[Recorded] = []

    @property
    def grantee(self) -> str:
        """The ref of whom it is given to; empty where imported history never said."""
        return self.state.get("grantee") or ""

    @property
    def terms(self) -> Mapping[str, Any]:
        """The terms asked for or agreed on last."""
        return self.state["terms"]

    def values(self, customer: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what the template draws; `customer` is the grantee's state where it is seen."""
        visit, facts = self.visit, self.facts
        self._call = visit.desk.entered("grant.events", {"id": self.id})
        every = told(self._call, self.id)
        self.marks = marks_of(every)
        recorded = [one for one in every if one.recorded.position <= facts.position]
        chain = self._above() if facts.now else []
        identity = [] if customer is None else self._identity()
        self._name([*recorded, *identity], chain)
        self._known_by = identity
        self.body = self.body_of(self.state["policy"])
        self.events = [self._event(one, opens=facts.opens) for one in recorded]
        if self.facts.now:
            ledgers = visit.services.ledgers
            ledger, at = ledgers.ledger(visit.tenant), ledgers.now(visit.tenant)
            self.waiting = worklists.of_record(ledger, at, "grant", self.id)
        terms = TermsShown(visit.words, self.names, self.body_of)
        return {
            "id": self.id,
            "version": self.version,
            "state": self.state,
            "status": self.state["status"],
            "grantee": self.names.party(self.grantee) if self.grantee else "",
            "grantee_link": self._grantee_link(),
            "customer": customer,
            "kind": terms.kind(self.state["policy"], self.terms),
            "terms": terms.every(self.state),
            "stages": self._stages(customer),
            "events": list(reversed(self.events)),
            "waiting": [self._wait(one) for one in self.waiting],
            "approvals": self._approvals(),
            "checks": [self._check(one) for one in self.state.get("checks", ())],
            "holds": [one for one in self.state.get("holds", ()) if one.get("until") is None],
            "case": terms.case(self.state),
            "revocation": self.state.get("revocation"),
            "above": [self._link(*one) for one in chain],
            "below": self._below() if facts.now else [],
            "agreement": self.facts.document.get("agreement"),
        }

    # --- names ------------------------------------------------------------------------------------

    def _name(self, recorded: list[Recorded], chain: list[tuple[str, Any]]) -> None:
        ids, points = named_in(line_of(one) for one in recorded)
        scopes = [
            self.terms["scope"],
            *(one["terms"]["scope"] for one in self.state.get("effects", ())),
        ]
        if (case := self.state.get("open_case")) is not None:
            scopes.append(case["terms"]["scope"])
        refs = [self.grantee, self.id, *(one.grantee for _, one in chain)]
        persons = [one["persons"] for one in self.state.get("checks", ())]
        persons += [one["persons"] for one in self.state.get("approvals", ())]
        people = {person for some in persons for person in some}
        self.names = book(
            self.visit,
            ids | ids_of(refs) | people | {one for one, _ in chain},
            points | points_of(scopes),
        )

    def body_of(self, policy: Mapping[str, Any]) -> PolicyBody | None:
        """Return what a version of a policy says."""
        ledgers = self.visit.services.ledgers
        found = ledgers.load(self.visit.tenant, "policy", policy["policy"]).state
        version = None if found is None else found.versions.get(policy["version"])
        return None if version is None else version.body

    def _grantee_link(self) -> str | None:
        return link_of(self.grantee) if self.visit.desk.may("customer.get") else None

    # --- what happened ----------------------------------------------------------------------------

    def _event(self, one: Recorded, *, opens: bool) -> dict[str, Any]:
        event = one.recorded.event
        show: Show = masked
        if opens:
            show = opener_for(self._call, self.id, one.command_id)
        reason = event.reason
        why: list[str] = []
        if reason is not None:
            why = [self.names.word("reason", reason.code)] if reason.code else []
            said = None if reason.text is None else show(reason.text, "reason")
            if said is not None:
                why.append(said if isinstance(said, str) else self.visit.words.say("sealed"))
        return {
            "version": one.recorded.version,
            "position": one.recorded.position,
            "type": one.recorded.type,
            "at": event.at,
            "recorded_at": one.recorded.recorded_at,
            "late": abs((one.recorded.recorded_at - event.at).total_seconds()) > LATE_SECONDS,
            "line": line(line_of(one), self.names, show),
            "what": self._what(one),
            "who": self.names.actor(event.by, None),
            "behalf": None
            if event.on_behalf_of is None
            else self.names.party(event.on_behalf_of.ref),
            "why": self.visit.words.comma.join(why),
            "imported": event.imported is not None,
        }

    def _identity(self) -> list[Recorded]:
        """Return how the customer became known, the last steps of it; whoever sees them may."""
        stream = self.grantee.rpartition(":")[2]
        call = self.visit.desk.entered("customer.events", {"id": stream})
        found = told(call, stream)
        known = [one for one in found if stages.belongs_to_identity(one.recorded.type)]
        return [one for one in known if one.recorded.position <= self.facts.position][-IDENTITY:]

    def _identified(self) -> list[dict[str, Any]]:
        return [self._event(one, opens=False) for one in self._known_by]

    def _what(self, one: Recorded) -> str:
        what = self.visit.words.word("events", one.recorded.type)
        stage = getattr(one.recorded.event, "stage", None)
        if not isinstance(stage, str):
            return what
        policy = self.state["policy"]
        ref = PolicyRef(policy["policy"], policy["version"])
        return self.visit.words.say("grant.what_of", what=what, of=self.names.stage(ref, stage))

    def _stages(self, customer: Mapping[str, Any] | None) -> list[stages.Told]:
        own = stages.of_grant([one["type"] for one in self.events], list(self.events))
        if customer is not None:
            own["identify"] += self._identified()
        demanded = self.body is None or self.body.verification is not None
        standing = None if customer is None else customer["status"]
        return stages.told(own, self.state["status"], standing, verifies=demanded)

    # --- what waits, what was given ---------------------------------------------------------------

    def _wait(self, item: Mapping[str, Any]) -> dict[str, Any]:
        words = self.visit.words
        stage = item["stage_names"]
        named = None if stage is None else rendering.shown(stage)[words.language]
        return {
            "what": words.word("tasks", item["kind"]),
            "stage": named,
            "needs": needs(self.visit, item["needs"]),
            "could": words.comma.join(one["number"] for one in item["could"]),
            "could_count": item["could_count"],
            "members": item["members"],
            "lapses_at": item["lapses_at"],
            "hindrance": _hindrance(item["hindrance"], words.language),
        }

    def _approvals(self) -> list[dict[str, Any]]:
        """Every stage of the policy with the approvals given and lacking in each of its groups."""
        if self.body is None:
            return []
        given: Sequence[Mapping[str, Any]] = self.state.get("approvals", ())
        found: list[dict[str, Any]] = []
        for stage in self.body.stages:
            for number, group in enumerate(stage.groups):
                people = [
                    self._people(one["persons"])
                    for one in given
                    if one["stage"] == stage.id and one.get("group", 0) == number
                ]
                found.append(
                    {
                        "stage": self.names.names(stage.names),
                        "role": self.names.word("role", group.role),
                        "levels": [self.names.word("level", one) for one in group.levels],
                        "asked": group.number,
                        "given": people,
                        "lacking": max(0, group.number - len(people)),
                    }
                )
        return found

    def _check(self, check: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "kind": self.names.word("kind", check["kind"]),
            "channel": self.names.word("channel", check["channel"]),
            "who": self._people(check["persons"]),
        }

    def _people(self, persons: Iterable[str]) -> str:
        return self.visit.words.comma.join(self.names.record("person", one) for one in persons)

    # --- the chain --------------------------------------------------------------------------------

    def _above(self) -> list[tuple[str, Any]]:
        """The grants it is passed on from, the next one first; imported ones may lead nowhere."""
        found: list[tuple[str, Any]] = []
        ledgers, parent = self.visit.services.ledgers, self.terms.get("parent")
        while parent is not None and len(found) < MAX_CHAIN:
            above = ledgers.load(self.visit.tenant, "grant", parent).state
            if above is None:
                break
            found.append((parent, above))
            parent = above.terms.parent
        return found

    def _link(self, stream: str, grant: Any) -> dict[str, Any]:
        at = self.visit.services.ledgers.now(self.visit.tenant)
        return {
            "link": f"/grants/{stream}",
            "number": grant.number or stream,
            "status": rendering.state("grant", grant, at)["status"],
            "grantee": self.names.party(grant.grantee) if grant.grantee else "",
        }

    def _below(self) -> list[dict[str, Any]]:
        visit = self.visit
        with visit.services.ledgers.pool.connection() as connection:
            found = queries.grants(connection, visit.tenant, parent=self.id, limit=CHILDREN)
        items = [rendering.shown(one) for one in found.items]
        names = book(visit, ids_of(one["grantee"] for one in items))
        return [row(names, one) for one in items]


LATE_SECONDS: Final = 3600
"""Between when something happened and when it was recorded: from then on both are shown."""


def line_of(one: Recorded) -> Told:
    """Return an event of a stream as what a line of history is made of."""
    found = one.recorded
    event = found.event
    return Told(found.kind, found.stream_id, found.type, event.by, event.on_behalf_of, event)


def _hindrance(code: str | None, language: Language) -> str | None:
    return None if code is None else text(code, language)
