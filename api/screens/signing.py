"""Signing in with a key or a one-time link, and out."""

from __future__ import annotations

from typing import Final

from api.problems import Answered, status_of
from api.screens import forms
from api.screens.drawing import draw, sentence
from api.screens.sessions import tenant_of
from api.screens.visits import Visit, elsewhere
from domain.errors import Refused

OPERATION: Final = "screens.sign_in"
"""What the access log calls an attempt to sign in."""


async def page(visit: Visit) -> Answered:
    """Answer with the form for a key; with a link, with a button. Looking uses no link up."""
    asked = visit.query()
    link = asked.get("link", "")
    refused = None
    if link and not await visit.work(visit.sessions.is_good, link):
        refused, link = await _not_good(visit, link), ""
    return _form(visit, asked.get("next", ""), link, refused)


async def sign_in(visit: Visit) -> Answered:
    """Open a session for a good key or link, and lead to where the person wanted to go."""
    given = await visit.form()
    following = forms.local_path(given.get("next", ""), "/work")
    link = given.get("link", "")
    try:
        tenant, key = await _proved(visit, given.get("key", ""), link)
    except Refused as refused:
        return _form(visit, following, "", refused)
    if visit.session is not None:  # whoever signs in anew leaves nothing open behind them
        await _close(visit)
    token = await visit.work(visit.sessions.open, tenant, key)
    return elsewhere(following, visit.signed_in(token))


async def _proved(visit: Visit, key: str, link: str) -> tuple[str, str]:
    """Return tenant and key id. Raises `Refused`: `login.failed`, `link.over`."""
    if link:
        found = await visit.work(visit.sessions.use_link, link)
        if found is None:
            raise await _not_good(visit, link)
        return found
    gate = visit.services.gate
    caller = await gate.enter(b"Bearer " + key.encode(errors="replace"), OPERATION)
    return caller.tenant, caller.key_id


async def sign_out(visit: Visit) -> Answered:
    """End the session."""
    await visit.form()
    await _close(visit)
    return elsewhere("/", visit.signed_out())


async def _close(visit: Visit) -> None:
    await visit.work(visit.sessions.close, visit.cookies.get(visit.session_cookie, ""))


async def _not_good(visit: Visit, link: str) -> Refused:
    """Write a link that is not good to the access log, as a key that is not."""
    named = tenant_of(link)
    if named is not None:
        await visit.services.access_log.login_failed(named[0], None, OPERATION)
    return Refused("link.over")


def _form(visit: Visit, following: str, link: str, refused: Refused | None) -> Answered:
    values = {
        "next": forms.local_path(following, "/work"),
        "link": link,
        "sentence": None if refused is None else sentence(visit, refused),
    }
    status = 200 if refused is None else status_of(refused.code)
    return draw(visit, "sign_in.html", values, status=status)
