"""The command line asks the past, of a running service and of the databases alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Installation
from tests.support.sample_tenant import sampled

APPROVED = ("type:grant.approved", "--json", "--limit", "0", "--order", "oldest")


@pytest.fixture(scope="module")
def here(run_directory: Path) -> Iterator[Installation]:
    """The sample tenant; no service is running."""
    with sampled(run_directory) as made:
        yield made


def said(here: Installation, *words: str) -> Any:
    found = here.say(*words)
    assert found.code in (0, 1), found.err
    return found.json()


@pytest.mark.timeout(300)
def test_every_list_is_told_as_of_a_position_without_a_service(here: Installation) -> None:
    approved = said(here, "history", *APPROVED)["items"]
    one = approved[len(approved) // 2]
    grant, before = one["grant_id"], str(one["position"] - 1)
    now = said(here, "grant", "show", grant, "--json")
    then = said(here, "grant", "show", grant, "--as-of", before, "--json")
    assert then["version"] < now["version"]
    assert then["as_of"]["position"] == one["position"] - 1
    assert len(then["history"]) == then["version"]
    happened = said(here, "grant", "show", grant, "--happened", one["at"], "--json")
    assert happened["version"] >= then["version"]
    known = said(here, "history", *APPROVED, "--as-of", before)
    assert known["items"] == approved[: len(approved) // 2]
    for words in (
        ("worklist",),
        ("compliance", "duties"),
        ("compliance", "unchecked"),
        ("compliance", "open", "--days", "0"),
        ("compliance", "ending", "--days", "900"),
        ("compliance", "beyond-evidence"),
        ("compliance", "retired-policies"),
        ("compliance", "approvers"),
    ):
        past = said(here, *words, "--as-of", before, "--json")
        assert past["as_of"]["position"] == one["position"] - 1, words
    approvals = [
        sum(
            row["approvals"]
            for row in said(here, "compliance", "approvers", *past, "--json")["items"]
        )
        for past in (("--as-of", "1"), ("--as-of", before), ())
    ]
    assert approvals[0] == 0 < approvals[1] < approvals[2]


@pytest.mark.timeout(300)
def test_a_position_that_is_not_reached_is_told(here: Installation) -> None:
    for words in (("worklist",), ("history",), ("compliance", "open")):
        found = here.say(*words, "--as-of", "99999999", "--json")
        assert json.loads(found.err)["code"] == "position.not_reached", words
        found = here.say(*words, "--as-of", "soon", "--json")
        assert (found.code, json.loads(found.err)["code"]) == (2, "instant.malformed")
