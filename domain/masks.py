"""What is left to be seen of a value that is shown masked: a few rules, one a kind of value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

STARS: Final = "****"

_CHINA: Final = "+86"
_MOBILE_DIGITS: Final = 11


def first_character(text: str) -> str:
    """Return a name's or a text's first character: 王小明 -> 王*."""
    return f"{text[:1]}*"


def phone(text: str) -> str:
    """Return a Chinese mobile number's first three and last four digits: 138****1234; of any other
    number the last three.
    """
    number = text.removeprefix(_CHINA)
    if len(number) == _MOBILE_DIGITS and number.isdecimal() and number[0] == "1":
        return f"{number[:3]}{STARS}{number[-4:]}"
    return f"{STARS}{number[-3:]}" if len(number) > 6 else STARS


def email(text: str) -> str:
    """Return the first character and what stands behind the last @: z****@example.com."""
    name, at, host = text.rpartition("@")
    return f"{name[:1]}{STARS}@{host}" if at and name else STARS


def last_four(text: str) -> str:
    """Return the end of a number: ****341L."""
    return f"{STARS}{text[-4:]}" if len(text) > 8 else STARS


def nothing(_text: str) -> str:
    """Return stars: there is a value, and no more is said."""
    return STARS


RULES: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "number": last_four,
        "title": first_character,
        "uscc": last_four,
        "full_name": first_character,
        "identity_number": last_four,
        "contact.name": first_character,
        "contact.phone": phone,
        "contact.email": email,
        "address": first_character,
    }
)
"""Field of a customer -> its rule; the others show stars alone."""


def masked(field: str, text: str) -> str:
    """Return the masked form of a field's value."""
    return RULES.get(field, nothing)(text)
