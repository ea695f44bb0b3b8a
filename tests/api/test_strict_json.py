"""Bodies read in a few passes are read as the exact way reads them, key by key and level by
level."""

from __future__ import annotations

import random

import pytest

from api import bodies
from api.bodies import MAX_DEPTH, Malformed, check_json, is_plain

PIECES = (b"{", b"}", b"[", b"]", b":", b",", b'"a"', b'"a":', b"1", b'"[:"', b'"\\u003a"', b" ")
VALUES = (b"1", b'"x"', b'"a:b"', b'"[:"', b'"]"', b'"\xc3\xa9"', b'"q\\""', b"null", b"{}", b"[]")
KEYS = (b'"a"', b'"b"', b'"c:"', b'"\\u0061"', b'"[d"')


def document(random: random.Random, depth: int) -> bytes:
    """Return some document; a key may stand twice in its objects."""
    kind = random.random()
    if not depth or kind < 0.3:
        return random.choice(VALUES)
    inside = [document(random, depth - 1) for _ in range(random.randrange(4))]
    if kind < 0.6:
        return b"[" + b",".join(inside) + b"]"
    pairs = [random.choice(KEYS) + random.choice((b":", b" : ")) + one for one in inside]
    return b"{" + b",".join(pairs) + b"}"


def exactly(data: bytes, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Return the code of what the exact way finds, None for nothing."""
    with monkeypatch.context() as patched:
        patched.setattr(bodies, "is_plain", lambda _: False)
        try:
            check_json(data)
        except Malformed as found:
            return found.code
    return None


def test_what_passes_quickly_passes_the_exact_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(20261122)
    samples = [document(chance, chance.randrange(1, 7)) for _ in range(3_000)]
    samples += [b"".join(chance.choices(PIECES, k=chance.randrange(1, 9))) for _ in range(3_000)]
    quick = [data for data in samples if is_plain(data)]
    assert len(quick) > 500
    assert {exactly(data, monkeypatch) for data in quick} == {None}


@pytest.mark.parametrize("inner", [b"1", b'"]]]]"', b'"[["', b"[{}]"])
@pytest.mark.parametrize("around", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"]":', b"}]")])
def test_the_limit_of_levels_is_the_same_both_ways(
    around: tuple[bytes, bytes], inner: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(MAX_DEPTH // 2 - 2, MAX_DEPTH + 2):
        whole = around[0] * number + inner + around[1] * number
        for data in (whole, b"[" + whole + b"," + whole + b"]"):
            assert not is_plain(data) or exactly(data, monkeypatch) is None


def test_a_batch_of_many_levels_side_by_side_passes_quickly() -> None:
    assert is_plain(b"[" + b",".join([b'{"a":[{"b":"c:d"}]}'] * 100) + b"]")
    assert not is_plain(b"[" + b",".join([b'{"a":[{"b":1,"b":2}]}'] * 100) + b"]")
