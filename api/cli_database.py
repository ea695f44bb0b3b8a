"""Commands on the database: provision, migrate, one pass of the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli_errors import Usage
from api.cli_help import Command, Group
from api.cli_places import Places, Tenant, instant_of, tenant_of, tenants
from api.cli_shown import FINE, Json, document, line, table
from api.cli_texts import say


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("migrate", cls=Command)(migrate)
    app.command("provision", cls=Command)(provision)
    app.command("tick", cls=Command)(tick)
    database = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    database.command("url", cls=Command)(database_url)
    app.add_typer(database, name="database", cls=Group)


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


def database_url(*, as_json: Json = False) -> int:
    """Print the database's address for the auditor: their role can read, and nothing else."""
    url = Places(migrates=False).url("auditor_database_url")
    if as_json:
        document({"url": url})
    else:
        line(url)
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
