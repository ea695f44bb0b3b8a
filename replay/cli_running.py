"""Runs a command line: reads words and language, calls the command, tells what went wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import typer
from typer.exceptions import TyperException

from replay.cli_errors import Told
from replay.cli_help import path_of
from replay.cli_shown import FINE, USAGE, aside, line
from replay.cli_texts import Texts, understood

LOCALES: Final = ["COUNTERSEAL_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
"""Variables that name the language, as `api.settings` reads them."""


def run(
    texts: Texts,
    command_line: Callable[[], typer.Typer],
    told: Callable[[Exception], Told | None],
    argv: Sequence[str] | None,
) -> int:
    """Run one command and return its exit code; `told` says how a fault is told, None for one whose
    trace is wanted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    wanted, words = _lang(words)
    texts.speak(understood(_locale() if wanted is None else wanted))
    if wanted not in (None, "zh", "en"):
        fault = Told("usage.lang", texts.say("usage.lang", value=wanted), USAGE)
        return _tell(texts, fault, words)
    try:
        found = command_line()(words, prog_name=texts.program, standalone_mode=False)
    except TyperException as fault:
        return _misused(texts, fault, words)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone: nobody to tell
        return FINE
    except Exception as fault:
        known = told(fault)
        if known is None:
            raise
        return _tell(texts, known, words)
    return found if isinstance(found, int) else FINE


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
    """Return what the environment says of the language, without loading any settings for it."""
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


def _misused(texts: Texts, fault: TyperException, words: list[str]) -> int:
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
        sentence = texts.say("usage.no_command", name=no_command[1])
        if no_command[2]:
            sentence += texts.say("usage.did_you_mean", names=no_command[2])
    else:
        sentence = texts.say(_MISUSES.get(kind, "usage.wrong"), **params)
    if ctx is not None:
        path = f"{texts.program} {path_of(ctx)}".strip()
        sentence += texts.say("usage.see", command=f"{path} --help")
    return _tell(texts, Told("usage", sentence, USAGE), words)


def _named(param: Any) -> str:
    """Return a parameter as the help page shows it."""
    if param.param_type_name == "option":
        return str(param.opts[0])
    return str(param.metavar or param.name.upper())


def _tell(texts: Texts, fault: Told, words: list[str]) -> int:
    """Say on standard error what went wrong: one line, as JSON where JSON was asked for."""
    if "--json" in words:
        document = {"code": fault.code, "detail": fault.sentence, "exit": fault.exit_code}
        aside(json.dumps(document, ensure_ascii=False))
    else:
        aside(f"{texts.program}: {fault.code}: {fault.sentence}")
    return fault.exit_code
