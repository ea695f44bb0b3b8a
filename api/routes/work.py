"""The list of work: what waits for whom, since when, and who could do it now."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from api.bodies import Malformed
from api.routes.lists import Listing, operations_of
from api.routes.operations import Call, Operation
from api.routes.past import View
from api.routes.questions import ListQuestion
from api.shapes import Ref
from domain.errors import Refused
from projections import tasks, worklists
from projections.queries import Page
from projections.worklists import Wish

MAX_DAYS: Final = 36_500

StaffRef = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^staff:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\s\S])",
        examples=["staff:01900000-0000-7000-8000-000000000000"],
    ),
]


class WorkList(ListQuestion, frozen=True, kw_only=True, rename={"for_": "for"}):
    """What waits, the longest waiting first.

    `for`: what this staff member could do now, in their own name or for whom they stand in; `mine`:
    the same for whoever calls. `overdue`: waits for at least so many days. `unassigned`: whoever
    asked, or looks after the customer, has left.
    """

    for_: StaffRef | None = None
    mine: bool | None = None
    kind: tasks.Kind | None = None
    customer: Ref | None = None
    overdue: Annotated[int, msgspec.Meta(ge=0, le=MAX_DAYS)] | None = None
    unassigned: bool | None = None


def _read(call: Call, view: View, question: WorkList, after: list[Any] | None, limit: int) -> Page:
    """Read one page. Blocks. Raises `Refused`: `worklist.not_staff`, `query.invalid`."""
    wish = Wish(
        staff=_asked_for(call, question),
        kind=question.kind,
        customer=question.customer,
        overdue=question.overdue,
        unassigned=question.unassigned,
    )
    with view.reading("tasks") as connection:
        return worklists.worklist(
            connection, view.streams(), view.now(), wish, after=after, limit=limit
        )


def _asked_for(call: Call, question: WorkList) -> str | None:
    """Return the id of the staff member whose work is asked for."""
    if not question.mine:
        return None if question.for_ is None else question.for_.partition(":")[2]
    if question.for_ is not None:
        raise Malformed("query.invalid")
    party = call.caller.party
    if party.kind != "staff":
        raise Refused("worklist.not_staff", party=party.ref)
    return party.id


WORK: Final = Listing(
    name="worklist.list",
    path="/v1/worklist",
    scope="grants:read",
    also=("audit:read", "grants:supervise"),
    summary="What waits for whom, since when, and who could do it now",
    summary_zh="待办：什么在等谁、等了多久、谁现在可以办",
    question=WorkList,
    projection="tasks",
    read=_read,
    key=(str, str, str),
    past=("as_of", "at", "happened"),
    columns=(
        "kind",
        "about",
        "id",
        "item",
        "number",
        "customer",
        "grant_kind",
        "case_id",
        "case_kind",
        "since",
        "waiting_days",
        "lapses_at",
        "needs",
        "stage",
        "stage_names",
        "signer",
        "could",
        "could_count",
        "members",
        "hindrance",
        "unassigned",
    ),
)

OPERATIONS: Final[tuple[Operation, ...]] = operations_of(WORK)
