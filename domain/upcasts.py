"""Stored JSON of an old version to the new one: one pure function a step, applied before
decoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Step(NamedTuple):
    """From one stored name to the next: `change` takes the old JSON object and returns the new
    one."""

    to: str
    change: Callable[[dict[str, Any]], dict[str, Any]]


STEPS: dict[str, Step] = {}
"""Stored name of a version no longer written -> its step. Only ever added to."""

MAX_STEPS = 32
"""A chain longer than this is a circle."""


def upcast(
    name: str, document: dict[str, Any], steps: dict[str, Step]
) -> tuple[str, dict[str, Any]]:
    """Return the newest stored name and JSON object for a stored one. Raises `ValueError` on a
    circle of steps."""
    for _ in range(MAX_STEPS):
        step = steps.get(name)
        if step is None:
            return name, document
        name, document = step.to, step.change(document)
    raise ValueError(f"the upcasts of {name} run in a circle")
