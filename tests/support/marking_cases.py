"""Every command on renewals, amendments, and grants superseded or entered in error, with marks."""

from __future__ import annotations

from typing import Any

from tests.support.marking import Grants
from tests.support.trade import POLICY

LONGER: dict[str, Any] = {"term": {"days": 30}}
WIDER: dict[str, Any] = {"scope": {"territory": ["CN/32"], "product": ["tea"]}}


class Cases:
    """Cases of grants in force, along every way there is."""

    def __init__(self, grants: Grants) -> None:
        self.grants, self.trade, self.say = grants, grants.trade, grants.say

    def opened(self, path: str, kind: str, body: dict[str, Any]) -> str:
        said = self.say(self.trade["requester"], f"{path}/{kind}", body)
        return f"{path}/cases/{said['events'][0]['fields']['case']}"

    def checked(self, path: str, kind: str, body: dict[str, Any]) -> str:
        """A case that waits for its approval."""
        case = self.opened(path, kind, body)
        check = {"kind": "documents", "channel": "online", "note": self.grants.marking.marks.text()}
        self.say(self.trade["verifier"], f"{case}/checks", check)
        return case

    def approved(self, path: str, kind: str, body: dict[str, Any]) -> str:
        case = self.checked(path, kind, body)
        stage, seen = {"stage": "first"}, self.grants.at(path)
        self.say(self.trade["approver"], f"{case}/approvals", stage, if_match=seen)
        return case

    def walked(self) -> None:
        """Failed, withdrawn, rejected, declined, taken back, agreed."""
        say, trade, at = self.say, self.trade, self.grants.at
        path = self.grants.active()
        check = {"kind": "documents", "channel": "online"}
        case = self.opened(path, "renewals", LONGER)
        say(trade["verifier"], f"{case}/verification-failure", check)
        say(trade["requester"], f"{self.opened(path, 'amendments', WIDER)}/withdrawal")
        case = self.checked(path, "renewals", LONGER)
        say(trade["approver"], f"{case}/rejection", if_match=at(path))
        case = self.approved(path, "amendments", WIDER)
        party = {"party": "tenant"}
        say(trade["compliance"], f"{case}/decline", party, if_match=at(path))
        case = self.approved(path, "renewals", LONGER)
        digest = trade["admin"].get(path).json()["agreement"]["digest"]
        signature = party | {"digest": digest}
        say(trade["compliance"], f"{case}/signatures", signature, if_match=at(path))
        two = [POLICY["stages"][0] | {"groups": [{"role": "approver", "number": 2}]}]
        trade.policy(stages=two)
        case = self.approved(path, "amendments", WIDER)
        say(trade["approver"], f"{case}/approvals/retraction", {"stage": "first"})
        trade.policy()

    def ended(self) -> None:
        """Superseded; said to be an error, and not, and confirmed."""
        say, compliance = self.say, self.trade["compliance"]
        old, new = self.grants.active(), self.grants.active()
        say(compliance, f"{old}/supersession", {"successor": new.rpartition("/")[2]})
        for end in ("dismissal", "confirmation"):
            said = say(self.trade["requester"], f"{new}/error")
            case = {"case": said["events"][0]["fields"]["case"]}
            say(compliance, f"{new}/error/{end}", case, if_match=self.grants.at(new))
