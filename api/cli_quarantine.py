"""Commands on streams in quarantine: which there are, what is there, end it after the repair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import cli_texts
from api.cli_errors import Failure, Usage
from api.cli_help import Command, Group
from api.cli_places import Places, tenant_of, tenants
from api.cli_places import Tenant as TenantRow
from api.cli_shown import FINDINGS, FINE, Json, aside, document, instant, line, pairs, table
from api.cli_texts import say

if TYPE_CHECKING:
    from replay.healing import Healed
    from replay.quarantine import Held, Shown

Tenant = Annotated[str | None, typer.Option("--tenant", metavar="TENANT")]
Stream = Annotated[str, typer.Argument(metavar="STREAM")]

COLUMNS = ("tenant", "stream", "kind", "number", "position", "code", "since", "denied")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    quarantine = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    quarantine.command("list", cls=Command)(quarantine_list)
    quarantine.command("show", cls=Command)(quarantine_show)
    quarantine.command("heal", cls=Command)(quarantine_heal)
    app.add_typer(quarantine, name="quarantine", cls=Group)


def quarantine_list(*, tenant: Tenant = None, as_json: Json = False) -> int:
    """Show every stream in quarantine, and what is denied because of it."""
    found = _held(Places(), tenant)
    if as_json:
        document([_document(one, held) for one, held in found])
        return FINE
    if not found:
        aside(say("quarantine.none"))
        return FINE
    headings = [say(f"quarantine.{name}") for name in COLUMNS]
    table(headings, [_row(one, held) for one, held in found])
    return FINE


def quarantine_show(
    stream: Stream,
    *,
    tenant: Tenant = None,
    around: Annotated[int, typer.Option("--around", metavar="N", min=0, max=500)] = 5,
    as_json: Json = False,
) -> int:
    """Show the events around the place as they are stored."""
    from replay.quarantine import around as events_around

    places = Places()
    with places.connection() as conn:
        one = tenant_of(conn, tenant)
        held = _one(conn, one, stream)
        events = events_around(conn, one.id, held.stream_id, held.position, around)
    if as_json:
        document(_document(one, held) | {"events": [_event(shown) for shown in events]})
        return FINE
    row = _row(one, held)
    pairs([(say(f"quarantine.{name}"), row[n]) for n, name in enumerate(COLUMNS)])
    if held.columns:
        pairs([(say("quarantine.columns"), ", ".join(held.columns))])
    for shown in events:
        what = "" if shown.fault is None else f"  {_code(shown.fault)}"
        when = instant(shown.recorded_at)
        line(f"{shown.position}  v{shown.version}  {shown.type}  {when}  {shown.actor}{what}")
        line(f"  {_text(shown.data)}")
    return FINE


def quarantine_heal(
    stream: Annotated[str | None, typer.Argument(metavar="STREAM")] = None,
    *,
    tenant: Tenant = None,
    everything: Annotated[bool, typer.Option("--all")] = False,
    as_json: Json = False,
) -> int:
    """Fold streams again and put their rows in place, after the repair."""
    from api.ids import is_id

    if (stream is None) == (not everything):
        raise Usage("quarantine.which")
    places = Places()
    if stream is not None:
        if not is_id(stream):
            raise Usage("quarantine.malformed", stream=stream)
        with places.connection() as conn:
            asked = [(tenant_of(conn, tenant), stream)]
    else:
        asked = [(one, held.stream_id) for one, held in _held(places, tenant)]
    done: list[tuple[TenantRow, str, Healed]] = []
    along: set[str] = set()
    for one, stream_id in asked:
        if stream_id in along:
            continue  # it was healed with another one
        healed = _heal(places, one, stream_id)
        along.update(healed.streams)
        done.append((one, stream_id, healed))
        if not as_json:
            _tell(one, stream_id, healed)
    if as_json:
        document([_healed(*each) for each in done])
    elif not done:
        aside(say("quarantine.none"))
    return FINDINGS if any(healed.faults for _, _, healed in done) else FINE


def _heal(places: Places, tenant: TenantRow, stream: str) -> Healed:
    from replay.healing import HealRefused, heal

    try:
        return heal(places.url("migrator_database_url"), tenant.id, stream)
    except HealRefused as fault:
        params = {**fault.params, "tenant": tenant.name}
        if fault.code == "heal.unknown_stream":
            raise Usage(fault.code, **params) from None
        raise Failure(fault.code, say(fault.code, **params), FINDINGS) from None


def _held(places: Places, tenant: str | None) -> list[tuple[TenantRow, Held]]:
    from replay.quarantine import held

    with places.connection() as conn:
        known = tenants(conn) if tenant is None else [tenant_of(conn, tenant)]
        return [(one, each) for one in known for each in held(conn, one.id)]


def _one(conn: Any, tenant: TenantRow, stream: str) -> Held:
    from api.ids import is_id
    from replay.quarantine import held

    if not is_id(stream):
        raise Usage("quarantine.malformed", stream=stream)
    found = held(conn, tenant.id, stream)
    if not found:
        raise Usage("quarantine.unknown", stream=stream, tenant=tenant.name)
    return found[0]


def _row(tenant: TenantRow, held: Held) -> tuple[Any, ...]:
    return (
        tenant.name,
        held.stream_id,
        "" if held.kind is None else cli_texts.word("streams", held.kind),
        held.number or "",
        held.position,
        _code(held.code),
        instant(held.found_at),
        _denied(held),
    )


def _denied(held: Held) -> str:
    """Say what checks deny because of this stream."""
    known = ("grant", "customer", "staff", "catalogue")
    name = held.kind if held.kind in known else "none" if held.kind else "row"
    return say(f"quarantine.denied_{name}", grants=held.grants)


def _code(code: str) -> str:
    return cli_texts.word("quarantined", code)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _document(tenant: TenantRow, held: Held) -> dict[str, Any]:
    return {
        "tenant_id": tenant.id,
        "tenant": tenant.name,
        **held._asdict(),
        "denied": _denied(held),
    }


def _event(shown: Shown) -> dict[str, Any]:
    return {**shown._asdict(), "data": _text(shown.data)}


def _healed(tenant: TenantRow, stream: str, healed: Healed) -> dict[str, Any]:
    return {
        "tenant": tenant.id,
        "name": tenant.name,
        "stream_id": stream,
        "healed": not healed.faults,
        "streams": healed.streams,
        "position": healed.position,
        "rows": healed.rows,
        "faults": [one._asdict() for one in healed.faults],
    }


def _tell(tenant: TenantRow, stream: str, healed: Healed) -> None:
    for fault in healed.faults:
        line(
            say(
                "quarantine.still",
                tenant=tenant.name,
                stream=stream,
                position=fault.position,
                what=_code(fault.code),
            )
        )
    if not healed.faults:
        rows = sum(healed.rows.values())
        line(
            say(
                "quarantine.healed",
                tenant=tenant.name,
                streams=", ".join(healed.streams),
                rows=rows,
                position=healed.position,
            )
        )
