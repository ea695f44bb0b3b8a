"""The bytes of every event ever released: what lies in tests/golden is read back as it was written,
for good.

`python -m tests.domain.test_golden` adds the files of new events, and a line to those of events
that got a new optional field; it never changes a line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.codec import Undecodable, UnknownEvent, decode, encode
from domain.events import EVENTS
from domain.upcasts import STEPS, Step, upcast
from tests.support.samples import full, least

GOLDEN = Path(__file__).parent.parent / "golden"


def lines(name: str) -> list[bytes]:
    return (GOLDEN / f"{name}.jsonl").read_bytes().splitlines()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_is_written_in_bytes_that_are_kept(name: str) -> None:
    assert {encode(full(EVENTS[name])), encode(least(EVENTS[name]))} <= set(lines(name))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.jsonl")), ids=lambda path: path.stem)
def test_whatever_was_ever_written_can_be_read(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        event = decode(path.stem, line)
        assert event.name in EVENTS
        if path.stem in EVENTS:
            assert encode(event) == line


def test_every_event_and_every_old_version_has_its_golden_file() -> None:
    assert {path.stem for path in GOLDEN.glob("*.jsonl")} == set(EVENTS) | set(STEPS)


def test_a_newer_release_s_event_is_not_skipped() -> None:
    with pytest.raises(UnknownEvent):
        decode("grant.requested.9", b"{}")


def test_bytes_that_do_not_fit_their_name_are_told() -> None:
    line = lines("grant.noted.1")[0]
    with pytest.raises(Undecodable):
        decode("grant.noted.1", line.replace(b'"label"', b'"lable"'))
    with pytest.raises(Undecodable):
        decode("grant.noted.1", line[:-1])


def test_an_old_version_goes_through_every_step() -> None:
    steps = {
        "a.b.1": Step("a.b.2", lambda old: old | {"two": 2}),
        "a.b.2": Step("a.b.3", lambda old: old | {"three": old["two"] + 1}),
    }
    assert upcast("a.b.1", {}, steps) == ("a.b.3", {"two": 2, "three": 3})


def test_steps_that_run_in_a_circle_are_refused() -> None:
    steps = {"a.b.1": Step("a.b.2", dict), "a.b.2": Step("a.b.1", dict)}
    with pytest.raises(ValueError, match="circle"):
        upcast("a.b.1", {}, steps)


if __name__ == "__main__":
    for new in EVENTS:
        file = GOLDEN / f"{new}.jsonl"
        kept = lines(new) if file.exists() else []
        more = [encode(one(EVENTS[new])) for one in (full, least)]
        file.write_bytes(b"".join(one + b"\n" for one in dict.fromkeys([*kept, *more])))
