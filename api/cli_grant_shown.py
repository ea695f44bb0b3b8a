"""A grant and its events for people: rows made of the JSON that doors and log give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from api.cli_shown import instant
from api.cli_texts import say, spoken, word

Json = Mapping[str, Any]

ASIDE: Final = frozenset({"terms", "policy", "case", "number", "grantee", "group", "lapses_at"})
"""Fields that a line of the timeline shows elsewhere or not at all."""

OPEN: Final = frozenset(
    {"submitted", "information_requested", "verifying", "pending_approval", "approved"}
)

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)")


class Book(Protocol):
    """Knows what things are called."""

    def of(self, ref: str) -> str:
        """Return a party as people know it; one without a name is its ref."""
        ...

    def policy(self, policy: str, version: int) -> Json | None:
        """Return the body of a policy's version; None where it cannot be seen."""
        ...


def grant_rows(found: Json, book: Book) -> Iterator[tuple[str, object]]:
    """Yield what a grant is and what is to be signed, name and value, each value for people.

    `found` has its `id`, its `state`, and an `agreement` where one waits to be signed.
    """
    yield from _state(found["id"], found["state"], book)
    if (agreement := found.get("agreement")) is not None:
        named = {"template": agreement["template"], "version": agreement["version"]}
        yield say("grant.agreement"), say("grant.agreement_is", **named)
        yield say("grant.digest"), agreement["digest"]


def _state(stream: str, state: Json, book: Book) -> Iterator[tuple[str, object]]:
    terms: Json = state["terms"]
    yield say("grant.number"), state["number"]
    yield say("grant.id"), stream
    yield say("grant.status"), status_of(state)
    yield say("grant.grantee"), book.of(state["grantee"]) if state.get("grantee") else ""
    yield from _terms(terms, state["policy"], book)
    yield say("grant.term"), _term(state)
    if state["status"] in OPEN and state.get("lapses_at"):
        yield say("grant.lapses"), when(state["lapses_at"])
    yield say("grant.holds"), "\n".join(_holds(state)) or say("grant.none")
    if (revocation := state.get("revocation")) is not None:
        origin = word("origins", revocation["origin"])
        yield say("grant.revocation"), f"{origin}, {when(revocation['at'])}"
    if state.get("revoked_from"):
        yield say("grant.revoked_from"), when(state["revoked_from"])
    if (case := state.get("open_case")) is not None:
        yield from _case(case, book)
    if state.get("error"):
        yield say("grant.error"), state["error"]


def _case(case: Json, book: Book) -> Iterator[tuple[str, object]]:
    """An open renewal or amendment with what it would make of the grant."""
    yield case_row(case)
    for name, value in _terms(case["terms"], case["policy"], book):
        yield say("grant.indented", name=name), value
    yield say("grant.indented", name=say("grant.term")), _asked(case["terms"]["term"])
    if case.get("effective_at"):
        yield say("grant.indented", name=word("fields", "effective_at")), when(case["effective_at"])
    if case.get("lapses_at"):
        yield say("grant.indented", name=say("grant.lapses")), when(case["lapses_at"])


def case_row(case: Json) -> tuple[str, object]:
    """Return what an open renewal or amendment is, and how far."""
    kind, status = word("values", case["kind"]), word("statuses", case["status"])
    return say("grant.case"), say("grant.case_is", kind=kind, status=status, case=case["case"])


def status_of(state: Json) -> str:
    """Return what the state of a grant is called."""
    irregular = f" ({say('grant.irregular')})" if state.get("irregular") else ""
    return word("statuses", state["status"]) + irregular


def _terms(terms: Json, policy: Json, book: Book) -> Iterator[tuple[str, object]]:
    body = book.policy(policy["policy"], policy["version"])
    kind: str = terms["kind"]
    name = kind if body is None else body["names"][spoken()]
    rules: Sequence[Json] = () if body is None else body["actions"]
    called = {rule["action"]: rule["names"][spoken()] for rule in rules}
    yield say("grant.kind"), say("grant.under", name=name, kind=kind, version=policy["version"])
    yield (
        say("grant.actions"),
        say("grant.comma").join(
            say("grant.action", name=called.get(one, one), action=one) for one in terms["actions"]
        ),
    )
    yield say("grant.scope"), scope_of(terms["scope"])
    if terms.get("pass_on"):
        yield say("grant.pass_on"), str(terms["pass_on"])
    if terms.get("parent"):
        yield say("grant.parent"), terms["parent"]
    if terms.get("template"):
        yield say("grant.template"), terms["template"]
    if terms.get("purpose"):
        yield say("grant.purpose"), terms["purpose"]


def scope_of(scope: Mapping[str, Sequence[str]], apart: str = "\n") -> str:
    """Return a scope as text, one dimension after the other."""
    return apart.join(f"{name}: {', '.join(patterns)}" for name, patterns in scope.items())


def _term(state: Json) -> str:
    """Return the term agreed on; before that the one asked for."""
    effects: Sequence[Json] = state.get("effects", ())
    if not effects:
        return _asked(state["terms"]["term"])
    return _between(effects[0]["starts_at"], effects[-1].get("ends_at"))


def _asked(term: Json) -> str:
    starts, ends = term.get("starts_at"), term.get("ends_at")
    if starts is not None:
        return _between(starts, ends)
    if ends is not None:
        return say("grant.until", end=when(ends))
    days = term.get("days")
    return say("grant.open") if days is None else say("grant.days", days=days)


def _between(starts: str, ends: str | None) -> str:
    return say("grant.from_until", start=when(starts), end=when(ends) or say("grant.open"))


def _holds(state: Json) -> Iterator[str]:
    for hold in state.get("holds", ()):
        if hold.get("until") is None:
            hold_id = hold["id"] or word("statuses", "suspended")  # a party is not told the id
            text = say("grant.hold", hold=hold_id, since=when(hold["from"]))
            if hold.get("confirm_by"):
                text += " " + say("grant.provisional", until=when(hold["confirm_by"]))
            yield text


def timeline(events: Sequence[Json], book: Book) -> list[tuple[object, str, str, int]]:
    """Return a line an event: when it happened, what, who, at which position."""
    return [_told(one, book) for one in events]


def headings() -> list[str]:
    """Return what stands above a timeline."""
    return [say(f"grant.{key}") for key in ("when", "what", "who", "position")]


def _told(event: Json, book: Book) -> tuple[object, str, str, int]:
    what = word("events", event["type"])
    details = say("grant.comma").join(
        say("grant.field", name=name, value=value) for name, value in _details(event)
    )
    who = book.of(event["by"]["ref"])
    if event.get("on_behalf_of"):
        who = say("grant.for", who=who, principal=book.of(event["on_behalf_of"]["ref"]))
    if details:
        what = say("grant.line", what=what, details=details)
    return when(event["at"]), what, who, event["position"]


def _details(event: Json) -> Iterator[tuple[str, str]]:
    """Codes, instants and ids of an event; a sealed text shows as what it is."""
    for name, value in event["fields"].items():
        if name in ASIDE or value == "":
            continue
        called = word("fields", name)
        if isinstance(value, Mapping):
            yield called, say("grant.sealed")
        elif name == "digest":
            yield called, f"{value[:12]}…"
        else:
            yield called, when(value) or word("values", str(value))
    if (reason := event.get("reason")) is not None:
        yield say("grant.reason"), reason.get("code") or say("grant.sealed")


def when(value: Any) -> str:
    """Return an RFC 3339 instant for people; nothing for what is none."""
    if not isinstance(value, str) or _INSTANT.fullmatch(value) is None:
        return ""
    return instant(datetime.fromisoformat(value))
