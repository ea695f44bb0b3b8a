"""A caller of a running service: HTTP with a key, a limit on everything, no redirect followed.

The standard library's client, because nothing but tests needs another: it reads no proxy from the
environment and goes where it is told only.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from api.cli_errors import Failure, Usage
from api.cli_shown import FINDINGS, UNREACHABLE, USAGE
from api.cli_texts import say, spoken

if TYPE_CHECKING:
    from api.settings import Settings

TRIES: Final = 3
"""How often something is asked or said, with the same key, when no answer came."""

PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 5.0
ANSWER_BYTES: Final = 64 * 1024 * 1024
PIECE_BYTES: Final = 64 * 1024
PAGE: Final = 500

_KEY: Final = re.compile(r"[\x21-\x7e]{1,512}")
_BUSY: Final = frozenset({429, 502, 503, 504})
"""Statuses after which the same may be said again: nothing was decided, or nobody knows."""

_MISUSED: Final = frozenset({400, 401, 404, 405, 413, 415})
"""Statuses that say the words or the key are not right; 404 names what is not there."""


class Answer(NamedTuple):
    """A success: what it says, and its headers, names in lower case."""

    document: Any
    headers: Mapping[str, str]


class _Lost(Exception):
    """The connection broke, or time was over, after something was sent."""


class Service:
    """A running service, spoken to with a key."""

    def __init__(self, url: str, key: str, seconds: float) -> None:
        self.url = url
        self._to = _split(url)
        self._key = key
        self._seconds = seconds

    @property
    def exposed(self) -> bool:
        """Whether the key goes over a network without TLS."""
        return self._to.scheme == "http" and not _here(self._to.hostname or "")

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        """Ask for something. Raises `Failure`."""
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        return self._said("GET", f"{path}?{urlencode(asked)}" if asked else path)

    def pages(self, path: str, query: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """Yield every page of a list. Raises `Failure`."""
        cursor: str | None = None
        while True:
            document = self.get(path, {"limit": PAGE, **query, "cursor": cursor}).document
            yield document["items"]
            cursor = document["next_cursor"]
            if cursor is None:
                return

    def command(self, path: str, body: bytes, headers: Mapping[str, str], *, dry: bool) -> Answer:
        """Give a command; one whose answer is lost is given again with the same key.

        Raises `Failure`; with the code `service.lost`, or a status of 5xx, it may have happened.
        """
        whole = {"content-type": "application/json", **headers}
        return self._said("POST", f"{path}?dry_run=true" if dry else path, whole, body)

    def upload(self, subject: str, media_type: str, file: Path) -> Answer:
        """Store a file of evidence; stored twice it is one file. Raises `Failure`, `OSError`."""
        path = f"/v1/evidence?subject={quote(subject)}"
        headers = {"content-type": media_type, "content-length": str(file.stat().st_size)}
        return self._said("POST", path, headers, file)

    def _said(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Path | None = None,
    ) -> Answer:
        """Say it until there is an answer, `TRIES` times at most."""
        lost = False
        for attempt in range(1, TRIES + 1):
            last = attempt == TRIES
            try:
                status, found, data = self._once(method, path, headers or {}, body)
            except _Lost:
                lost = True
                pause = PAUSE_SECONDS * attempt
                if last:
                    raise self._lost() from None
            except OSError as why:  # not even connected: nothing was sent now
                if lost:
                    raise self._lost() from None
                raise self._unreachable(why) from None
            else:
                if status not in _BUSY or last:
                    return self._answered(status, found, data)
                pause = _pause(found, attempt)
            time.sleep(pause)
        raise AssertionError("unreached")

    def _once(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | Path | None
    ) -> tuple[int, dict[str, str], bytes]:
        """Say it once. Raises `OSError` before anything was sent, `_Lost` after."""
        until = time.monotonic() + self._seconds
        connection = self._connection()
        connection.connect()
        sent = {
            "authorization": f"Bearer {self._key}",
            "accept": "application/json",
            "accept-language": spoken(),
            "user-agent": "counterseal",
            **headers,
        }
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # A service that refuses a file early answers before it has read it all.
                if isinstance(body, Path):
                    with body.open("rb") as file:
                        connection.request(method, self._to.path + path, file, sent)
                else:
                    connection.request(method, self._to.path + path, body, sent)
            response = connection.getresponse()
            data = _read(response, until)
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, data
        except (OSError, http.client.HTTPException):
            raise _Lost from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._to.hostname or "", self._to.port
        if self._to.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._seconds)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=self._seconds, context=context)

    def _answered(self, status: int, headers: dict[str, str], data: bytes) -> Answer:
        kind = headers.get("content-type", "").partition(";")[0].strip()
        try:
            found: Any = json.loads(data) if kind.endswith("json") else None
        except ValueError:
            found = None
        if isinstance(found, dict):
            document = cast(dict[str, Any], found)
            if status in (200, 201):
                return Answer(document, headers)
            if status >= 400 and "code" in document:
                raise problem(document, status)
        raise Failure(
            "service.not_understood",
            say("service.not_understood", url=self.url, status=status),
            UNREACHABLE,
        )

    def _lost(self) -> Failure:
        sentence = say("service.lost", url=self.url, tries=TRIES)
        return Failure("service.lost", sentence, UNREACHABLE)

    def _unreachable(self, why: OSError) -> Failure:
        sentence = say("service.unreachable", url=self.url, why=_why(why))
        return Failure("service.unreachable", sentence, UNREACHABLE)


def problem(document: Mapping[str, Any], status: int) -> Failure:
    """Return what a problem document says, as one line: its detail, and where the faults lie."""
    sentence = str(document.get("detail", document["code"]))
    for one in document.get("errors", ()):
        sentence += f" {one['pointer']}: {one['detail']}"
    code = USAGE if status in _MISUSED else UNREACHABLE if status in _BUSY | {500} else FINDINGS
    return Failure(str(document["code"]), " ".join(sentence.split()), code, status=status)


def service(settings: Settings, key_file: Path | None) -> Service:
    """Return the service that the settings name, with the key of the file, or of the settings.

    Raises `Usage`: `service.url`, `service.key_missing`, `service.key_unreadable`,
    `service.key_malformed`.
    """
    key = key_of(settings, key_file)
    if key is None:
        raise Usage("service.key_missing")
    return Service(settings.service_url or settings.base_url, key, settings.answer_seconds)


def key_of(settings: Settings, key_file: Path | None) -> str | None:
    """Return the key that is to be used; None where none is set."""
    file = key_file or (None if settings.api_key is not None else settings.api_key_file)
    if file is not None:
        try:
            with file.open(encoding="ascii") as lines:
                key = _line(lines)
        except (OSError, UnicodeDecodeError):
            raise Usage("service.key_unreadable", file=file) from None
    elif settings.api_key is not None:
        key = settings.api_key.get_secret_value().strip()
    else:
        return None
    if _KEY.fullmatch(key) is None:
        raise Usage("service.key_malformed")
    return key


def _line(lines: IO[str]) -> str:
    return lines.read(1024).strip()


def _split(url: str) -> SplitResult:
    """Return where the service is. Raises `Usage` `service.url`: no user, query or fragment."""
    try:
        found = urlsplit(url.rstrip("/"))
        found.port  # noqa: B018 - raises for what is no port
    except ValueError:
        raise Usage("service.url") from None
    plain = not (found.query or found.fragment or found.username or found.password)
    if found.scheme not in ("http", "https") or not found.hostname or not plain:
        raise Usage("service.url")
    return found


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    """Return the whole answer. Raises `_Lost` where it is cut, too long, or takes too long."""
    pieces: list[bytes] = []
    size = 0
    while piece := response.read1(PIECE_BYTES):
        size += len(piece)
        if size > ANSWER_BYTES or time.monotonic() > until:
            raise _Lost
        pieces.append(piece)
    if response.length:
        raise _Lost  # the connection ended before the answer did
    return b"".join(pieces)


def _pause(headers: Mapping[str, str], attempt: int) -> float:
    told = headers.get("retry-after", "")
    wanted = float(told) if told.isascii() and told.isdigit() else PAUSE_SECONDS * attempt
    return min(wanted, LONGEST_PAUSE_SECONDS)


def _why(error: OSError) -> str:
    """Return what the system says of a fault, without an address in it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.strerror or type(error).__name__
