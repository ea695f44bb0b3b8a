"""Help pages in the language spoken: what a command does, what it takes, an example of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

from replay.cli_shown import width
from replay.cli_texts import Texts

INDENT = "  "

Section = tuple[str, list[tuple[str, str]]]
"""A heading, by its key in the texts, and what stands below it in two columns."""


class Command(TyperCommand):
    """A command with our help page; `texts` are its program's. The rest is the library's own."""

    texts: Texts

    def get_help(self, ctx: Any) -> str:
        return page(self.texts, self, ctx)


class Group(TyperGroup):
    """A group of commands with our help page."""

    texts: Texts

    def get_help(self, ctx: Any) -> str:
        return page(self.texts, self, ctx)


def page(texts: Texts, command: Any, ctx: Any, *more: Section) -> str:
    """Return the help page of a command or a group; `more` stands behind its arguments."""
    path = path_of(ctx)
    known = texts.texts()["commands"][path or texts.program]
    usage = " ".join([ctx.command_path, *_usage(command)])
    lines = [known[texts.spoken()], "", f"{texts.say('help.usage')} {usage}"]
    arguments = [_row(texts, path, one) for one in command.params if not _is_option(one)]
    options = [_row(texts, path, one) for one in command.params if _is_option(one)]
    options += [
        ("--lang zh|en", texts.word("params", "lang")),
        ("--help", texts.word("params", "help")),
    ]
    for heading, rows in (
        ("help.commands", list(_commands(texts, command, path))),
        ("help.arguments", arguments),
        *more,
        ("help.options", options),
    ):
        if rows:
            lines += ["", texts.say(heading), *_columns(rows)]
    lines += ["", texts.say("help.example"), f"{INDENT}{known['example']}"]
    if not path:
        lines += ["", texts.say("help.exit_codes")]
    return "\n".join(lines)


def path_of(ctx: Any) -> str:
    """Return the words that lead to a command, without the program's name: `tenant create`."""
    words: list[str] = []
    while ctx.parent is not None:
        words.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(words)


def _is_option(param: Any) -> bool:
    return param.param_type_name == "option"


def _usage(command: Any) -> Iterator[str]:
    for one in command.params:
        if not _is_option(one):
            yield _metavar(one) if one.required else f"[{_metavar(one)}]"
        elif one.required:
            yield f"{one.opts[0]} {_metavar(one)}"
    if any(_is_option(one) and not one.required for one in command.params):
        yield "[OPTION ...]"
    if isinstance(command, TyperGroup):
        yield "COMMAND"


def _commands(texts: Texts, command: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(command, TyperGroup):
        return
    for full, known in texts.texts()["commands"].items():  # in the order of the texts
        before, _, name = full.rpartition(" ")
        if before == path and name in command.commands:
            yield name, known[texts.spoken()].partition("\n")[0]


def _row(texts: Texts, path: str, param: Any) -> tuple[str, str]:
    """A parameter has a text of its own for a command, or one for every command."""
    own = f"{path}.{param.name}"
    described = texts.word("params", own if texts.has("params", own) else param.name)
    if not _is_option(param):
        return _metavar(param), described
    return (param.opts[0] if param.is_flag else f"{param.opts[0]} {_metavar(param)}"), described


def _metavar(param: Any) -> str:
    return param.metavar or param.name.upper()


def _columns(rows: list[tuple[str, str]]) -> Iterator[str]:
    size = max(width(name) for name, _ in rows)
    for name, text in rows:
        first, *more = text.split("\n")
        yield f"{INDENT}{name}{' ' * (size - width(name))}  {first}".rstrip()
        for line in more:
            yield f"{INDENT}{' ' * size}  {line}"
