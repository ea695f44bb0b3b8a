"""Questions to a ledger: may X do A on R; and in which cases one person had two hands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import cli_texts
from api.cli_errors import Usage
from api.cli_help import Command
from api.cli_places import Places, instant_of, party_of, tenant_of
from api.cli_shown import FINDINGS, FINE, Json, document, pairs
from api.cli_texts import say

if TYPE_CHECKING:
    import psycopg

    from projections.checks import Decision, Explanation

TenantOption = Annotated[str | None, typer.Option("--tenant", metavar="TENANT")]


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
    from projections.check_rows import POSITION_AT

    row = conn.execute(POSITION_AT, (tenant, instant_of(text))).fetchone()
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
    import msgspec

    from api.texts import text

    subject, action, resource = asked
    verdict = say("check.allow" if decision.allowed else "check.deny")
    yield say("check.answer"), verdict
    yield say("check.why"), text(why.code, cli_texts.spoken(), msgspec.structs.asdict(why))
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
        yield say("check.chain"), "\n".join(why.chain)
    if why.until is not None:
        yield say("check.until"), why.until
