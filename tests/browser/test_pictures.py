"""The pictures of the documents: taken from the sample tenant, small enough to be kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect

from tests.browser.conftest import Sample
from tests.browser.windows import HEIGHT, Window

pytestmark = pytest.mark.timeout(400)  # the first test of a run makes the sample tenant

Open = Callable[..., Window]
MOST_BYTES = 150_000


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where pictures go: where `--pictures` says, else nowhere that lasts."""
    given = request.config.getoption("--pictures")
    if given is None:
        return tmp_path
    given.mkdir(parents=True, exist_ok=True)
    return given


def take(one: Window, file: Path, height: int = HEIGHT, *, part: str | None = None) -> None:
    """Take a picture of the page from its top, so many pixels high; or of a part of it."""
    assert one.overflow() == 0
    if part is not None:
        one.page.locator(part).screenshot(path=file, animations="disabled")
    else:
        box: FloatRect = {"x": 0, "y": 0, "width": one.width, "height": height}
        one.page.screenshot(path=file, clip=box, full_page=True, animations="disabled")
    assert file.stat().st_size <= MOST_BYTES, f"{file.name}: {file.stat().st_size} bytes"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pictures_of_the_pages(sample: Sample, window: Open, folder: Path, language: str) -> None:
    one = window(sample.url, language=language, width=1000).sign_in(sample.key)
    take(one, folder / f"work.{language}.png", 700)
    one.go(f"/grants/{sample.grants['to_approve']}")
    take(one, folder / f"grant.{language}.png", 900)
    one.go(f"/customers/{sample.customers['D-0001']}")
    take(one, folder / f"customer.{language}.png", 860)
    one.go(f"/grants/{sample.grants['active']}")
    one.page.fill("section form.may [name='on.territory']", "CN/33/01")
    one.page.locator("section form.may button").click()
    take(one, folder / f"explanation.{language}.png", part="section[aria-labelledby=may]")


def test_a_picture_in_the_dark_and_one_on_a_telephone(
    sample: Sample, window: Open, folder: Path
) -> None:
    dark = window(sample.url, language="zh", width=1000, color_scheme="dark").sign_in(sample.key)
    dark.go(f"/grants/{sample.grants['suspended']}")
    take(dark, folder / "grant-dark.zh.png", 860)
    narrow = window(sample.url, language="zh", width=360).sign_in(sample.key)
    narrow.go(f"/grants/{sample.grants['to_approve']}")
    take(narrow, folder / "grant-360.zh.png", 1200)
