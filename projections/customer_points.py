"""Customers as points that checks ask about: one row a customer, and one for each staff member who
looks after it.

A check on the resource `customer` with a customer's id finds both. The customer's own row has the
point's key, `customer` and the id, and the attribute `grade`. The row of an assignment stands under
the dimension `customer/<id>`, which no catalogue can declare, with the staff member's id as path;
its attribute `manager` lists that id and, where they have a team, the team's path. So each row
follows from one stream alone, and a customer that several people look after lies below each of
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.customers import Customer
from domain.kinds import CUSTOMER, GRADE, MANAGER
from domain.staff import Staff
from domain.values import Names
from projections.inline_rows import Change, difference
from projections.points import PointRow


def of_customer(
    stream_id: str, before: Customer | None, _event: object, after: Customer
) -> Sequence[Change]:
    """Return the row that a step of a customer closes and opens; most steps do neither."""
    if before is not None and before.grade == after.grade and before.number == after.number:
        return ()
    old = () if before is None else (_customer(stream_id, before),)
    return difference("p", old, (_customer(stream_id, after),), _places_all)


def of_staff(
    stream_id: str, before: Staff | None, _event: object, after: Staff
) -> Sequence[Change]:
    """Return the rows that a step of a staff member closes and opens, one a customer assigned.

    Whoever left keeps their customers until these are handed over, so that somebody can see them.
    """
    if before is not None and _made_of(before) == _made_of(after):
        return ()
    old = {} if before is None else _assigned(stream_id, before)
    new = _assigned(stream_id, after)
    closed = {customer: row for customer, row in old.items() if new.get(customer) != row}
    return (
        *(
            Change("p", "close", row, not _says(new.get(customer), row))
            for customer, row in closed.items()
        ),
        *(Change("p", "open", row) for customer, row in new.items() if old.get(customer) != row),
    )


def _places_all(new: PointRow, old: PointRow) -> bool:
    """Tell whether `new` says the same: what is stored goes before what a context gives, so one
    attribute more may take something away.
    """
    return old.attributes == new.attributes


def _made_of(staff: Staff) -> tuple[Any, ...]:
    return staff.number, staff.customers, _places("", staff)


def _places(stream_id: str, staff: Staff) -> tuple[str, ...]:
    return (stream_id,) if staff.team is None else (stream_id, staff.team)


def _says(new: PointRow | None, old: PointRow) -> bool:
    """Tell whether `new` places the customer wherever `old` did."""
    return new is not None and set(old.attributes[MANAGER]) <= set(new.attributes[MANAGER])


def _customer(stream_id: str, customer: Customer) -> PointRow:
    attributes = {} if customer.grade is None else {GRADE: customer.grade}
    names = Names(customer.number, customer.number)
    return PointRow(CUSTOMER, stream_id, None, None, names, attributes)


def _assigned(stream_id: str, staff: Staff) -> dict[str, PointRow]:
    """Return the rows of a staff member's customers, by customer."""
    names = Names(staff.number, staff.number)
    attributes = {MANAGER: _places(stream_id, staff)}
    return {
        customer: PointRow(f"{CUSTOMER}/{customer}", stream_id, None, None, names, attributes)
        for customer in staff.customers
    }
