"""What the browser tests may ask for: Chromium, a firm and the sample tenant, each served."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser import chromium
from tests.browser.windows import Window
from tests.support.commands import Installation, installed
from tests.support.doors import opened
from tests.support.trade import POLICY, Trade

READS = (
    "audit:read", "customers", "evaluate", "grants:read", "me", "personal:read", "policies",
    "shares", "staff",
)  # fmt: skip
DECIDES = ("grants:approve", "grants:request", "grants:sign", "grants:supervise", "grants:verify")
DIRECTORS = {
    "id": "board",
    "names": {"zh": "总监审批", "en": "Director"},
    "groups": [{"role": "approver", "number": 1}],
}
POINTS = (
    ("territory", "地域", "Territory"),
    ("territory", "中国", "China", "CN"),
    ("territory", "上海市", "Shanghai", "CN/31"),
    ("territory", "浦东新区", "Pudong", "CN/31/0115"),
    ("territory", "江苏省", "Jiangsu", "CN/32"),
    ("product", "产品", "Product"),
    ("product", "茶叶", "Tea", "tea"),
    ("product", "绿茶", "Green tea", "tea/green"),
)


class Dealership(NamedTuple):
    """A firm that is served: who is in it, and where its pages are."""

    here: Installation
    trade: Trade
    url: str


class Sample(NamedTuple):
    """The sample tenant, served: a key that sees everything, and what the story made."""

    here: Installation
    url: str
    key: str
    member: str
    customers: dict[str, str]
    grants: dict[str, str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", type=Path, help="write the pictures of the documents here")


def pytest_configure(config: pytest.Config) -> None:
    try:
        chromium.find()
    except chromium.NoBrowser as none:
        pytest.exit(str(none), returncode=4)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium.find(), args=chromium.arguments()
        )
        yield started
        started.close()


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
def script(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs scripts: our pages have none, and need none."""
    return request.param


@pytest.fixture
def window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """Opens windows; at the end none of them may have seen anything wrong."""
    opened_here: list[Window] = []

    def open_window(url: str, **given: Any) -> Window:
        opened_here.append(Window(browser, url, **given))
        return opened_here[-1]

    yield open_window
    wrong = [one for each in opened_here for one in each.wrong]
    for one in opened_here:
        one.close()
    assert wrong == []


@pytest.fixture(scope="session")
def firm(run_directory: Path) -> Iterator[Dealership]:
    """A firm with two stages of approval; `serve` shows it, its people speak HTTP as well."""
    with installed(run_directory) as here:
        assert here.database is not None
        with opened(here.database, here.folder) as house:
            trade = Trade(house)
            trade.appoint("every", "requester", "verifier", "approver", "compliance")
            for dimension, zh, en, *path in POINTS:
                body = {"dimension": dimension, "names": {"zh": zh, "en": en}}
                where = "points" if path else "dimensions"
                more = {"path": path[0]} if path else {}
                trade["admin"].done(f"/v1/catalogue/{where}", body | more)
            trade.policy(stages=[*POLICY["stages"], DIRECTORS])
            with here.served("serve", "--port", "0", "--only", "doors", "--json") as served:
                yield Dealership(here, trade, served.url)


@pytest.fixture(scope="session")
def sample(run_directory: Path) -> Iterator[Sample]:
    """The small sample tenant of `counterseal demo`, with its follower running."""
    with (
        installed(run_directory) as here,
        here.served("demo", "--small", "--port", "0", "--lang", "en") as served,
    ):
        scopes = [word for one in READS + DECIDES for word in ("--scope", one)]
        words = ("key", "create", "--tenant", "demo", "--party", "staff:S-0004", *scopes)
        made = here.say(*words)
        assert made.code == 0, made.err
        folder = here.folder / "demo"
        note = json.loads((folder / "tenant.json").read_text(encoding="utf-8"))
        member = (folder / "member.key").read_text(encoding="utf-8").strip()
        assert re.fullmatch(r"\S+", made.out.strip()), made.out
        yield Sample(here, served.url, made.out.strip(), member, note["customers"], note["grants"])
