"""What a terminal is shown: nothing in a name can make it show something else."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from replay.cli_shown import aside, document, line

HOSTILE = "tea\x1b[2K\x1b[1A\rverified\x9b1m\x7f\x00"


@pytest.mark.parametrize("show", [line, aside])
def test_a_name_cannot_write_over_what_was_said_of_it(
    capsys: pytest.CaptureFixture[str], show: Callable[[str], None]
) -> None:
    show(f"茶\t{HOSTILE}")
    shown = "".join(capsys.readouterr())
    assert shown.startswith("茶\ttea\\u001b[2K")
    assert all(one.isprintable() or one in "\t\n" for one in shown)


def test_a_document_with_such_a_name_is_still_the_same_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document({"name": HOSTILE})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"name": HOSTILE}
    assert all(one.isprintable() or one == "\n" for one in shown)
