"""What the explanation of a check says to a person."""

from __future__ import annotations

from typing import Any

from api import rendering
from api.texts import Language, text
from projections.checks import Explanation


def sentence(why: Explanation, language: Language) -> str:
    """Return the explanation as a sentence; what fails in a grant above is told after whose grant
    rests on it.
    """
    said = text(why.code, language, rendering.shown(why))
    if why.own is None:
        return said
    facts = {"own": why.own.number, "level": why.level, "detail": said}
    return text("check.chain", language, facts)


def explained(why: Explanation, language: Language) -> dict[str, Any]:
    """Return the explanation as JSON, with its sentence."""
    facts: dict[str, Any] = rendering.shown(why)
    found = {"code": why.code, "detail": sentence(why, language)}
    return found | {name: value for name, value in facts.items() if name != "code"}
