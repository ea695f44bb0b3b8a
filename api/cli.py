"""The command line, `counterseal`: reads the words, calls the command, tells what went wrong.

Nothing heavy is imported before a command needs it, so that help comes at once.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Final

import typer
from typer.exceptions import TyperException

from api import (
    cli_compliance,
    cli_database,
    cli_doctor,
    cli_grant,
    cli_history,
    cli_keys,
    cli_questions,
    cli_serve,
    cli_tenants,
    cli_texts,
    cli_work,
)
from api.cli_errors import Told, told
from api.cli_help import Group, path_of
from api.cli_shown import FINE, USAGE, aside, line
from api.cli_texts import say

LOCALES = ["COUNTERSEAL_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
"""Variables that name the language, as `api.settings` reads them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 fine, 1 findings, 2 usage, 3 cannot reach."""
    words = list(sys.argv[1:] if argv is None else argv)
    # Without a log the embedded server's notice would come on its own, in one language.
    logging.getLogger("counterseal.postgres").addHandler(logging.NullHandler())
    wanted, words = _lang(words)
    cli_texts.speak(cli_texts.understood(_locale() if wanted is None else wanted))
    if wanted not in (None, "zh", "en"):
        return _tell(Told("usage.lang", say("usage.lang", value=wanted), USAGE), words)
    try:
        found = command_line()(words, prog_name="counterseal", standalone_mode=False)
    except TyperException as fault:
        return _misused(fault, words)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone: nobody to tell
        return FINE
    except Exception as fault:
        known = told(fault)
        if known is None:
            raise
        return _tell(known, words)
    return found if isinstance(found, int) else FINE


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
    cli_tenants.register(app)
    cli_keys.register(app)
    cli_grant.register(app)
    cli_questions.register(app)
    cli_work.register(app)
    cli_compliance.register(app)
    cli_history.register(app)
    cli_doctor.register(app)
    if find_spec("api.cli_import") is not None:
        from api import cli_import

        cli_import.register(app)
    return app


def _root() -> None:
    """The commands stand below; see `cli_texts.toml` for what each says of itself."""


def _lang(words: list[str]) -> tuple[str | None, list[str]]:
    """Take `--lang` out of the words, wherever it stands."""
    rest: list[str] = []
    found: str | None = None
    following = iter(words)
    for word in following:
        if word == "--":
            return found, [*rest, word, *following]
        if word == "--lang":
            found = next(following, "")
        elif word.startswith("--lang="):
            found = word.removeprefix("--lang=")
        else:
            rest.append(word)
    return found, rest


def _locale() -> str:
    """Return what the environment says of the language, without loading the settings for it."""
    probe = typer.Typer(add_completion=False, rich_markup_mode=None)

    @probe.command()
    def asked(lang: Annotated[str, typer.Option(envvar=LOCALES)] = "en") -> str:
        return lang

    return str(probe([], standalone_mode=False))


_MISUSES: Final = {
    "NoSuchOption": "usage.no_option",
    "MissingParameter": "usage.missing",
    "BadParameter": "usage.bad_value",
}
_NO_COMMAND: Final = re.compile(r"No such command '(.+?)'\.(?: Did you mean (.+)\?)?")
"""How the library says that there is no such command; it has no exception of its own for it."""


def _misused(fault: TyperException, words: list[str]) -> int:
    """Tell how a command was misused; a group without a command shows its help."""
    kind = type(fault).__name__
    ctx: Any = getattr(fault, "ctx", None)
    if kind == "NoArgsIsHelpError":
        line(fault.format_message())
        return USAGE
    param: Any = getattr(fault, "param", None)
    named = None if param is None else _named(param)
    params: dict[str, Any] = {
        "name": getattr(fault, "option_name", named) or "",
        "why": fault.format_message(),
        "value": str(getattr(fault, "message", "")).rstrip("."),
    }
    no_command = _NO_COMMAND.fullmatch(params["why"])
    if no_command is not None:
        sentence = say("usage.no_command", name=no_command[1])
        if no_command[2]:
            sentence += say("usage.did_you_mean", names=no_command[2])
    else:
        sentence = say(_MISUSES.get(kind, "usage.wrong"), **params)
    if ctx is not None:
        path = f"counterseal {path_of(ctx)}".strip()
        sentence += say("usage.see", command=f"{path} --help")
    return _tell(Told("usage", sentence, USAGE), words)


def _named(param: Any) -> str:
    """Return a parameter as the help page shows it."""
    if param.param_type_name == "option":
        return str(param.opts[0])
    return str(param.metavar or param.name.upper())


def _tell(fault: Told, words: list[str]) -> int:
    """Say on standard error what went wrong: one line, as JSON where JSON was asked for."""
    if "--json" in words:
        document = {"code": fault.code, "detail": fault.sentence, "exit": fault.exit_code}
        aside(json.dumps(document, ensure_ascii=False))
    else:
        aside(f"counterseal: {fault.code}: {fault.sentence}")
    return fault.exit_code


if __name__ == "__main__":
    sys.exit(main())
