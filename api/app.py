"""The HTTP application: the table of operations inside the framework, the layers around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from api.evidence import EVIDENCE_LIMIT_BYTES
from api.layers import STREAM_SECONDS, Doors, Limits, header
from api.problems import language_of, problem
from api.routes import operations_table
from api.routes.operations import Endpoint, Operation
from api.routing import METHODS, Index
from api.screens import doors as screens
from api.settings import Settings
from api.wiring import Services
from domain.errors import Refused

TITLE: Final = "Counterseal"
KEEP_ALIVE_SECONDS: Final = 10
SHUTDOWN_SECONDS: Final = 30
"""How long requests under way get to finish when the service is asked to stop."""

EVIDENCE_PATH: Final = "/v1/evidence"


class Served(Doors):
    """The doors, with the operations they answer."""

    operations: Sequence[Operation] = ()


def create_app(services: Services) -> Served:
    """Return the ASGI application on these services; closing them is the caller's."""
    operations = operations_table.OPERATIONS
    api = FastAPI(
        title=TITLE,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan_of(services),
        exception_handlers={HTTPException: _fault_of(services)},
    )
    api.router.routes[:] = [_route(services, one) for one in operations]
    api.router.routes += screens.routes(services)
    limits = Limits(
        services.settings.body_bytes,
        services.settings.deadline_seconds,
        {EVIDENCE_PATH: (EVIDENCE_LIMIT_BYTES, STREAM_SECONDS)},
    )
    # The framework is asked only where no operation is: it answers 404 and 405, and the lifespan.
    page = partial(screens.page_for, services)
    served = Served(Index(api.router.routes, api), limits, services.measures, page)
    served.operations = operations
    return served


def _route(services: Services, operation: Operation) -> Route:
    return Route(
        operation.path,
        Endpoint(services, operation),
        methods=[operation.method],
        name=operation.name,
    )


def _lifespan_of(services: Services) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await services.begin()
        try:
            yield
        finally:
            await services.end()

    return lifespan


def _fault_of(services: Services) -> Callable[[Request, Any], Coroutine[Any, Any, Response]]:
    """Return what answers where the framework refuses: a problem, or a page where a person asks."""

    async def fault_of(request: Request, fault: Any) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        refused = Refused(_CODES.get(status, "server.fault"))
        answer = screens.page_for_fault(services, request, refused)
        answer = answer or _problem_for(request, refused)
        headers: dict[str, str] = dict(getattr(fault, "headers", None) or {})
        for name, value in headers.items():
            answer.headers[name] = value
        if status == 405:  # the framework names the methods of one route only
            answer.headers["allow"] = ", ".join(request.scope.get(METHODS, ()))
        return answer

    return fault_of


_CODES: Final = {404: "route.unknown", 405: "method.not_allowed"}
"""What the framework refuses before any operation: no such path, not with this method."""


def _problem_for(request: Request, refused: Refused) -> Response:
    found = problem(refused, language_of(header(request.scope, b"accept-language")))
    answer = Response(found.body, found.status)
    answer.raw_headers.extend(one for one in found.headers if one[0] != b"content-type")
    answer.headers["content-type"] = dict(found.headers)[b"content-type"].decode()
    return answer


def server_config(app: Any, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves the application; its own log lines go through ours."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=settings.connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        h11_max_incomplete_event_size=32 * 1024,
    )
