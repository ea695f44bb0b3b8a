"""Marked personal values, every form one could lie somewhere in, and the search for all of them."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from stdnum.cn import ric

FAMILY = "欧阳司徒慕容尉迟"
FIRST_HAN = 0x6000
"""Three characters in the order of their code points never stand together by chance."""


class Marks:
    """Makes values that stand nowhere else; keeps them all, as they are written once stored."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.stored: dict[str, str] = {}
        """What was given -> what is left of it once it is stored."""

    def _kept(self, value: str, stored: str | None = None) -> str:
        self.values.append(stored or value)
        self.stored[value] = self.values[-1]
        return value

    def _han(self) -> str:
        number = len(self.values)
        family = FAMILY[number * 2 % len(FAMILY) :][:2]
        return family + "".join(chr(FIRST_HAN + number * 7 + place) for place in range(3))

    def name(self) -> str:
        """A person's name: Chinese and Latin in turn."""
        number = len(self.values)
        return self._kept(self._han() if number % 2 else f"Zsófia Qvåle-{number:04}k Ødegård")

    def text(self) -> str:
        """A sentence about a person, with a quotation mark and a backslash in it."""
        number = len(self.values)
        return self._kept(f'{self._han()} said "Qz{number:04} no\\yes" 于 {self._han()} café')

    def email(self) -> str:
        """An address."""
        number = len(self.values)
        return self._kept(f"qz{number:04}.{number:x}@personal-{number}.example")

    def phone(self) -> str:
        """A Chinese mobile number, stored in E.164."""
        digits = f"139{7_130_000 + len(self.values) * 97:08}"
        return self._kept(f"{digits[:3]} {digits[3:7]} {digits[7:]}", digits)

    def identity(self) -> str:
        """A resident identity number with its check digit (GB 11643-1999)."""
        number = f"11010119{70 + len(self.values) % 30:02}0307{len(self.values) % 1000:03}"
        return self._kept(number + ric.calc_check_digit(f"{number}0"))


def forms(value: str) -> set[bytes]:
    """Return every form in which a value would still be readable."""
    raw = value.encode()
    texts = {value, value.lower(), value.upper(), unicodedata.normalize("NFD", value)}
    found = {text.encode(code) for text in texts for code in ("utf-8", "utf-16-le", "utf-16-be")}
    found |= {raw.hex().encode(), raw.hex().upper().encode()}
    for quoted in (quote(value, safe=""), quote_plus(value)):
        found |= {quoted.encode(), quoted.lower().encode()}
    escaped = json.dumps(value)[1:-1]
    found |= {escaped.encode(), escaped.upper().replace("\\U", "\\u").encode()}
    found.add(json.dumps(value, ensure_ascii=False)[1:-1].encode())
    found.add(_octal(raw))
    for shift in range(3):
        found |= set(_base64(raw, shift))
    return found


def _octal(raw: bytes) -> bytes:
    """As PostgreSQL shows bytes where they are to be shown escaped."""
    return b"".join(
        b"\\\\" if one == 0x5C else bytes([one]) if 32 <= one < 127 else b"\\%03o" % one
        for one in raw
    )


def _base64(raw: bytes, shift: int) -> Iterable[bytes]:
    """What is the same in base64 whatever stands around, where so many bytes stand before."""
    begin, end = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(bytes(shift) + raw)[begin:end]


class Search:
    """Looks for values in whatever it is given; `found` says which was where, in which form."""

    def __init__(self, values: Iterable[str]) -> None:
        self._exact: Heads = {}
        self._lowered: Heads = {}
        for value in values:
            for form in forms(value):
                self._exact.setdefault(form[:HEAD], []).append((form, value))
                low = form.lower()
                self._lowered.setdefault(low[:HEAD], []).append((low, value))
        self.bytes = 0
        self.found: list[tuple[str, str, bytes]] = []

    def __call__(self, place: str, content: bytes) -> None:
        """Look in one place; letters of the Latin alphabet in either case are the same."""
        self.bytes += len(content)
        for heads, data in ((self._exact, content), (self._lowered, content.lower())):
            for at in range(len(data) - HEAD + 1):
                for form, value in heads.get(data[at : at + HEAD], ()):
                    if data.startswith(form, at):
                        self.found.append((place, value, form))


Heads = dict[bytes, list[tuple[bytes, str]]]

HEAD = 8
"""Bytes by which it is looked for; no form of a value is shorter."""
