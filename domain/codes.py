"""What a clear code looks like: a dimension's, a level's, a staff number; one short word."""

from __future__ import annotations

from typing import Final

from domain.errors import Refused
from domain.scopes import path_fault
from domain.values import Names

MAX_CODE: Final = 64
"""Longest code in characters. Whoever needs more wants a text, and texts of people are sealed."""

MAX_NAME: Final = 200
"""Longest clear name of a thing, in characters."""


def code_fault(text: str) -> str | None:
    """Return why the text is no code, or None when it is one.

    `space`, `slash`, or one of `domain.scopes.path_fault`: a code is one segment of a path.
    """
    if len(text) > MAX_CODE:
        return "too_long"
    if any(character.isspace() for character in text):
        return "space"
    return "slash" if "/" in text else path_fault(text)


def require_code(field: str, text: str) -> None:
    """Refuse with `code.malformed` what is no code; `field` says which."""
    fault = code_fault(text)
    if fault is not None:
        raise Refused("code.malformed", field=field, fault=fault)


def require_names(names: Names) -> None:
    """Refuse with `names.malformed` names that are missing in a language, or longer than a name."""
    for language, text in (("zh", names.zh), ("en", names.en)):
        if not text.strip() or len(text) > MAX_NAME:
            raise Refused("names.malformed", language=language)
