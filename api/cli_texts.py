"""What the command line says, in Chinese and English; the texts lie in `cli_texts.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

Language = Literal["zh", "en"]

FILE: Final = Path(__file__).with_name("cli_texts.toml")


class _Voice:
    """The language of this process; set once, before anything is said."""

    language: Language = "en"


def speak(language: Language) -> None:
    """Say everything from now on in this language."""
    _Voice.language = language


def spoken() -> Language:
    """Return the language of this process."""
    return _Voice.language


def understood(locale: str) -> Language:
    """Return the language of a locale's name (`zh_CN.UTF-8`, `zh`, `C`): Chinese or English."""
    return "zh" if locale.lower().startswith("zh") else "en"


@cache
def texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return section -> key -> language -> template."""
    with FILE.open("rb") as file:
        return tomllib.load(file)


def has(section: str, key: str) -> bool:
    """Return whether there is a text."""
    return key in texts().get(section, {})


def say(key: str, **params: Any) -> str:
    """Return a line of output. Raises `KeyError` for a text that is not there."""
    return _text("said", key).format_map(params)


def word(section: str, key: str) -> str:
    """Return what a code (a status, an event, ...) is called; one without a name is itself."""
    return _text(section, key) if has(section, key) else key


def _text(section: str, key: str) -> str:
    return texts()[section][key][_Voice.language]
