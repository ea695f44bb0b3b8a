"""Where the sample's dealers sell: provinces and cities by their codes of GB/T 2260."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from domain.values import Names

FILE: Final = Path(__file__).with_name("places.toml")

COUNTRY: Final = "CN"

BUSY: Final = ("11", "31", "32", "33", "35", "37", "44", "51", "42", "43", "34", "53", "61", "12")
"""Provinces with most of the trade, by code."""


class Place(NamedTuple):
    """A point of the dimension `territory`."""

    path: str
    names: Names


class Province(NamedTuple):
    """A province and its cities (of a municipality its districts)."""

    place: Place
    cities: tuple[Place, ...]


@cache
def provinces() -> dict[str, Province]:
    """Return every province by its two digits, in the order of the standard."""
    found: dict[str, Province] = {}
    for one in tomllib.loads(FILE.read_text(encoding="utf-8"))["province"]:
        code = str(one["code"])
        cities = tuple(
            Place(f"{COUNTRY}/{code}/{city}", Names(zh, en)) for city, zh, en in one["cities"]
        )
        place = Place(f"{COUNTRY}/{code}", Names(one["zh"], one["en"]))
        found[code] = Province(place, cities)
    return found


def places() -> tuple[Place, ...]:
    """Return the country, every province and every city; who is above comes first."""
    found = [Place(COUNTRY, Names("中国", "China"))]
    for province in provinces().values():
        found += [province.place, *province.cities]
    return tuple(found)
