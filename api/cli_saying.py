"""A command said to a running service: words taken apart, what is decided on shown, the answer."""

from __future__ import annotations

import re
import shlex
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from api.cli_acts import Said
from api.cli_client import Answer, Service
from api.cli_errors import Failure, Usage
from api.cli_fields import Leaf, made, parsed, tree_of
from api.cli_finding import FOUND, find, places_of
from api.cli_grant_shown import case_row, grant_rows, headings, status_of, timeline
from api.cli_own import grant_read
from api.cli_places import instant_of
from api.cli_service import ServiceBook, grant_id, opened, party_ref
from api.cli_shown import FINDINGS, FINE, UNREACHABLE, document, line, pairs, table
from api.cli_texts import say

if TYPE_CHECKING:
    from api.routes.commands import CommandOperation

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".pdf": "application/pdf",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".amr": "audio/amr",
    ".mp4": "video/mp4",
    ".txt": "text/plain",
}
"""Ending of a file's name -> what it is announced as; the service looks at its first bytes."""

YES: Final = frozenset({"y", "yes", "是"})

_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


class File(NamedTuple):
    """A file of evidence to be stored."""

    kind: str
    path: Path
    media_type: str


class Words(NamedTuple):
    """What was said, taken apart: parts of the path, fields, papers, files, headers."""

    places: dict[str, str]
    leaves: list[Leaf]
    papers: list[tuple[str, str]]
    files: list[File]
    headers: dict[str, str]


class Ready(NamedTuple):
    """A command before its evidence is stored; `found` is what the words did not give.

    `shown` is the grant as it was read for it, None where nothing of it was needed.
    """

    stream: str | None
    places: dict[str, str]
    tree: dict[str, Any]
    found: dict[str, str]
    shown: Mapping[str, Any] | None


def told(operation: CommandOperation, verb: str, number: str | None, said: Said) -> int:
    """Say one command and show what happened. Raises `Usage`, `Failure`.

    What the words alone show to be wrong is told before anyone is asked; files are stored and the
    command is given only once everything else is known to be right.
    """
    words = _apart(operation, said)
    service = opened(said.key_file)
    ready = _ready(service, operation, number, words, said)
    made(operation.body, ready.tree)  # wrong values are told before anything goes out
    seen = said.seen
    if operation.if_match and seen is None and ready.shown is not None:
        _agreed(verb, ready.shown, ServiceBook(service), said)
        seen = ready.shown["version"]
    body = made(operation.body, _with_evidence(service, ready, words))
    headers = dict(words.headers)
    if seen is not None:
        headers["if-match"] = f'"v{seen}"'
    path = operation.path.format(id=ready.stream, **ready.places)
    try:
        answer = service.command(path, body, headers, dry=said.would)
    except Failure as fault:
        if fault.exit_code != UNREACHABLE or fault.code == "service.unreachable" or said.would:
            raise
        again = shlex.join(_again(verb, ready, words, said, seen))
        sentence = f"{fault.sentence} {say('acts.again', command=again)}"
        raise Failure(fault.code, sentence, UNREACHABLE, status=fault.status) from None
    if said.as_json:
        document(answer.document)
    else:
        _show(answer, ServiceBook(service), own_key=said.key is not None)
    return FINE


def _apart(operation: CommandOperation, said: Said) -> Words:
    """Take the words apart; nothing is asked of anyone. Raises `Usage`."""
    given = [_pair(one, "fields.malformed") for one in said.fields]
    if said.reason is not None:
        given.append(("reason.code", said.reason))
    if said.principal is not None:
        given.append(("on_behalf_of", said.principal))
    needed = places_of(operation.path)
    places = {name: value for name, value in given if name in needed}
    leaves = parsed(operation.body, [one for one in given if one[0] not in needed])
    papers = [_pair(one, "fields.paper") for one in said.paper]
    files = [_file(one) for one in said.evidence]
    if files and said.would:
        raise Usage("acts.dry_evidence")
    key = said.key if said.key is not None else str(uuid.uuid4())
    if _KEY.fullmatch(key) is None:
        raise Usage("acts.key")
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    headers = {"idempotency-key": f'"{quoted}"'}
    if (at := instant_of(said.at)) is not None:
        headers["counterseal-at"] = at.isoformat()
    return Words(places, leaves, papers, files, headers)


def _pair(word: str, code: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise Usage(code, word=word)
    return name, value


def _file(word: str) -> File:
    """Return a file of evidence. Raises `Usage`: `fields.evidence`, `.no_file`, `.media_type`."""
    kind, name = _pair(word, "fields.evidence")
    path = Path(name)
    if not path.is_file():
        raise Usage("fields.no_file", path=name)
    media_type = MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        raise Usage("fields.media_type", path=name, known=", ".join(MEDIA_TYPES))
    return File(kind, path, media_type)


def _ready(
    service: Service, operation: CommandOperation, number: str | None, words: Words, said: Said
) -> Ready:
    """Find what the words leave to be found; numbers become ids."""

    def named(form: str, value: str) -> str:
        return party_ref(service, value) if form == "PARTY" else grant_id(service, value)

    stream = None if number is None else grant_id(service, number)
    tree = tree_of(words.leaves, named)
    if words.papers:
        tree["evidence"] = [{"kind": kind, "place": place} for kind, place in words.papers]
    needed = places_of(operation.path)
    wanted = [one for one in needed if one not in words.places]
    wanted += sorted(FOUND.intersection(operation.body.__struct_fields__).difference(tree))
    shown: Mapping[str, Any] | None = None
    if stream is not None:
        unseen = operation.if_match and said.seen is None
        if unseen or wanted or words.files:
            shown = grant_read(service, stream)
    found = {} if shown is None else {one: find(operation.name, one, shown) for one in wanted}
    places = words.places | {one: value for one, value in found.items() if one in needed}
    tree |= {one: value for one, value in found.items() if one not in needed}
    return Ready(stream, places, tree, found, shown)


def _with_evidence(service: Service, ready: Ready, words: Words) -> dict[str, Any]:
    """Return the fields with every file stored. A crash here leaves files that nothing names."""
    if not words.files:
        return ready.tree
    grantee: str = ready.tree["grantee"] if ready.shown is None else ready.shown["state"]["grantee"]
    subject = _subject(service, grantee)
    stored: list[dict[str, str]] = list(ready.tree.get("evidence", ()))
    for one in words.files:
        answer = service.upload(subject, one.media_type, one.path).document
        stored.append({"kind": one.kind, "file": answer["file"]})
    return ready.tree | {"evidence": stored}


def _subject(service: Service, grantee: str) -> str:
    """Return under whose key evidence is sealed: the customer, or the person of a staff member.

    Raises `Usage` `acts.nobodys_file`: a team is nobody whose file it could be.
    """
    kind, _, stream = grantee.partition(":")
    if kind == "customer":
        return grantee
    if kind != "staff":
        raise Usage("acts.nobodys_file", grantee=grantee)
    state = service.get(f"/v1/staff/{stream}").document["state"]
    return f"person:{state['person']}"


def _agreed(verb: str, shown: Mapping[str, Any], book: ServiceBook, said: Said) -> None:
    """Show what is decided on and ask, unless that was said not to be needed.

    Raises `Usage` `acts.unseen` where nobody can be asked, `Failure` `acts.left` for a no.
    """
    if said.yes or said.would:
        return
    if said.as_json or not terminal():
        raise Usage("acts.unseen")
    pairs(grant_rows(shown, book))
    question = say("acts.sure", verb=verb, number=shown["state"]["number"])
    sys.stdout.write(f"\n{question} ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in YES:
        raise Failure("acts.left", say("acts.left"), FINDINGS)


def terminal() -> bool:
    """Return whether a person is there to be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _again(verb: str, ready: Ready, words: Words, said: Said, seen: int | None) -> list[str]:
    """Return the words that say exactly the same once more, with the same key."""
    key = words.headers["idempotency-key"][1:-1].replace('\\"', '"').replace("\\\\", "\\")
    found = ["counterseal", "grant", verb]
    if ready.stream is not None:
        found.append(ready.stream)
    found += said.fields
    found += [f"{name}={value}" for name, value in ready.found.items()]
    options: list[tuple[str, str | None]] = [("--reason", said.reason)]
    options += [("--evidence", one) for one in said.evidence]
    options += [("--paper", one) for one in said.paper]
    options += [
        ("--on-behalf-of", said.principal),
        ("--at", said.at),
        ("--key-file", None if said.key_file is None else str(said.key_file)),
        ("--version", None if seen is None else str(seen)),
        ("--idempotency-key", key),
    ]
    for name, value in options:
        if value is not None:
            found += [name, value]
    return found


def _show(answer: Answer, book: ServiceBook, *, own_key: bool) -> None:
    """Say what happened: a line, the events, and where the grant stands now."""
    found: Mapping[str, Any] = answer.document
    replayed = own_key and answer.headers.get("idempotent-replayed") == "true"
    line(say("acts.replayed" if replayed else f"acts.{found['result']}"))
    if found["events"]:
        line()
        table(headings(), timeline(found["events"], book))
    line()
    state: Mapping[str, Any] = found["state"]
    rows: list[tuple[str, object]] = [
        (say("grant.number"), state["number"]),
        (say("grant.id"), found["id"]),
        (say("grant.status"), status_of(state)),
    ]
    if (case := state.get("open_case")) is not None:
        rows.append(case_row(case))
    rows.append((say("acts.version"), str(found["version"])))
    rows.append((say("check.position"), str(found["position"])))
    pairs(rows)
