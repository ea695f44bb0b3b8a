"""The command line, `counterseal`: reads the words, calls the command, tells what went wrong.

Nothing heavy is imported before a command needs it, so that help comes at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.util import find_spec

import typer

from api import (
    cli_compliance,
    cli_database,
    cli_doctor,
    cli_grant,
    cli_history,
    cli_keys,
    cli_projections,
    cli_quarantine,
    cli_questions,
    cli_serve,
    cli_tenants,
    cli_texts,
    cli_work,
)
from api.cli_errors import told
from api.cli_help import Group
from replay.cli_running import run


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 fine, 1 findings, 2 usage, 3 cannot reach."""
    # Without a log the embedded server's notice would come on its own, in one language.
    logging.getLogger("counterseal.postgres").addHandler(logging.NullHandler())
    return run(cli_texts.OWN, command_line, told, argv)


def command_line() -> typer.Typer:
    """Return the application with every command."""
    app = typer.Typer(
        name="counterseal",
        cls=Group,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(cls=Group)(_root)
    cli_serve.register(app)
    cli_database.register(app)
    cli_projections.register(app)
    cli_quarantine.register(app)
    cli_tenants.register(app)
    cli_keys.register(app)
    cli_grant.register(app)
    cli_questions.register(app)
    cli_work.register(app)
    cli_compliance.register(app)
    cli_history.register(app)
    cli_doctor.register(app)
    if find_spec("api.cli_import") is not None:
        from api import cli_import, cli_template

        cli_import.register(app)
        cli_template.register(app)
    return app


def _root() -> None:
    """The commands stand below; see `cli_texts.toml` for what each says of itself."""


if __name__ == "__main__":
    sys.exit(main())
