"""Draws pages: templates that escape everything and refuse what is not defined, and the headers of
every page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.problems import Answered, status_of
from api.screens import clock
from api.screens.forms import HIDDEN
from api.screens.visits import Header, Visit
from api.texts import LANGUAGES, text
from domain.errors import Refused

FOLDER: Final = Path(__file__).parent

HEADERS: Final[list[Header]] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        (
            b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
            b" frame-ancestors 'none'; base-uri 'none'"
        ),
    ),
    # With `no-referrer` a browser would say of our own forms, too, that they come from nowhere.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
]

LANGUAGE_NAMES: Final = {"zh": "中文", "en": "English"}


@cache
def style() -> tuple[str, bytes]:
    """Return the path of the style sheet, which changes with what it says, and what it says."""
    data = (FOLDER / "static" / "screens.css").read_bytes()
    return f"/static/screens-{hashlib.sha256(data).hexdigest()[:16]}.css", data


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def draw(
    visit: Visit,
    template: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    headers: tuple[Header, ...] = (),
) -> Answered:
    """Return a page."""
    session = visit.session
    common: dict[str, Any] = {
        "say": visit.words.say,
        "word": visit.words.word,
        "language": visit.language,
        "html_lang": "zh-CN" if visit.language == "zh" else "en",
        "languages": [(one, LANGUAGE_NAMES[one]) for one in LANGUAGES],
        "style": style()[0],
        "session": session,
        "token_name": HIDDEN,
        "here": visit.path,
        "instant": partial(instant, visit),
        "zone": visit.services.settings.zone,
        "given_clock": visit.given_clock,
    }
    found = _environment().get_template(template).render(common | dict(values))
    sent = [*HEADERS, (b"content-language", visit.language.encode()), *headers]
    return Answered(status, sent, found.encode())


def instant(visit: Visit, value: Any) -> Markup:
    """Return an instant in the zone, with the exact one beside it; nothing for none."""
    at = clock.moment(value) if isinstance(value, str) else value
    if not isinstance(at, datetime):
        return Markup("")
    exact = clock.exact(at)
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(
        exact, clock.local(at, visit.zone)
    )


def sentence(visit: Visit, refused: Refused) -> str:
    """Return what a refusal says: the very sentence of the API's problem."""
    return text(refused.code, visit.language, refused.params)


def fault_page(visit: Visit, refused: Refused) -> Answered:
    """Return the page for what is refused as a whole."""
    status = status_of(refused.code)
    values = {"code": refused.code, "sentence": sentence(visit, refused), "status": status}
    return draw(visit, "fault.html", values, status=status)
