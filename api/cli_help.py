"""Help pages of `counterseal`, in the language spoken."""

from __future__ import annotations

from typing import Any

from api.cli_texts import OWN
from replay import cli_help
from replay.cli_help import Section, path_of

__all__ = ["Command", "Group", "Section", "page", "path_of"]


class Command(cli_help.Command):
    """A command with our help page."""

    texts = OWN


class Group(cli_help.Group):
    """A group of commands with our help page."""

    texts = OWN


def page(command: Any, ctx: Any, *more: Section) -> str:
    """Return the help page of a command or a group; `more` stands behind its arguments."""
    return cli_help.page(OWN, command, ctx, *more)
