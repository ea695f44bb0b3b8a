"""The caller's own view: who they are, what they have, what is under way, what is asked of them,
and what they can ask for.

Nothing of anybody else is here: every list is of the party behind the key, and another's id is
answered as one that does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

import psycopg

from api import rendering
from api.bodies import Malformed
from api.problems import Answered
from api.routes.lists import followed
from api.routes.me_shown import (
    NEVER_AGREED,
    Own,
    admits,
    cases_shown,
    grant_shown,
    offer_shown,
    task_shown,
)
from api.routes.operations import Call, Operation, answered
from api.routes.past import View, page_of, view_of
from api.routes.questions import ListQuestion, Question, page, reached
from api.routes.staff import EXAMPLE_ID
from api.routes.streams import agreement_of, headers_of
from domain import customers, policies, staff, teams
from domain.customers import Customer, Member, is_member
from domain.duties import MAX_MERGES
from domain.errors import Refused
from domain.grant_states import ENDED, Grant
from domain.persons import Person
from domain.policies import Policy
from domain.staff import Staff
from domain.values import Instant
from projections import own, queries
from projections.queries import Page

PURPOSE: Final = "own_view"
"""What stands in the access log where a party is shown a text that was written to it."""


class GrantList(ListQuestion, frozen=True, kw_only=True):
    """`state`: those in effect or about to be, or those that have ended."""

    state: Literal["current", "ended"] | None = None


class RequestList(ListQuestion, frozen=True, kw_only=True):
    """`state`: those still open, or those closed one way or another."""

    state: Literal["open", "closed"] | None = None


async def me(call: Call) -> Answered:
    """Answer who calls."""
    question = call.query(Question)
    question.refuse_past()
    position = await reached(call, question.at_least)
    at = call.services.ledgers.now(call.tenant)
    mine = await call.work(_own, call, at, as_member=False)
    caller = call.caller
    document: dict[str, Any] = {
        "party": caller.party.ref,
        "kind": caller.party.kind,
        "person": caller.party.person,
        "scopes": sorted(caller.scopes),
    }
    match mine.record:
        case Customer() as customer:
            document["customer"] = {
                "number": customer.number,
                "form": customer.form,
                "title": customer.title,
                "grade": customer.grade,
                "status": customers.status_at(customer, at),
                "confirmed_until": rendering.shown(customer.confirmed_until),
            }
            document["memberships"] = [
                {"member": name, **rendering.shown(one), "now": is_member(one, at)}
                for name, one in mine.memberships.items()
            ]
        case Staff() as member:
            document["staff"] = {
                "number": member.number,
                "level": member.level,
                "roles": list(member.roles),
                "team": teams.team_at(member.teams, at),
                "customers": list(member.customers),
                "status": staff.status_at(member, at),
            }
        case None:
            pass
    return answered(document, 200, [(b"position", str(position).encode())])


async def my_grants(call: Call) -> Answered:
    """Answer with a page of the caller's grants."""
    question = call.query(GrantList)

    def items(view: View, mine: Own, found: Page, at: Instant) -> list[dict[str, Any]]:
        shown = [grant_shown(one, grant, at) for one, grant in _grants(view, mine, found)]
        return [one for one in shown if _wanted(one, question.state)]

    return await _listed(call, question, "grants", own.grants, (str,), items)


def _wanted(shown: dict[str, Any], state: str | None) -> bool:
    if shown["status"] in NEVER_AGREED:
        return False
    return state is None or (shown["status"] in ENDED) == (state == "ended")


async def my_requests(call: Call) -> Answered:
    """Answer with a page of the caller's requests and cases; the page counts grants."""
    question = call.query(RequestList)

    def items(view: View, mine: Own, found: Page, at: Instant) -> list[dict[str, Any]]:
        return [
            case
            for one, grant in _grants(view, mine, found)
            for case in cases_shown(one, grant, at)
            if question.state is None or case["open"] == (question.state == "open")
        ]

    return await _listed(call, question, "grants", own.grants, (str,), items)


async def asked(call: Call) -> Answered:
    """Answer with a page of what is asked of the caller, the longest waiting first."""
    question = call.query(ListQuestion)
    texts: list[str] = []

    def items(view: View, mine: Own, found: Page, at: Instant) -> list[dict[str, Any]]:
        loaded = _loaded(view, found, "stream_id")
        shown = [
            task_shown(call, mine, row, one, grant, at)
            for row, (one, grant) in zip(found.items, loaded, strict=True)
        ]
        texts.extend(one["grant"] for one in shown if one is not None and one["what"] == "answer")
        return [one for one in shown if one is not None]

    answer = await _listed(call, question, "tasks", own.tasks, (str, str, str), items)
    caller = call.caller
    for stream in texts:  # a question is shown opened, to whom it was put: that is logged first
        await call.services.access_log.unmasked_read(
            caller.tenant, caller.key_id, caller.party, call.operation.name, stream, PURPOSE
        )
    return answer


async def offers(call: Call) -> Answered:
    """Answer with a page of the kinds the caller can ask for now."""
    question = call.query(ListQuestion)

    def rows(conn: Any, tenant: str, _refs: Sequence[str], **more: Any) -> Page:
        return queries.policies(conn, tenant, **more)

    def items(view: View, mine: Own, found: Page, at: Instant) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = []
        for row in found.items:
            policy: Policy | None = view.load("policy", row["policy_id"]).state
            version = None if policy is None else policies.in_force(policy, at)
            if version is not None and admits(version.body, mine):
                shown.append(offer_shown(version.body, version.number, mine, at))
        return shown

    return await _listed(call, question, "policies", rows, (str,), items)


async def my_grant(call: Call) -> Answered:
    """Answer with one of the caller's grants; what there is to sign, where that is so."""
    question = call.query(Question)
    stream = call.id("id", "grant")
    position = await reached(call, question.at_least)
    view = await view_of(call, question)
    mine = await call.work(_own, call, call.services.ledgers.now(call.tenant))
    at = view.now()
    loaded = await call.work(view.load, "grant", stream)
    grant: Grant | None = loaded.state
    if grant is None or grant.grantee not in mine.refs:
        raise Refused("grant.unknown", grant=stream)
    document = grant_shown(stream, grant, at)
    document["cases"] = cases_shown(stream, grant, at)
    document["agreement"] = await call.work(agreement_of, call, grant, view)
    document["version"] = loaded.version
    return answered(document | view.told(), 200, headers_of(view, loaded.version, position))


Rows = Callable[..., Page]
Items = Callable[[View, Own, Page, Instant], list[dict[str, Any]]]


async def _listed(
    call: Call,
    question: ListQuestion,
    projection: str,
    rows: Rows,
    key: tuple[type, ...],
    items: Items,
) -> Answered:
    """Answer a page; a page may have fewer items than rows, never fewer than there are."""
    view, after = await page_of(call, question, key)
    await followed(call, projection, max(question.at_least or 0, view.position or 0) or None)
    mine = await call.work(_own, call, call.services.ledgers.now(call.tenant))

    def read() -> tuple[Page, list[dict[str, Any]]]:
        # A grant stays whose it is: the rows of now name those of then, and their streams tell what
        # they were, so that nobody's own view keeps a worker busy.
        with view.live(projection) as conn:
            found = rows(conn, call.tenant, mine.refs, after=after, limit=question.limit)
        return found, items(view, mine, found, view.now())

    try:
        found, shown = await call.work(read)
    except psycopg.DataError:  # an id or an instant that somebody made up
        raise Malformed("cursor.malformed") from None
    position = found.position if view.position is None else view.position
    return page(call, question, shown, found.last, position, view)


_NOBODY: Final[Mapping[str, Member]] = {}


# --- who ------------------------------------------------------------------------------------------


def _own(call: Call, at: Instant, *, as_member: bool = True) -> Own:
    """Return the caller as a party. Blocks.

    Raises `Refused`: `member.none` where the person acts for the customer no longer, unless not
    `as_member`.
    """
    party = call.caller.party
    if party.kind == "customer":
        customer: Customer | None = _load(call, "customer", party.id)
        person = _same(call, party.person or "")
        members = _NOBODY if customer is None else customer.members
        memberships = {
            name: one for name, one in members.items() if _same(call, one.person) == person
        }
        now = [one for one in memberships.values() if is_member(one, at)]
        if as_member and not now:
            raise Refused("member.none", customer=party.ref)
        with call.services.ledgers.pool.connection() as conn:
            refs = own.merged_refs(conn, call.tenant, party.ref)
        acts = frozenset(act for one in now for act in one.acts)
        return Own(refs, customer, memberships, acts)
    if party.kind == "staff":
        member: Staff | None = _load(call, "staff", party.id)
        team = None if member is None else teams.team_at(member.teams, at)
        line = () if team is None else teams.line(team)
        refs = (party.ref, *(f"{teams.TEAM}:{path}" for path in line))
        return Own(refs, member, {}, None)
    return Own((), None, {}, None)


def _load(call: Call, kind: str, stream: str) -> Any:
    return call.services.ledgers.load(call.tenant, kind, stream).state


def _same(call: Call, person: str) -> str:
    """Return who a person turned out to be; past the bound of merges nobody: fail closed."""
    for _ in range(MAX_MERGES):
        known: Person | None = _load(call, "person", person)
        if known is None or known.merged_into is None:
            return person
        person = known.merged_into
    return ""


def _loaded(view: View, found: Page, column: str) -> list[tuple[str, Any]]:
    """Return the grants of a page as committed now, or as they were, None where there was none; all
    read in one round trip.
    """
    ids = [row[column] for row in found.items]
    view.streams().refresh(ids)
    return [(one, view.load("grant", one).state) for one in ids]


def _grants(view: View, mine: Own, found: Page) -> list[tuple[str, Grant]]:
    """Return the grants of a page that there were, and were the caller's: imported history may tell
    late whose a grant is.
    """
    loaded = _loaded(view, found, "grant_id")
    return [(one, grant) for one, grant in loaded if grant and grant.grantee in mine.refs]


def _row(
    name: str,
    path: str,
    summary: str,
    summary_zh: str,
    handle: Callable[[Call], Awaitable[Answered]],
    query: type[Question],
    shows: dict[str, Any],
    answer: str = "A page; `next_cursor` is null where nothing follows.",
    past: tuple[Literal["as_of", "at", "happened"], ...] = (),
) -> Operation:
    return Operation(
        name=f"me.{name}",
        method="GET",
        path=f"/v1/me{path}",
        scope="me",
        summary=summary,
        summary_zh=summary_zh,
        handle=handle,
        query=query,
        answer=answer,
        shows=shows,
        past=past,
    )


PAST: Final = ("as_of", "at", "happened")

OPERATIONS: Final = (
    _row(
        "show",
        "",
        "Who I am: party, person, memberships, roles",
        "我是谁：主体、自然人、经办权限、角色",
        me,
        query=Question,
        answer="The party behind the key.",
        shows={"party": f"customer:{EXAMPLE_ID}", "kind": "customer", "memberships": []},
    ),
    _row(
        "grants",
        "/grants",
        "My grants, in force and ended",
        "我的授权：生效中的与已结束的",
        my_grants,
        query=GrantList,
        past=PAST,
        shows={"items": [{"grant": EXAMPLE_ID, "status": "active"}], "next_cursor": None},
    ),
    _row(
        "grant",
        "/grants/{id}",
        "One of my grants, its cases, and what there is to sign",
        "我的一项授权、其办理事项及待签署内容",
        my_grant,
        query=Question,
        past=PAST,
        answer="The grant as its grantee sees it.",
        shows={"grant": EXAMPLE_ID, "status": "approved", "version": 4},
    ),
    _row(
        "requests",
        "/requests",
        "My requests, renewals and amendments, open and closed",
        "我的申请、续期与变更：进行中的与已结束的",
        my_requests,
        query=RequestList,
        past=PAST,
        shows={"items": [{"grant": EXAMPLE_ID, "what": "request"}], "next_cursor": None},
    ),
    _row(
        "asked",
        "/asked",
        "What is asked of me: answers, signatures, confirmations",
        "等待我处理的事项：补充信息、签署、确认",
        asked,
        query=ListQuestion,
        shows={"items": [{"what": "sign", "grant": EXAMPLE_ID}], "next_cursor": None},
    ),
    _row(
        "offers",
        "/offers",
        "What I can ask for: kinds, actions, longest term, evidence demanded",
        "我可以申请的授权种类、行为、最长期限与所需证据",
        offers,
        query=ListQuestion,
        shows={"items": [{"kind": "dealership", "longest_days": 366}], "next_cursor": None},
    ),
)
