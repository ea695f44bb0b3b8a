"""What changed between two moments: of a grant, of a customer's grants, or of all that was touched,
in the words of the business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any, Final, get_args
from urllib.parse import urlencode

from api.ids import is_id
from api.problems import Answered
from api.routes.reading import told
from api.screens.changes_found import Found, Question, TooMany, find, seen
from api.screens.clock import given
from api.screens.drawing import draw
from api.screens.grant_shown import line_of
from api.screens.naming import book
from api.screens.visits import Visit, without_blanks
from domain.errors import Refused
from domain.values import Instant
from projections.history_lines import line, named_in
from projections.unseen import masked
from replay.as_of import OutOfReach
from replay.diff_records import By, Difference, PermissionChange
from replay.diff_words import Telling

LINES: Final = 100
"""Acts on one record that are listed beside what differs."""

DIGITS: Final = 18
"""Of a position."""

WAYS: Final[tuple[By, ...]] = get_args(By)
FIELDS: Final = ("from", "to", "by", "grant", "customer")


class _Unread(Exception):
    """What was typed is no moment, no way to ask or no id; `key` says which."""

    def __init__(self, key: str, value: str = "") -> None:
        super().__init__(key)
        self.key = key
        self.value = value


async def page(visit: Visit) -> Answered:
    """Answer with what differs, or with the form alone where no first moment is named.

    Raises `Refused`: `grant.unknown`, `customer.unknown`, and what the readings of the record
    refuse.
    """
    asked = without_blanks(visit.query())
    about = await _about(visit, asked)
    values: dict[str, Any] = {
        "asked": {name: asked.get(name, "") for name in FIELDS} | {"by": asked.get("by", "known")},
        "ways": WAYS,
        "about": about,
        "sentence": None,
        "found": None,
        "everything": _everything(visit, asked),
    }
    status = 200
    if "from" in asked:
        try:
            question = _question(asked, about, visit.zone)
            values["found"] = await visit.work(_found, visit, question, asked)
        except (OutOfReach, TooMany, _Unread) as reason:
            values["sentence"], status = _sentence(visit, reason), 422
    return draw(visit, "changes.html", values, status=status)


async def _about(visit: Visit, asked: Mapping[str, str]) -> dict[str, str] | None:
    """Return the record that is asked about, None for all: whoever asks may read what happened."""
    for kind in ("grant", "customer"):
        if kind not in asked:
            continue
        stream = asked[kind]
        if not is_id(stream):
            raise Refused(f"{kind}.unknown", **{kind: stream[:64]})
        visit.desk.entered("grant.events", {"id": stream})
        visit.desk.entered(f"{kind}.events", {"id": stream})
        state = (await visit.desk.ask(f"{kind}.get", {"id": stream})).document["state"]
        name = state.get("title") or state.get("number") or stream
        return {"kind": kind, "id": stream, "name": name, "link": f"/{kind}s/{stream}"}
    visit.desk.entered("history.list", {})
    return None


def _everything(visit: Visit, asked: Mapping[str, str]) -> str | None:
    """Return the page of the same moments for all grants, where that is another one and seen."""
    if not ("grant" in asked or "customer" in asked) or not visit.desk.may("history.list"):
        return None
    kept = {name: asked[name] for name in ("from", "to", "by") if name in asked}
    return f"/changes?{urlencode(kept)}"


def _question(asked: Mapping[str, str], about: Mapping[str, str] | None, zone: tzinfo) -> Question:
    way = asked.get("by", "known")
    by: By | None = next((one for one in WAYS if one == way), None)
    if by is None:
        raise _Unread("changes.way", way)
    behind = asked.get("behind")
    if behind is not None and not is_id(behind):
        raise _Unread("changes.unread", behind)
    named = {} if about is None else {about["kind"]: about["id"]}
    last = asked.get("to")
    return Question(
        by,
        _moment(asked["from"], zone),
        None if last is None else _moment(last, zone),
        named.get("grant"),
        named.get("customer"),
        behind,
    )


def _moment(text: str, zone: tzinfo) -> int | Instant:
    """Return a position, or an instant of the zone."""
    if text.isascii() and text.isdigit() and len(text) <= DIGITS:
        return int(text)
    try:
        return datetime.fromisoformat(given(text, zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Unread("changes.unread", text) from None


def _sentence(visit: Visit, reason: OutOfReach | TooMany | _Unread) -> str:
    say = visit.words.say
    match reason:
        case OutOfReach(code="position.beyond"):
            return say("changes.beyond", **reason.params)
        case OutOfReach():
            return say("changes.order")
        case TooMany():
            return say(reason.key, **reason.params)
        case _:
            return say(reason.key, value=reason.value[:64])


# --- what is shown; blocks ------------------------------------------------------------------------


def _found(visit: Visit, question: Question, asked: Mapping[str, str]) -> dict[str, Any]:
    found = find(visit, question)
    telling = Telling(visit.language, partial(book, visit))
    known, at = found.asked.known, found.asked.at
    return {
        "sides": [_side(*side) for side in zip(known, at, found.recorded, strict=True)],
        "items": [_item(telling, one, found) for one in seen(visit, found.differences)],
        "looked_at": found.looked_at,
        "left": found.left,
        "unreadable": found.unreadable,
        "more": _more(asked, found),
        "acts": _acts(visit, question, found),
        "lines": LINES,
    }


def _side(position: int, at: Instant, recorded_at: Instant) -> dict[str, Any]:
    return {"position": position, "at": at, "recorded_at": recorded_at if position else None}


def _more(asked: Mapping[str, str], found: Found) -> str | None:
    if not found.left or found.behind is None:
        return None
    kept = {name: asked[name] for name in FIELDS if name in asked}
    return f"/changes?{urlencode(kept | {'behind': found.behind})}"


def _item(telling: Telling, one: Difference, found: Found) -> dict[str, Any]:
    head, *rest = telling.words(one)
    sides: list[dict[str, Any]] = []
    if found.asked.grant is not None and isinstance(one, PermissionChange):
        sides = [
            {**row._asdict(), "same": row.before == row.after}
            for row in telling.side_by_side(one, found.asked.at)
        ]
    return {
        "head": head,
        "link": f"/grants/{one.about.grant}",
        "lines": [_line(text) for text in rest],
        "sides": sides,
    }


def _line(text: str) -> dict[str, str | None]:
    """Return a line of a difference; of an act, which stands deeper, the position by itself."""
    if not text.startswith("    "):
        return {"text": text.strip(), "position": None}
    position, _, rest = text.strip().partition("  ")
    return {"text": rest, "position": position}


def _acts(visit: Visit, question: Question, found: Found) -> Sequence[dict[str, Any]] | None:
    """Return what was recorded on the record between the moments; None where none is named, or
    where the two are moments of one and the same knowledge.
    """
    kind = "grant" if question.grant is not None else "customer"
    stream = question.grant or question.customer
    if stream is None or question.by != "known":
        return None
    first, last = found.asked.known
    call = visit.desk.entered(f"{kind}.events", {"id": stream})
    between = [one for one in told(call, stream) if first < one.recorded.position <= last]
    shown = between[:LINES]
    names = book(visit, *named_in(line_of(one) for one in shown))
    return [
        {
            "at": one.recorded.event.at,
            "line": line(line_of(one), names, masked),
            "link": f"/{kind}s/{stream}?as_of={one.recorded.position}",
        }
        for one in shown
    ]
