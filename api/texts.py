"""What a code says to a person, in Chinese and English; the texts lie in `texts.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

Language = Literal["zh", "en"]

LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")

FILE: Final = Path(__file__).with_name("texts.toml")

LONGEST: Final = 200
"""Characters of one parameter in a text; the parameter as a whole stands beside it."""


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


def shown(value: Any, comma: str) -> str:
    """Return a parameter as text, cut at `LONGEST`."""
    if isinstance(value, datetime):
        found = value.isoformat(timespec="seconds").replace("+00:00", "Z")
    elif isinstance(value, Mapping):
        pairs = cast(Mapping[Any, Any], value)
        found = "; ".join(f"{name}: {shown(one, comma)}" for name, one in pairs.items())
    elif isinstance(value, list | tuple | set | frozenset):
        ones = cast(Iterable[Any], value)
        found = comma.join(sorted(shown(one, comma) for one in ones))
    else:
        found = str(value)
    return found if len(found) <= LONGEST else found[: LONGEST - 1] + "…"
