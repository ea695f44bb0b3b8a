"""The staff as a table: one row a staff member; a number, never a name."""

from __future__ import annotations

from typing import Any

from domain.staff import Staff
from projections.rows import StreamModel


def row(staff: Staff) -> dict[str, Any]:
    """Return the row of a state."""
    deputy = staff.deputy
    return {
        "number": staff.number,
        "person": staff.person,
        "level": staff.level,
        "roles": staff.roles,
        "customers": staff.customers,
        "status": staff.status,
        "deputy": None if deputy is None else deputy.staff,
        "deputy_from": None if deputy is None else deputy.from_,
        "deputy_until": None if deputy is None else deputy.until,
        "irregular": staff.irregular,
    }


MODEL = StreamModel(
    name="staff",
    fold=1,
    kind="staff",
    key="staff_id",
    columns={
        "number": "text",
        "person": "text",
        "level": "text",
        "roles": "text[]",
        "customers": "text[]",
        "status": "text",
        "deputy": "text",
        "deputy_from": "timestamptz",
        "deputy_until": "timestamptz",
        "irregular": "boolean",
    },
    row=row,
)
