"""`counterseal grant show`: a grant's state, terms and holds, and what happened, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli_errors import Usage
from api.cli_help import Command, Group
from api.cli_places import Places, claimed, tenant_of
from api.cli_shown import FINE, Json, document, instant, line, pairs, table
from api.cli_texts import say, spoken, word

if TYPE_CHECKING:
    from domain.grants import Grant
    from domain.ledger import Ledgers, Recorded
    from domain.values import Names

COMMON: Final = frozenset(
    {
        "at", "by", "on_behalf_of", "reason", "evidence", "imported", "terms", "policy", "case",
        "number", "grantee", "group", "lapses_at",
    }
)  # fmt: skip
"""Fields that a line of the timeline shows elsewhere or not at all."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    grant = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    grant.command("show", cls=Command)(grant_show)
    app.add_typer(grant, name="grant", cls=Group)


def grant_show(
    grant: Annotated[str, typer.Argument(metavar="NUMBER")],
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    as_json: Json = False,
) -> int:
    """Show a grant by its number or id; sealed texts stay sealed."""
    from domain.ledger import Ledgers

    places = Places()
    with places.connection() as conn:
        found = tenant_of(conn, tenant)
        stream = _stream(places, conn, found.id, grant)
    with closing(Ledgers(places.url("database_url"), None, _clock, writers=1)) as ledgers:
        loaded = ledgers.load(found.id, "grant", stream)
        if loaded.state is None:
            raise Usage("grant.unknown", grant=grant)
        history = ledgers.history(found.id, stream)
        now = ledgers.now(found.id)
        if as_json:
            from api import rendering

            document(
                {
                    "id": stream,
                    "version": loaded.version,
                    "state": rendering.state("grant", loaded.state, now),
                    "history": [rendering.event(one) for one in history],
                }
            )
            return FINE
        names = _Names(ledgers, found.id)
        pairs(_state(loaded.state, stream, now, names))
        line()
        headings = [say(f"grant.{key}") for key in ("when", "what", "who", "position")]
        table(headings, [_told(one, names) for one in history])
    return FINE


def _clock() -> datetime:
    return datetime.now(UTC)


def _stream(places: Places, conn: Any, tenant: str, text: str) -> str:
    """Return the stream of a grant by id or readable number. Raises `Usage` `grant.unknown`."""
    from api.ids import is_id
    from domain import numbers

    if is_id(text):
        return text
    try:
        number = numbers.parse(text)
    except numbers.NumberFault as fault:
        if fault.code == "check":
            raise Usage("grant.mistyped", grant=text) from None
        number = text  # imported grants keep the numbers they had
    found = claimed(places, conn, tenant, "grant_number", number)
    if found is None:
        raise Usage("grant.unknown", grant=text)
    return found


class _Names:
    """What parties are called: a staff number, a customer's title or number, a service's name."""

    def __init__(self, ledgers: Ledgers, tenant: str) -> None:
        self._ledgers = ledgers
        self._tenant = tenant
        self._known: dict[str, str] = {}

    def of(self, ref: str) -> str:
        """Return a party as people know it; one without a name is its ref."""
        if ref not in self._known:
            self._known[ref] = self._found(ref)
        return self._known[ref]

    def _found(self, ref: str) -> str:
        kind, _, stream = ref.partition(":")
        if kind not in ("staff", "customer"):
            return ref
        state = self._ledgers.load(self._tenant, kind, stream).state
        if state is None:
            return ref
        title = getattr(state, "title", None)
        return f"{word('kinds', kind)} {state.number}" + (f" {title}" if title else "")

    def under(self, grant: Grant) -> tuple[str, list[str]]:
        """Return what the kind and the actions of a grant are called in its policy's version."""
        policy = self._ledgers.load(self._tenant, "policy", grant.policy.policy).state
        version = None if policy is None else policy.versions.get(grant.policy.version)
        if version is None:
            return grant.terms.kind, list(grant.terms.actions)
        body = version.body
        called = {rule.action: _named(rule.names) for rule in body.actions}
        actions = [
            say("grant.action", name=called.get(one, one), action=one)
            for one in grant.terms.actions
        ]
        return _named(body.names), actions


def _named(names: Names) -> str:
    return names.zh if spoken() == "zh" else names.en


def _state(grant: Grant, stream: str, now: datetime, names: _Names) -> Iterator[tuple[str, object]]:
    from domain.grants import status_at

    status = status_at(grant, now)
    terms = grant.terms
    yield say("grant.number"), grant.number
    yield say("grant.id"), stream
    yield say("grant.status"), word("statuses", status) + _irregular(grant)
    yield say("grant.grantee"), names.of(grant.grantee) if grant.grantee else ""
    kind, actions = names.under(grant)
    version = grant.policy.version
    yield say("grant.kind"), say("grant.under", name=kind, kind=terms.kind, version=version)
    yield say("grant.actions"), say("grant.comma").join(actions)
    yield (
        say("grant.scope"),
        "\n".join(
            f"{dimension}: {', '.join(patterns)}" for dimension, patterns in terms.scope.items()
        ),
    )
    yield say("grant.term"), _term(grant)
    if status in (
        "submitted",
        "information_requested",
        "verifying",
        "pending_approval",
        "approved",
    ):
        yield say("grant.lapses"), grant.lapses_at
    yield say("grant.holds"), "\n".join(_holds(grant)) or say("grant.none")
    if grant.revocation is not None:
        origin = word("origins", grant.revocation.origin)
        yield say("grant.revocation"), f"{origin}, {instant(grant.revocation.at)}"
    if grant.revoked_from is not None:
        yield say("grant.revoked_from"), grant.revoked_from


def _irregular(grant: Grant) -> str:
    return f" ({say('grant.irregular')})" if grant.irregular else ""


def _term(grant: Grant) -> str:
    from domain.grant_states import ends_of, starts_of

    term = grant.terms.term
    starts, ends, days = term.starts_at, term.ends_at, term.days
    if grant.effects:
        starts, ends = starts_of(grant), ends_of(grant)
    if starts is None:
        return say("grant.days", days=days or "?")
    return say("grant.from_until", start=instant(starts), end=instant(ends) or say("grant.open"))


def _holds(grant: Grant) -> Iterator[str]:
    for hold in grant.holds:
        if hold.until is None:
            text = say("grant.hold", hold=hold.id, since=instant(hold.from_))
            if hold.confirm_by is not None:
                text += " " + say("grant.provisional", until=instant(hold.confirm_by))
            yield text


def _told(one: Recorded, names: _Names) -> tuple[object, str, str, int]:
    """Return a line of the timeline: when it happened, what, who, at which position."""
    event = one.event
    what = word("events", one.type)
    details = say("grant.comma").join(
        say("grant.field", name=name, value=value) for name, value in _details(event)
    )
    who = names.of(event.by.ref)
    if event.on_behalf_of is not None:
        who = say("grant.for", who=who, principal=names.of(event.on_behalf_of.ref))
    if details:
        what = say("grant.line", what=what, details=details)
    return event.at, what, who, one.position


def _details(event: Any) -> Iterator[tuple[str, str]]:
    """Codes, instants and ids of an event; a sealed text shows as what it is."""
    from domain.sealing import Sealed

    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name in COMMON or value is None or value == "":
            continue
        called = word("fields", name)
        if isinstance(value, Sealed):
            yield called, say("grant.sealed")
        elif isinstance(value, datetime):
            yield called, instant(value)
        elif name == "digest":
            yield called, f"{value[:12]}…"
        else:
            yield called, word("values", str(value))
    reason = event.reason
    if reason is not None:
        yield say("grant.reason"), reason.code or say("grant.sealed")
