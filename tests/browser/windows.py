"""A window of the browser that writes down whatever a page of ours must not do."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

HEIGHT: Final = 900
REFUSED: Final = "Failed to load resource: the server responded with a status of 4"
"""What Chromium says of a page that refuses; `_answered` looks at everything else itself."""

TABS: Final = 120
RELOADS: Final = 50
PAUSE_MS: Final = 200
FOCUSED: Final = "document.activeElement.outerHTML.slice(0, 200)"
FOCUS_IS_SEEN: Final = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && box.width > 0
    && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight
}"""


class Window:
    """One window with its own cookies; `wrong` is what it saw that must not be."""

    def __init__(self, browser: Browser, url: str, **given: Any) -> None:
        self.width: int = given.pop("width", 1280)
        language = {"zh": "zh-CN", "en": "en"}[given.pop("language", "en")]
        self.url = url
        self.wrong: list[str] = []
        self.context = browser.new_context(
            base_url=url, locale=language, viewport={"width": self.width, "height": HEIGHT}, **given
        )
        self.context.set_default_timeout(30_000)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSED):
            self.wrong.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.wrong.append(f"another host: {request.url}")

    def _answered(self, response: Response) -> None:
        worst = 500 if response.request.is_navigation_request() else 400
        if response.status >= worst:
            self.wrong.append(f"{response.status}: {response.url}")

    def go(self, path: str) -> int:
        """Go to a page of ours; return the status of its answer."""
        answer = self.page.goto(path)
        assert answer is not None, path
        return answer.status

    def sign_in(self, key: str) -> Window:
        """Sign in with a key, as a person does."""
        self.go("/sign-in")
        self.page.fill("#key", key)
        self.page.click(".sign-in button")
        assert self.path == "/work", self.said
        return self

    def decide(self, act: str, **fields: str) -> None:
        """Open the form of an act, fill it in and send it."""
        form = self.page.locator(f"#act-{act}")
        if form.get_attribute("open") is None:
            form.locator("summary").click()
        for name, value in fields.items():
            form.locator(f"[name={name}]").fill(value)
        form.locator("form button").click()

    @property
    def path(self) -> str:
        """Where the window is."""
        return urlsplit(self.page.url).path

    @property
    def said(self) -> str:
        """What one reads in the window, white space as one space."""
        return " ".join(self.page.inner_text("body").split())

    @property
    def alert(self) -> str:
        """What the first alert says."""
        return " ".join(self.page.locator("[role=alert]").first.inner_text().split())

    def unfold(self) -> None:
        """Open whatever is folded, so that it is looked at, too."""
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window, once it is there."""
        self.page.wait_for_load_state()
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    def focused(self, selector: str) -> bool:
        """Say whether what has the focus fits the selector."""
        return self.page.evaluate("one => document.activeElement.matches(one)", selector)

    def reload_until(self, selector: str) -> None:
        """Load the page again until it has this: lists are a moment behind the commands."""
        for _ in range(RELOADS):
            if self.page.locator(selector).count():
                return
            self.page.wait_for_timeout(PAUSE_MS)
            self.page.reload()
        raise AssertionError(f"{selector} does not come")

    def tab_to(self, selector: str) -> int:
        """Press Tab until something has the focus; return how often. What had it was seen."""
        for pressed in range(1, TABS + 1):
            self.page.keyboard.press("Tab")
            assert self.page.evaluate(FOCUS_IS_SEEN), self.page.evaluate(FOCUSED)
            if self.focused(selector):
                return pressed
        raise AssertionError(f"{selector} is not reached by Tab")

    def close(self) -> None:
        self.context.close()
