"""What the collector of cycles does not look at leads back to nothing."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import get_type_hints

import msgspec

import domain


def unseen(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in base.__subclasses__():
        if one.__module__.startswith("domain") and not one.__struct_config__.gc:
            yield one
        yield from unseen(one)


def found() -> list[type[msgspec.Struct]]:
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        importlib.import_module(module.name)
    return sorted(set(unseen(msgspec.Struct)), key=lambda one: (one.__module__, one.__name__))


def test_a_struct_that_the_collector_does_not_see_holds_no_function() -> None:
    """A method holds its view, which holds the batch: through such a struct they never go."""
    kinds = found()
    assert len(kinds) > 200
    held = [
        f"{kind.__name__}.{name}"
        for kind in kinds
        for name, hint in get_type_hints(kind).items()
        if "Callable" in str(hint)
    ]
    assert held == []
