"""`counterseal grant`: grants listed and shown, from a running service or from the databases here.

With a key the service is asked, as those who work with it do; without one the databases of this
installation are read, as its operator does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli_acts import VerbGroup
from api.cli_errors import Failure, Usage
from api.cli_help import Command
from api.cli_past import AsOf, At, Happened, Looked, looked
from api.cli_places import Places, claimed, tenant_of
from api.cli_service import KeyFile, ServiceBook, grant_id, grant_number, has_key, opened, party_ref
from api.cli_shown import FINE, Json, aside, document, line, pairs, table
from api.cli_texts import say, word

if TYPE_CHECKING:
    from api.cli_client import Service
    from api.cli_grant_shown import Book
    from domain.ledger import Ledgers

EVENTS_A_PAGE: Final = 500


def register(app: typer.Typer) -> None:
    """Add the commands of this file, and a verb for every command on a grant."""
    grant = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    grant.command("list", cls=Command)(grant_list)
    grant.command("show", cls=Command)(grant_show)
    app.add_typer(grant, name="grant", cls=VerbGroup)


def grant_list(
    *,
    grantee: Annotated[str | None, typer.Option("--grantee", metavar="PARTY")] = None,
    status: Annotated[str | None, typer.Option("--status", metavar="STATE")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND")] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="ROWS", min=1)] = None,
    as_of: AsOf = None,
    at: At = None,
    happened: Happened = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> int:
    """List grants page after page: a table for people, one line of JSON a grant for programs."""
    service = opened(key_file)
    query = {
        "grantee": None if grantee is None else party_ref(service, grantee),
        "status": status,
        "kind": kind,
        "as_of": as_of,
        "at": at,
        "happened": happened,
    }
    book = ServiceBook(service)
    listed = 0
    for page in service.pages("/v1/grants", query):
        rows = page if limit is None else page[: limit - listed]
        if as_json:
            for one in rows:
                line(json.dumps(one, ensure_ascii=False))
        else:
            table(None if listed else _headings(), [_row(one, book) for one in rows])
        listed += len(rows)
        if limit is not None and listed >= limit:
            aside(say("grant.cut", limit=limit))
            return FINE
    if not listed and not as_json:
        line(say("grant.none_listed"))
    return FINE


def _headings() -> list[str]:
    names = ("grant", "list_status", "list_kind", "list_grantee", "list_actions", "list_ends")
    return [say(f"grant.{name}" if name != "grant" else "duties.grant") for name in names]


def _row(one: Mapping[str, Any], book: ServiceBook) -> tuple[str, ...]:
    from api.cli_grant_shown import when

    return (
        one["number"] or one["grant_id"],
        word("statuses", one["status"]),
        book.kind(one["kind"]),
        book.of(one["grantee"]) if one["grantee"] else "",
        ", ".join(one["actions"]),
        when(one["revoked_from"] or one["ends_at"]),
    )


def grant_show(
    grant: Annotated[str, typer.Argument(metavar="NUMBER")],
    *,
    as_of: AsOf = None,
    at: At = None,
    happened: Happened = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> int:
    """Show a grant by its number or id; sealed texts stay sealed."""
    if tenant is None and has_key(key_file):
        from api.cli_own import grant_read

        service = opened(key_file)
        stream = grant_id(service, grant)
        past = {"as_of": as_of, "at": at, "happened": happened}
        found = grant_read(service, stream, past)
        found["history"] = _events(service, stream, past | {"at": None})
        _shown(found, ServiceBook(service), as_json=as_json)
        return FINE
    places = Places()
    with places.connection() as conn:
        owner = tenant_of(conn, tenant)
        stream = _stream(places, conn, owner.id, grant)
        view = looked(conn, owner, as_of, at, happened)
    from domain.ledger import Ledgers

    with closing(Ledgers(places.url("database_url"), None, _clock, writers=1)) as ledgers:
        read = _read(ledgers, owner.id, stream, view)
        if read is None:
            raise Usage("grant.unknown", grant=grant)
        _shown(read, _LedgerBook(ledgers, owner.id), as_json=as_json)
    return FINE


def _events(service: Service, stream: str, past: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Return all events of a grant; none where the key opens no more than one's own view."""
    from api.cli_own import OWN_ONLY

    try:
        query = {"limit": EVENTS_A_PAGE, **past}
        pages = service.pages(f"/v1/grants/{stream}/events", query)
        return [one for page in pages for one in page]
    except Failure as fault:
        if fault.code != OWN_ONLY:
            raise
    return []


def _shown(found: Mapping[str, Any], book: Book, *, as_json: bool) -> None:
    from api.cli_grant_shown import grant_rows, headings, timeline

    if as_json:
        document(found)
        return
    pairs(grant_rows(found, book))
    history: Sequence[Mapping[str, Any]] = found["history"]
    if history:
        line()
        table(headings(), timeline(history, book))


def _clock() -> datetime:
    return datetime.now(UTC)


def _read(ledgers: Ledgers, tenant: str, stream: str, view: Looked) -> dict[str, Any] | None:
    """Return a grant as the doors show it, with its history; None where there is none."""
    from api import rendering

    streams = view.of(ledgers.ledger(tenant))
    streams.refresh([stream])
    loaded = streams.recall("grant", stream)
    if loaded is None or loaded.state is None:
        return None
    history = [one for one in ledgers.history(tenant, stream) if view.sees(one)]
    return {
        "id": stream,
        "version": loaded.version,
        "state": rendering.state("grant", loaded.state, view.at),
        "history": [rendering.event(one) for one in history],
        **view.named(),
    }


def _stream(places: Places, conn: Any, tenant: str, text: str) -> str:
    """Return the stream of a grant by id or readable number. Raises `Usage` `grant.unknown`."""
    from api.ids import is_id

    if is_id(text):
        return text
    found = claimed(places, conn, tenant, "grant_number", grant_number(text))
    if found is None:
        raise Usage("grant.unknown", grant=text)
    return found


class _LedgerBook:
    """What the ledger says things are called: a staff number, a customer's title or number."""

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

    def policy(self, policy: str, version: int) -> Mapping[str, Any] | None:
        """Return the body of a policy's version; None where there is none."""
        import msgspec

        state = self._ledgers.load(self._tenant, "policy", policy).state
        known = None if state is None else state.versions.get(version)
        return None if known is None else msgspec.to_builtins(known.body, str_keys=True)
