"""The screens' routes, and what surrounds each page: who is signed in, and what goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.layers import Receive, Scope, Send, answer, header, place_of
from api.problems import Answered
from api.routes.operations import as_refused
from api.screens import changes, customer, deciding, grant, grants, home, signing, work
from api.screens.drawing import fault_page, style
from api.screens.sessions import Sessions
from api.screens.visits import Visit, elsewhere
from domain.errors import Refused

if TYPE_CHECKING:
    from api.wiring import Services

SIGN_IN: Final = "/sign-in"
FOREVER: Final = "public, max-age=31536000, immutable"

log: Any = structlog.get_logger("counterseal.screens")


class Screen(NamedTuple):
    """One method on one path; `open` to whoever is not signed in, too."""

    method: str
    path: str
    handle: Callable[[Visit], Awaitable[Answered]]
    open: bool = False


SCREENS: Final[Sequence[Screen]] = (
    Screen("GET", "/", home.first, open=True),
    Screen("GET", "/language", home.language, open=True),
    Screen("GET", SIGN_IN, signing.page, open=True),
    Screen("POST", SIGN_IN, signing.sign_in, open=True),
    Screen("POST", "/sign-out", signing.sign_out),
    Screen("GET", "/work", work.page),
    Screen("GET", "/grants", grants.page),
    Screen("GET", "/grants/{id}", grant.page),
    Screen("POST", "/grants/{id}", deciding.on_grant),
    Screen("GET", "/customers/{id}", customer.page),
    Screen("POST", "/customers/{id}", deciding.on_customer),
    Screen("GET", "/changes", changes.page),
)


def routes(services: Services) -> list[Route]:
    """Return the routes of all screens and of what they look like."""
    sessions = Sessions(services.ledgers.pool, services.keys, services.gate.caller)
    found = [
        Route(one.path, Page(services, sessions, one), methods=[one.method]) for one in SCREENS
    ]
    return [*found, Route(style()[0], _style, methods=["GET"])]


def page_for(
    services: Services, scope: Scope, receive: Receive, refused: Refused
) -> Answered | None:
    """Return a page for what is refused outside of any screen, where a person asked; else None."""
    accept = header(scope, b"accept") or b""
    if b"text/html" not in accept or scope["path"].startswith(("/v1/", "/access/")):
        return None
    sessions = Sessions(services.ledgers.pool, services.keys, services.gate.caller)
    return fault_page(Visit(services, sessions, scope, receive), refused)


def page_for_fault(services: Services, request: Request, refused: Refused) -> Response | None:
    """Return a page for a path or a method that is none, where a person asked; else None."""
    found = page_for(services, request.scope, request.receive, refused)
    if found is None:
        return None
    response = Response(found.body, found.status)
    response.raw_headers[:] = [
        *found.headers,
        (b"content-length", str(len(found.body)).encode()),
    ]
    return response


class Page:
    """The ASGI application of one screen."""

    def __init__(self, services: Services, sessions: Sessions, screen: Screen) -> None:
        self._services = services
        self._sessions = sessions
        self._screen = screen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["counterseal.operation"] = f"screen {self._screen.path}"
        visit = Visit(self._services, self._sessions, scope, receive)
        try:
            found = await self._handled(visit)
        except Exception as fault:  # noqa: BLE001 - whatever it is, a person gets a page
            refused = as_refused(fault)
            if refused is None:
                # Its type and place only: a message may carry what a person wrote.
                log.error("fault", fault=type(fault).__name__, at=place_of(fault))
                refused = Refused("server.fault")
            found = _fault(visit, refused)
        await answer(send, found)

    async def _handled(self, visit: Visit) -> Answered:
        await visit.enter()
        if visit.session is None:
            if self._screen.open:
                return await self._screen.handle(visit)
            if self._screen.method == "GET":
                return elsewhere(f"{SIGN_IN}?{urlencode({'next': visit.path})}")
            raise Refused("session.over")
        with self._services.gate.slot(visit.caller):
            return await self._screen.handle(visit)


def _fault(visit: Visit, refused: Refused) -> Answered:
    if refused.code in ("database.unreachable", "ledger.unreachable", "server.fault"):
        visit.session = None  # the page then offers nothing that may be out of reach
    return fault_page(visit, refused)


async def _style(_: Request) -> Response:
    return Response(style()[1], media_type="text/css", headers={"cache-control": FOREVER})
