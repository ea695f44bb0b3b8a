"""Asks the operations of the API inside the process, as whoever is signed in: the same rules, the
same refusals, the same rows in the access log.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import orjson

from api.identity import Caller
from api.layers import Message
from api.routes.operations import Call, Operation, admit, as_refused, log_refusal
from api.routes.operations_table import OPERATIONS
from api.texts import Language
from domain.errors import Refused

if TYPE_CHECKING:
    from api.wiring import Services


class Answer(NamedTuple):
    """What an operation answered: its document, and its headers by lower-case name."""

    document: Any
    headers: Mapping[str, str]

    @property
    def position(self) -> int:
        """The position of the log that the answer rests on."""
        return int(self.headers["position"])


@cache
def _by_name() -> Mapping[str, Operation]:
    return {one.name: one for one in OPERATIONS}


class Desk:
    """Asks for one caller."""

    def __init__(self, services: Services, caller: Caller, language: Language) -> None:
        self._services = services
        self._caller = caller
        self._language = language

    def call(
        self,
        name: str,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Call:
        """Return the call of an operation, as a request over HTTP would make it."""
        operation = _by_name()[name]
        data = b"" if body is None else orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        sent = {"accept-language": self._language, **(headers or {})}
        if body is not None:
            sent["content-type"] = "application/json"
        scope: dict[str, Any] = {
            "type": "http",
            "method": operation.method,
            "path": operation.path.format_map({} if path is None else path),
            "path_params": dict(path or {}),
            "query_string": urlencode(query or {}).encode(),
            "headers": [(one.encode(), value.encode()) for one, value in sent.items()],
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(_: Message) -> None:
            raise TypeError(f"{name} streams its answer, which no screen reads")

        return Call(self._services, operation, scope, receive, send)

    def may(self, name: str) -> bool:
        """Tell whether the doors would let the caller into an operation."""
        try:
            admit(self.call(name, path=_Anything()), self._caller)
        except Refused:
            return False
        return True

    def entered(self, name: str, path: Mapping[str, str]) -> Call:
        """Return a call that the doors let the caller into. Raises `Refused` where they do not."""
        call = self.call(name, path)
        admit(call, self._caller)
        return call

    async def ask(
        self,
        name: str,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return what an operation answers. Raises `Refused` with what it refuses."""
        call = self.call(name, path, query, body, headers)
        try:
            admit(call, self._caller)
            answered = await call.operation.handle(call)
        except Exception as fault:
            refused = as_refused(fault)
            if refused is None:
                raise
            if call.operation.command and "dry_run" not in (query or {}):
                await log_refusal(call, refused)
            raise refused from None
        if answered is None:
            raise TypeError(f"{name} streams its answer, which no screen reads")
        document = orjson.loads(answered.body)
        if answered.status >= 400:  # 412, already in the access log
            raise Refused(document["code"], **document.get("params", {}))
        names = {one.decode(): value.decode() for one, value in answered.headers}
        return Answer(document, names)


class _Anything(dict[str, str]):
    """Fills every place of a path."""

    def __missing__(self, key: str) -> str:
        return key
