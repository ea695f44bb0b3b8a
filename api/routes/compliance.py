"""The queries of compliance: whose hands met in one case, approvals nobody checked, cases open for
long, terms in force beyond what they rest on, about to end or under policies that are no more, and
who approved how much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec

from api.problems import Answered
from api.routes.lists import Listing, followed, operations_of
from api.routes.operations import Call, Operation, answered
from api.routes.past import View, view_of
from api.routes.questions import ListQuestion, Question
from api.shapes import When
from projections import approvers, compliance, duty_breaches
from projections.queries import Page

SCOPE: Final = "audit:read"
ALSO: Final = ("grants:supervise",)
"""Who may ask: those who audit, and those who supervise."""

MAX_DAYS: Final = 36_500

Days = Annotated[int, msgspec.Meta(ge=0, le=MAX_DAYS)]


class DutyList(ListQuestion, frozen=True, kw_only=True):
    """Cases in which one person had two of: requested, checked, approved."""

    pair: Literal["requested_checked", "requested_approved", "checked_approved"] | None = None


class UncheckedList(ListQuestion, frozen=True, kw_only=True):
    """Cases somebody approved and nobody checked; `demanded`: whether the policy asks for a
    check.
    """

    demanded: bool | None = None


class InstantList(ListQuestion, frozen=True, kw_only=True):
    """By the clock at `instant`; where none is given at `at`, and else now."""

    instant: When | None = None


class OpenList(InstantList, frozen=True, kw_only=True):
    """Cases open at `instant` that had been for at least `days`."""

    days: Days = 30


class EndingList(InstantList, frozen=True, kw_only=True):
    """Grants that end within `days` behind `instant`."""

    days: Days = 30


class ApproverList(ListQuestion, frozen=True, kw_only=True):
    """Approvals given from `since` on and before `until`."""

    since: When | None = None
    until: When | None = None


def _at_instant(
    rows: Callable[..., Page],
) -> Callable[[Call, View, InstantList, list[Any] | None, int], Page]:
    def read(
        call: Call, view: View, question: InstantList, after: list[Any] | None, limit: int
    ) -> Page:
        filters = question.filters()
        instant = filters.pop("instant") or view.now()
        with view.reading("effects") as connection:
            return rows(
                connection, call.tenant, instant=instant, after=after, limit=limit, **filters
            )

    return read


CASE: Final = ("grant_id", "number", "case_id", "case_kind", "grantee", "opened_at", "closed_at")
TERMS: Final = (
    "grant_id",
    "number",
    "terms",
    "grantee",
    "kind",
    "policy_id",
    "policy_version",
    "starts_at",
    "ends_at",
)

DUTIES: Final = Listing(
    name="compliance.duties",
    path="/v1/compliance/duties",
    scope=SCOPE,
    also=ALSO,
    summary="Cases in which one person had two of requested, checked, approved",
    summary_zh="同一人兼有申请、核查、审批中两项的案件",
    question=DutyList,
    projection="hands",
    rows=duty_breaches.breaches,
    key=(str, str, str),
    columns=(
        "grant_id",
        "number",
        "case_id",
        "person",
        "parties",
        "pairs",
        "requested",
        "checked",
        "approved",
        "imported",
    ),
)

LISTS: Final = (
    DUTIES,
    Listing(
        name="compliance.unchecked",
        path="/v1/compliance/unchecked",
        scope=SCOPE,
        also=ALSO,
        summary="Cases that somebody approved and nobody checked",
        summary_zh="有审批而无核查的案件",
        question=UncheckedList,
        projection="cases",
        rows=compliance.unchecked,
        key=(str, str),
        columns=(*CASE, "approvals", "demanded", "imported"),
    ),
    Listing(
        name="compliance.open",
        path="/v1/compliance/open",
        scope=SCOPE,
        also=ALSO,
        summary="Cases that are open for longer than so many days",
        summary_zh="未结超过若干天的案件",
        question=OpenList,
        projection="cases",
        read=_at_instant(compliance.open_longer),
        past=("as_of", "at", "happened"),
        key=(str, str, str),
        columns=(*CASE, "over_at", "open_days", "checks", "approvals", "imported"),
    ),
    Listing(
        name="compliance.beyond_evidence",
        path="/v1/compliance/beyond-evidence",
        scope=SCOPE,
        also=ALSO,
        summary="Terms in force beyond the end of the evidence or identity they rest on",
        summary_zh="所依据的凭证或身份已到期而仍生效的授权",
        question=InstantList,
        projection="effects",
        read=_at_instant(compliance.beyond_evidence),
        past=("as_of", "at", "happened"),
        key=(str, str, str),
        columns=(*TERMS, "beyond", "evidence_ends_at", "identity_ends_at"),
    ),
    Listing(
        name="compliance.ending",
        path="/v1/compliance/ending",
        scope=SCOPE,
        also=ALSO,
        summary="Grants that end within so many days",
        summary_zh="若干天内到期的授权",
        question=EndingList,
        projection="effects",
        read=_at_instant(compliance.ending),
        past=("as_of", "at", "happened"),
        key=(str, str, str),
        columns=(*TERMS, "left_days"),
    ),
    Listing(
        name="compliance.retired_policies",
        path="/v1/compliance/retired-policies",
        scope=SCOPE,
        also=ALSO,
        summary="Terms in force under retired or superseded versions of policies",
        summary_zh="依据已停用或已被取代的政策版本而生效的授权",
        question=InstantList,
        projection="effects",
        read=_at_instant(compliance.retired_policies),
        past=("as_of", "at", "happened"),
        key=(str, int, str, str, str),
        columns=(*TERMS, "retired_at", "superseded_at"),
    ),
    Listing(
        name="compliance.approvers",
        path="/v1/compliance/approvers",
        scope=SCOPE,
        also=ALSO,
        summary="Who approved how much: the approvals that stand, by person",
        summary_zh="各人的审批数量：按人统计的有效审批",
        question=ApproverList,
        projection="hands",
        rows=approvers.approvers,
        key=(str,),
        columns=("person", "parties", "approvals", "cases", "kinds", "first", "last", "imported"),
    ),
)


async def duties(call: Call) -> Answered:
    """Answer how many cases have a breach of duties, in all and a pair of hands."""
    question = call.query(Question)
    view = await view_of(call, question)
    await followed(call, DUTIES.projection, question.at_least)
    found = await view.run(_totals, call, view)
    document = {"cases": found.cases, "pairs": found.pairs, **view.told()}
    return answered(document, 200, [(b"position", str(found.position).encode()), *view.headers()])


def _totals(call: Call, view: View) -> duty_breaches.Totals:
    with view.reading(DUTIES.projection) as connection:
        return duty_breaches.totals(connection, call.tenant)


OPERATIONS: Final[tuple[Operation, ...]] = (
    *(operation for listing in LISTS for operation in operations_of(listing)),
    Operation(
        name="compliance.duties_totals",
        method="GET",
        path="/v1/compliance/duties/totals",
        scope=SCOPE,
        also=ALSO,
        summary="How many cases have a breach of duties, in all and a pair of hands",
        summary_zh="违反职责分离的案件数，合计及按组合",
        query=Question,
        past=("as_of", "happened"),
        answer="Each case once, and once in each pair that met in it.",
        shows={"cases": 2, "pairs": dict.fromkeys(duty_breaches.PAIRS, 1)},
        handle=duties,
    ),
)
