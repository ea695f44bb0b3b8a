"""Grant numbers: written one way, read in many, and no slip of the hand goes unnoticed."""

from datetime import date, datetime
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.numbers import ALPHABET, MAX_TEXT, SPAN, NumberFault, make, parse

SAMPLES = (
    make(date(2026, 11, 22), 0),
    make(date(2026, 11, 22), SPAN - 1),
    make(date(2024, 2, 29), 123_456_789),
    make(date(1999, 12, 31), 31**5 + 31**3),
    make(date(2031, 1, 1), 700_000_001),
)
LOOK_ALIKES = {"I": "1", "O": "0", "S": "5", "V": "U", "Z": "2"}
TYPED = ALPHABET + "".join(LOOK_ALIKES)


def fault_of(text: str) -> str | None:
    try:
        parse(text)
    except NumberFault as fault:
        return fault.code
    return None


def read_alike(text: str) -> str:
    return "".join(LOOK_ALIKES.get(character, character) for character in text)


def wide(text: str) -> str:
    """The text in the full-width forms of a Chinese input method."""
    return "".join(chr(ord(c) + 0xFEE0) if c != " " else "\u3000" for c in text)


def bare(number: str) -> str:
    return number.replace("-", "")


def check_by_hand(number: str) -> str:
    """The check character, found by trying all, from powers written out."""
    characters = bare(number)[2:-1]
    powers = [3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10]  # 3**1 .. 3**14 modulo 31
    total = sum(
        ALPHABET.find(character) * power
        for character, power in zip(reversed(characters), powers, strict=True)
    )
    (found,) = [last for value, last in enumerate(ALPHABET) if (total + value) % 31 == 1]
    return found


@given(st.dates(), st.integers(0, SPAN - 1))
def test_a_number_is_read_as_it_was_written(day: date, randomness: int) -> None:
    number = make(day, randomness)
    prefix, written_day, drawn, check = number.split("-")
    assert (prefix, written_day) == ("CS", day.isoformat().replace("-", ""))
    assert (len(drawn), check) == (6, check_by_hand(number))
    assert sum(ALPHABET.index(c) * 31**n for n, c in enumerate(reversed(drawn))) == randomness
    assert parse(number) == number


def test_numbers_written_long_ago_stay_readable() -> None:
    assert make(date(2026, 11, 22), 0) == "CS-20261122-000000-7"
    assert make(date(2026, 11, 22), SPAN - 1) == "CS-20261122-YYYYYY-E"
    assert parse("CS-20261122-7F3K9Q-N") == "CS-20261122-7F3K9Q-N"


def test_the_time_of_day_is_no_part_of_a_number() -> None:
    assert make(datetime(2026, 11, 22, 23, 59, 59), 7) == make(date(2026, 11, 22), 7)  # noqa: DTZ001


@pytest.mark.parametrize("randomness", [-1, SPAN, SPAN + 1])
def test_randomness_out_of_range_is_an_error_and_not_cut_off(randomness: int) -> None:
    with pytest.raises(ValueError, match="SPAN"):
        make(date(2026, 11, 22), randomness)


@pytest.mark.parametrize(
    "typed",
    [
        "cs-20261122-7f3k9q-n",
        "CS202611227F3K9QN",
        "  CS 2026 1122 7F3K 9QN\n",
        wide("CS-20261122-7F3K9Q-N"),
        wide("cs20261122 7f3k9q n"),
        "CS\u300020261122\u30007F3K9Q\u3000N",
        "CS\u2014\u201420261122\u20147F3K9Q\u2014N",
        "CS\u201120261122\u20137F3K9Q\u2212N",
        "\ufeffCS-20261122-7F3K9Q-N\u200b",
        "C5-2O26II22-7F3K9Q-N",
        "cs-zoz6iizz-7f3k9q-n",
        wide("CS-2O26IIZZ-7F3K9Q-N"),
    ],
)
def test_case_width_spaces_dashes_and_look_alikes_make_no_difference(typed: str) -> None:
    assert parse(typed) == "CS-20261122-7F3K9Q-N"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "length"),
        ("CS", "length"),
        ("-" * 64, "length"),
        ("CS-20261122-7F3K9Q", "length"),
        ("CS-20261122-7F3K9Q-NN", "length"),
        (" " * (MAX_TEXT - 20) + "CS-20261122-7F3K9Q-N", None),
        (" " * (MAX_TEXT - 19) + "CS-20261122-7F3K9Q-N", "length"),
        ("CS-20261122-7F3K9Q-*", "character"),
        ("CS-20261122-7F3K9Q-Ç", "character"),
        ("CS-2026112②-7F3K9Q-N", "character"),
        ("CS-\u0662\u0660\u0662\u06661122-7F3K9Q-N", "character"),
        ("CS/20261122/7F3K9Q/N", "character"),
        ("授权编号CS-20261122-7F3K9Q-N", "character"),
        ("CS-20261122-7F3K9Q-N\x00", "character"),
        ("c\u017f-20261122-7F3K9Q-N", "character"),
        ("CS-20261122-7F3K9Q-\ud800", "character"),
        ("CT-20261122-7F3K9Q-N", "prefix"),
        ("SC-20261122-7F3K9Q-N", "prefix"),
        ("CS-20261122-7F3K9Q-D", "check"),
        ("CS-20261132-7F3K9Q-N", "check"),
    ],
)
def test_what_is_no_number_is_refused_with_what_is_wrong(text: str, code: str | None) -> None:
    assert fault_of(text) == code


@pytest.mark.parametrize(
    "day", ["20261132", "20260229", "00000101", "20261301", "2026W471", "A0261122"]
)
def test_a_day_in_no_calendar_is_found_even_under_a_right_check_character(day: str) -> None:
    body = f"CS-{day}-7F3K9Q-"
    assert fault_of(body + check_by_hand(body + "0")) == "day"


@given(st.text(st.one_of(st.sampled_from(TYPED + "- "), st.characters(codec=None)), max_size=80))
def test_any_text_is_a_number_or_a_fault(text: str) -> None:
    assert fault_of(text) in {None, "length", "character", "prefix", "check", "day"}


@pytest.mark.parametrize("number", SAMPLES)
def test_every_single_wrong_character_is_found(number: str) -> None:
    right = bare(number)
    tried = 0
    for place in range(len(right)):
        for typed in TYPED:
            wrong = right[:place] + typed + right[place + 1 :]
            if read_alike(wrong) != read_alike(right):
                assert fault_of(wrong) in {"prefix", "check"}, wrong
                tried += 1
            else:
                assert parse(wrong) == number
    assert tried >= len(right) * 30


@pytest.mark.parametrize("number", SAMPLES)
def test_every_exchange_of_two_characters_is_found(number: str) -> None:
    right = bare(number)
    for one, other in combinations(range(len(right)), 2):
        swapped = list(right)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        wrong = "".join(swapped)
        assert (fault_of(wrong) is None) == (read_alike(wrong) == read_alike(right)), wrong


def test_every_exchange_of_two_drawn_neighbours_is_found_for_every_pair_of_characters() -> None:
    tried = 0
    for place, (one, other) in product(range(5), combinations(range(31), 2)):
        right = bare(make(date(2026, 11, 22), (one * 31 + other) * 31**place))
        left = len(right) - 1 - 2 - place
        wrong = right[:left] + right[left + 1] + right[left] + right[left + 2 :]
        assert fault_of(wrong) == "check", wrong
        tried += 1
    assert tried == 5 * 31 * 30 // 2


@pytest.mark.parametrize("number", SAMPLES)
def test_every_pair_of_equal_characters_mistyped_alike_is_found(number: str) -> None:
    right = bare(number)
    pairs = [(a, b) for a, b in combinations(range(2, len(right)), 2) if right[a] == right[b]]
    assert pairs
    for (one, other), typed in product(pairs, ALPHABET):
        if typed != right[one]:
            wrong = list(right)
            wrong[one] = wrong[other] = typed
            assert fault_of("".join(wrong)) == "check", wrong


@pytest.mark.parametrize("number", SAMPLES)
def test_a_missing_or_additional_character_is_found(number: str) -> None:
    right = bare(number)
    for place in range(len(right)):
        assert fault_of(right[:place] + right[place + 1 :]) == "length"
        for typed in ALPHABET:
            assert fault_of(right[:place] + typed + right[place:]) == "length"


@pytest.mark.parametrize("number", SAMPLES)
def test_a_misplaced_dash_is_no_error(number: str) -> None:
    right = bare(number)
    for place in range(len(right) + 1):
        assert parse(right[:place] + "-" + right[place:]) == number
