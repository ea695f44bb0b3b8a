"""What the screens say, in Chinese and English; the texts lie in `texts.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from api.texts import Language
from projections import history_lines_names

FILE: Final = Path(__file__).with_name("texts.toml")
COMMANDS: Final = Path(__file__).parents[1] / "cli_texts.toml"
"""What the command line calls codes; the screens call them the same."""


@cache
def texts(file: Path = FILE) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return section -> key -> language -> template."""
    with file.open("rb") as opened:
        return tomllib.load(opened)


class Words:
    """Everything the screens say, in one language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language

    def say(self, key: str, **params: Any) -> str:
        """Return a text of ours. Raises `KeyError` for one that is not there, or lacks a value."""
        return texts()["said"][key][self.language].format_map(params)

    def has(self, section: str, code: str) -> bool:
        """Tell whether a section has a word for a code."""
        return code in texts().get(section, {})

    def word(self, section: str, code: str) -> str:
        """Return what a code is called: by our own words, those of the command line, those of
        history; one without a word is itself.
        """
        found = texts().get(section, {}).get(code)
        found = found or texts(COMMANDS).get(section, {}).get(code)
        found = found or history_lines_names.texts()["words"].get(section, {}).get(code)
        return code if found is None else str(found[self.language])

    @property
    def comma(self) -> str:
        """What stands between the parts of a list."""
        return "、" if self.language == "zh" else ", "
