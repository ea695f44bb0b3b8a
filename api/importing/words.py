"""The words of an import's report and its refusals, in Chinese and English."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

from api.texts import Language, shown, text

FILE: Final = Path(__file__).with_name("words.toml")

WOULD: Final = frozenset({"written", "events"})
"""Labels that a dry run has other words for, under `<label>.dry`: it writes nothing."""

COMMA: Final[dict[Language, str]] = {"zh": "、", "en": ", "}


@cache
def words() -> dict[str, dict[str, str]]:
    """Return code -> language -> text."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def word(code: str, language: Language, /, **params: Any) -> str:
    """Return the text of a code; one that is not an import's own is looked up with the doors'."""
    found = words().get(code)
    if found is None:
        return text(code, language, params)
    given = {name: shown(value, COMMA[language]) for name, value in params.items()}
    return found[language].format_map(_Given(given))


class _Given(dict[str, str]):
    """What a text names and nobody gave shows as an ellipsis."""

    def __missing__(self, key: str) -> str:
        return "…"
