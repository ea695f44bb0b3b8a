"""Every operation there is; what is not in this table is not answered."""

from __future__ import annotations

from typing import Any, Final

from api import openapi
from api.routes import (
    authzen,
    authzen_batch,
    authzen_search,
    cases,
    catalogue,
    checks,
    compliance,
    customer_records,
    customers,
    documents,
    evidence,
    grants,
    health,
    history,
    lists,
    me,
    persons,
    points,
    policies,
    projections,
    shares,
    staff,
    streams,
    supervision,
    work,
)
from api.routes.commands import CommandOperation
from api.routes.operations import Operation

COMMANDS: Final[tuple[CommandOperation, ...]] = (
    *catalogue.OPERATIONS,
    *persons.OPERATIONS,
    *staff.OPERATIONS,
    *customers.OPERATIONS,
    *customer_records.OPERATIONS,
    *shares.COMMANDS,
    *policies.OPERATIONS,
    *grants.OPERATIONS,
    *supervision.OPERATIONS,
    *cases.OPERATIONS,
)


def _document() -> dict[str, Any]:
    return openapi.document(OPERATIONS)


OPERATIONS: Final[tuple[Operation, ...]] = (
    *checks.OPERATIONS,
    *authzen.OPERATIONS,
    *authzen_batch.OPERATIONS,
    *authzen_search.OPERATIONS,
    *COMMANDS,
    *lists.OPERATIONS,
    *projections.OPERATIONS,
    *work.OPERATIONS,
    *compliance.OPERATIONS,
    *points.OPERATIONS,
    *streams.OPERATIONS,
    *history.OPERATIONS,
    *shares.OPERATIONS,
    *me.OPERATIONS,
    *evidence.OPERATIONS,
    *health.OPERATIONS,
    *documents.operations_of(_document),
)
