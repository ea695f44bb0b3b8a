"""One request on a screen: who looks, in which language, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from api.layers import Receive, Scope, header
from api.problems import Answered, language_of
from api.screens import forms
from api.screens.asking import Desk
from api.screens.clock import zone_of
from api.screens.sessions import Session
from api.screens.words import Words
from api.texts import Language
from domain.errors import Refused
from domain.values import Instant

if TYPE_CHECKING:
    from api.identity import Caller
    from api.screens.sessions import Sessions
    from api.wiring import Services

LANGUAGE_COOKIE: Final = "counterseal_language"
SESSION_COOKIE: Final = "counterseal_session"
YEAR_SECONDS: Final = 365 * 24 * 3600

T = TypeVar("T")
Header = tuple[bytes, bytes]


class Visit:
    """One request; `session` is None for whoever is not signed in."""

    def __init__(
        self, services: Services, sessions: Sessions, scope: Scope, receive: Receive
    ) -> None:
        self.services = services
        self.sessions = sessions
        self.scope = scope
        self.receive = receive
        self.session: Session | None = None
        self.given_clock: Instant | None = None
        self.cookies = forms.cookies(scope)
        self.language: Language = self._language()
        self.words = Words(self.language)
        self.zone: tzinfo = zone_of(services.settings.zone)

    def _language(self) -> Language:
        chosen = self.cookies.get(LANGUAGE_COOKIE)
        if chosen == "zh":
            return "zh"
        return "en" if chosen == "en" else language_of(header(self.scope, b"accept-language"))

    @property
    def caller(self) -> Caller:
        """Who is signed in. Raises `Refused` `login.missing`."""
        if self.session is None:
            raise Refused("login.missing")
        return self.session.caller

    @property
    def desk(self) -> Desk:
        """What asks the operations for whoever is signed in."""
        return Desk(self.services, self.caller, self.language)

    @property
    def tenant(self) -> str:
        return self.caller.tenant

    @property
    def secure(self) -> bool:
        """Whether people reach the service over https."""
        return self.services.settings.base_url.startswith("https://")

    @property
    def session_cookie(self) -> str:
        """The cookie's name: over https one that no other host can set."""
        return f"__Host-{SESSION_COOKIE}" if self.secure else SESSION_COOKIE

    @property
    def path(self) -> str:
        """Path and query, as they were asked for."""
        query: bytes = self.scope["query_string"]
        path = quote(self.scope["path"])
        return f"{path}?{query.decode('latin-1')}" if query else path

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.scope["path_params"][name])

    def query(self) -> dict[str, str]:
        """Return the fields of the query. Raises `Malformed`: `query.invalid`, `query.repeated`."""
        return forms.fields(self.scope["query_string"])

    async def form(self) -> dict[str, str]:
        """Return the fields of a form that a page of ours sent, of this session where there is one.

        Raises `Refused`: `form.foreign`, `form.token`; `Malformed` as `forms.read`.
        """
        forms.require_own_origin(self.scope)
        given = await forms.read(self.scope, self.receive)
        if self.session is not None:
            forms.require_token(given, self.session.form_token)
        return given

    async def enter(self) -> None:
        """Find out who is signed in."""
        token = self.cookies.get(self.session_cookie)
        if token is not None:
            self.session = await self.work(self.sessions.find, token)
            if self.session is not None:
                self.scope["counterseal.key"] = self.session.caller.key_id
                self.given_clock = await self.work(self._given_clock)

    def _given_clock(self) -> Instant | None:
        """Return the instant of a tenant whose clock is given, None where time goes by itself."""
        ledgers = self.services.ledgers
        now = ledgers.now(self.tenant)
        return now if ledgers.ledger(self.tenant).clock == "given" else None

    async def work(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run something that blocks beside the event loop; return what it returns."""
        return await self.services.threads.run(call, *args, **kwargs)

    def signed_in(self, token: str) -> Header:
        """Return the header that hands over a session; the cookie ends with the browser."""
        return self._cookie(self.session_cookie, token, "HttpOnly")

    def signed_out(self) -> Header:
        """Return the header that takes the session's cookie back."""
        return self._cookie(self.session_cookie, "", "HttpOnly; Max-Age=0")

    def speaks(self, language: str) -> Header:
        """Return the header that remembers a language."""
        return self._cookie(LANGUAGE_COOKIE, language, f"HttpOnly; Max-Age={YEAR_SECONDS}")

    def _cookie(self, name: str, value: str, more: str) -> Header:
        secure = "; Secure" if self.secure else ""
        text = f"{name}={value}; Path=/; SameSite=Strict; {more}{secure}"
        return (b"set-cookie", text.encode())


def elsewhere(path: str, *headers: Header) -> Answered:
    """Return the answer that leads a browser on, by GET."""
    return Answered(303, [(b"location", path.encode()), *headers], b"")


def without_blanks(given: Mapping[str, str]) -> dict[str, str]:
    """Return the fields in which something stands."""
    return {name: value for name, value in given.items() if value}
