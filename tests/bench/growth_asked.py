"""The questions and commands that `growth` counts, as the product asks them, each time of another
record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import psycopg

from domain.commands.grants import ApproveStage, RequestGrant
from domain.commands.supervision import SuspendGrant
from domain.ledger import Ledgers
from domain.values import Party, Term
from domain.view import Command
from projections import approvers, compliance, history_asked, history_reading, queries, worklists
from projections.check_rows import check_once
from projections.checks import Question
from projections.duty_breaches import breaches
from projections.queries import Page
from projections.reading import reading
from projections.worklists import Wish
from tests.bench.growth_log import Log
from tests.support.ledger import clock, new_id, submission
from tests.support.world import BECAUSE, World, hashed

Ask = Callable[[], object]

SEARCHES: Final[Mapping[str, str]] = {
    "history search, one word": "house",
    "history search, Chinese": "茶行",
    "history search, a phrase": '"贸易有限公司"',
    "history search, a rare word": "茶庄 N000001",
    "history search, words that never meet": "茶行 house",
    "history search, a type and a word": "type:customer.registered 丝绸商号",
    "history search, seldom beside often": "actor:root type:staff.appointed",
}


class Asking:
    """What is asked of one tenant, on a connection that stays, as those of the service do."""

    def __init__(self, conn: psycopg.Connection[Any], world: World, log: Log) -> None:
        self._conn = conn
        self._ledgers: Ledgers = world.ledgers
        self._world = world
        self._log = log
        self._tenant = log.tenant

    def asked(self) -> dict[str, Ask]:
        """Return what is asked, by name."""
        return self._commands() | self._checks() | self._lists() | self._history() | self._reports()

    def _commands(self) -> dict[str, Ask]:
        village = self._log.village
        active, pending = (self._log.fresh(ones, 1) for ones in (village.active, village.pending))
        suspended = self._log.fresh(village.suspended, 2)
        customers = self._of(village.customers, 3)
        return {
            "append, a suspension": lambda: self._say(
                "compliance", SuspendGrant(grant_id=next(active), hold=new_id())
            ),
            "append, a suspension more": lambda: self._say(
                "compliance", SuspendGrant(grant_id=next(suspended), hold=new_id())
            ),
            "append, an approval": lambda: self._say(
                "approver0", ApproveStage(grant_id=next(pending), stage="sales")
            ),
            "append, a request": lambda: self._say("requester", self._request(next(customers))),
        }

    def _checks(self) -> dict[str, Ask]:
        village = self._log.village
        one, large = self._of(village.customers, 5), self._of(village.large, 6)
        old = self._log.copied[0].base + self._log.copied[0].events
        first = self._of(village.customers, 7, first=True)
        return {
            "check, of one grant": lambda: self._check(next(one)),
            "check, of many grants": lambda: self._check(next(large)),
            "check, as of a position": lambda: self._check(next(first), as_of=old),
        }

    def _lists(self) -> dict[str, Ask]:
        village, tenant, conn = self._log.village, self._tenant, self._conn
        some, large = self._of(village.active, 8), self._of(village.large, 9)

        def grants(**more: Any) -> Ask:
            return lambda: _full(queries.grants(conn, tenant, limit=100, **more))

        def work(wish: Wish, *, further: bool = False) -> Ask:
            after = self._work(wish, None).last if further else None
            return lambda: _full(self._work(wish, after))

        return {
            "grants": grants(),
            "grants behind one": lambda: queries.grants(conn, tenant, after=[next(some)]),
            "grants suspended": grants(status="suspended"),
            "grants of a kind": grants(kind="dealership"),
            "grants of a kind and status": grants(status="suspended", kind="dealership"),
            "grants of a customer": lambda: _full(
                queries.grants(conn, tenant, grantee=f"customer:{next(large)}")
            ),
            "grants of a customer and status": lambda: queries.grants(
                conn, tenant, grantee=f"customer:{next(large)}", status="suspended"
            ),
            "customers": lambda: _full(queries.customers(conn, tenant)),
            "customers by title": lambda: _full(queries.customers(conn, tenant, title="Tea")),
            "work": work(Wish()),
            "work, further": work(Wish(), further=True),
            "work of a kind": work(Wish(kind="check")),
            "work of a customer": lambda: self._work(Wish(customer=f"customer:{next(large)}")),
            "work for one person": work(Wish(staff=self._world.staff["verifier"])),
            "work for one person, none near": lambda: self._work(
                Wish(staff=self._world.staff["approver0"])
            ),
        }

    def _history(self) -> dict[str, Ask]:
        village = self._log.village
        some, large = self._of(village.active, 10), self._of(village.large, 11)
        searches: dict[str, Ask] = {
            name: lambda text=text: self._search(text) for name, text in SEARCHES.items()
        }
        return {
            "history": lambda: self._search(""),
            "history of a grant": lambda: self._search(f"grant:{next(some)}"),
            "history of a customer": lambda: self._search(f"customer:{next(large)}"),
            **searches,
        }

    def _reports(self) -> dict[str, Ask]:
        tenant, conn = self._tenant, self._conn

        def now() -> datetime:
            return clock()

        return {
            "compliance, unchecked": lambda: compliance.unchecked(conn, tenant),
            "compliance, open for long": lambda: _full(
                compliance.open_longer(conn, tenant, days=0, instant=now())
            ),
            "compliance, beyond evidence": lambda: compliance.beyond_evidence(
                conn, tenant, instant=now()
            ),
            "compliance, ending": lambda: _full(
                compliance.ending(conn, tenant, days=300, instant=now())
            ),
            "compliance, retired policies": lambda: compliance.retired_policies(
                conn, tenant, instant=now()
            ),
            "compliance, duties": lambda: breaches(conn, tenant),
            "compliance, approvers": lambda: approvers.approvers(conn, tenant),
        }

    def _of(self, originals: tuple[str, ...], seed: int, *, first: bool = False) -> Iterator[str]:
        return self._log.chosen(originals, seed, first=first)

    def _say(self, who: str, command: Command) -> None:
        party: Party = self._world.party(who)
        given = submission(self._tenant, command, party, reason=BECAUSE)
        self._ledgers.submit(given).result()  # a door would wait for the bound on top

    def _request(self, customer: str) -> RequestGrant:
        grant, start = new_id(), clock()
        return RequestGrant(
            grant_id=grant,
            number=grant,
            number_claim=hashed("grant", grant),
            case=new_id(),
            grantee=f"customer:{customer}",
            policy=self._world.policy,
            actions=("sell",),
            scope={"territory": ("CN/31",), "product": ("tea",)},
            term=Term(starts_at=start, ends_at=start.replace(year=start.year + 1)),
        )

    def _check(self, customer: str, as_of: int | None = None) -> None:
        question = Question(
            tenant=self._tenant,
            subject=f"customer:{customer}",
            action="sell",
            resource_type="territory",
            resource_id="CN/31",
            properties={"product": "tea"},
            as_of=as_of,
        )
        check_once(self._conn, question, clock())

    def _work(self, wish: Wish, after: Any = None) -> Page:
        ledger = self._ledgers.ledger(self._tenant)
        return worklists.worklist(self._conn, ledger, clock(), wish, after=after)

    def _search(self, text: str) -> None:
        with reading(self._conn, self._tenant):
            wanted = history_asked.Filter()
            if text:
                asked = history_asked.asked(text)
                wanted = history_asked.filter_of(self._conn, self._tenant, asked)
            history_reading.find(self._conn, self._tenant, wanted=wanted)


def _full(page: Page) -> None:
    """Hold that a page is as long as it can be, or the figures of two sizes mean nothing."""
    if not page.items:
        raise RuntimeError("an empty page")
