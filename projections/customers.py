"""The customers as a table: one row a customer, without anything that names a natural person."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from domain.customers import Customer
from projections.rows import StreamModel


@lru_cache(maxsize=4096)
def title_key(title: str) -> str:
    """Return what organizations sort by: the pinyin of Chinese characters, all in lower case."""
    from pypinyin import lazy_pinyin  # its dictionaries take most of a second to load

    return " ".join(lazy_pinyin(title)).lower()


def row(customer: Customer) -> dict[str, Any]:
    """Return the row of a state; only an organization has a title."""
    title = customer.title if customer.form == "organization" else None
    confirmed = customer.status == "confirmed"
    return {
        "number": customer.number,
        "form": customer.form,
        "title": title,
        "title_key": None if title is None else title_key(title),
        "uscc": customer.uscc,
        "status": customer.status,
        "confirmed_until": customer.confirmed_until,
        "due_at": customer.confirmed_until if confirmed else None,
        "grade": customer.grade,
        "merged_into": customer.merged_into,
        "members": sum(member.until is None for member in customer.members.values()),
        "irregular": customer.irregular,
    }


MODEL = StreamModel(
    name="customers",
    fold=1,
    kind="customer",
    key="customer_id",
    columns={
        "number": "text",
        "form": "text",
        "title": "text",
        "title_key": "text",
        "uscc": "text",
        "status": "text",
        "confirmed_until": "timestamptz",
        "due_at": "timestamptz",
        "grade": "text",
        "merged_into": "text",
        "members": "integer",
        "irregular": "boolean",
    },
    row=row,
)
