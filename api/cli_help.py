"""Help pages in the language spoken: what a command does, what it takes, an example of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

from api import cli_texts
from api.cli_shown import width
from api.cli_texts import say, word

INDENT = "  "


class Command(TyperCommand):
    """A command with our help page. Contexts and parameters are the library's own."""

    def get_help(self, ctx: Any) -> str:
        return page(self, ctx)


class Group(TyperGroup):
    """A group of commands with our help page."""

    def get_help(self, ctx: Any) -> str:
        return page(self, ctx)


Section = tuple[str, list[tuple[str, str]]]
"""A heading, by its key in the texts, and what stands below it in two columns."""


def page(command: Any, ctx: Any, *more: Section) -> str:
    """Return the help page of a command or a group; `more` stands behind its arguments."""
    path = path_of(ctx)
    known = cli_texts.texts()["commands"][path or "counterseal"]
    usage = " ".join([ctx.command_path, *_usage(command)])
    lines = [known[cli_texts.spoken()], "", f"{say('help.usage')} {usage}"]
    arguments = [_argument(path, one) for one in command.params if one.param_type_name != "option"]
    options = [_option(path, one) for one in command.params if one.param_type_name == "option"]
    options += [("--lang zh|en", word("params", "lang")), ("--help", word("params", "help"))]
    for heading, rows in (
        ("help.commands", list(_commands(command, path))),
        ("help.arguments", arguments),
        *more,
        ("help.options", options),
    ):
        if rows:
            lines += ["", say(heading), *_columns(rows)]
    lines += ["", say("help.example"), f"{INDENT}{known['example']}"]
    if not path:
        lines += ["", say("help.exit_codes")]
    return "\n".join(lines)


def path_of(ctx: Any) -> str:
    """Return the words that lead to a command, without the program's name: `tenant create`."""
    words: list[str] = []
    while ctx.parent is not None:
        words.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(words)


def _usage(command: Any) -> Iterator[str]:
    for one in command.params:
        if one.param_type_name != "option":
            yield _metavar(one) if one.required else f"[{_metavar(one)}]"
        elif one.required:
            yield f"{one.opts[0]} {_metavar(one)}"
    if any(one.param_type_name == "option" and not one.required for one in command.params):
        yield "[OPTION ...]"
    if isinstance(command, TyperGroup):
        yield "COMMAND"


def _commands(command: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(command, TyperGroup):
        return
    for full, known in cli_texts.texts()["commands"].items():  # in the order of the texts
        before, _, name = full.rpartition(" ")
        if before == path and name in command.commands:
            yield name, known[cli_texts.spoken()].partition("\n")[0]


def _argument(path: str, param: Any) -> tuple[str, str]:
    return _metavar(param), _described(path, param)


def _option(path: str, param: Any) -> tuple[str, str]:
    shown = param.opts[0] if param.is_flag else f"{param.opts[0]} {_metavar(param)}"
    return shown, _described(path, param)


def _described(path: str, param: Any) -> str:
    """A parameter has a text of its own for a command, or one for every command."""
    own = f"{path}.{param.name}"
    return word("params", own if cli_texts.has("params", own) else param.name)


def _metavar(param: Any) -> str:
    return param.metavar or param.name.upper()


def _columns(rows: list[tuple[str, str]]) -> Iterator[str]:
    size = max(width(name) for name, _ in rows)
    for name, text in rows:
        first, *more = text.split("\n")
        yield f"{INDENT}{name}{' ' * (size - width(name))}  {first}".rstrip()
        for line in more:
            yield f"{INDENT}{' ' * size}  {line}"
