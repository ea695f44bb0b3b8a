"""What a register stands on: a tenant with points, a policy in force, questions about rights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import psycopg

from api.importing.register_plan import Wanted
from api.importing.register_report import RegisterReport
from api.importing.register_running import run_register
from api.importing.site import Site
from domain.commands.customers import BlockCustomer
from domain.commands.imports import IMPORTER, Facts
from domain.commands.persons import RegisterPerson
from domain.commands.policies import KIND_CLAIM
from domain.commands.staff import AppointStaff
from domain.events import Event
from domain.events.catalogue import DimensionDeclared, PointAdded
from domain.events.policy import (
    ActionRule,
    PolicyApproved,
    PolicyBody,
    PolicyDrafted,
    PolicyPublished,
    PolicySubmitted,
)
from domain.scopes import ANY
from domain.values import Imported, Names, Party, Reason
from domain.view import Claim
from projections.check_rows import check_once
from projections.checks import Question
from tests.support.importing import Bench
from tests.support.ledger import OPERATOR, clock, new_id, say, submission

ZONE: Final = ZoneInfo("Asia/Shanghai")
KIND: Final = "dealership"
LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)

PROVINCES: Final = {
    "31": "上海市", "32": "江苏省", "33": "浙江省", "34": "安徽省", "35": "福建省",
    "44": "广东省", "11": "北京市", "21": "辽宁省", "51": "四川省", "53": "云南省",
}  # fmt: skip
DIMENSIONS: Final[Mapping[str, Names]] = {
    "territory": Names("区域", "Territory"),
    "product": Names("产品", "Product"),
    "channel": Names("渠道", "Channel"),
}
POINTS: Final[Mapping[str, Mapping[str, Names]]] = {
    "territory": {"CN": Names("全国", "China")}
    | {f"CN/{code}": Names(name, f"Province {code}") for code, name in PROVINCES.items()}
    | {
        "CN/31/0115": Names("浦东新区", "Pudong"),
        "CN/11/0105": Names("朝阳区", "Chaoyang"),
        "CN/21/1302": Names("朝阳区", "Chaoyang"),
    },
    "product": {
        "tea": Names("茶叶", "Tea"),
        "tea/green": Names("绿茶", "Green tea"),
        "tea/green/longjing": Names("龙井", "Longjing"),
        "tea/black": Names("红茶", "Black tea"),
        "tea/puer": Names("普洱", "Pu'er"),
        "ware": Names("茶具", "Tea ware"),
    },
    "channel": {"store": Names("门店", "Store"), "online": Names("线上", "Online")},
}
TERRITORIES: Final = (
    "CN/31", "上海市", "浙江省；江苏省", "CN/33;CN/34", "福建省、广东省", "北京市/朝阳区",
    "Pudong", "CN/51\nCN/53",
)  # fmt: skip
"""Cells as people write them: paths, names, several of them, a name with the one above it."""

PRODUCTS: Final = ("tea/green", "红茶", "Pu'er", "茶具")
CHANNELS: Final = ("门店", "online")


def today() -> date:
    """The day in the register's zone."""
    return clock().astimezone(ZONE).date()


def lay(bench: Bench, **changes: Any) -> None:
    """Give a tenant its catalogue and a policy in force; `changes` are the body's."""
    site = _site(bench)
    stamp = _stamp(LONG_AGO)
    events: list[Event] = [
        DimensionDeclared(**stamp, dimension=name, names=names)
        for name, names in DIMENSIONS.items()
    ]
    for dimension, points in POINTS.items():
        for path, names in points.items():
            events.append(PointAdded(**stamp, dimension=dimension, path=path, names=names))
    past, future = LONG_AGO + timedelta(days=1), clock() + timedelta(days=9)
    place: dict[str, Any] = {**stamp, "dimension": "territory"}
    events += [
        PointAdded(**place, path="CN/90", names=Names("旧区", "CN/90"), until=past),
        PointAdded(**place, path="CN/91", names=Names("新区", "CN/91"), from_=future),
    ]
    site.submit([Facts("catalogue", bench.tenant, tuple(events), if_absent=True)]).result()
    publish(bench, body(**changes))


def body(**changes: Any) -> PolicyBody:
    """A policy that needs no approval; `changes` are its fields."""
    known = PolicyBody(
        kind=KIND,
        names=Names("经销授权", "Dealership"),
        dimensions=tuple(DIMENSIONS),
        actions=(
            ActionRule("sell", Names("销售", "Sell")),
            ActionRule("promote", Names("推广", "Promote")),
        ),
        no_approval_needed=True,
    )
    return msgspec.structs.replace(known, **changes)


def publish(bench: Bench, ruling: PolicyBody) -> str:
    """Put a policy in force; return its stream."""
    site, stream, stamp = _site(bench), new_id(), _stamp(LONG_AGO)
    facts = (
        PolicyDrafted(**stamp, version=1, body=ruling),
        PolicySubmitted(**stamp, version=1),
        PolicyApproved(**stamp, version=1),
        PolicyPublished(**stamp, version=1, from_=LONG_AGO),
    )
    claim = Claim(KIND_CLAIM, site.hash(KIND_CLAIM, ruling.kind), stream)
    site.submit([Facts("policy", stream, facts, (claim,))]).result()
    return stream


def _site(bench: Bench) -> Site:
    return Site(bench.ledgers, bench.keys, bench.sealer, bench.tenant, "ground", dry_run=False)


def _stamp(at: datetime) -> dict[str, Any]:
    return {"at": at, "by": IMPORTER, "imported": Imported("ground", 1)}


def register(bench: Bench, path: Path, **wanted: Any) -> RegisterReport:
    """Import a register; what is not an option of `Wanted` goes to the run itself."""
    run = {name: wanted.pop(name) for name in ("tell", "on_fault") if name in wanted}
    given = {"kind": KIND, "actions": (), "zone": ZONE} | wanted
    return run_register(
        bench.ledgers, bench.keys, bench.sealer, bench.tenant, path, Wanted(**given), **run
    )


class Asking:
    """Asks whether customers of a register may do something now, as the access check does."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._conn = psycopg.connect(bench.database.service, autocommit=True)

    def close(self) -> None:
        self._conn.close()

    def customer(self, made: Mapping[str, Any]) -> str | None:
        """Return the stream of a row's customer."""
        kind, ident = (
            ("uscc", made["uscc"]) if made["uscc"] else ("identity_number", made["identity"])
        )
        keyed_hash = self._bench.keys.keyed_hash(self._bench.tenant, kind, ident)
        return self._bench.ledgers.claim(self._bench.tenant, kind, keyed_hash)

    def may(
        self,
        customer: str | None,
        territory: str,
        product: str,
        channel: str,
        *,
        action: str = "sell",
        at: datetime | None = None,
    ) -> bool:
        """Tell whether the customer may act on these points."""
        question = Question(
            tenant=self._bench.tenant,
            subject=f"customer:{customer}",
            action=action,
            resource_type="territory",
            resource_id=territory,
            properties={"product": product, "channel": channel},
            at=at,
        )
        return check_once(self._conn, question, clock()).allowed


def paths(dimension: str, cell: str, split: Callable[[str], list[str]]) -> list[str]:
    """Return the paths that a sound cell means, by a way of our own: for a star, any point."""
    by_name = {names.zh: path for path, names in POINTS[dimension].items()}
    by_name |= {names.en: path for path, names in POINTS[dimension].items()}
    by_name["北京市/朝阳区"] = "CN/11/0105"
    found = [by_name.get(part, part) for part in split(cell)]
    return [next(iter(POINTS[dimension])) if one == ANY else one for one in found]


def block(bench: Bench, rows: Iterable[Mapping[str, Any]]) -> None:
    """Block the customers of some rows that are in the ledger."""
    root = appointed(bench, "administrator", OPERATOR)
    compliance = appointed(bench, "compliance", root)
    for made in rows:
        keyed_hash = bench.keys.keyed_hash(bench.tenant, "uscc", made["uscc"])
        customer = bench.ledgers.claim(bench.tenant, "uscc", keyed_hash)
        assert customer is not None
        command = BlockCustomer(customer=customer)
        given = submission(bench.tenant, command, compliance, reason=Reason("test"))
        bench.ledgers.submit(given).result()


def appointed(bench: Bench, role: str, by: Party) -> Party:
    """Appoint somebody new to a role; return them."""
    person, staff, number = new_id(), new_id(), f"{role}-{new_id()}"
    say(bench.ledgers, bench.tenant, RegisterPerson(person=person), by)
    command = AppointStaff(
        staff=staff,
        person=person,
        number=number,
        number_claim=bench.keys.keyed_hash(bench.tenant, "staff_number", number),
        level="senior",
        roles=(role,),
    )
    say(bench.ledgers, bench.tenant, command, by)
    return Party(f"staff:{staff}", person)
