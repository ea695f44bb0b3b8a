"""What the things in a line of history are called: parties, records, actions, stages, points."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from domain.policies import Policy, PolicyVersion
from domain.values import Names, Party, PolicyRef, Scope, Term, Terms
from projections.history_names import NOBODY
from projections.history_names import Names as Known

Language = Literal["zh", "en"]

FILE: Final = Path(__file__).with_name("history_lines.toml")

SHOWN: Final = 5
"""Elements of a list that a line shows."""
LONGEST: Final = 200
"""Characters of one text in a line."""

_OPTIONAL: Final = re.compile(r"\[([^\[\]]*)\]")
_NAME: Final = re.compile(r"\{(\w+)\}([\u4e00-\u9fff]?)")
"""A name, and the Chinese sign after it: a space keeps it from Latin letters and digits."""


@cache
def texts() -> Mapping[str, Any]:
    """Return section -> key -> language -> template."""
    with FILE.open("rb") as file:
        return tomllib.load(file)


def fill(template: str, value: Callable[[str], str]) -> str:
    """Return a template with its names filled in; a part in brackets goes where one is empty.

    What is filled in is never read as a template again.
    """
    found: list[str] = []
    for number, piece in enumerate(_OPTIONAL.split(template)):
        values = {name: value(name) for name, _ in _NAME.findall(piece)}
        if number % 2 == 0 or all(values.values()):
            found.append(_NAME.sub(lambda one, known=values: _set(known[one[1]], one[2]), piece))
    return "".join(found)


def _set(value: str, sign: str) -> str:
    apart = " " if sign and value[-1:].isascii() and value[-1:].isalnum() else ""
    return f"{value or '…'}{apart}{sign}"


def short(stream_id: str) -> str:
    """Return the end of an id; its beginning is a time, which many share."""
    return stream_id.rpartition("-")[2]


def one_line(text: str) -> str:
    """Return a text as it stands within a line: no breaks, nothing unseen, not too long."""
    seen = "".join(sign if sign.isprintable() else " " for sign in text)
    short = " ".join(seen.split())
    return short if len(short) <= LONGEST else f"{short[: LONGEST - 1]}…"


class Book:
    """What things are called in one language; `policy` gives a policy's state by its id,
    `dimension` what the tenant calls a dimension.
    """

    def __init__(
        self,
        language: Language,
        known: Known = NOBODY,
        policy: Callable[[str], Policy | None] = lambda _: None,
        dimension: Callable[[str], Names | None] = lambda _: None,
    ) -> None:
        self.language: Language = language
        self._known = known
        self._policy = cache(policy)
        self._dimension = cache(dimension)

    def text(self, section: str, key: str, **params: str) -> str:
        """Return a text of ours, filled in."""
        return fill(texts()[section][key][self.language], lambda name: params.get(name, ""))

    def called(self, key: str, **params: str) -> str:
        """Return how a record is called."""
        return self.text("called", key, **params)

    def word(self, field: str, code: str) -> str:
        """Return what a code of a field is called; one without a word is itself."""
        known = texts()["words"].get(field, {}).get(code)
        return one_line(code) if known is None else str(known[self.language])

    def names(self, names: Names) -> str:
        """Return a name in the language."""
        return one_line(names.zh if self.language == "zh" else names.en)

    def listed(self, ones: Iterable[str], separator: str = "comma") -> str:
        """Return a list, cut at `SHOWN`."""
        every = [one for one in ones if one]
        text = self.called(separator).join(every[:SHOWN])
        if len(every) <= SHOWN:
            return text
        shown = str(len(every) if self.language == "zh" else len(every) - SHOWN)
        return self.called("more", list=text, number=shown)

    def instant(self, at: datetime) -> str:
        """Return an instant in UTC, a day where it is its beginning."""
        utc = at.astimezone(UTC)
        day = f"{utc.year:04}-{utc.month:02}-{utc.day:02}"
        if not (utc.hour or utc.minute or utc.second):
            return day
        return f"{day} {utc.hour:02}:{utc.minute:02} UTC"

    # --- parties and records ----------------------------------------------------------------------

    def actor(self, by: Party, on_behalf_of: Party | None) -> str:
        """Return who acted, and for whom."""
        acted = self._acting(by)
        if on_behalf_of is None:
            return acted
        return self.called("deputy", actor=acted, principal=self._acting(on_behalf_of))

    def _acting(self, party: Party) -> str:
        found = self.party(party.ref)
        if party.kind == "customer" and party.person is not None:
            return self.called("member", called=found)
        return found

    def party(self, ref: str) -> str:
        """Return how a party is called."""
        kind, _, name = ref.partition(":")
        if ref in texts()["called"]:
            return self.called(ref)
        if kind in ("staff", "customer"):
            return self.record(kind, name)
        if kind in ("service", "team"):
            return self.called(kind, number=one_line(name))
        return one_line(ref)

    def record(self, kind: str, stream_id: str) -> str:
        """Return how the record of a stream is called: by its number or name, else by its id."""
        brief = short(stream_id)
        match kind:
            case "staff":
                return self.called("staff", number=self._known.staff.get(stream_id, brief))
            case "customer":
                found = self._known.customers.get(stream_id)
                if found is not None and found.title:
                    return self.called(
                        "organization", number=one_line(found.number), title=one_line(found.title)
                    )
                return self.called("customer", number=brief if found is None else found.number)
            case "grant":
                grant = self._known.grants.get(stream_id)
                return self.called("grant", number=brief if grant is None else grant.number)
            case "person":
                number = self._known.persons.get(stream_id)
                key = "person" if number is None else "person_staff"
                return self.called(key, number=number or brief)
            case "policy":
                policy = self._policy(stream_id)
                newest = None if policy is None else policy.versions.get(policy.newest)
                name = brief if newest is None else self.names(newest.body.names)
                return self.called("policy", number=name)
            case _:
                return self.called(kind) if kind in texts()["called"] else kind

    # --- what a policy names ----------------------------------------------------------------------

    def version(self, ref: PolicyRef) -> str:
        """Return how a version of a policy is called."""
        found = self._version(ref)
        name = short(ref.policy) if found is None else self.names(found.body.names)
        called = self.called("policy", number=name)
        return self.called("version", called=called, version=str(ref.version))

    def kind(self, ref: PolicyRef | None, kind: str) -> str:
        """Return what a kind of grants is called in a version of its policy."""
        found = self._version(ref)
        return one_line(kind) if found is None else self.names(found.body.names)

    def pinned(self, grant: str) -> PolicyRef | None:
        """Return the policy version that a grant rests on now."""
        found = self._known.grants.get(grant)
        return None if found is None else PolicyRef(found.policy, found.version)

    def stage(self, ref: PolicyRef | None, stage: str) -> str:
        """Return what a stage is called."""
        found = self._version(ref)
        for one in () if found is None else found.body.stages:
            if one.id == stage:
                return self.names(one.names)
        return one_line(stage)

    def action(self, ref: PolicyRef | None, action: str) -> str:
        """Return what an action is called."""
        found = self._version(ref)
        for one in () if found is None else found.body.actions:
            if one.action == action:
                return self.names(one.names)
        return one_line(action)

    def _version(self, ref: PolicyRef | None) -> PolicyVersion | None:
        policy = None if ref is None else self._policy(ref.policy)
        return None if ref is None or policy is None else policy.versions.get(ref.version)

    # --- terms ------------------------------------------------------------------------------------

    def terms(self, ref: PolicyRef | None, terms: Terms) -> str:
        """Return what is granted: actions, where, and for how long."""
        actions = self.listed(self.action(ref, one) for one in terms.actions)
        where = self.scope(terms.scope)
        return self.called("terms", actions=actions, scope=where, term=self.term(terms.term))

    def scope(self, scope: Scope) -> str:
        """Return the places of a scope by their names, dimension by dimension."""
        return self.listed(
            (
                self.listed(self.point(dimension, one) for one in patterns)
                for dimension, patterns in scope.items()
            ),
            "semicolon",
        )

    def dimension(self, dimension: str) -> str:
        """Return what a dimension is called."""
        found = self._dimension(dimension)
        return one_line(dimension) if found is None else self.names(found)

    def point(self, dimension: str, path: str) -> str:
        """Return what a point is called; a customer, where that is the dimension."""
        if path == "*":
            return self.called("everything")
        if dimension == "customer" and path in self._known.customers:
            return self.record("customer", path)
        found = self._known.points.get((dimension, path))
        return one_line(path if found is None else found.get(self.language, path))

    def term(self, term: Term) -> str:
        """Return a term in words, nothing where it says nothing."""
        starts = "" if term.starts_at is None else self.instant(term.starts_at)
        if term.ends_at is not None:
            return self.called("between", starts=starts, ends=self.instant(term.ends_at))
        if term.days is not None:
            return self.called("days", number=str(term.days))
        return self.called("from", starts=starts) if starts else ""
