"""What a case becomes: each step an event, in whatever order it happened."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.commands.imports import IMPORTER
from domain.effect import in_force
from domain.events.grant import GrantActivated, GrantRequested
from domain.numbers import parse
from domain.values import Imported
from tests.support.importing import (
    WHOLE,
    Bench,
    Import,
    rows,
    table,
)


def names(bench: Bench) -> list[tuple[str, bool]]:
    """Events of the only grant by their middle name, and whether they were inferred."""
    return [
        (event.name.split(".")[1], event.imported is not None and event.imported.inferred)
        for _, _, event in bench.facts("grant.")
    ]


# --- cases ----------------------------------------------------------------------------------------


def test_a_whole_case_is_a_request_checked_approved_and_in_effect(
    bench: Bench, imported: Import
) -> None:
    report = imported(table(rows("a", *WHOLE)))
    assert names(bench) == [
        ("requested", False), ("checked", False), ("verified", True), ("stage_approved", False),
        ("approved", True), ("activated", False),
    ]  # fmt: skip
    grant = bench.grant()
    assert not grant.irregular
    assert grant.status == "active"
    sent = datetime(2011, 5, 1, 3, tzinfo=UTC)
    assert in_force(grant) == ((sent, None, 1),)
    assert grant.terms.scope == {"place": ("CN/31",)}
    assert parse(grant.number) == grant.number
    assert grant.number.startswith("CS-20110501-")
    assert report.irregular == 0


def test_steps_are_told_in_the_order_in_which_they_happened(bench: Bench, imported: Import) -> None:
    report = imported(table(list(reversed(rows("a", *WHOLE)))))
    assert report.irregular == 0
    assert [event.imported.row for _, _, event in bench.facts("grant.")] == [4, 3, 2, 2, 2, 1]  # pyright: ignore[reportOptionalMemberAccess]


def test_checks_repeat_before_the_approval_and_are_verified_once(
    bench: Bench, imported: Import
) -> None:
    report = imported(table(rows("a", "ask", "look", "mend", "look", "agree", "send")))
    assert [name for name, _ in names(bench)] == [
        "requested", "checked", "noted", "checked", "verified", "stage_approved", "approved",
        "activated",
    ]  # fmt: skip
    assert (report.irregular, report.notes) == (0, 1)


@pytest.mark.parametrize(
    ("steps", "told", "status"),
    [
        # approved without a check: no check was recorded, so none is inferred
        (("ask", "agree", "send"), ["requested", "stage_approved", "activated"], "active"),
        # in effect without an approval
        (("ask", "look", "send"), ["requested", "checked", "verified", "activated"], "active"),
        # checked again after the approval
        (
            ("ask", "look", "agree", "look"),
            ["requested", "checked", "verified", "stage_approved", "approved", "checked"],
            "approved",
        ),
        # held before it took effect
        (
            ("ask", "hold", "look", "agree", "send"),
            ["requested", "suspended", "checked", "stage_approved", "activated"],
            "suspended",
        ),
        # a step before anyone asked
        (("look", "ask"), ["checked", "requested"], "verifying"),
        (("ask", "look", "agree", "ask"), None, "approved"),
    ],
)
def test_an_order_that_the_tables_do_not_know_is_flagged_and_lost_nothing_of(
    bench: Bench, imported: Import, steps: tuple[str, ...], told: list[str] | None, status: str
) -> None:
    report = imported(table(rows("a", *steps)))
    grant = bench.grant()
    assert grant.irregular
    assert (report.irregular, report.cases.written) == (1, 1)
    assert report.irregular_cases[0].case == "a"
    assert grant.status == status
    found = names(bench)
    assert len([name for name, inferred in found if not inferred]) == len(steps)
    if told is not None:
        assert [name for name, _ in found] == told


def test_a_case_without_a_request_gets_one_inferred_and_nobody_asked(
    bench: Bench, imported: Import
) -> None:
    report = imported(table(rows("a", "look", "agree", "send")))
    asked = bench.of_type(GrantRequested)[0]
    assert asked.by == IMPORTER
    assert asked.imported == Imported("small", 1, inferred=True)
    assert bench.grant().status == "active"
    assert (report.irregular, report.inferred["grant.requested.1"]) == (0, 1)


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (("ask", "bad"), "rejected"),
        (("ask", "look", "refuse"), "rejected"),
        (("ask", "back"), "withdrawn"),
        ((*WHOLE, "hold"), "suspended"),
        ((*WHOLE, "hold", "lift"), "active"),
        ((*WHOLE, "stop"), "revoked"),
    ],
)
def test_every_kind_of_step_leads_where_its_verb_would(
    bench: Bench, imported: Import, steps: tuple[str, ...], status: str
) -> None:
    report = imported(table(rows("a", *steps)))
    assert bench.grant().status == status
    if steps != ("ask", "look", "refuse"):
        assert report.irregular == 0


def test_a_term_in_days_ends(bench: Bench, imported: Import) -> None:
    imported(table(rows("a", *WHOLE)), term="30")
    sent = datetime(2011, 5, 1, 3, tzinfo=UTC)
    assert in_force(bench.grant()) == ((sent, sent.replace(day=31), 1),)
    assert bench.of_type(GrantActivated)[0].ends_at == sent.replace(day=31)
