"""Grant numbers (授权编号): what a person reads out, types and prints, like `CS-20261122-7F3K9Q-N`.

A fixed prefix, a day, six random characters, one check character; nothing in it says what is
granted or to whom. The 31 characters are those of GB 32100-2015, the standard of the code on every
Chinese business licence (统一社会信用代码): digits and capitals but I, O, S, V, Z. Each of these
five is read as its look-alike: 1, 0, 5, U, 2.

The check character is that of a *pure system* in the sense of ISO/IEC 7064, with modulus 31 and
radix 3, the pair that GB 32100-2015 takes: positions counted to the left from the check character,
which is at 0, the sum of `value * 3**position` is 1 modulo 31. Since 31 is a prime, 3 a primitive
root of it, and only 15 characters are summed, these are found always, not just mostly:

- one wrong character: no weight is a multiple of 31;
- two characters exchanged, neighbours or not: all weights differ;
- two equal characters, both wrong in the same way (11 for 22, 131 for 232), wherever they stand:
  no two weights add up to a multiple of 31;
- a character too many or missing, by the length; a wrong prefix; a day that is in no calendar.

Of other errors about one in 31 goes unnoticed. Spaces and dashes carry nothing: one that is
misplaced is no error.
"""

from datetime import date

PREFIX = "CS"
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # a character's value is its place
RANDOM_LENGTH = 6
SPAN = len(ALPHABET) ** RANDOM_LENGTH  # 887,503,681 numbers a day: drawn at random, so claimed once
MAX_TEXT = 64  # characters that are looked at, spaces and dashes included

_MODULUS = len(ALPHABET)
_RADIX = 3
_DAY_LENGTH = 8
_LENGTH = len(PREFIX) + _DAY_LENGTH + RANDOM_LENGTH + 1

_LOOK_ALIKES = {"I": "1", "O": "0", "S": "5", "V": "U", "Z": "2"}
_SPACES = "\t\n\r \u00a0\u2002\u2003\u2009\u200b\u202f\u2060\u3000\ufeff"
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_TO_FULL_WIDTH = 0xFEE0  # from `!` to U+FF01 and so on to `~`: the forms an input method types


def _readings() -> dict[int, str]:
    """Return for each character that may be typed what is read: one of `ALPHABET`, or nothing."""
    read = {character: character for character in ALPHABET} | _LOOK_ALIKES
    read |= {character.lower(): value for character, value in read.items()}
    read |= {chr(ord(character) + _TO_FULL_WIDTH): value for character, value in read.items()}
    read |= dict.fromkeys(_SPACES + _DASHES, "")
    return str.maketrans(read)


_READINGS = _readings()
_PREFIX_READ = PREFIX.translate(_READINGS)  # C5: the prefix, too, is read with its look-alikes


class NumberFault(ValueError):
    """The text is no grant number; `code` is one of the stable codes that `parse` names."""

    def __init__(self, code: str) -> None:
        super().__init__(f"not a grant number: {code}")
        self.code = code


def make(day: date, randomness: int) -> str:
    """Return the number for a day and a random number below `SPAN`; other numbers, other results.

    Two draws of one day may meet, so whoever makes a number claims it and draws again when it is
    taken. Raises `ValueError` when `randomness` is not in `[0, SPAN)`.
    """
    if not 0 <= randomness < SPAN:
        raise ValueError("randomness must be in [0, SPAN)")
    drawn = ""
    for _ in range(RANDOM_LENGTH):
        randomness, value = divmod(randomness, _MODULUS)
        drawn = ALPHABET[value] + drawn
    body = f"{day.year:04}{day.month:02}{day.day:02}{drawn}"
    return _written(body + ALPHABET[(1 - _weighted(body + ALPHABET[0])) % _MODULUS])


def parse(text: str) -> str:
    """Return the number as `make` wrote it, in whatever case, width, spaces and dashes it comes.

    Raises `NumberFault` with the first that applies of: `length`, `character` (one that no number
    has), `prefix`, `check` (something was mistyped), `day` (not in the calendar).
    """
    if len(text) > MAX_TEXT:
        raise NumberFault("length")
    read = text.translate(_READINGS)
    if not all(character in ALPHABET for character in read):
        raise NumberFault("character")
    if len(read) != _LENGTH:
        raise NumberFault("length")
    if not read.startswith(_PREFIX_READ):
        raise NumberFault("prefix")
    body = read[len(PREFIX) :]
    if _weighted(body) != 1:
        raise NumberFault("check")
    if not _in_calendar(body[:_DAY_LENGTH]):
        raise NumberFault("day")
    return _written(body)


def _weighted(characters: str) -> int:
    """Return the sum of value times `3**position`, the last character at position 0, modulo 31."""
    total = 0
    for character in characters:
        total = (total * _RADIX + ALPHABET.index(character)) % _MODULUS
    return total


def _in_calendar(digits: str) -> bool:
    if not digits.isdigit():  # letters are in the alphabet, and `fromisoformat` knows 2026W471
        return False
    try:
        date.fromisoformat(digits)
    except ValueError:
        return False
    return True


def _written(body: str) -> str:
    day, drawn, check = body[:_DAY_LENGTH], body[_DAY_LENGTH:-1], body[-1]
    return f"{PREFIX}-{day}-{drawn}-{check}"
