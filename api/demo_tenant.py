"""The sample tenant: a tea brand, its people, catalogue, policy, customers and grants in several
states; all of it by real commands through the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from api.cli_tenants import appoint_first
from api.ids import new_id
from api.shapes import Deed, EvidenceGiven, ReasonGiven
from api.wiring import Services
from domain.commands import (
    catalogue,
    customer_records,
    customers,
    grants,
    persons,
    policies,
    staff,
    supervision,
)
from domain.events.policy import (
    ActionRule,
    Agreement,
    Group,
    Identification,
    PolicyBody,
    Stage,
    Verification,
)
from domain.ledger import Outcome
from domain.terms import agreement_digest
from domain.values import Names, Party, Scope, Term
from domain.view import Command

FINGERPRINT: Final = b"demo"
"""The sample's commands have one key each and always the same: said again they change nothing."""

ADMINISTRATOR: Final = ("S-0001", "张三")
STAFF: Final = (
    ("S-0002", "李四", ("requester",)),
    ("S-0003", "王五", ("approver", "verifier")),
    ("S-0004", "赵六", ("approver",)),
    ("S-0005", "钱七", ("approver",)),
    ("S-0006", "孙八", ("compliance",)),
)
DIMENSIONS: Final = (
    ("territory", "销售区域", "Territory"),
    ("product", "产品", "Product"),
    ("channel", "渠道", "Channel"),
)
# Territories by GB/T 2260: country, province, city, district.
POINTS: Final = (
    ("territory", "CN", "中国", "China"),
    ("territory", "CN/31", "上海市", "Shanghai"),
    ("territory", "CN/31/0115", "上海市浦东新区", "Pudong, Shanghai"),
    ("territory", "CN/32", "江苏省", "Jiangsu"),
    ("territory", "CN/32/05", "苏州市", "Suzhou"),
    ("territory", "CN/33", "浙江省", "Zhejiang"),
    ("territory", "CN/33/01", "杭州市", "Hangzhou"),
    ("product", "tea", "茶叶", "Tea"),
    ("product", "tea/green", "绿茶", "Green tea"),
    ("product", "tea/green/longjing", "龙井", "Longjing"),
    ("product", "tea/black", "红茶", "Black tea"),
    ("channel", "store", "门店", "Stores"),
    ("channel", "online", "网店", "Online shops"),
)
CUSTOMERS: Final = (
    ("D-0001", "示例茶行（上海）有限公司", "周九"),
    ("D-0002", "示例茶叶（杭州）有限公司", "吴十"),
    ("D-0003", "示例茶庄（苏州）有限公司", "郑一"),
)
KIND: Final = "dealership"
AGREEMENT: Final = Agreement(
    template="dealership-agreement",
    version="2026-01",
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
)
BODY: Final = PolicyBody(
    kind=KIND,
    names=Names("经销授权", "Dealership"),
    dimensions=("territory", "product", "channel"),
    actions=(
        ActionRule("sell", Names("销售", "Sell")),
        ActionRule("promote", Names("促销", "Promote")),
    ),
    identification=Identification(checks=1, channels=1, days=730),
    verification=Verification(kinds=("call_back",), persons=1),
    stages=(
        Stage("sales", Names("销售审批", "Sales"), (Group("approver"),)),
        Stage("brand", Names("品牌审批", "Brand"), (Group("approver"),)),
    ),
    agreement=AGREEMENT,
    longest_days=730,
    starts="on_signature",
)


class Sample(NamedTuple):
    """What was made: parties by staff number, customers' ids, their members, grants' numbers."""

    parties: dict[str, Party]
    customers: dict[str, str]
    members: dict[str, Party]
    grants: dict[str, str]


def make(services: Services, tenant: str) -> Sample:
    """Make what is not there yet of the sample; stopped anywhere, the next call does the rest."""
    return _Making(services, tenant).all()


class _Making:
    """One walk through the sample's commands."""

    def __init__(self, services: Services, tenant: str) -> None:
        self._services = services
        self._tenant = tenant
        self._parties: dict[str, Party] = {}
        self._members: dict[str, Party] = {}
        self._customers: dict[str, str] = {}
        self._grants: dict[str, str] = {}
        self._policy = ""

    def all(self) -> Sample:
        number, name = ADMINISTRATOR
        first = appoint_first(self._services, self._tenant, number, name)
        self._parties[number] = Party(f"staff:{first.staff}", first.person)
        for one, called, roles in STAFF:
            self._appoint(one, called, roles)
        self._catalogue()
        self._write_policy()
        for one, title, called in CUSTOMERS:
            self._customer(one, title, called)
        self._several_grants()
        return Sample(self._parties, self._customers, self._members, self._grants)

    def _say(self, who: Party, key: str, command: Command, **more: Any) -> Outcome:
        return self._submit(who, key, command, **more).result()

    def _submit(
        self,
        who: Party,
        key: str,
        command: Command,
        deed: Deed | None = None,
        subject: str | None = None,
    ) -> Future[Outcome]:
        """Put a command under the sample's key of this step."""
        edge = self._services.edge(self._tenant, who)
        submission = edge.submission(
            command,
            deed or Deed(),
            caller="service:operator",
            key=f"demo/{key}",
            fingerprint=FINGERPRINT,
            subject=subject,
        )
        return self._services.ledgers.submit(submission)

    def _by(self, number: str) -> Party:
        return self._parties[number]

    def _register_person(self, key: str, called: str) -> str:
        person = new_id()
        edge = self._services.edge(self._tenant, self._by("S-0001"))
        sealed = edge.seal(called, "full_name", person, person)
        command = persons.RegisterPerson(person=person, full_name=sealed)
        return self._say(self._by("S-0001"), key, command, subject=person).events[0].stream_id

    def _appoint(self, number: str, called: str, roles: Sequence[str]) -> None:
        person = self._register_person(f"person/{number}", called)
        command = staff.AppointStaff(
            staff=new_id(),
            person=person,
            number=number,
            number_claim=self._hash(staff.NUMBER_CLAIM, number),
            level="senior",
            roles=tuple(roles),
        )
        made = self._say(self._by("S-0001"), f"staff/{number}", command, subject=person)
        self._parties[number] = Party(f"staff:{made.events[0].stream_id}", person)

    def _hash(self, kind: str, value: str) -> bytes:
        return self._services.keys.keyed_hash(self._tenant, kind, value)

    def _catalogue(self) -> None:
        by = self._by("S-0001")
        waiting: list[Future[Outcome]] = []
        for dimension, zh, en in DIMENSIONS:
            declared = catalogue.DeclareDimension(
                tenant=self._tenant, dimension=dimension, names=Names(zh, en)
            )
            waiting.append(self._submit(by, f"dimension/{dimension}", declared))
        for dimension, path, zh, en in POINTS:
            added = catalogue.AddPoint(
                tenant=self._tenant, dimension=dimension, path=path, names=Names(zh, en)
            )
            waiting.append(self._submit(by, f"point/{dimension}/{path}", added))
        for one in waiting:
            one.result()

    def _write_policy(self) -> None:
        author, compliance = self._by("S-0001"), self._by("S-0006")
        drafted = self._say(
            author,
            "policy/draft",
            policies.DraftPolicy(
                policy=new_id(), body=BODY, kind_claim=self._hash(policies.KIND_CLAIM, KIND)
            ),
            subject=author.person,
        )
        policy = self._policy = drafted.events[0].stream_id
        for who, step, command in (
            (author, "submit", policies.SubmitPolicy),
            (compliance, "approve", policies.ApprovePolicy),
            (author, "publish", policies.PublishPolicy),
        ):
            self._say(who, f"policy/{step}", command(policy=policy, version=1))

    def _customer(self, number: str, title: str, called: str) -> None:
        requester, verifier = self._by("S-0002"), self._by("S-0003")
        command = customers.RegisterCustomer(
            customer=new_id(),
            number=number,
            number_claim=self._hash(customers.NUMBER_CLAIM, number),
            form="organization",
            title=title,
        )
        made = self._say(requester, f"customer/{number}", command, subject=self._tenant)
        customer = self._customers[number] = made.events[0].stream_id
        licence = EvidenceGiven(kind="business_licence", place=f"档案柜 3，卷 {number}")
        self._say(
            verifier,
            f"customer/{number}/check",
            customers.RecordIdentityCheck(
                customer=customer,
                check_kind="register_extract",
                channel="register",
                passed=True,
                document="business_licence",
            ),
            deed=Deed(evidence=(licence,)),
        )
        confirm = customers.ConfirmCustomer(customer=customer, policy=self._policy)
        self._say(verifier, f"customer/{number}/confirm", confirm)
        person = self._register_person(f"person/{number}", called)
        add = customer_records.AddMember(
            customer=customer,
            member=new_id(),
            person=person,
            acts=("request", "provide", "sign", "revoke"),
        )
        self._say(requester, f"customer/{number}/member", add)
        self._members[number] = Party(f"customer:{customer}", person)

    def _several_grants(self) -> None:
        """One grant in each of the states that people meet first."""
        shanghai: Scope = {"territory": ("CN/31",), "product": ("tea",), "channel": ("store",)}
        hangzhou: Scope = {
            "territory": ("CN/33/01",), "product": ("tea/green",), "channel": ("*",),
        }  # fmt: skip
        suzhou: Scope = {"territory": ("CN/32/05",), "product": ("tea",), "channel": ("store",)}
        online: Scope = {"territory": ("CN",), "product": ("tea",), "channel": ("online",)}
        self._active("D-0001", "active", shanghai)
        held = self._active("D-0002", "suspended", hangzhou)
        self._compliance(
            "suspend", supervision.SuspendGrant(grant_id=held, hold=new_id()), "complaint"
        )
        ended = self._active("D-0003", "revoked", suzhou)
        self._compliance("revoke", supervision.RevokeGrant(grant_id=ended, case=new_id()), "breach")
        self._approve("to_sign", self._checked("D-0003", "to_sign", suzhou))
        self._checked("D-0002", "to_approve", online)
        self._request("D-0001", "to_check", online)

    def _compliance(self, key: str, command: Command, why: str) -> None:
        deed = Deed(reason=ReasonGiven(code=why))
        self._say(self._by("S-0006"), f"grant/{key}", command, deed=deed)

    def _request(self, customer: str, key: str, scope: Scope) -> str:
        edge = self._services.edge(self._tenant, self._by("S-0002"))
        number = edge.grant_number(None)
        command = grants.RequestGrant(
            grant_id=new_id(),
            number=number,
            number_claim=self._hash("grant_number", number),
            case=new_id(),
            grantee=f"customer:{self._customers[customer]}",
            policy=self._policy,
            actions=("sell",),
            scope=scope,
            term=Term(days=365),
        )
        made = self._say(self._by("S-0002"), f"grant/{key}/request", command)
        self._grants[key] = str(made.state.number)
        return made.events[0].stream_id

    def _checked(self, customer: str, key: str, scope: Scope) -> str:
        grant = self._request(customer, key, scope)
        command = grants.RecordCheck(grant_id=grant, check="call_back", channel="post")
        self._say(self._by("S-0003"), f"grant/{key}/check", command)
        return grant

    def _approve(self, key: str, grant: str) -> Outcome:
        for number, stage in (("S-0004", "sales"), ("S-0005", "brand")):
            command = grants.ApproveStage(grant_id=grant, stage=stage)
            approved = self._say(self._by(number), f"grant/{key}/approve/{stage}", command)
        return approved

    def _active(self, customer: str, key: str, scope: Scope) -> str:
        grant = self._checked(customer, key, scope)
        approved = self._approve(key, grant)
        digest = agreement_digest(AGREEMENT, approved.state.terms)
        command = grants.SignGrant(grant_id=grant, party="grantee", digest=digest)
        signed = self._say(self._members[customer], f"grant/{key}/sign", command)
        time.sleep(max(0.0, signed.acknowledge_at - time.monotonic()))
        return grant
