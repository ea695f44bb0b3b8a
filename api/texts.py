"""What a code says to a person, in Chinese and English; the texts lie in `texts.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from replay.cli_texts import Language, shown

__all__ = ["LANGUAGES", "Language", "shown", "text", "texts"]

LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")

FILE: Final = Path(__file__).with_name("texts.toml")


@cache
def texts() -> Mapping[str, Mapping[str, str]]:
    """Return code -> language -> template."""
    with FILE.open("rb") as file:
        return tomllib.load(file)


def text(code: str, language: Language, params: Mapping[str, Any] | None = None) -> str:
    """Return the sentence for a code; a code without a text stands for itself.

    A parameter that the template names and nobody gave shows as an ellipsis.
    """
    template = texts().get(code, {}).get(language)
    if template is None:
        return code
    return template.format_map(_Shown(params or {}, language))


class _Shown(dict[str, str]):
    """Parameters as a sentence shows them."""

    def __init__(self, params: Mapping[str, Any], language: Language) -> None:
        comma = "、" if language == "zh" else ", "
        super().__init__({name: shown(value, comma) for name, value in params.items()})

    def __missing__(self, key: str) -> str:
        return "…"
