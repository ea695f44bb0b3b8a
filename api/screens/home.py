"""The first page: what this is, what to look at, and the way in; and the switch of languages."""

from __future__ import annotations

from api.problems import Answered
from api.screens import forms
from api.screens.drawing import draw
from api.screens.visits import Visit, elsewhere
from api.texts import LANGUAGES


async def first(visit: Visit) -> Answered:
    """Answer with the first page."""
    return draw(visit, "first.html", {"next": "/work"})


async def language(visit: Visit) -> Answered:
    """Remember a language, and lead back to where the reader was."""
    asked = visit.query()
    back = forms.local_path(asked.get("next", "/"))
    chosen = asked.get("to", "")
    return elsewhere(back, visit.speaks(chosen)) if chosen in LANGUAGES else elsewhere(back)
