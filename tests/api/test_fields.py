"""Sealed fields: they open where they were sealed, and nowhere else."""

from collections.abc import Callable

import msgspec
import pytest

from domain.errors import Refused
from domain.sealing import TEXT_LIMIT_BYTES, Sealed
from tests.support.keys import code_of, fresh_id, place


@pytest.mark.parametrize(
    "text", ["", "x", "王小明 110101199003070070", "line\nbreak \N{PILE OF POO}", "é" * 9000]
)
def test_a_sealed_text_opens_where_it_was_sealed(sealer, text):
    here = place(fresh_id())
    sealed = sealer.seal(fresh_id(), text, here)
    assert sealer.open(sealed, here) == text
    assert len(text) < 2 or text.encode() not in sealed.box


def test_the_same_text_is_never_sealed_to_the_same_bytes(sealer):
    here, subject = place(fresh_id()), fresh_id()
    boxes = {sealer.seal(subject, "yes", here).box for _ in range(200)}
    assert len(boxes) == 200
    assert len({box[:12] for box in boxes}) == 200


@pytest.mark.parametrize("part", ["tenant", "stream_id", "command_id", "field"])
def test_a_value_moved_to_another_place_does_not_open(sealer, part):
    tenant, other, subject = fresh_id(), fresh_id(), fresh_id()
    here = place(tenant)
    sealed = sealer.seal(subject, "secret", here)
    sealer.seal(subject, "so that the other tenant has a key of this subject too", place(other))
    moved = {"tenant": other, "stream_id": fresh_id(), "command_id": fresh_id(), "field": "note"}
    there = msgspec.structs.replace(here, **{part: moved[part]})
    assert code_of(sealer.open, sealed, there) == "sealed.forged"
    assert sealer.open(sealed, here) == "secret"


def _to_other_subject(sealed: Sealed, other: Sealed) -> Sealed:
    return msgspec.structs.replace(sealed, subject=other.subject)


def _to_other_subject_and_key(sealed: Sealed, other: Sealed) -> Sealed:
    return msgspec.structs.replace(sealed, subject=other.subject, key=other.key)


def _other_key(sealed: Sealed, other: Sealed) -> Sealed:
    return msgspec.structs.replace(sealed, key=other.key)


def _other_version(sealed: Sealed, other: Sealed) -> Sealed:
    return msgspec.structs.replace(sealed, v=2)


def _no_subject(sealed: Sealed, other: Sealed) -> Sealed:
    return msgspec.structs.replace(sealed, subject="' OR 1=1")


def _flipped(at: int) -> Callable[[Sealed, Sealed], Sealed]:
    def flip(sealed: Sealed, other: Sealed) -> Sealed:
        box = bytearray(sealed.box)
        box[at] ^= 1
        return msgspec.structs.replace(sealed, box=bytes(box))

    return flip


def _cut(length: int) -> Callable[[Sealed, Sealed], Sealed]:
    return lambda sealed, other: msgspec.structs.replace(sealed, box=sealed.box[:length])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_to_other_subject, id="subject"),
        pytest.param(_to_other_subject_and_key, id="subject and key"),
        pytest.param(_other_key, id="key"),
        pytest.param(_other_version, id="format version"),
        pytest.param(_no_subject, id="no subject at all"),
        pytest.param(_flipped(0), id="nonce"),
        pytest.param(_flipped(14), id="ciphertext"),
        pytest.param(_flipped(-1), id="tag"),
        pytest.param(_cut(-1), id="cut"),
        pytest.param(_cut(5), id="cut within the nonce"),
        pytest.param(_cut(0), id="empty"),
    ],
)
def test_a_changed_value_does_not_open(sealer, change):
    here = place(fresh_id())
    sealed = sealer.seal(fresh_id(), "secret", here)
    other = sealer.seal(fresh_id(), "another's", here)
    assert code_of(sealer.open, change(sealed, other), here) == "sealed.forged"
    assert sealer.open(sealed, here) == "secret"


def test_a_text_that_is_too_long_is_refused_and_the_longest_one_is_not(sealer):
    here, subject = place(fresh_id(), "note"), fresh_id()
    longest = "x" * TEXT_LIMIT_BYTES
    assert sealer.open(sealer.seal(subject, longest, here), here) == longest
    assert code_of(sealer.seal, subject, longest + "x", here) == "text.too_long"


def test_a_text_that_is_not_unicode_is_refused_without_being_quoted(sealer):
    with pytest.raises(Refused) as caught:
        sealer.seal(fresh_id(), "secret \ud800", place(fresh_id()))
    assert caught.value.code == "text.not_unicode"
    assert caught.value.__cause__ is None
    assert "secret" not in repr(caught.value)
