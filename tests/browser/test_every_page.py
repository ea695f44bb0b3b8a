"""Every page of the sample tenant: for everybody, from 360 pixels on, dark and light, zh and en."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Dealership, Sample
from tests.browser.windows import Window

pytestmark = pytest.mark.timeout(400)  # the first test of a run makes the sample tenant

Open = Callable[..., Window]
WORST = ("serious", "critical")


def found(page: Page) -> list[str]:
    """Return what axe finds on a page: how bad, which rule, where."""
    told: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {node['html'][:160]}"
        for one in told
        for node in one["nodes"]
    ]


def paths(sample: Sample) -> Iterator[str]:
    """Every kind of page a member of staff can come to, in several states of what it shows."""
    yield from ("/", "/work", "/work?of=all")
    yield from ("/grants", "/grants?grantee=D-9999", "/grants?number=x")
    yield from (f"/grants/{number}" for number in sample.grants.values())
    yield from (f"/customers/{one}" for one in sample.customers.values())
    yield f"/customers/{sample.customers['D-0001']}?purpose=identification"
    yield from ("/changes", "/changes?from=2026-10-20&to=2026-10-30", "/changes?from=soon")
    yield f"/changes?grant={sample.grants['suspended']}&from=2026-05-13&to=2026-10-30"
    yield from ("/grants/nothing", "/nothing", "/sign-in", "/sign-in?link=sl_x")


def every_page(sample: Sample, one: Window) -> Iterator[str]:
    """Go from page to page, everything unfolded; yield where one is."""
    one.go("/sign-in")
    yield "/sign-in, a stranger"
    one.page.fill("#key", "ck_wrong.wrong")
    one.page.click(".sign-in button")
    yield "/sign-in, refused"
    one.sign_in(sample.key)
    for path in paths(sample):
        one.go(path)
        one.unfold()
        yield path
    one.go(f"/grants/{sample.grants['active']}")
    one.page.locator("section form.may button").click()
    yield "may they, answered"
    one.page.locator("a.then").last.click()
    one.unfold()
    yield "a grant as it stood"
    one.go(f"/customers/{sample.customers['D-0001']}")
    one.page.locator("a.then").last.click()
    one.unfold()
    yield "a customer as it stood"
    one.page.click(".tools form button")
    one.sign_in(sample.member)
    yield "a member's work"
    one.go(f"/grants/{sample.grants['active']}")
    one.unfold()
    yield "a member's grant"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_window(
    sample: Sample, window: Open, language: str, scheme: str, width: int
) -> None:
    # Axe brings a script of its own, which our policy forbids.
    given = {"bypass_csp": True, "color_scheme": scheme}
    one = window(sample.url, language=language, width=width, **given)
    wrong: list[str] = []
    for name in every_page(sample, one):
        wrong += [f"{name}: {each}" for each in found(one.page)]
        if over := one.overflow():
            wrong.append(f"{name}: {over} pixels too wide")
    assert wrong == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_page_says_anything_on_the_console_nor_asks_another_host(
    sample: Sample, window: Open, language: str
) -> None:
    """Under the policy that everybody gets; the window watches."""
    one = window(sample.url, language=language)
    assert len(list(every_page(sample, one))) > 15


def test_dark_and_light_are_not_the_same(firm: Dealership, window: Open) -> None:
    grounds: list[str] = []
    for scheme in ("light", "dark"):
        one = window(firm.url, color_scheme=scheme)
        one.go("/")
        grounds.append(one.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("document.querySelector('label[for=key]').remove()", "label"),
        ("document.querySelector('.hint').style.color = '#ddd'", "color-contrast"),
        ("document.documentElement.removeAttribute('lang')", "html-has-lang"),
    ],
)
def test_axe_finds_a_planted_fault(firm: Dealership, window: Open, fault: str, rule: str) -> None:
    one = window(firm.url, bypass_csp=True)
    one.go("/sign-in")
    assert found(one.page) == []
    one.page.evaluate(fault)
    assert [each for each in found(one.page) if each.startswith(WORST) and f" {rule}:" in each]


def test_the_window_notices_what_must_not_be(firm: Dealership, window: Open) -> None:
    one = window(firm.url)
    one.go("/")
    one.page.evaluate("document.body.setAttribute('style', 'color: red')")
    one.page.evaluate("new Image().src = 'http://elsewhere.invalid/x.png'")
    one.page.wait_for_timeout(500)
    assert any("style" in each for each in one.wrong), one.wrong
    assert any("elsewhere.invalid" in each for each in one.wrong), one.wrong
    one.wrong.clear()
