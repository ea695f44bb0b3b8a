"""Work found, decided and refused in a real browser, with a script engine and without one."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.browser.conftest import Dealership
from tests.browser.windows import Window

pytestmark = pytest.mark.timeout(300)  # the first test of a run begins the service

Open = Callable[..., Window]
COUNT = itertools.count(1)


def pending(firm: Dealership) -> tuple[str, str]:
    """Make a request that waits for its first approval; return the grant's id and number."""
    made = firm.trade.pending(firm.trade.customer(f"B-{next(COUNT)}", title="茶庄 & <b>伙伴</b>"))
    firm.trade.house.follow()
    return made["id"], made["state"]["number"]


def status(firm: Dealership, grant: str) -> str:
    return firm.trade["admin"].get(f"/v1/grants/{grant}").json()["state"]["status"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_approver_finds_what_waits_and_approves_it(
    firm: Dealership, window: Open, script: bool, language: str
) -> None:
    grant, number = pending(firm)
    first = window(firm.url, language=language, java_script_enabled=script)
    first.sign_in(firm.trade["approver"].key)
    first.page.click(f".work a:text-is('{number}')")
    assert first.path == f"/grants/{grant}"
    assert "茶庄 & <b>伙伴</b>" in first.said
    first.decide("approve", reason_code="fine")
    assert first.page.locator(".done").inner_text().startswith({"en": "Done", "zh": "已"}[language])
    assert status(firm, grant) == "pending_approval", "the directors are still to be asked"
    second = window(firm.url, language=language, java_script_enabled=script)
    second.sign_in(firm.trade["second"].key)
    second.go(f"/grants/{grant}")
    second.decide("approve", reason_code="fine")
    assert status(firm, grant) == "approved"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nobody_approves_what_they_had_a_hand_in_and_the_page_says_so(
    firm: Dealership, window: Open, script: bool, language: str
) -> None:
    grant = firm.trade.request(firm.trade.customer(f"B-{next(COUNT)}"))["id"]
    check = {"kind": "documents", "channel": "online"}
    made = firm.trade["every"].done(f"/v1/grants/{grant}/checks", check)
    told = firm.trade["every"].post(
        f"/v1/grants/{grant}/approvals",
        {"stage": "first"},
        if_match=f'"v{made["version"]}"',
        accept_language=language,
    )
    assert told.json()["code"] == "duties.not_separate"
    one = window(firm.url, language=language, java_script_enabled=script)
    one.sign_in(firm.trade["every"].key)
    one.go(f"/grants/{grant}")
    one.decide("approve", reason_text="My own & good")
    assert told.json()["detail"] in one.alert
    typed = one.page.locator("#act-approve [name=reason_text]")
    assert typed.input_value() == "My own & good"
    assert typed.is_visible(), "the form stays open"
    assert status(firm, grant) == "pending_approval"


def test_a_decision_in_an_old_window_is_refused_and_explained(
    firm: Dealership, window: Open, script: bool
) -> None:
    grant, _ = pending(firm)
    one, other = (window(firm.url, java_script_enabled=script) for _ in range(2))
    one.sign_in(firm.trade["approver"].key).go(f"/grants/{grant}")
    other.sign_in(firm.trade["second"].key).go(f"/grants/{grant}")
    other.decide("reject", reason_code="territory_taken")
    one.decide("approve", reason_code="fine")
    assert "Someone changed it meanwhile" in one.alert
    assert status(firm, grant) == "rejected"
    assert "rejected" in one.page.locator("h1").inner_text(), "the new state is shown"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_may_they_is_answered_and_explained(
    firm: Dealership, window: Open, script: bool, language: str
) -> None:
    grant, number = pending(firm)
    for who, stage in (("approver", "first"), ("second", "board")):
        seen = firm.trade["admin"].get(f"/v1/grants/{grant}").headers["etag"]
        path = f"/v1/grants/{grant}/approvals"
        firm.trade[who].done(path, {"stage": stage}, if_match=seen)
    shown = firm.trade["admin"].get(f"/v1/grants/{grant}")
    body = {"party": "tenant", "digest": shown.json()["agreement"]["digest"]}
    seen = shown.headers["etag"]
    firm.trade["compliance"].done(f"/v1/grants/{grant}/signatures", body, if_match=seen)
    one = window(firm.url, language=language, java_script_enabled=script)
    one.sign_in(firm.trade["approver"].key).go(f"/grants/{grant}")
    one.page.locator("section form.may button").click()
    yes = one.page.locator(".answer.yes").inner_text()
    assert yes.startswith({"en": "Yes.", "zh": "可以。"}[language])
    assert number in yes
    one.page.fill("section form.may [name='on.territory']", "CN/32")
    one.page.locator("section form.may button").click()
    no = one.page.locator(".answer.no").inner_text()
    assert no.startswith({"en": "No.", "zh": "不可以。"}[language])
    why = {
        "en": "Jiangsu CN/32 is not covered in Territory.",
        "zh": "地域 中的 江苏省 CN/32 不在范围内。",
    }
    assert why[language] in no


def test_the_keyboard_alone_finds_and_decides(firm: Dealership, window: Open) -> None:
    grant, _ = pending(firm)
    one = window(firm.url)
    one.sign_in(firm.trade["approver"].key)
    waiting = f".work a[href='/grants/{grant}']"
    one.reload_until(waiting)
    one.tab_to(waiting)
    one.page.keyboard.press("Enter")
    one.page.wait_for_url(f"**/grants/{grant}")
    one.tab_to("#act-approve summary")
    if one.page.locator("#act-approve").get_attribute("open") is None:
        one.page.keyboard.press("Enter")
    one.tab_to("#approve-reason_code")
    one.page.keyboard.type("fine")
    one.page.keyboard.press("Enter")
    one.page.wait_for_selector(".done")
    history = firm.trade["admin"].get(f"/v1/grants/{grant}/events").json()["items"]
    assert "stage_approved" in history[-1]["type"]
