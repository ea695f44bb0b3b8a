"""When two values are the same to a person: the form in which claims and search compare them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_UNSEEN: Final = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
"""Unicode categories of white space, control and format characters."""


def _compact(value: str) -> str:
    """Return NFKC, upper case, without white space and invisible characters."""
    upper = unicodedata.normalize("NFKC", value).upper()
    kept = "".join(sign for sign in upper if unicodedata.category(sign) not in _UNSEEN)
    return unicodedata.normalize("NFKC", kept)


def _dialled(value: str) -> str:
    """Return a telephone number as dialled: `compact`, without the signs that group digits."""
    return _compact(value).translate(dict.fromkeys(map(ord, "-()./")))


def _exact(value: str) -> str:
    """Return the value: where two spellings are two things.

    Logins are such (OpenID Connect Core 1.0, section 2), and names of sources of an import.
    """
    return value


_FORMS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {"account": _exact, "import": _exact, "phone": _dialled}
)


def normal_form(kind: str, value: str) -> str:
    """Return what is hashed for a value of a kind.

    `account` and `import` stay as they are, `phone` is as dialled, all others are compact. A change
    here changes hashes that are stored.
    """
    return _FORMS.get(kind, _compact)(value)
