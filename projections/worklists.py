"""What waits for whom, since when, and who could do it now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from psycopg.rows import dict_row

from domain.customers import Customer
from domain.errors import Refused
from domain.grant_states import Grant
from domain.policies import Policy
from domain.values import Instant
from projections.compliance_statements import made, own, shifted
from projections.queries import Conn, Key, Page, plain, reached, require_limit
from projections.reading import walking
from projections.scanning import scan
from projections.tasks import Waiting, waiting
from projections.work_people import Could, Firm
from projections.work_states import States, Streams
from projections.work_steps import Step, step_of, walked_of

SCAN: Final = 500
"""Tasks that a page looks at at the most; each one reads the streams it rests on."""

TRIES: Final = 20_000
"""Tries of a page at the most, a task and a pair of hands each, a second or two: where staff are
many it looks at fewer tasks.
"""


class Wish(NamedTuple):
    """What a list of work is asked for.

    `staff`: what this staff member (id) could do now. `kind`: of task. `customer`: the ref of whom
    it is about. `overdue`: waits for at least so many days. `unassigned`: whoever asked, or looks
    after the customer, has left.
    """

    staff: str | None = None
    kind: str | None = None
    customer: str | None = None
    overdue: int | None = None
    unassigned: bool | None = None


def worklist(
    conn: Conn,
    ledger: Streams,
    at: Instant,
    wish: Wish,
    *,
    after: Key | None = None,
    limit: int = 100,
) -> Page:
    """Return what waits at `at`, the longest waiting first; key `[since, id, item]`.

    What the clock or a later event has done away with is not shown, and a page may be short and yet
    have a key behind which more follow. A row: `kind`, `about`
    (`grant`, `customer`, `policy`), `id` of the stream, `item`, `number`, `customer`, `grant_kind`,
    `case_id`, `case_kind`, `since`, `waiting_days`, `lapses_at`, `needs` (what is missing),
    `stage`, `stage_names`, `signer`, `could` (staff, at most ten), `could_count` (all of them),
    `members` (of the customer who could), `hindrance` (a code, where the rules refuse it to
    everybody for now), `unassigned`. Raises `Refused`: `page.limit`.
    """
    require_limit(limit)
    states = States(ledger, at)
    firm = Firm(states)
    with walking(conn, ledger.tenant):
        position = reached(conn, ledger.tenant, "tasks")
        found = scan(
            lambda behind, number: _fetched(conn, at, wish, behind, number),
            lambda rows: _items(states, firm, wish, rows),
            lambda row: [row["since"].isoformat(), row["stream_id"], row["item"]],
            after=None if after is None else list(after),
            limit=limit,
            most=min(max(SCAN, limit), max(1, TRIES // max(1, firm.size))),
        )
    return Page(found.items, found.last, position)


def of_record(ledger: Streams, at: Instant, about: str, stream_id: str) -> list[dict[str, Any]]:
    """Return what waits in one record at `at`, in rows of the list; read from the log itself, which
    says nothing of since when.
    """
    states = States(ledger, at)
    state = states.load(about, stream_id).state
    party = state.grantee if isinstance(state, Grant) else None
    party = f"customer:{stream_id}" if isinstance(state, Customer) else party
    rows = [
        {
            "about": about,
            "stream_id": stream_id,
            "item": item,
            "kind": task.kind,
            "party": party,
            "since": at,
        }
        for item, task in waiting(state).items()
    ]
    found = _items(states, Firm(states), Wish(), rows) if rows else []
    return [one for one in found if one is not None]


def principals(ledger: Streams, at: Instant, staff_id: str) -> list[tuple[str, str]]:
    """Return for whom a staff member stands in at `at`: ref and number of each."""
    return Firm(States(ledger, at)).principals(staff_id)


def _fetched(
    conn: Conn, at: Instant, wish: Wish, behind: Key | None, number: int
) -> list[dict[str, Any]]:
    begun = shifted(at, -(wish.overdue or 0))
    given: dict[str, Any] = {"n": number, "begun": begun, "kind": wish.kind, "party": wish.customer}
    given |= {f"k{place}": one for place, one in enumerate(behind or ())}
    first = "kind" if wish.customer is None else "party"
    order, filters = _ORDER, ""
    if wish.kind is not None or wish.customer is not None:
        # Bounds and no equality: the order asked for is then that of one index alone.
        order, filters = f"t.{first}, {_ORDER}", f" AND t.{first} <= %({first})s"
        filters += f" AND t.{first} >= %({first})s" if behind is None else ""
    if wish.kind is not None and first == "party":
        filters += " AND t.kind = %(kind)s"
    if behind is not None:
        key = "%(k0)s::timestamptz, %(k1)s::uuid, %(k2)s::text"
        key = key if order == _ORDER else f"%({first})s::text, {key}"
        filters += f" AND ({order}) > ({key})"
    statement = made(
        "SELECT t.stream_id, t.item, t.kind, t.about, t.party, t.since FROM tasks t"
        f" WHERE {own('t', 'tasks')} AND t.since <= %(begun)s{filters}"
        f" ORDER BY {order} LIMIT %(n)s"
    )
    return [plain(row) for row in conn.cursor(row_factory=dict_row).execute(statement, given)]


_ORDER: Final = "t.since, t.stream_id, t.item"


def _items(
    states: States, firm: Firm, wish: Wish, rows: list[dict[str, Any]]
) -> list[dict[str, Any] | None]:
    states.bring((row["about"], row["stream_id"]) for row in rows)
    states.bring({pair for row in rows for pair in _rests_on(_known(states, row))})
    found = [_known(states, row) for row in rows]
    states.bring({pair for state in found for pair in _second(states, state)})
    return [_item(states, firm, wish, row) for row in rows]


def _known(states: States, row: dict[str, Any]) -> Any:
    """Return the state a row is about; None where its stream is closed."""
    try:
        return states.load(row["about"], row["stream_id"]).state
    except Refused:
        return None


def _rests_on(state: Any) -> Iterator[tuple[str, str]]:
    """Yield the streams that a decision on this one will look at."""
    if isinstance(state, Grant):
        yield "policy", state.policy.policy
        kind, _, grantee = state.grantee.partition(":")
        if kind in ("customer", "staff"):
            yield kind, grantee
        if state.terms.parent is not None:
            yield "grant", state.terms.parent
        if state.open_case is not None:
            yield "policy", state.open_case.policy.policy
            yield from _persons(state.open_case.hands.values())
        yield from _persons(state.hands.values())
        yield from _persons(one.persons for one in (*state.approvals, *state.holds))
    elif isinstance(state, Customer):
        yield from _persons(one.hands for one in state.corrections.values())
    elif isinstance(state, Policy):
        yield from _persons(one.authors for one in state.versions.values())


def _second(states: States, state: Any) -> Iterator[tuple[str, str]]:
    """Yield the persons behind the members of whom a grant is given to."""
    kind, _, grantee = state.grantee.partition(":") if isinstance(state, Grant) else ("", "", "")
    if kind == "customer":
        customer = _known(states, {"about": kind, "stream_id": grantee})
        if isinstance(customer, Customer):
            yield from (("person", member.person) for member in customer.members.values())


def _persons(groups: Iterable[Iterable[str]]) -> Iterator[tuple[str, str]]:
    return (("person", person) for group in groups for person in group)


def _item(states: States, firm: Firm, wish: Wish, row: dict[str, Any]) -> dict[str, Any] | None:
    state = _known(states, row)
    if state is None:
        closed = Step(None, hindrance="stream.closed")
        shown = wish.staff is None and not wish.unassigned
        return (
            _shown(states, row, None, closed, firm.could(closed, row["kind"], None))
            if shown
            else None
        )
    task = waiting(state).get(row["item"])
    if task is None or _is_over(task, states.at):
        return None
    step = step_of(states, row["stream_id"], row["item"], task, state)
    if step is None or (wish.staff is not None and not firm.can(step, wish.staff, state)):
        return None
    unassigned = firm.unassigned(_askers(state, row["item"]), _customer_id(row["party"]))
    if wish.unassigned is not None and wish.unassigned != unassigned:
        return None
    could = firm.could(step, task.kind, state)
    found = _shown(states, row, task, step, could)
    return found | {"unassigned": unassigned} | _of(state, row["item"])


def _is_over(task: Waiting, at: Instant) -> bool:
    """Tell whether the clock has ended it; an identification waits on when it has lapsed."""
    return task.kind != "identify" and task.lapses_at is not None and task.lapses_at <= at


def _shown(
    states: States, row: dict[str, Any], task: Waiting | None, step: Step, could: Could
) -> dict[str, Any]:
    return {
        "kind": row["kind"],
        "about": row["about"],
        "id": row["stream_id"],
        "item": row["item"],
        "number": None,
        "customer": row["party"],
        "grant_kind": None,
        "case_id": None,
        "case_kind": None,
        "since": row["since"],
        "waiting_days": (states.at - row["since"]).days,
        "lapses_at": None if task is None else task.lapses_at,
        "needs": list(step.needs),
        "stage": None,
        "stage_names": None,
        "signer": None,
        "could": could.staff,
        "could_count": could.number,
        "members": could.members,
        "hindrance": could.hindrance,
        "unassigned": False,
        **dict(step.more),
    }


def _of(state: Any, item: str) -> dict[str, Any]:
    """Return what the list shows of the record itself: clear codes and numbers, never a name."""
    match state:
        case Grant():
            return {"number": state.number, "grant_kind": state.terms.kind, **_case_of(state, item)}
        case Customer():
            return {"number": state.number}
        case _:
            return {"number": item.partition(":")[2], "grant_kind": state.kind}


def _case_of(grant: Grant, item: str) -> dict[str, Any]:
    kind, _, case = item.partition(":")
    case = case.rpartition(":")[0] if kind == "sign" else case
    match kind:
        case "confirm_suspension":
            return {}
        case "confirm_error":
            return {"case_id": case, "case_kind": "error"}
        case "confirm_revocation":
            return {"case_id": case, "case_kind": "revocation"}
        case _:
            opened = grant.open_case
            beside = opened is not None and opened.case == case
            return {"case_id": case, "case_kind": opened.kind if opened and beside else "request"}


def _askers(state: Any, item: str) -> Iterable[str]:
    if not isinstance(state, Grant):
        return ()
    case = _case_of(state, item).get("case_id")
    return state.askers if case is None else walked_of(state, case).askers


def _customer_id(party: str | None) -> str | None:
    kind, _, stream_id = (party or "").partition(":")
    return stream_id if kind == "customer" else None
