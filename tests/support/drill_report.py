"""The line a drill prints: how often, how many bad, and what that bounds."""

from __future__ import annotations

from typing import Any


def line(name: str, n: int, bad: int, **more: Any) -> str:
    """Return the figures of a drill in one line.

    With nothing bad in `n` independent rounds the true rate is below 3/n with 95 % confidence (the
    rule of three); with something bad there is no bound to tell.
    """
    bound = f"bound 3/N = {3 / n:.2g}" if bad == 0 and n else "no bound"
    rest = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in more.items())
    return f"drill {name}: N = {n}, bad {bad}, {bound}{', ' + rest if rest else ''}"
