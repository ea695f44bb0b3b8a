"""Every command in every state of catalogue, staff, customer and policy, against data by hand."""

from types import ModuleType

import pytest

from domain import catalogue, customer_identity, deputies, policies
from domain.commands import catalogue as catalogue_commands
from domain.commands import customer_records as record_commands
from domain.commands import customers as customer_commands
from domain.commands import policies as policy_commands
from domain.commands import staff as staff_commands
from domain.view import Command
from tests.support.matrix import commands_of, expected, red, run
from tests.support.matrix_catalogue import CATALOGUE
from tests.support.matrix_customer import CUSTOMER
from tests.support.matrix_policy import POLICY
from tests.support.matrix_staff import STAFF

MATRICES = {matrix.name: matrix for matrix in (CATALOGUE, STAFF, CUSTOMER, POLICY)}
CELLS = [(name, row, state) for name, m in MATRICES.items() for row, state in expected(m)]

ASKED = {
    "catalogue": (catalogue_commands,),
    "staff": (staff_commands,),
    "customer": (customer_commands, record_commands),
    "policy": (policy_commands,),
}


@pytest.mark.parametrize(("name", "row", "state"), CELLS)
def test_the_command_does_in_this_state_what_the_table_says(
    name: str, row: str, state: str
) -> None:
    matrix = MATRICES[name]
    assert run(matrix, row, state) == expected(matrix)[row, state]


@pytest.mark.parametrize("name", MATRICES)
def test_the_table_has_a_cell_for_every_row_in_every_state(name: str) -> None:
    matrix = MATRICES[name]
    assert set(expected(matrix)) == {(r, s) for r in matrix.rows for s in matrix.states}


@pytest.mark.parametrize("name", MATRICES)
def test_every_command_there_is_stands_in_a_row(name: str) -> None:
    known = {
        thing
        for module in ASKED[name]
        for thing in vars(module).values()
        if isinstance(thing, type)
        and issubclass(thing, Command)
        and thing.__module__ == module.__name__
        and thing.decide is not Command.decide
    }
    assert known == commands_of(MATRICES[name])


def _allow(*_given: object, **_named: object) -> None:
    """What a guard is after it was taken away."""


IDENTIFIED = ("registered", "over", "lapsed")

GUARDS: list[tuple[ModuleType, str, str, set[tuple[str, str]]]] = [
    (
        customer_identity,
        "require_another_than_registered",
        "customer",
        {("confirm by the one who registered", state) for state in IDENTIFIED},
    ),
    (
        customer_identity,
        "require_record",
        "customer",
        {
            ("record a spoken check without its record", state)
            for state in (*IDENTIFIED, "confirmed")
        },
    ),
    (
        policies,
        "require_another_than_authors",
        "policy",
        {("approve by the author", "submitted")},
    ),
    (
        policies,
        "require_newest",
        "policy",
        {
            ("publish", "approved_but_passed"),
            ("publish from later", "approved_but_passed"),
        },
    ),
    (deputies, "require_no_circle", "staff", {("set a deputy who has set this one", "appointed")}),
    (
        catalogue,
        "require_not_ended",
        "catalogue",
        {
            ("add the point", "ended"),
            ("add the point with other names", "ended"),
            ("rename the point", "ended"),
            ("rename the point to its names", "ended"),
            ("end the point when it ends", "ended"),
            ("end the point in the past", "ended"),
        },
    ),
]


@pytest.mark.parametrize(("module", "guard", "name", "cells"), GUARDS)
def test_taking_one_guard_away_turns_exactly_its_cells_red(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    guard: str,
    name: str,
    cells: set[tuple[str, str]],
) -> None:
    assert red(MATRICES[name]) == set()
    monkeypatch.setattr(module, guard, _allow)
    assert red(MATRICES[name]) == cells
