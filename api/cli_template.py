"""The command that makes files to fill in: `counterseal template register FILE.xlsx`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli_errors import Usage
from api.cli_help import Command, Group
from api.cli_importing import unusable
from api.cli_places import Places, tenant_of
from api.cli_shown import FINE, line
from api.cli_texts import spoken


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(cls=Group, no_args_is_help=True)
    group.command("register", cls=Command)(template_register)
    app.add_typer(group, name="template")


def template_register(
    file: Annotated[Path, typer.Argument(metavar="FILE.xlsx")],
    *,
    policy: Annotated[str, typer.Option("--policy", metavar="KIND")],
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    force: Annotated[bool, typer.Option("--force")] = False,
) -> int:
    """Make a workbook for a register of one kind."""
    from api.importing.faults import Unusable
    from api.importing.register_building import SOURCE
    from api.importing.register_plan import ruling
    from api.importing.register_template import write_template
    from api.importing.site import Site

    if file.exists() and not force:
        raise Usage("template.there", file=str(file))
    places = Places()
    with places.connection() as conn:
        found = tenant_of(conn, tenant)
    with places.services() as services:
        site = Site(
            services.ledgers, services.keys, services.sealer, found.id, SOURCE, dry_run=True
        )
        now = services.ledgers.now(found.id)
        try:
            write_template(file, ruling(site, policy, now), now, spoken())
        except Unusable as fault:
            return unusable(fault, as_json=False)
        except OSError as fault:
            raise Usage("template.unwritable", file=str(file), why=fault.strerror) from fault
    line(str(file))
    return FINE
