"""Questions to a ledger: may X do A on R; and in which cases one person had two hands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api import cli_texts
from api.cli_errors import Usage
from api.cli_help import Command
from api.cli_past import AsOf, Happened, looked, looking
from api.cli_places import Places, instant_of, party_of, tenant_of
from api.cli_shown import FINDINGS, FINE, Json, document, line, pairs, table
from api.cli_texts import say

if TYPE_CHECKING:
    import psycopg

    from projections.checks import Decision, Explanation

TenantOption = Annotated[str | None, typer.Option("--tenant", metavar="TENANT")]


ACTS: Final = ("requested", "checked", "approved")
DUTIES_PAGE: Final = 1_000


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("check", cls=Command)(check)


def check(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT")],
    action: Annotated[str, typer.Argument(metavar="ACTION")],
    resource: Annotated[str, typer.Argument(metavar="RESOURCE")],
    *,
    also: Annotated[list[str] | None, typer.Option("--with", metavar="RESOURCE")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="INSTANT")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="POSITION")] = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """Ask whether a subject may do an action on a resource, and why."""
    from projections.check_rows import check_once, gone_once
    from projections.checks import Question

    places = Places()
    kind, point = _resource(resource)
    with places.connection() as conn:
        found = tenant_of(conn, tenant)
        question = Question(
            tenant=found.id,
            subject=party_of(places, conn, found.id, subject),
            action=action,
            resource_type=kind,
            resource_id=point,
            properties=dict(_resource(one) for one in also or ()),
            at=instant_of(at),
            as_of=_position(conn, found.id, as_of),
        )
        decision = check_once(conn, question, datetime.now(UTC))
        gone = () if decision.allowed else gone_once(conn, decision)
    why = decision.explanation(gone)
    if as_json:
        document(_as_document(decision, why))
    else:
        asked = (subject, action, " ".join([resource, *(also or ())]))
        pairs(_as_lines(decision, why, asked))
    return FINE if decision.allowed else FINDINGS


def _resource(text: str) -> tuple[str, str]:
    """Return dimension and path of `territory:CN/31`. Raises `Usage` `resource.malformed`."""
    kind, colon, path = text.partition(":")
    if not (kind and colon and path):
        raise Usage("resource.malformed", resource=text)
    return kind, path


def _position(conn: psycopg.Connection[Any], tenant: str, text: str | None) -> int | None:
    """Return the position by whose knowledge is asked; an instant names the last one up to it."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    from uuid import UUID

    from projections.check_rows import POSITION_AT

    row = conn.execute(POSITION_AT, (UUID(tenant), instant_of(text))).fetchone()
    return 0 if row is None else row[0]


def _as_document(decision: Decision, why: Explanation) -> dict[str, Any]:
    import msgspec

    return {
        "decision": decision.allowed,
        "at": decision.at,
        "position": decision.position,
        "explanation": msgspec.to_builtins(why),
    }


def _as_lines(
    decision: Decision, why: Explanation, asked: tuple[str, str, str]
) -> Iterator[tuple[str, object]]:
    from api.explanations import sentence

    subject, action, resource = asked
    verdict = say("check.allow" if decision.allowed else "check.deny")
    yield say("check.answer"), verdict
    yield say("check.why"), sentence(why, cli_texts.spoken())
    yield say("check.asked"), say("check.question", subject=subject, action=action, on=resource)
    yield say("check.at"), decision.at
    yield say("check.position"), str(decision.position)
    if why.number is not None:
        yield say("check.grant"), say("check.number", number=why.number, terms=why.terms or 1)
        yield say("check.grant_id"), why.grant
    if why.policy_version is not None:
        yield say("check.policy"), say("check.version", version=why.policy_version)
    if why.rests_on is not None:
        yield say("check.rests_on"), str(why.rests_on)
    if why.chain:
        links = (say("check.number", number=one.number, terms=one.terms) for one in why.chain)
        yield say("check.chain"), "\n".join(links)
    if why.until is not None:
        yield say("check.until"), why.until


def compliance_duties(
    *,
    pair: Annotated[str | None, typer.Option("--pair", metavar="PAIR")] = None,
    as_of: AsOf = None,
    happened: Happened = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """List each case in which one person had two hands, with the positions of the events."""
    from projections.duty_breaches import PAIRS, Pair, breaches, totals

    wanted: Pair | None = next((one for one in PAIRS if one == pair), None)
    if pair is not None and wanted is None:
        raise Usage("duties.pair", pair=pair, known=PAIRS)
    found: list[dict[str, Any]] = []
    places = Places()
    with places.connection() as conn:
        known = tenant_of(conn, tenant)
        view = looked(conn, known, as_of, None, happened)
        with looking(places, conn, known, view):
            after: Any = None
            while True:
                page = breaches(conn, known.id, pair=wanted, after=after, limit=DUTIES_PAGE)
                found += page.items
                if page.last is None:
                    break
                after = page.last
            counted = totals(conn, known.id)
        numbers = staff_numbers(conn, known.id)
    if as_json:
        shown = {"cases": counted.cases, "pairs": counted.pairs, "position": counted.position}
        document({**shown, "items": found, **view.named()})
        return FINDINGS if found else FINE
    headings = [say(f"duties.{name}") for name in ("grant", "person", *ACTS)]
    table(headings, [_breach(one, numbers) for one in found])
    if found:
        line()
    line(say("duties.total", cases=counted.cases, position=counted.position))
    for name, number in counted.pairs.items():
        line(say("duties.count", pair=cli_texts.word("pairs", name), cases=number))
    return FINDINGS if found else FINE


def _breach(one: dict[str, Any], numbers: dict[str, str]) -> tuple[str, ...]:
    """A case and a person: who they are, and at which positions they had which hand."""
    parties: list[str] = one["parties"]
    called = ", ".join(numbers.get(ref.partition(":")[2], ref) for ref in parties)
    acts = [", ".join(map(str, one[act])) for act in ACTS]
    return (str(one["number"] or one["grant_id"]), called, *acts)


def staff_numbers(conn: psycopg.Connection[Any], tenant: str) -> dict[str, str]:
    """Return staff id -> number."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        rows = conn.execute(
            "SELECT s.staff_id::text, s.number FROM staff s JOIN generations g"
            " ON g.tenant_id = s.tenant_id AND g.projection = 'staff' AND g.live"
            " AND g.generation = s.generation WHERE s.tenant_id = %s",
            (tenant,),
        ).fetchall()
    return dict(rows)
