"""Words: how a text is cut so that it is found again, Chinese included, by exact keys alone.

A Chinese text has no spaces, so each character and each pair of neighbours is a word; of other
scripts each run of letters and digits is one. Whoever looks for a text asks for all its words and
then for the text itself, so pairs that only happen to stand in one event are no finds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

MAX_WORD: Final = 64
"""Characters of a word that count; what is longer is told apart by the text itself."""

_IDEOGRAPHS: Final = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(rf"(?P<signs>[{_IDEOGRAPHS}]+)|[^\W_{_IDEOGRAPHS}]+")


def folded(text: str) -> str:
    """Return the text as it is compared: one width, one case, one space where there are any.

    Control characters are spaces: none of them is anything a reader would type.
    """
    same = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(sign if sign.isprintable() else " " for sign in same).split())


def words(texts: Iterable[str]) -> set[str]:
    """Return every word by which folded texts are found."""
    found: set[str] = set()
    for text in texts:
        for run in _RUN.finditer(text):
            if run["signs"] is None:
                found.add(run[0][:MAX_WORD])
            else:
                found.update(run[0])
                found.update(_pairs(run[0]))
    return found


def needed(text: str) -> set[str]:
    """Return the words that an event must have to hold a folded text; none where it has no letter.

    The first and the last run may be parts of longer ones in Chinese only: other words are found
    whole.
    """
    found: set[str] = set()
    for run in _RUN.finditer(text):
        if run["signs"] is None:
            found.add(run[0][:MAX_WORD])
        elif len(run[0]) == 1:
            found.add(run[0])
        else:
            found.update(_pairs(run[0]))
    return found


def _pairs(signs: str) -> Iterator[str]:
    return (signs[place : place + 2] for place in range(len(signs) - 1))
