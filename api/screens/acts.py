"""What can be decided on a page: one form an act, each an operation of the API.

Which forms are offered is asked of the operations themselves, by a dry run: no rule stands here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

from api.problems import status_of
from api.screens.clock import given
from api.screens.drawing import sentence
from api.screens.visits import Visit
from domain.errors import Refused

KEY_BYTES: Final = 16
DRY: Final = "dry_run"
PROBE: Final = {"code": "dry_run"}
"""A reason for dry runs, which ask whether an act would pass and write nothing."""

NOTHING: Final[Mapping[str, str]] = {}

Weight = Literal["plain", "primary", "danger"]


class Act(NamedTuple):
    """One form. `fields` are those of the body, `places` those of the path besides the id.

    `if_match` marks what is decided on what the page showed.
    """

    name: str
    operation: str
    fields: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    reason: bool = False
    evidence: bool = False
    if_match: bool = False
    weight: Weight = "plain"


class Field(NamedTuple):
    """A field as it is drawn; with `options`, value and label of each, it is chosen from."""

    name: str
    kind: Literal["line", "text", "choice", "tick", "hidden", "day"]
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()


class Form(NamedTuple):
    """A form ready to be drawn: `warning` says what the operation would refuse now."""

    act: Act
    fields: tuple[Field, ...]
    key: str
    version: int
    warning: str | None
    open: bool


class Tried(NamedTuple):
    """A form that was refused: which act, what was typed, and why not."""

    act: str
    typed: Mapping[str, str]
    refused: Refused


class Subject(Protocol):
    """The record that forms are offered on."""

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> int: ...

    def choices(self, act: Act, name: str) -> Sequence[tuple[str, str]] | None:
        """Return what can be chosen for a field, None where it is typed, nothing where the act
        makes no sense now.
        """
        ...

    def principals(self) -> Sequence[tuple[str, str]]:
        """Return whom the caller stands in for now, ref and name."""
        ...

    def expected(self) -> frozenset[str]:
        """Return the names of the acts that wait."""
        ...


async def offered(
    visit: Visit, subject: Subject, table: Sequence[Act], tried: Tried | None
) -> list[Form]:
    """Return the forms of those acts that the caller could do now, or only just could not."""
    desk = visit.desk
    known = [one for one in table if desk.may(one.operation)]
    principals = tuple(await visit.work(subject.principals))
    found = await asyncio.gather(*(_form(visit, subject, one, principals, tried) for one in known))
    forms = [one for one in found if one is not None]
    return sorted(forms, key=lambda one: not one.open)


async def _form(
    visit: Visit,
    subject: Subject,
    act: Act,
    principals: tuple[tuple[str, str], ...],
    tried: Tried | None,
) -> Form | None:
    mine = tried is not None and tried.act == act.name
    typed = tried.typed if tried is not None and mine else NOTHING
    fields = _fields(subject, act, principals, typed)
    if fields is None:
        return None
    passes, refused = await _probed(visit, subject, act, fields, principals)
    if not (mine or passes) and (refused is None or _is_out_of_place(refused)):
        return None
    warning = None
    if refused is not None and not mine and not _wants_more(refused):
        warning = sentence(visit, refused)
    key = typed.get("key", "")
    if not mine or not key or (tried is not None and tried.refused.code == "key.reused"):
        key = secrets.token_hex(KEY_BYTES)
    waits = act.name in subject.expected()
    return Form(act, fields, key, subject.version, warning, mine or (waits and warning is None))


def _fields(
    subject: Subject,
    act: Act,
    principals: tuple[tuple[str, str], ...],
    typed: Mapping[str, str],
) -> tuple[Field, ...] | None:
    found: list[Field] = []
    for name in (*act.places, *act.fields):
        options = subject.choices(act, name)
        if options is not None and not options:
            return None
        found.append(_field(name, options, typed))
    if act.reason:
        found += [_field(name, None, typed) for name in ("reason_code", "reason_text")]
    if act.evidence:
        kinds = subject.choices(act, "evidence_kind")
        found.append(_field("evidence_kind", kinds, typed))
        found += [_field(name, None, typed) for name in ("evidence_place", "evidence_file")]
    if principals:
        found.append(_field("on_behalf_of", (("", ""), *principals), typed))
    return tuple(found)


_LONG: Final = frozenset({"question", "answer", "note", "text", "reason_text"})
_TICKS: Final = frozenset({"provisional"})
_DAYS: Final = frozenset({"effective_at", "document_ends_at"})


def _field(name: str, options: Sequence[tuple[str, str]] | None, typed: Mapping[str, str]) -> Field:
    value = typed.get(name, "")
    if options is not None:
        if len(options) == 1:
            return Field(name, "hidden", options[0][0], tuple(options))
        known = {one for one, _ in options}
        return Field(name, "choice", value if value in known else options[0][0], tuple(options))
    if name in _TICKS:
        return Field(name, "tick", value)
    if name in _DAYS:
        return Field(name, "day", value)
    return Field(name, "text" if name in _LONG else "line", value)


# --- asking the operation -------------------------------------------------------------------------


async def _probed(
    visit: Visit,
    subject: Subject,
    act: Act,
    fields: Sequence[Field],
    principals: Sequence[tuple[str, str]],
) -> tuple[bool, Refused | None]:
    """Return whether the act would make something happen, for whomever one acts; if not, why it
    would be refused, None where everything already is so.
    """
    first: Refused | None = None
    typed = {one.name: one.value for one in fields if one.kind in ("choice", "hidden")}
    for principal in ("", *(ref for ref, _ in principals)):
        body = body_of(visit, act, typed | {"on_behalf_of": principal})
        if act.reason:
            body["reason"] = PROBE
        body.pop("evidence", None)
        path = {"id": subject.id} | {name: typed.get(name, "") for name in act.places}
        headers = headers_of(act, secrets.token_hex(KEY_BYTES), str(subject.version))
        try:
            found = await visit.desk.ask(act.operation, path, {DRY: "true"}, body, headers)
        except Refused as refused:
            first = first or refused
        else:
            if found.document["events"]:
                return True, None
    return False, first


def _is_out_of_place(refused: Refused) -> bool:
    """Tell whether an act makes no sense now, or is not for this person at all."""
    if refused.code.startswith(("role.", "actor.", "approver.", "member.", "scope_of_key.")):
        return True
    return status_of(refused.code) in (404, 409, 410)


def _wants_more(refused: Refused) -> bool:
    """Tell whether what is refused is only that the empty form says too little."""
    return refused.code.startswith(("evidence.", "reason.", "body.", "field.", "text.", "note."))


def body_of(visit: Visit, act: Act, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of an act's operation, of the fields in which something stands."""
    body: dict[str, Any] = {}
    for name in act.fields:
        value = typed.get(name, "")
        if name in _TICKS or name == "passed":
            body[name] = value in ("on", "true")
        elif name in _DAYS:
            body |= {name: given(value, visit.zone)} if value else {}
        elif value:
            body[name] = value
    reason = {
        part: typed[f"reason_{part}"] for part in ("code", "text") if typed.get(f"reason_{part}")
    }
    if act.reason and reason:
        body["reason"] = reason
    if act.evidence and (typed.get("evidence_place") or typed.get("evidence_file")):
        names = ("kind", "place", "file")
        pairs = ((name, typed.get(f"evidence_{name}")) for name in names)
        body["evidence"] = [{name: value for name, value in pairs if value}]
    if typed.get("on_behalf_of"):
        body["on_behalf_of"] = typed["on_behalf_of"]
    return body


def headers_of(act: Act, key: str, version: str) -> dict[str, str]:
    """Return the headers of an act's operation: its key, and what the page showed."""
    found = {"idempotency-key": key}
    if act.if_match:
        found["if-match"] = f'"v{version}"'
    return found
