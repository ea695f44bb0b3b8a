"""FIELD=VALUE words, keys and addresses: what is wrong is told before anyone is asked."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from api.cli_errors import Failure, Usage
from api.cli_fields import fields_of, made, parsed, tree_of
from api.cli_service import ServiceBook
from api.routes.grants import GrantGiven
from api.routes.operations_table import COMMANDS
from tests.support.commands import Installation, Said

NUMBER = "CS-20261122-7F3K9Q-N"
KEY = "ak_nobody"
REQUEST = ("request", "grantee=customer:D-1", "kind=dealership", "actions=sell",
           "scope.territory=CN/31", "term.days=365")  # fmt: skip


def say(*words: str, **more: str) -> Said:
    """Nobody listens at that address: whoever is asked all the same fails with exit code 3."""
    where = {"COUNTERSEAL_URL": "http://127.0.0.1:9", "COUNTERSEAL_KEY": KEY}
    return Installation(Path("unused"), None, COUNTERSEAL_LANG="en", **where | more).say(*words)


def body(*words: str) -> dict[str, object]:
    given = [(name, value) for name, _, value in (word.partition("=") for word in words)]
    leaves = parsed(GrantGiven, given)
    return json.loads(made(GrantGiven, tree_of(leaves, lambda _, value: value)))


ID = "01900000-0000-7000-8000-000000000000"
LEAST = (f"grantee=customer:{ID}", "kind=dealership", "actions=sell", "scope.territory=CN/31")


def test_words_become_the_body_that_the_struct_means() -> None:
    assert body(*LEAST, "actions=promote,show", "scope.product=tea,cups\\, plates", "term.days=365",
                "pass_on=1", "reason.text=as = agreed") == {
        "grantee": f"customer:{ID}",
        "kind": "dealership",
        "actions": ["sell", "promote", "show"],
        "scope": {"territory": ["CN/31"], "product": ["tea", "cups, plates"]},
        "term": {"days": 365},
        "pass_on": 1,
        "reason": {"text": "as = agreed"},
    }  # fmt: skip
    term = body(*LEAST, "term.ends_at=2027-01-01T00:00:00+08:00")["term"]
    assert term == {"ends_at": "2026-12-31T16:00:00Z"}


def test_a_bare_number_is_no_instant() -> None:
    with pytest.raises(Usage) as wrong:
        body(*LEAST, "term.ends_at=2027")
    assert wrong.value.code == "instant.malformed"


def test_every_field_of_every_command_can_be_given_by_the_name_that_help_shows() -> None:
    for operation in COMMANDS:
        if operation.kind == "grant":
            for field in fields_of(operation.body):
                name = field.name.replace("DIMENSION", "territory")
                value = "2027-01-01T00:00:00Z" if field.form == "INSTANT" else "x"
                assert [one.name for one in parsed(operation.body, [(name, value)])] == [name]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("withdraw", NUMBER, "reason"), "reason is no FIELD=VALUE"),
        (("reject", NUMBER, "stage=x", "--yes"), "no field stage. There are: reason.code"),
        (("reject", NUMBER, "evidence=x", "--yes"), "no field evidence"),
        (
            ("approve", NUMBER, "scope=CN", "--yes"),
            "scope has no value of its own: scope.DIMENSION",
        ),
        (("approve", NUMBER, "stage.first=x", "--yes"), "no field stage.first"),
        (("approve", NUMBER, "stage=x", "stage=y", "--yes"), "stage was given twice"),
        (
            ("reject", NUMBER, "reason.code=x", "--reason", "y", "--yes"),
            "reason.code was given twice",
        ),
        (("renew", NUMBER, "term.ends_at=tomorrow"), "tomorrow is no instant"),
        (("check", NUMBER, "--evidence", "recording"), "no KIND=PATH"),
        (("check", NUMBER, "--evidence", "recording=nowhere.mp3"), "no file nowhere.mp3"),
        (("check", NUMBER, "--evidence", f"recording={__file__}"), "no file of evidence"),
        (("check", NUMBER, "--paper", "contract"), "no KIND=PLACE"),
        (("withdraw", NUMBER, "--idempotency-key", "ä"), "printable ASCII"),
        (("withdraw", NUMBER, "--version", "v7"), "--version"),
        (("withdraw", NUMBER, "--at", "noon"), "noon is no instant"),
        (("withdraw",), "NUMBER is missing"),
    ],
)
def test_wrong_words_are_told_in_one_line_before_anyone_is_asked(
    words: tuple[str, ...], sentence: str
) -> None:
    said = say("grant", *words)
    assert (said.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1
    assert sentence in said.err


def test_wrong_values_are_told_with_their_field() -> None:
    grant = f"grantee=customer:{ID}"
    missing = say("grant", "request", grant, "kind=dealership", "actions=sell", "scope.t=CN")
    assert (missing.code, "fields.wrong: term: " in missing.err) == (2, True)
    many = say("grant", "request", grant, *REQUEST[2:5], "term.days=many")
    assert (many.code, "fields.wrong: term.days: " in many.err) == (2, True)
    channel = say("grant", "request", grant, *REQUEST[2:], "channel=carrier_pigeon")
    assert (channel.code, "fields.wrong: channel: " in channel.err) == (2, True)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"COUNTERSEAL_KEY": ""}, "service.key_missing"),
        ({"COUNTERSEAL_KEY": "two words"}, "service.key_malformed"),
        ({"COUNTERSEAL_KEY": "ak_x\r\nHost: evil"}, "service.key_malformed"),
        ({"COUNTERSEAL_KEY": "", "COUNTERSEAL_KEY_FILE": "/nowhere"}, "service.key_unreadable"),
        ({"COUNTERSEAL_URL": "ftp://grants"}, "service.url"),
        ({"COUNTERSEAL_URL": "http://user:secret@grants"}, "service.url"),
        ({"COUNTERSEAL_URL": "http://127.0.0.1:many"}, "service.url"),
    ],
)
def test_a_key_or_an_address_that_is_none_is_told_and_never_shown(
    variables: dict[str, str], code: str
) -> None:
    said = say("grant", "list", **variables)
    assert (said.code, said.out) == (2, "")
    assert f"counterseal: {code}: " in said.err
    assert "secret" not in said.err
    assert "evil" not in said.err


def answering(*answers: bytes) -> tuple[str, list[bytes], threading.Thread]:
    """Listen, give these answers one a connection, keep what was asked; then listen no more."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def answer() -> None:
        for one in answers:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(one)
        listening.close()

    thread = threading.Thread(target=answer)
    thread.start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}", asked, thread


def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else() -> None:
    elsewhere = socket.create_server(("127.0.0.1", 0))
    elsewhere.setblocking(False)
    port = elsewhere.getsockname()[1]
    away = f"HTTP/1.1 307 Away\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n"
    url, asked, thread = answering(away.encode())
    said = say("grant", "list", COUNTERSEAL_URL=url)
    thread.join(10)
    assert (said.code, "service.not_understood" in said.err) == (3, True)
    assert f"Bearer {KEY}".encode() in asked[0]
    with elsewhere, pytest.raises(BlockingIOError):
        elsewhere.accept()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{",
        b"not HTTP at all\r\n\r\n",
    ],
)
def test_an_answer_that_is_cut_is_asked_for_three_times_and_not_believed(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.cli_client.PAUSE_SECONDS", 0.0)
    url, asked, thread = answering(answer, answer, answer)
    said = say("grant", "list", COUNTERSEAL_URL=url)
    thread.join(10)
    assert (said.code, "service.lost" in said.err, len(asked)) == (3, True, 3)


def test_a_service_that_is_silent_is_not_waited_for_longer_than_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = say("grant", "list", COUNTERSEAL_URL=url, COUNTERSEAL_ANSWER_SECONDS="0.05")
    assert (said.code, "service.lost" in said.err) == (3, True)


def http(status: str, kind: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def test_a_busy_service_is_asked_again() -> None:
    problem = b'{"code": "request.busy", "detail": "Busy."}'
    busy = http("503 Busy", "application/problem+json", problem, "retry-after: 0")
    fine = http("200 OK", "application/json", b'{"items": [], "next_cursor": null}')
    url, asked, thread = answering(busy, busy, fine)
    said = say("grant", "list", COUNTERSEAL_URL=url)
    thread.join(10)
    assert (said.code, said.out, len(asked)) == (0, "There is none.\n", 3)
    url, _, thread = answering(busy, busy, busy)
    refused = say("grant", "list", COUNTERSEAL_URL=url)
    thread.join(10)
    assert (refused.code, refused.err) == (3, "counterseal: request.busy: Busy.\n")


class Silent:
    """A service that has stopped to answer."""

    def __init__(self) -> None:
        self.asked = 0

    def get(self, path: str) -> None:
        self.asked += 1
        raise Failure("service.lost", "No answer.", 3)

    def pages(self, path: str, query: dict[str, str]) -> None:
        self.get(f"{path}?{query}")


def test_a_list_names_kinds_as_their_policies_do_and_asks_once_a_kind() -> None:
    def row(number: int, kind: str) -> dict[str, object]:
        ends = {"revoked_from": None, "ends_at": None}
        one = {"grant_id": ID, "number": f"CS-{number}", "status": "active", "kind": kind}
        return {**one, "grantee": None, "actions": ["sell"], **ends}

    def page(*items: dict[str, object]) -> bytes:
        body = json.dumps({"items": items, "next_cursor": None}).encode()
        return http("200 OK", "application/json", body)

    named = page({"policy_id": ID, "names": {"zh": "经销授权", "en": "Dealership"}})
    barred = json.dumps({"code": "scope_of_key.missing", "detail": "Not for you."}).encode()
    problem = http("403 Forbidden", "application/problem+json", barred)
    rows = [row(1, "dealership"), row(2, "share"), row(3, "dealership"), row(4, "share")]
    url, asked, thread = answering(page(*rows), named, problem)
    said = say("grant", "list", COUNTERSEAL_URL=url)
    thread.join(10)
    shown = [line.split()[2] for line in said.out.splitlines()[1:]]
    assert (said.code, shown) == (0, ["Dealership", "share", "Dealership", "share"])
    asks = [one.split(b" ", 2)[1] for one in asked[1:]]
    assert [b"kind=dealership" in asks[0], b"kind=share" in asks[1], len(asks)] == [True, True, 2]


def test_a_name_that_cannot_be_had_is_an_id_and_no_fault() -> None:
    service = Silent()
    book = ServiceBook(service)  # type: ignore[arg-type]
    refs = [f"customer:{ID}", f"staff:{ID}", "service:till"]
    assert [book.of(ref) for ref in refs] == refs
    assert book.policy(ID, 1) is None
    assert book.kind("dealership") == "dealership"
    assert service.asked == 1
