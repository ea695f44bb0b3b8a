"""Sealed values: what they show, what they are on disk, and which place they are bound to."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from domain.errors import Refused
from domain.sealing import FORMAT_VERSION, Context, Sealed, Unopenable, bound_to, framed

SEALED = Sealed("0192-subject", "0192-key", b"\x00\x01box of secrets\xff")
PLACE = Context("tenant", "stream", "command", "reason")


class Event(msgspec.Struct):
    note: Sealed


@pytest.mark.parametrize("show", [repr, str, pretty_repr], ids=["repr", "str", "rich"])
@pytest.mark.parametrize("value", [SEALED, Event(SEALED), [SEALED]], ids=["bare", "event", "list"])
def test_a_sealed_value_shows_whom_it_speaks_of_and_nothing_else(show, value):
    shown = show(value)
    assert "0192-subject" in shown
    assert "0192-key" not in shown
    assert "box" not in shown
    assert "secrets" not in shown


def test_a_sealed_value_comes_back_from_json_as_it_was():
    assert msgspec.json.decode(msgspec.json.encode(SEALED), type=Sealed) == SEALED


def test_the_bytes_on_disk_of_format_version_1_never_change():
    stored = b'{"subject":"s","key":"k","box":"AAE=","v":1}'
    assert msgspec.json.encode(Sealed("s", "k", b"\x00\x01")) == stored
    assert msgspec.json.decode(stored, type=Sealed) == Sealed("s", "k", b"\x00\x01", 1)


def test_a_field_that_is_not_known_is_refused():
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(b'{"subject":"s","key":"k","box":"","v":1,"text":"x"}', type=Sealed)


def test_a_sealed_value_does_not_change():
    with pytest.raises(AttributeError):
        SEALED.box = b""  # pyright: ignore[reportAttributeAccessIssue] - that is the test


def test_what_is_authenticated_in_format_version_1_never_changes():
    expected = [
        b"counterseal sealed field",
        b"1",
        b"tenant",
        b"subject",
        b"stream",
        b"command",
        b"reason",
        b"key",
    ]
    bound = bound_to("subject", "key", FORMAT_VERSION, PLACE)
    for part in expected:
        length, bound = int.from_bytes(bound[:4], "big"), bound[4:]
        assert bound[:length] == part
        bound = bound[length:]
    assert bound == b""


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
places = st.tuples(names, names, st.integers(1, 3), names, names, names, names)


@given(places, places)
def test_two_places_are_never_authenticated_by_the_same_bytes(one, other):
    def bytes_of(place: tuple[str, str, int, str, str, str, str]) -> bytes:
        subject, key, v, *context = place
        return bound_to(subject, key, v, Context(*context))

    assert (bytes_of(one) == bytes_of(other)) == (one == other)


def test_parts_are_kept_apart():
    assert framed(b"ab", b"c") != framed(b"a", b"bc")
    assert framed(b"ab") != framed(b"ab", b"")
    assert framed(b"ab", b"c") == b"\0\0\0\2ab\0\0\0\1c"


@pytest.mark.parametrize("code", ["sealed.key_gone", "sealed.forged"])
def test_what_does_not_open_is_a_refusal_with_its_code(code):
    fault = Unopenable(code)
    assert isinstance(fault, Refused)
    assert (fault.code, fault.params) == (code, {})
