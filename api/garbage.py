"""How a serving process collects garbage: seldom, and never what was there when it began."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 10_000
"""Containers made and not yet gone before the young ones are looked at: those of a few batches. A
collection in the middle of each batch only finds what is in use."""

MIDDLE: Final = 20
OLD: Final = 50


def collect_seldom() -> None:
    """Leave out of every later collection what is there now (modules, classes, what was wired), and
    collect less often. Memory goes back as before where no cycle holds it: at once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
