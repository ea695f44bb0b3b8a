"""A person at a screen: keeps cookies, follows forms, reads pages strictly."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.support.doors import Caller, House

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
ORIGIN = "http://doors"


class Form:
    """A form of a page: where it goes, how, and what stands in its fields."""

    def __init__(self, attributes: dict[str, str | None]) -> None:
        self.method = (attributes.get("method") or "get").upper()
        self.action = attributes.get("action") or ""
        self.fields: dict[str, str] = {}


class Page(HTMLParser):
    """A page, read strictly: what is opened is closed, in order; every attribute stands once."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(convert_charrefs=True)
        self.answer = answer
        self.status = answer.status_code
        self.source = answer.text
        self.links: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.named: list[str] = []
        self.headings: list[int] = []
        self.forms: list[Form] = []
        self.alerts: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._alert: int | None = None
        self._select = ""
        self._area = ""
        self.feed(self.source)
        self.close()
        assert self._open == [], self._open
        assert len(set(self.ids)) == len(self.ids), "an id stands twice"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), (tag, attrs)
        assert "style" not in found, "an inline style, which the policy forbids"
        assert not any(name.startswith("on") for name in found), attrs
        if tag not in VOID:
            self._open.append(tag)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))
        if tag == "label":
            self.labels.append(str(found["for"]))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if found.get("role") == "alert":
            self._alert = len(self._open)
            self.alerts.append("")
        if tag == "form":
            self.forms.append(Form(found))
        self._field(tag, found)

    def _field(self, tag: str, found: dict[str, str | None]) -> None:
        name = found.get("name") or ""
        if tag in ("input", "select", "textarea"):
            if found.get("type") != "hidden":
                self.named.append(str(found["id"]))
            ticked = found.get("type") != "checkbox" or "checked" in found
            if ticked:
                self.forms[-1].fields[name] = found.get("value") or ""
        if tag == "select":
            self._select = name
            self.forms[-1].fields.pop(name, None)
        if tag == "textarea":
            self._area = name
        if tag == "option" and "datalist" not in self._open:
            fields = self.forms[-1].fields
            if self._select not in fields or "selected" in found:
                fields[self._select] = found.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID, tag
        assert self._open, (tag, "closes nothing")
        assert self._open[-1] == tag, (tag, self._open)
        if self._alert == len(self._open):
            self._alert = None
        self._open.pop()
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._alert is not None:
            self.alerts[-1] += data
        if self._area:
            self.forms[-1].fields[self._area] += data

    @property
    def alert(self) -> str:
        """What the first alert says, white space as one space."""
        return " ".join(self.alerts[0].split()) if self.alerts else ""

    @property
    def said(self) -> str:
        """The words of the page, white space as one space."""
        return " ".join(self.text.split())

    def form(self, act: str) -> Form:
        """The form of an act."""
        return next(one for one in self.forms if one.fields.get("act") == act)

    def acts(self) -> set[str]:
        """The acts that are offered."""
        return {one.fields["act"] for one in self.forms if "act" in one.fields}


class Person:
    """Someone with a browser."""

    def __init__(self, house: House, language: str = "en") -> None:
        self.house = house
        self.language = language
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send a request as a browser does, and keep the cookies of its answer."""
        sent = {"accept": "text/html", "accept-language": self.language, "origin": ORIGIN}
        sent |= {"cookie": "; ".join(f"{name}={one}" for name, one in self.cookies.items())}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        more: dict[str, Any] = {}
        if body is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
            more["content"] = urlencode(body)
        sent = {name: value for name, value in sent.items() if value}
        self.house.client.cookies.clear()  # each person keeps their own
        answer = self.house.send(method, path, headers=sent, **more)
        self.house.client.cookies.clear()
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, rest = cookie.partition("=")
            value = rest.partition(";")[0]
            self.cookies[name] = value
            if "Max-Age=0" in cookie:
                del self.cookies[name]
        return answer

    def open(self, path: str) -> Page:
        """Go to a page, wherever it leads."""
        answer = self.send("GET", path)
        for _ in range(5):
            if answer.status_code != 303:
                break
            answer = self.send("GET", answer.headers["location"])
        return Page(answer)

    def sign_in(self, caller: Caller) -> Person:
        """Sign in with a caller's key."""
        answer = self.send("POST", "/sign-in", {"key": caller.key, "next": "/work"})
        assert answer.status_code == 303, answer.text
        return self

    def submit(self, form: Form, **changes: str) -> Page:
        """Send a form with what stands in it and what is typed; go where it leads."""
        answer = self.send(form.method, form.action, form.fields | changes)
        if answer.status_code == 303:
            return self.open(answer.headers["location"])
        return Page(answer)

    def submit_get(self, form: Form, **changes: str) -> Page:
        """Send a form that only asks."""
        path = form.action.partition("#")[0]
        return self.open(f"{path}?{urlencode(form.fields | changes)}")
