"""Renewals and amendments asked for in the reference."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.support.reference.answers import Answer, failing
from tests.support.reference.cases import Cases
from tests.support.reference.grants import EFFECTIVE, Case, Grant, Terms, normal
from tests.support.reference.people import Hands
from tests.support.reference.policies import Body


class Openings(Cases):
    """Other terms for a grant that was agreed on before."""

    # --- opening ----------------------------------------------------------------------------------

    def request_renewal(
        self,
        who: Hands,
        *,
        grant: str,
        new: str,
        ends: datetime | None,
        days: int | None,
    ) -> Answer:
        one, status = self.grants[grant], self.grants[grant].status(self.now)
        version, over = self.version_in_force(one.terms.kind), one.ends()
        if refused := failing(
            ("policy.not_in_force", not version),
            *self._requester(who, one, "request"),
            ("grant.state", status not in ("active", "suspended", "expired")),
        ):
            return refused
        body = self.policies[one.terms.kind].versions[version - 1].body
        assert over is not None
        late = status == "expired" and over + timedelta(days=body["grace_days"]) <= self.now
        terms = replace(
            one.terms,
            number=one.terms.number + 1,
            starts=over if body["starts"] == "fixed" else None,
            ends=ends,
            days=days,
        )
        if refused := failing(
            ("renewal.grace_over", late),
            ("case.open", one.open_case(self.now) is not None),
            ("grantee.standing", not self.stands(one.grantee, self.now)),
            *self._still_offered(terms, body),
            *self._renewed_term(terms, body, over),
        ):
            return refused
        return self._opened(who, one, Case(**self._case(who, one, new, "renewal", version, terms)))

    def _renewed_term(self, terms: Terms, body: Body, over: datetime) -> list[tuple[str, bool]]:
        """Guards: the days or the new end that the policy asks for, longer than before."""
        if body["starts"] != "fixed":
            counted = terms.days is not None and terms.ends is None
            return [
                ("term.days_expected", not counted),
                ("term.empty", counted and terms.days == 0),
                ("term.too_long", counted and (terms.days or 0) > body["longest_days"]),
            ]
        if terms.ends is None or terms.days is not None:
            return [("term.dates_expected", True)]
        return [
            ("renewal.not_longer", terms.ends <= over),
            ("term.over", terms.ends <= self.now),
            ("term.too_long", terms.ends - over > timedelta(days=body["longest_days"])),
        ]

    def propose_amendment(
        self,
        who: Hands,
        *,
        grant: str,
        new: str,
        scope: dict[str, tuple[str, ...]] | None,
        ends: datetime | None,
        effective: datetime | None,
    ) -> Answer:
        one, known = self.grants[grant], self.grants[grant].ends()
        version = self.version_in_force(one.terms.kind)
        if refused := failing(
            ("policy.not_in_force", not version),
            *self._requester(who, one, "request"),
            ("grant.state", one.status(self.now) not in EFFECTIVE),
        ):
            return refused
        body = self.policies[one.terms.kind].versions[version - 1].body
        assert known is not None
        terms = replace(
            one.terms,
            number=one.terms.number + 1,
            scope=one.terms.scope if scope is None else normal(scope),
            starts=effective,
            ends=ends or known,
            days=None,
        )
        same = terms.scope == one.terms.scope and terms.ends == known
        begin = max(self.now, effective or self.now, one.effects[0].starts)
        longest, term = timedelta(days=body["longest_days"]), (terms.ends or known)
        long = term > known and term - one.effects[-1].starts > longest
        guards = [] if scope is None else self._still_offered(terms, body)
        if refused := failing(
            ("case.open", one.open_case(self.now) is not None),
            ("grantee.standing", not self.stands(one.grantee, self.now)),
            *(guards or self._actions_offered(terms, body)),
            ("amendment.no_difference", same),
            ("amendment.effective_in_past", effective is not None and effective < self.now),
            ("amendment.after_end", min(known, term) <= begin),
            ("term.too_long", long),
        ):
            return refused
        case = Case(**self._case(who, one, new, "amendment", version, terms), effective=effective)
        return self._opened(who, one, case)

    def _actions_offered(self, terms: Terms, body: Body) -> list[tuple[str, bool]]:
        known = {rule["action"] for rule in body["actions"]}
        return [("action.unknown", not set(terms.actions) <= known)]

    def _still_offered(self, terms: Terms, body: Body) -> list[tuple[str, bool]]:
        """Guards: actions and scope, as a request's."""
        guards = self._terms(terms, body)
        return [guard for guard in guards if not guard[0].startswith("term.")]

    def _case(
        self, who: Hands, one: Grant, new: str, kind: str, version: int, terms: Terms
    ) -> dict[str, Any]:
        body = self.policies[terms.kind].versions[version - 1].body
        lapses = self._step(one, kind, body, body["submission_lapse_days"])
        return {
            "name": new,
            "kind": kind,
            "grantee": one.grantee,
            "version": version,
            "terms": terms,
            "lapses": lapses,
            "askers": who.persons,
            "hands": who.persons,
        }
