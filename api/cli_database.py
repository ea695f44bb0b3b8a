"""Commands on the database: provision, migrate, one pass of the clock, how far read models are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli_errors import Usage
from api.cli_help import Command, Group
from api.cli_places import Places, Tenant, instant_of, tenant_of, tenants
from api.cli_shown import FINE, Json, aside, document, line, table
from api.cli_texts import say


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("migrate", cls=Command)(migrate)
    app.command("provision", cls=Command)(provision)
    app.command("tick", cls=Command)(tick)
    projections = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    projections.command("list", cls=Command)(projections_list)
    app.add_typer(projections, name="projections", cls=Group)


def migrate(*, as_json: Json = False) -> int:
    """Apply what is pending in both databases."""
    from api.provisioning import KEYS_FOLDER, embedded_database, migrate_both
    from api.settings import read_settings
    from projections import migrate as migrations

    settings = read_settings()
    if settings.embedded:
        done = migrate_both(embedded_database(settings.postgres_folder))
    else:  # keys before what they seal
        keys = migrations.migrate(settings.url("keys_migrator_database_url"), KEYS_FOLDER)
        ledger = migrations.migrate(settings.url("migrator_database_url"), migrations.FOLDER)
        done = [one.name for one in [*keys, *ledger]]
    if as_json:
        document({"applied": done})
    else:
        for name in done:
            line(say("migrate.applied", name=name))
        line(say("migrate.done" if done else "migrate.nothing"))
    return FINE


def provision(
    admin_url: Annotated[
        str, typer.Option("--admin-url", metavar="URL", envvar="ADMIN_DATABASE_URL")
    ],
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME")] = "counterseal",
    secrets: Annotated[Path | None, typer.Option("--secrets", metavar="FOLDER")] = None,
    reset: Annotated[bool, typer.Option("--reset-passwords")] = False,
    as_json: Json = False,
) -> int:
    """Make roles and databases on a server, migrate them, write the addresses to a file."""
    from api.postgres_host import write_secret
    from api.provisioning import migrate_both
    from api.provisioning import provision as make
    from api.settings import DATABASE_URLS, read_settings

    folder = read_settings().data_dir if secrets is None else secrets
    database = make(admin_url, name, folder, reset=reset)
    done = migrate_both(database)
    fields = {
        "database_url": database.service,
        "keys_database_url": database.keys,
        "projector_database_url": database.projector,
        "migrator_database_url": database.migrator,
        "keys_migrator_database_url": database.keys_migrator,
        "auditor_database_url": database.auditor,
    }
    file = folder / f"{name}.env"
    text = "".join(f"{DATABASE_URLS[field]}='{url}'\n" for field, url in fields.items())
    write_secret(file, text)
    if as_json:
        document({"file": str(file), "applied": done, "variables": list(DATABASE_URLS.values())})
    else:
        line(say("provision.done", name=name, file=file))
        line(say("provision.use", file=file))
    return FINE


def tick(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="INSTANT")] = None,
    as_json: Json = False,
) -> int:
    """Write down once what the clock did, for one tenant or for all."""
    from api import timekeeper

    places, instant = Places(), instant_of(at)
    with places.connection() as conn:
        known = tenants(conn) if tenant is None else [tenant_of(conn, tenant)]
    with places.services() as services:
        if instant is not None and (len(known) != 1 or known[0].clock != "given"):
            raise Usage("tick.at")
        passes: list[tuple[Tenant, Any]] = [
            (one, timekeeper.tick(services.ledgers, one.id, instant)) for one in known
        ]
    if as_json:
        document([{"tenant": one.id, "name": one.name, **_counts(found)} for one, found in passes])
    else:
        headings = [say(f"tick.{key}") for key in ("tenant", "due", "written", "left")]
        table(headings, [(one.name, *_counts(found).values()) for one, found in passes])
    return FINE


def _counts(found: Any) -> dict[str, int]:
    return {"due": found.due, "written": found.written, "left": found.left}


def projections_list(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    as_json: Json = False,
) -> int:
    """Show every read model, and how far behind its log it is."""
    places = Places()
    with places.connection() as conn:
        only = None if tenant is None else tenant_of(conn, tenant).id
        found = models(conn, only)
    if as_json:
        document([dict(zip(MODEL, row, strict=True)) for row in found])
        return FINE
    headings = [say(f"projections.{key}") for key in MODEL if key != "tenant_id"]
    table(headings, [(*row[1:4], _yes(row[4]), row[5], row[6]) for row in found])
    if not found:
        aside(say("projections.none"))
    return FINE


MODEL = ("tenant_id", "tenant", "projection", "generation", "live", "position", "behind")


def models(conn: Any, tenant: str | None) -> list[tuple[Any, ...]]:
    """Return rows of `MODEL`; the inline ones are never behind, for `append` writes them."""
    from projections.inline import FOLDS

    return conn.execute(
        "SELECT t.tenant_id::text, t.name, g.projection, g.generation, g.live,"
        " CASE WHEN g.projection = ANY (%(inline)s) THEN l.position ELSE c.position END,"
        " CASE WHEN g.projection = ANY (%(inline)s) THEN 0 ELSE l.position - c.position END"
        " FROM tenants t JOIN ledgers l USING (tenant_id) JOIN generations g USING (tenant_id)"
        " JOIN checkpoints c USING (tenant_id, projection, generation)"
        " WHERE %(tenant)s::uuid IS NULL OR t.tenant_id = %(tenant)s::uuid"
        " ORDER BY t.created_at, t.tenant_id, g.projection, g.generation",
        {"inline": list(FOLDS), "tenant": tenant},
    ).fetchall()


def _yes(value: bool) -> str:
    return say("yes" if value else "no")
