"""What commands need of a running service: its client, ids for numbers, names of things."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from api.cli_errors import Failure, Usage
from api.cli_shown import UNREACHABLE, aside
from api.cli_texts import say, spoken, word

if TYPE_CHECKING:
    from api.cli_client import Service

T = TypeVar("T")
KeyFile = Annotated[Path | None, typer.Option("--key-file", metavar="PATH")]

NAMES: Final = 500
"""Names that are looked up for one answer."""

LOOKS: Final = 5
LOOK_SECONDS: Final = 0.3
"""Lists follow the log within moments: what was made just now is looked for again."""

_LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "customer": ("/v1/customers", "customer_id"),
    "staff": ("/v1/staff", "staff_id"),
    "grant": ("/v1/grants", "grant_id"),
}
"""Kind -> the list in which a number is found, and the column of its id."""


def opened(key_file: Path | None) -> Service:
    """Return the service that the settings name. Raises `Usage`: `service....`."""
    from api.cli_client import service
    from api.settings import read_settings

    found = service(read_settings(), key_file)
    if found.exposed:
        aside(say("service.exposed", url=found.url))
    return found


def has_key(key_file: Path | None) -> bool:
    """Return whether there is a key: what can be asked of a service is asked of it."""
    if key_file is not None:
        return True
    from api.settings import read_settings

    settings = read_settings()
    return settings.api_key is not None or settings.api_key_file is not None


def grant_id(service: Service, text: str) -> str:
    """Return the id of a grant by its number, however it is typed, or by its id.

    Raises `Usage`: `grant.unknown`, `grant.mistyped`; `Failure`.
    """
    from api.ids import is_id

    if is_id(text):
        return text
    found = _id(service, "grant", grant_number(text))
    if found is None:
        raise Usage("grant.unknown", grant=text)
    return found


def grant_number(text: str) -> str:
    """Return a number as it is written. Raises `Usage` `grant.mistyped`."""
    from domain import numbers

    try:
        return numbers.parse(text)
    except numbers.NumberFault as fault:
        if fault.code == "check":
            raise Usage("grant.mistyped", grant=text) from None
        return text  # imported grants keep the numbers they had


def party_ref(service: Service, text: str) -> str:
    """Return `customer:<id>` for `customer:<number>`, and so for staff; anything else as it is.

    Raises `Usage` `party.unknown`; `Failure`.
    """
    from api.ids import is_id

    kind, _, name = text.partition(":")
    if kind not in ("customer", "staff") or not name or is_id(name):
        return text
    found = _id(service, kind, name)
    if found is None:
        raise Usage("party.unknown", party=text)
    return f"{kind}:{found}"


def _id(service: Service, kind: str, number: str) -> str | None:
    for look in range(LOOKS):
        if look:
            time.sleep(LOOK_SECONDS)
        if (found := _listed(service, kind, number)) is not None:
            return found
    return None


def _listed(service: Service, kind: str, number: str) -> str | None:
    path, column = _LISTS[kind]
    try:
        items: list[dict[str, Any]] = service.get(path, {"number": number}).document["items"]
    except Failure as fault:
        from api.cli_own import OWN_ONLY, own_id, shut_out

        if not shut_out(fault):
            raise
        found = _or(fault, lambda: own_id(service, kind, number))
        if found is None and fault.code != OWN_ONLY:
            raise
        return found
    return str(items[0][column]) if items else None


def _or(first: Failure, look: Callable[[], T]) -> T:
    """Return what is found in one's own view; where there is none, the first refusal stands."""
    try:
        return look()
    except Failure as fault:
        raise (fault if fault.exit_code == UNREACHABLE else first) from None


class ServiceBook:
    """What the service says things are called, `NAMES` of them at most.

    A name is never worth a fault: what the key may not see, or the service does not say, is shown
    by its id, and a service that gave no answer is not asked for more of them.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[str, Any] = {}
        self._kinds: dict[str, str] = {}
        self._silent = False
        self._me: Mapping[str, Any] | None = None

    def of(self, ref: str) -> str:
        """Return a party as people know it; one without a name is its ref."""
        kind, _, stream = ref.partition(":")
        if kind not in ("customer", "staff"):
            return ref
        path, _ = _LISTS[kind]
        state = self._state(f"{path}/{stream}")
        if state is None and (kind == "staff" or (state := self._own(ref)) is None):
            return ref
        title = state.get("title")
        shown = f" {title}" if isinstance(title, str) else ""
        return f"{word('kinds', kind)} {state['number']}{shown}"

    def policy(self, policy: str, version: int) -> Mapping[str, Any] | None:
        """Return the body of a policy's version; None where it cannot be seen."""
        state = self._state(f"/v1/policies/{policy}")
        if state is None or str(version) not in state["versions"]:
            return None
        return state["versions"][str(version)]["body"]

    def kind(self, code: str) -> str:
        """Return what its newest policy calls a kind of grants; one without a name is its code."""
        if code not in self._kinds and not self._silent and len(self._kinds) < NAMES:
            try:
                for page in self._service.pages("/v1/policies", {"kind": code}):
                    for one in page:
                        if one["names"] is not None:
                            self._kinds[code] = one["names"][spoken()]
            except Failure as fault:
                self._silent = fault.exit_code == UNREACHABLE
            self._kinds.setdefault(code, code)
        return self._kinds.get(code, code)

    def _state(self, path: str) -> Any:
        if path not in self._known and not self._silent and len(self._known) < NAMES:
            try:
                self._known[path] = self._service.get(path).document["state"]
            except Failure as fault:
                self._silent = fault.exit_code == UNREACHABLE
                self._known[path] = None
        return self._known.get(path)

    def _own(self, ref: str) -> Any:
        """Return the caller's own record, looked up once; None for another's."""
        if self._me is None and not self._silent:
            from api.cli_own import myself

            try:
                self._me = myself(self._service)
            except Failure:  # a name is never worth a fault
                self._me = {}
        me = self._me or {}
        return me.get("customer") if me.get("party") == ref else None
