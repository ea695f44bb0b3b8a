"""The auditor's command line, `counterseal-audit`: it reads, and changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from replay import cli_as_of, cli_bundle, cli_diff, cli_help, cli_history, cli_verify
from replay.cli_errors import Told, Usage, of_database, of_program, of_usage, template
from replay.cli_places import OWN
from replay.cli_running import run
from replay.cli_shown import FINDINGS, UNREACHABLE, USAGE


class Command(cli_help.Command):
    """A command with our help page."""

    texts = OWN


class Group(cli_help.Group):
    """The program with our help page."""

    texts = OWN


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 fine, 1 findings, 2 usage, 3 cannot reach."""
    return run(OWN, command_line, told, argv)


def command_line() -> typer.Typer:
    """Return the application with every command."""
    app = typer.Typer(
        name=OWN.program,
        cls=Group,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(cls=Group)(_root)
    app.command("verify", cls=Command)(cli_verify.verify)
    app.command("as-of", cls=Command)(cli_as_of.as_of)
    app.command("history", cls=Command)(cli_history.history)
    app.command("diff", cls=Command)(cli_diff.diff)
    app.command("compare", cls=Command)(cli_verify.compare)
    app.command("bundle", cls=Command)(cli_bundle.bundle)
    return app


def _root() -> None:
    """The commands stand below; see `texts.toml` for what each says of itself."""


def told(fault: Exception) -> Told:
    """Return how a fault is told: a code, a sentence, never a trace."""
    if isinstance(fault, Usage):
        return of_usage(OWN, fault.code, **fault.params)
    known = of_database(OWN, fault)
    if known is not None:
        return known
    match type(fault).__name__:  # what is loaded by the command alone is not loaded to look
        case "UnknownTenant":
            return _unknown_tenant(fault)
        case "OutOfReach":
            return of_usage(OWN, getattr(fault, "code", ""), **getattr(fault, "params", {}))
        case "Damaged":
            return _damaged(fault)
        case "NewerEvent" | "UnknownEvent":
            name = str(getattr(fault, "name", ""))
            return _fault("log.newer", UNREACHABLE, name=name)
        case _:
            pass
    if isinstance(fault, OSError) and fault.filename is not None:
        why = fault.strerror or type(fault).__name__
        return _fault("file.unusable", USAGE, file=Path(str(fault.filename)).name, why=why)
    return of_program(OWN, fault)


def _unknown_tenant(fault: Exception) -> Told:
    names: Sequence[str] = getattr(fault, "names", ())
    asked: str | None = getattr(fault, "asked", None)
    if not names:
        return of_usage(OWN, "tenant.none")
    return of_usage(
        OWN, "tenant.which" if asked is None else "tenant.unknown", tenant=asked, names=names
    )


def _damaged(fault: Exception) -> Told:
    """A bundle that is not as it was made: what, and where."""
    code = str(getattr(fault, "code", "bundle.damaged"))
    what = OWN.word("damages", code)
    params = {"what": what, "place": getattr(fault, "place", "?")}
    sentence = template(OWN, "faults", "bundle.damaged", params)
    return Told(code, sentence or what, FINDINGS)


def _fault(code: str, exit_code: int, /, **params: str) -> Told:
    return Told(code, template(OWN, "faults", code, params) or code, exit_code)


if __name__ == "__main__":
    sys.exit(main())
