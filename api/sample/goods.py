"""What the brand sells, through which channels, under which marks; and the teams of its people."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

from domain.values import Names

FILE: Final = Path(__file__).with_name("goods.toml")


@cache
def _read() -> dict[str, dict[str, Names]]:
    read = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {
        group: {path: Names(zh, en) for path, (zh, en) in points.items()}
        for group, points in read.items()
    }


def dimensions() -> dict[str, Names]:
    """Return the dimensions of the catalogue: code -> names."""
    return _read()["dimensions"]


def points(dimension: str) -> dict[str, Names]:
    """Return the points of a dimension but `territory`: path -> names; who is above comes first."""
    return _read().get(dimension, {})


def families() -> tuple[str, ...]:
    """Return the paths of the kinds of tea, and of ware and gifts."""
    return tuple(path for path in points("product") if path.count("/") < 2 and path != "tea")


GIVEN_UP: Final = "tea/yellow/junshan"
"""A product whose point ends in the last autumn; nobody was ever given it."""


def below(path: str) -> tuple[str, ...]:
    """Return the products right below a family; the family itself where there are none."""
    some = (one for one in points("product") if one != GIVEN_UP)
    found = tuple(one for one in some if one.rpartition("/")[0] == path)
    return found or (path,)
