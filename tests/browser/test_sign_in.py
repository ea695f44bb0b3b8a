"""The way in and out in a real browser: by key, by link, in both languages, by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import Dealership
from tests.browser.windows import Window

pytestmark = pytest.mark.timeout(300)  # the first test of a run begins the service


def test_a_key_signs_in_and_signing_out_ends_it(
    firm: Dealership, window: Callable[..., Window], script: bool
) -> None:
    one = window(firm.url, java_script_enabled=script)
    one.go("/grants")
    assert one.path == "/sign-in"
    one.page.fill("#key", firm.trade["approver"].key)
    one.page.click(".sign-in button")
    assert one.path == "/grants", "signing in leads to where one was going"
    one.page.click("text=Sign out")
    assert "Sign in with a key" in one.said
    one.go("/work")
    assert one.path == "/sign-in"


def test_a_wrong_key_is_told_in_words(
    firm: Dealership, window: Callable[..., Window], script: bool
) -> None:
    one = window(firm.url, java_script_enabled=script)
    one.go("/sign-in")
    one.page.fill("#key", f"{firm.trade['approver'].key[:-5]}wrong")
    one.page.click(".sign-in button")
    assert one.alert
    assert one.page.locator("#key").input_value() == "", "what was typed is not sent back"
    assert one.context.cookies() == []


def test_a_link_signs_in_once(
    firm: Dealership, window: Callable[..., Window], script: bool
) -> None:
    tenant = firm.trade.tenant
    keys = firm.here.say("key", "list", "--tenant", tenant, "--json").json()
    party = firm.trade["verifier"].party.ref
    (key,) = [each["key_id"] for each in keys if each["party"] == party]
    words = ("key", "link", key, "--tenant", tenant, "--json")
    made = firm.here.say(*words, COUNTERSEAL_PUBLIC_URL=firm.url)
    assert made.code == 0, made.err
    link = made.json()["url"].removeprefix(firm.url)
    one, other = (window(firm.url, java_script_enabled=script) for _ in range(2))
    other.go(link)
    one.go(link)
    one.page.click(".sign-in button")
    assert one.path == "/work"
    other.page.click(".sign-in button")
    assert "used up" in other.alert


@pytest.mark.parametrize(("first", "second"), [("en", "zh"), ("zh", "en")])
def test_switching_the_language_keeps_the_page(
    firm: Dealership, window: Callable[..., Window], script: bool, first: str, second: str
) -> None:
    own = {"en": "Sign out", "zh": "退出"}
    one = window(firm.url, language=first, java_script_enabled=script)
    one.sign_in(firm.trade["approver"].key)
    one.go("/grants?status=active")
    assert own[first] in one.said
    for language in (second, first):
        one.page.click(f".languages a[lang^={language}]")
        assert one.page.url == f"{firm.url}/grants?status=active"
        assert one.page.locator("html").get_attribute("lang") == {"zh": "zh-CN"}.get(
            language, language
        )
        assert own[language] in one.said


def test_the_keyboard_alone_signs_in(firm: Dealership, window: Callable[..., Window]) -> None:
    one = window(firm.url)
    one.go("/sign-in")
    assert one.tab_to("#key") <= 6, "few stops before the field that matters"
    one.page.keyboard.type(firm.trade["approver"].key)
    one.page.keyboard.press("Enter")
    one.page.wait_for_url("**/work")
    one.page.keyboard.press("Tab")
    assert one.focused(".skip"), "the first stop skips what every page repeats"
    assert one.page.locator(".skip").bounding_box()["x"] >= 0, "and is seen"  # pyright: ignore[reportOptionalSubscript]
    one.page.keyboard.press("Enter")
    assert one.focused("#main")
