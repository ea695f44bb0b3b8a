"""The acts on a grant, and what can be chosen in their forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from api.routes.customers import Channel
from api.screens.acts import Act
from api.screens.grant_shown import Shown
from projections import worklists

_CHECK: Final = ("kind", "channel", "note")

ACTS: Final[tuple[Act, ...]] = (
    Act("record_check", "grant.record_check", _CHECK, reason=True, evidence=True, weight="primary"),
    Act("provide_information", "grant.provide_information", ("answer",), weight="primary"),
    Act("approve", "grant.approve", ("stage",), reason=True, if_match=True, weight="primary"),
    Act("sign", "grant.sign", ("party", "digest"), if_match=True, weight="primary"),
    Act("check_case", "grant.check_case", _CHECK, ("case",), evidence=True, weight="primary"),
    Act(
        "approve_case",
        "grant.approve_case",
        ("stage",),
        ("case",),
        reason=True,
        if_match=True,
        weight="primary",
    ),
    Act(
        "sign_case",
        "grant.sign_case",
        ("party", "digest"),
        ("case",),
        if_match=True,
        weight="primary",
    ),
    Act(
        "confirm_suspension",
        "grant.confirm_suspension",
        places=("hold",),
        reason=True,
        weight="primary",
    ),
    Act(
        "confirm_revocation",
        "grant.confirm_revocation",
        ("case",),
        reason=True,
        weight="danger",
    ),
    Act("ask_information", "grant.ask_information", ("question",)),
    Act("reject", "grant.reject", reason=True, if_match=True, weight="danger"),
    Act("reject_case", "grant.reject_case", (), ("case",), True, if_match=True, weight="danger"),
    Act(
        "fail_verification",
        "grant.fail_verification",
        ("kind", "channel"),
        reason=True,
        weight="danger",
    ),
    Act("retract_approval", "grant.retract_approval", ("stage",), reason=True),
    Act(
        "retract_case_approval",
        "grant.retract_case_approval",
        ("stage",),
        ("case",),
        reason=True,
    ),
    Act("decline", "grant.decline", ("party",), reason=True, if_match=True, weight="danger"),
    Act("suspend", "grant.suspend", ("provisional",), reason=True, weight="danger"),
    Act("resume", "grant.resume", ("hold",), reason=True),
    Act("cancel_revocation", "grant.cancel_revocation", ("case",), reason=True),
    Act("revoke", "grant.revoke", ("effective_at",), reason=True, weight="danger"),
    Act("withdraw", "grant.withdraw", reason=True, weight="danger"),
    Act("withdraw_case", "grant.withdraw_case", (), ("case",), reason=True, weight="danger"),
    Act("note", "grant.note", ("text",)),
)
BY_NAME: Final[Mapping[str, Act]] = {one.name: one for one in ACTS}

OWN: Final = frozenset(
    {"provide_information", "sign", "sign_case", "decline", "withdraw", "confirm_revocation"}
)
"""What a party does on its own grant."""

EVIDENCE: Final = (
    "recording",
    "written_note",
    "identity_card",
    "passport",
    "business_licence",
    "contract",
    "photo",
    "statement",
    "other",
)

_TASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "check": ("record_check", "check_case"),
    "answer": ("provide_information",),
    "approve": ("approve", "approve_case"),
    "sign": ("sign", "sign_case"),
    "confirm_revocation": ("confirm_revocation",),
    "confirm_suspension": ("confirm_suspension",),
}
"""Kind of task -> the acts that take it."""

Options = Sequence[tuple[str, str]]


class OnGrant:
    """A grant as the record that forms are offered on."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self.id = shown.id
        self.version = shown.version

    def choices(self, act: Act, name: str) -> Options | None:
        """Return what can be chosen for a field; see `acts.Subject`."""
        match name:
            case "case":
                return self._case(act)
            case "kind":
                return self._kinds()
            case "channel":
                return [(one, self._shown.names.word("channel", one)) for one in CHANNELS]
            case "stage":
                return [(one["stage"], "") for one in self._waits("approve", act)]
            case "party":
                return self._parties(act)
            case "digest":
                agreement = self._agreement(act)
                return [] if agreement is None else [(agreement["digest"], "")]
            case "hold":
                return self._holds(provisional=act.name == "confirm_suspension")
            case "evidence_kind":
                word = self._shown.visit.words.word
                return [(one, word("evidence", one)) for one in EVIDENCE]
            case _:
                return None

    def _waits(self, kind: str, act: Act) -> list[dict[str, Any]]:
        """Return the tasks of a kind that are the request's, or the open case's."""
        beside = "case" in act.places
        case = self._shown.state["case"]
        return [
            one
            for one in self._shown.waiting
            if one["kind"] == kind and (one["case_id"] != case) == beside
        ]

    def _case(self, act: Act) -> Options:
        found = self._shown.state.get("open_case")
        if act.name in ("confirm_revocation", "cancel_revocation"):
            found = self._shown.state.get("revocation")
        return [] if found is None else [(found["case"], "")]

    def _kinds(self) -> Options:
        words = self._shown.names
        open_ones = [
            kind
            for one in self._shown.waiting
            for need in one["needs"]
            for kind in need.get("kinds", ())
        ]
        body = self._shown.body
        demanded = () if body is None or body.verification is None else body.verification.kinds
        known = dict.fromkeys((*open_ones, *demanded, "documents", "call_back", "licence"))
        return [(one, words.word("kind", one)) for one in known]

    def _agreement(self, act: Act) -> Mapping[str, Any] | None:
        found = self._shown.facts.document.get("agreement")
        if found is None:
            return None
        beside = found["case"] != self._shown.state["case"]
        return found if beside == ("case" in act.places) else None

    def _parties(self, act: Act) -> Options:
        agreement = self._agreement(act)
        if agreement is None:
            return []
        walked = self._shown.state
        if "case" in act.places:
            walked = walked["open_case"]
        signed = {one["party"] for one in walked.get("signatures", ())}
        return [
            (one, self._shown.names.word("party", one))
            for one in agreement["signers"]
            if one not in signed
        ]

    def _holds(self, *, provisional: bool) -> Options:
        found = [one for one in self._shown.state.get("holds", ()) if one.get("until") is None]
        if provisional:
            found = [one for one in found if one.get("confirm_by")]
        say = self._shown.visit.words.say
        return [(one["id"], say("act.hold", since=one["from"][:16])) for one in found]

    def principals(self) -> Options:
        """Return whom the caller stands in for now, ref and name."""
        visit = self._shown.visit
        if visit.caller.party.kind != "staff":
            return []
        ledgers = visit.services.ledgers
        ledger, at = ledgers.ledger(visit.tenant), ledgers.now(visit.tenant)
        named = worklists.principals(ledger, at, visit.caller.party.id)
        return [(ref, self._shown.names.called("staff", number=number)) for ref, number in named]

    def expected(self) -> frozenset[str]:
        """Return the names of the acts that wait."""
        return frozenset(
            name for one in self._shown.waiting for name in _TASKS.get(one["kind"], ())
        )


CHANNELS: Final[tuple[str, ...]] = tuple(sorted(get_args(Channel), key="online".__ne__))
"""The one on which nothing has to be recorded comes first."""
