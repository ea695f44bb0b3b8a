"""A firm whose clock is given, with a story that is told step by step; what the doors answered
after each step is kept, to be asked again as of then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from projections.runner import Runner
from tests.support.doors import Caller, House
from tests.support.trade import BECAUSE, Trade

DAY = timedelta(days=1)


@contextmanager
def working(house: House) -> Iterator[None]:
    """Let a runner follow the log and fill what is asked of the past, as `serve` does."""
    runner, stop = Runner(house.database.projector), threading.Event()
    thread = threading.Thread(target=runner.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        runner.wake()
        thread.join(20)


class Told(Trade):
    """A firm whose clock stands at the last instant recorded; a member acts for each customer."""

    def __init__(self, house: House, begins: datetime) -> None:
        self.at = begins
        super().__init__(house, given_clock=True)
        self.catalogue()
        self.policy()

    def first_administrator(self, name: str = "root", **more: Any) -> Caller:
        return super().first_administrator(name, at=self.at, **more)

    def pass_to(self, at: datetime) -> int:
        """Let something be recorded at an instant, where the clock stands then."""
        self.at = at
        return self["root"].done("/v1/persons", {}, counterseal_at=at.isoformat())["position"]


def whole(caller: Caller, path: str, **asked: Any) -> dict[str, Any]:
    """Return a whole answer: status, and its document, of a list all pages put together."""
    mark = "" if path.endswith("?") else "&" if "?" in path else "?"
    query = mark + urlencode({name: str(one) for name, one in asked.items()}) if asked else ""
    answer = caller.get(path + query)
    headers = {"status": answer.status_code, "read to": answer.headers.get("position")}
    if not answer.headers["content-type"].startswith("application/json"):
        return headers | {"text": answer.text}
    found: dict[str, Any] = answer.json()
    while found.get("next_cursor") is not None:
        following = answer.headers["link"].split(">")[0].removeprefix("<")
        answer = caller.get(following)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page.get("as_of") == found.get("as_of")
        found["items"] += page["items"]
        found["next_cursor"] = page["next_cursor"]
    return headers | found


class Story:
    """Steps of a firm, and what every question was answered after each: position -> answers."""

    def __init__(self, firm: Told) -> None:
        self.firm = firm
        self.answers: dict[int, dict[str, dict[str, Any]]] = {}
        self.recorded: dict[int, str] = {}
        self.grants: list[str] = []
        self.customers: list[str] = []

    def questions(self) -> list[tuple[str, str]]:
        """Return who asks what: everything that can be asked of the past, about all there is."""
        staff = self.firm.staff["verifier"]
        paths = [
            "/v1/grants?limit=2",
            "/v1/grants?status=active",
            "/v1/grants.csv",
            "/v1/customers?limit=2",
            "/v1/customers?order=title",
            "/v1/policies",
            "/v1/staff?limit=4",
            "/v1/worklist?limit=2",
            f"/v1/worklist?for=staff:{staff}",
            "/v1/worklist.csv",
            "/v1/history?limit=40",
            "/v1/history?q=type:grant&order=oldest",
            "/v1/history.csv?q=%E8%8C%B6",
            "/v1/history/12",
            "/v1/compliance/duties",
            "/v1/compliance/duties/totals",
            "/v1/compliance/unchecked",
            "/v1/compliance/open?days=0",
            "/v1/compliance/beyond-evidence",
            "/v1/compliance/ending?days=400",
            "/v1/compliance/retired-policies",
            "/v1/compliance/approvers",
            "/v1/catalogue",
            "/v1/catalogue/points?dimension=territory&limit=2",
            "/v1/catalogue/events?limit=5",
            f"/v1/staff/{staff}",
            f"/v1/persons/{self.firm.people['verifier']}",
        ]
        for grant in self.grants:
            paths += [f"/v1/grants/{grant}{part}" for part in ("", "/events", "/history?limit=3")]
        for customer in self.customers:
            paths += [f"/v1/customers/{customer}{part}" for part in ("", "/events", "/history")]
        asked = [("compliance", path) for path in paths]
        if "member" in self.firm.callers:
            asked += [("member", path) for path in ("/v1/me/grants?limit=1", "/v1/me/requests")]
            asked += [("member", f"/v1/me/grants/{self.grants[0]}")] if self.grants else []
        return asked

    def ask(self, who: str, path: str, **asked: Any) -> dict[str, Any]:
        """Return the whole answer to a question."""
        return whole(self.firm[who], path, **asked)

    def step(self) -> None:
        """Keep what every question is answered now."""
        self.firm.house.follow()
        tail = self.firm.house.services.ledgers.tail(self.firm.tenant, 2**62)
        found = {f"{who} {path}": self.ask(who, path) for who, path in self.questions()}
        self.answers[tail.position] = found
        self.recorded[tail.position] = tail.recorded_at.isoformat()

    def tell(self) -> None:
        """Tell the story."""
        firm, begins = self.firm, self.firm.at
        self.step()
        self.customers = [firm.customer(f"P-{n}") for n in range(3)]
        self.step()
        first = firm.request(self.customers[0])["id"]
        self.grants.append(first)
        self.step()
        person = firm["admin"].done("/v1/persons", {"full_name": "Someone"})["id"]
        firm["verifier"].done(
            f"/v1/customers/{self.customers[0]}/members",
            {"person": person, "acts": ["request", "provide", "sign", "revoke"]},
        )
        firm.member("member", self.customers[0], person)
        self.step()
        firm.pass_to(begins + 3 * DAY)
        self.grants.append(firm.active(self.customers[1])["id"])
        self.step()
        firm["compliance"].done(f"/v1/grants/{self.grants[1]}/suspension", BECAUSE)
        self.step()
        firm["admin"].done(
            "/v1/catalogue/points",
            {"dimension": "territory", "path": "CN/44", "names": {"zh": "广东", "en": "Guangdong"}},
        )
        firm["compliance"].done(f"/v1/customers/{self.customers[2]}/block", BECAUSE)
        self.step()
        firm.pass_to(begins + 40 * DAY)
        firm["verifier"].done(f"/v1/customers/{self.customers[0]}/grade", {"grade": "A"})
        self.step()
        hold = firm["admin"].get(f"/v1/grants/{self.grants[1]}").json()["state"]["holds"]
        firm["compliance"].done(
            f"/v1/grants/{self.grants[1]}/resumption", {"hold": hold[0]["id"], **BECAUSE}
        )
        firm.policy(longest_days=30)
        self.step()
        body = BECAUSE | {"effective_at": (begins + 60 * DAY).isoformat()}
        path = f"/v1/grants/{self.grants[1]}/revocation"
        firm["compliance"].done(path, body)
        self.step()
        firm.pass_to(begins + 400 * DAY)
        self.step()
        merge = {"into": self.customers[1], **BECAUSE}
        path = f"/v1/customers/{self.customers[0]}/merge"
        asked = firm["verifier"].done(path, merge)
        self.step()
        seen = f'"v{asked["version"]}"'
        firm["compliance"].done(f"{path}/acceptance", BECAUSE, if_match=seen)
        self.step()
        firm["admin"].done(
            "/v1/catalogue/points/names",
            {"dimension": "territory", "path": "CN/44", "names": {"zh": "粤", "en": "Yue"}},
        )
        self.step()
