"""Commands on API keys: make one (shown once), list them, give one a new secret, end one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli_errors import Usage
from api.cli_help import Command, Group
from api.cli_places import Places, exists, instant_of, party_of, tenant_of
from api.cli_shown import FINDINGS, FINE, Json, aside, document, line, plain, table
from api.cli_texts import say

if TYPE_CHECKING:
    from psycopg import Connection

    from api.cli_places import Tenant
    from domain.values import Party

TenantOption = Annotated[str | None, typer.Option("--tenant", metavar="TENANT")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    key = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    key.command("create", cls=Command)(key_create)
    key.command("list", cls=Command)(key_list)
    key.command("rotate", cls=Command)(key_rotate)
    key.command("end", cls=Command)(key_end)
    key.command("link", cls=Command)(key_link)
    app.add_typer(key, name="key", cls=Group)


def key_create(
    party: Annotated[str, typer.Option("--party", metavar="PARTY")],
    scope: Annotated[list[str], typer.Option("--scope", metavar="SCOPE")],
    *,
    person: Annotated[str | None, typer.Option("--person", metavar="ID")] = None,
    tenant: TenantOption = None,
    ends_at: Annotated[str | None, typer.Option("--ends-at", metavar="INSTANT")] = None,
    as_json: Json = False,
) -> int:
    """Make a key; it is shown this once."""
    from api import identity

    places, ends = Places(), instant_of(ends_at)
    scopes = _scopes(scope)
    _require_scopes(scopes)
    found, holder = _holder(places, tenant, party, person)
    ref = holder.ref
    with places.keys() as keys, places.connection("migrator_database_url") as conn:
        made = identity.create_key(conn, keys, found.id, holder, scopes, ends)
    parts = identity.parse(made)
    if as_json:
        key_id = None if parts is None else parts.key_id
        document({"key": made, "key_id": key_id, "tenant": found.id, "party": ref})
    else:
        line(made)
        aside(say("key.once", key_id="" if parts is None else parts.key_id, party=ref))
    return FINE


def _scopes(given: list[str]) -> list[str]:
    return [one.strip() for some in given for one in some.split(",") if one.strip()]


def _require_scopes(scopes: list[str]) -> None:
    from api import identity

    unknown = sorted(set(scopes) - identity.SCOPES)
    if unknown or not scopes:
        raise Usage("key.scope", unknown=unknown, known=sorted(identity.SCOPES))


def _holder(
    places: Places, tenant: str | None, party: str, person: str | None
) -> tuple[Tenant, Party]:
    """Return the tenant and whose key it is to be. Raises `Usage`."""
    from api.ids import is_id
    from domain.values import Party

    with places.connection() as conn:
        found = tenant_of(conn, tenant)
        ref = party_of(places, conn, found.id, party)
        if ref.startswith("customer:") and person is None:
            raise Usage("key.person", party=party)
        if person is not None and not (is_id(person) and exists(conn, found.id, "person", person)):
            raise Usage("party.unknown", party=f"person:{person}")
    return found, Party(ref, person)


SCREENS = (
    "evaluate",
    "grants:read",
    "grants:request",
    "grants:verify",
    "grants:approve",
    "grants:sign",
    "grants:supervise",
    "customers",
    "policies",
    "me",
)
"""Scopes of a key made for a link, where none are named: what the screens use."""


def key_link(
    key: Annotated[str | None, typer.Argument(metavar="KEY_ID")] = None,
    *,
    party: Annotated[str | None, typer.Option("--party", metavar="PARTY")] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", metavar="SCOPE")] = None,
    person: Annotated[str | None, typer.Option("--person", metavar="ID")] = None,
    minutes: Annotated[int, typer.Option("--minutes", metavar="N", min=1, max=1440)] = 15,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """Make a link that signs a person in on the screens, once."""
    from datetime import UTC, datetime, timedelta

    from api import identity
    from api.screens.sessions import SESSION_SECONDS, create_link
    from api.settings import read_settings

    if (key is None) == (party is None):
        raise Usage("key.link_whose")
    places = Places()
    if party is not None:
        scopes = _scopes(scope or list(SCREENS))
        _require_scopes(scopes)
        found, holder = _holder(places, tenant, party, person)
        # Nobody is shown the key itself; it ends when the longest session opened by the link does.
        ends = datetime.now(UTC) + timedelta(minutes=minutes, seconds=SESSION_SECONDS)
        with places.keys() as keys, places.connection("migrator_database_url") as conn:
            made = identity.create_key(conn, keys, found.id, holder, scopes, ends)
        key = made
    key_id, tenant = _named(key or "", tenant)
    with places.connection("migrator_database_url") as conn, places.keys() as keys:
        of = _tenant_as_owner(conn, tenant).id
        link = create_link(conn, keys, of, key_id, minutes * 60)
    url = f"{read_settings().base_url}/sign-in?link={link}"
    if as_json:
        document({"url": url, "key_id": key_id, "tenant": of, "minutes": minutes})
    else:
        line(url)
        aside(say("key.link_once", key_id=key_id, minutes=minutes))
    return FINE


COLUMNS = ("key_id", "party", "person", "scopes", "made", "ends", "withdrawn", "used")


def key_list(*, tenant: TenantOption = None, as_json: Json = False) -> int:
    """List the keys of a tenant; no secret is stored, so none is shown."""
    from api import identity

    with Places().connection("migrator_database_url") as conn:
        found = _tenant_as_owner(conn, tenant)
        rows = identity.list_keys(conn, found.id)
    if as_json:
        document([dict(zip(COLUMNS, map(plain, row), strict=True)) for row in rows])
        return FINE
    headings = [say(f"key.{name}") for name in COLUMNS if name != "person"]
    table(
        headings,
        [(row[0], row[1], ",".join(row[3]), *row[4:]) for row in rows],
    )
    if not rows:
        aside(say("key.none"))
    return FINE


def key_rotate(
    key: Annotated[str, typer.Argument(metavar="KEY_ID")],
    *,
    overlap: Annotated[int, typer.Option("--overlap", metavar="HOURS", min=0, max=720)] = 24,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """Give a key a new secret; it is shown this once, and the former one goes on for a while."""
    from datetime import timedelta

    from api import identity

    places = Places()
    key_id, tenant = _named(key, tenant)
    with places.connection("migrator_database_url") as conn, places.keys() as keys:
        of = _tenant_as_owner(conn, tenant).id
        made = identity.rotate_key(conn, keys, of, key_id, timedelta(hours=overlap))
    if as_json:
        document(
            {
                "key": made.key,
                "key_id": key_id,
                "tenant": of,
                "party": made.party,
                "former_until": plain(made.former_until),
            }
        )
    else:
        line(made.key)
        told = {"key_id": key_id, "party": made.party, "until": plain(made.former_until)}
        aside(say("key.rotated" if overlap else "key.rotated_at_once", **told))
    return FINE


def _named(key: str, tenant: str | None) -> tuple[str, str | None]:
    """Return the id of a key and the tenant it is of, as far as that was named: by the key's whole
    text, or beside its id. Raises `Usage`.
    """
    from api import identity
    from api.ids import is_id

    parts = identity.parse(key)
    key_id = key if parts is None else parts.key_id
    if not is_id(key_id):
        raise Usage("key.malformed", key=key[:8])
    return key_id, tenant if parts is None else parts.tenant


def _tenant_as_owner(conn: Connection[Any], tenant: str | None) -> Tenant:
    """Return the tenant; the list of tenants is the owner's."""
    conn.execute("SET ROLE counterseal_owner")
    found = tenant_of(conn, tenant)
    conn.execute("RESET ROLE")
    return found


def key_end(
    key: Annotated[str, typer.Argument(metavar="KEY_ID")],
    *,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> int:
    """End a key; it opens nothing any more once this returns."""
    from api import identity

    key_id, tenant = _named(key, tenant)
    with Places().connection("migrator_database_url") as conn:
        of = _tenant_as_owner(conn, tenant).id
        ended = identity.withdraw_key(conn, of, key_id)
    if as_json:
        document({"key_id": key_id, "ended": ended})
    else:
        line(say("key.ended" if ended else "key.not_there", key_id=key_id))
    return FINE if ended else FINDINGS
