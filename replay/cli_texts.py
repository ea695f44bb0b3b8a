"""What a command line says, in Chinese and English; a program's texts lie in a file of its own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, cast

Language = Literal["zh", "en"]

LONGEST: Final = 200
"""Characters of one parameter in a text."""

LONGEST_LIST: Final = 1_000
"""Characters of a parameter that is a list: it names what there is to choose from."""


class Texts:
    """The texts of one program, in the language set once, before anything is said."""

    def __init__(self, program: str, file: Path) -> None:
        self.program = program
        self._file = file
        self._language: Language = "en"

    def speak(self, language: Language) -> None:
        """Say everything from now on in this language."""
        self._language = language

    def spoken(self) -> Language:
        """Return the language of this process."""
        return self._language

    @cached_property
    def _known(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        with self._file.open("rb") as file:
            return tomllib.load(file)

    def texts(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        """Return section -> key -> language -> template."""
        return self._known

    def has(self, section: str, key: str) -> bool:
        """Return whether there is a text."""
        return key in self.texts().get(section, {})

    def say(self, key: str, **params: Any) -> str:
        """Return a line of output. Raises `KeyError` for a text that is not there."""
        return self._text("said", key).format_map(params)

    def word(self, section: str, key: str) -> str:
        """Return what a code (a status, an event, ...) is called; one without a name is itself."""
        return self._text(section, key) if self.has(section, key) else key

    def _text(self, section: str, key: str) -> str:
        return self.texts()[section][key][self._language]


def understood(locale: str) -> Language:
    """Return the language of a locale's name (`zh_CN.UTF-8`, `zh`, `C`): Chinese or English."""
    return "zh" if locale.lower().startswith("zh") else "en"


def shown(value: Any, comma: str) -> str:
    """Return a parameter as a sentence shows it, cut at `LONGEST`, a list at `LONGEST_LIST`."""
    longest = LONGEST
    if isinstance(value, datetime):
        found = value.isoformat(timespec="seconds").replace("+00:00", "Z")
    elif isinstance(value, Mapping):
        pairs = cast(Mapping[Any, Any], value)
        found = "; ".join(f"{name}: {shown(one, comma)}" for name, one in pairs.items())
    elif isinstance(value, list | tuple | set | frozenset):
        ones = cast(Iterable[Any], value)
        found = comma.join(sorted(shown(one, comma) for one in ones))
        longest = LONGEST_LIST
    else:
        found = str(value)
    return found if len(found) <= longest else found[: longest - 1] + "…"
