"""What holds for every operation: keys, scopes, headers, documents, texts."""

import ast
import json
import re
from pathlib import Path

import httpx
import msgspec
import pytest

from api.documents import FOLDER, documents
from api.identity import SCOPES
from api.problems import status_of
from api.routes.commands import CommandOperation
from api.routes.operations import Operation
from api.routes.operations_table import COMMANDS, OPERATIONS
from api.texts import texts
from domain import commands
from domain.view import Command
from tests.support.doors import House
from tests.support.trade import Trade

ROOT = Path(__file__).parent.parent.parent
OPEN = {
    "health.live",
    "health.ready",
    "health.metrics",
    "documents.openapi",
    "documents.page",
    "access.metadata",
    "access.metadata_of_tenant",
}
# Whoever issues these is no caller: the timekeeper, and the import.
NO_DOOR = {
    "RecordCustomerLapse",
    "RecordGrantLapse",
    "RecordActivation",
    "RecordExpiry",
    "RecordSuspensionLapse",
    "RecordCaseLapse",
    "RecordImported",
    "RevokePassedOn",
}


def path_of(operation: Operation) -> str:
    """The operation's path, with an id in each of its places."""
    return re.sub(r"\{\w+\}", "01900000-0000-7000-8000-000000000000", operation.path)


def send(house: House, operation: Operation, **headers: str) -> httpx.Response:
    return house.send(
        operation.method,
        path_of(operation),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        json=operation.example if operation.body else None,
    )


def test_only_health_metadata_and_documents_answer_without_a_key(house: House) -> None:
    open_ones: set[str] = set()
    for operation in OPERATIONS:
        answer = send(house, operation)
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["code"] == "login.missing"
        else:
            assert answer.status_code == 200, operation.name
            open_ones.add(operation.name)
    assert open_ones == OPEN


def test_every_operation_asks_for_a_scope(house: House, trade: Trade) -> None:
    bare = trade.service("bare")
    for operation in OPERATIONS:
        if operation.scope is None:
            continue
        answer = send(house, operation, idempotency_key="k", **bare.headers)
        assert answer.status_code == 403, operation.name
        assert answer.json()["code"] == "scope_of_key.missing"
        assert {operation.scope, *operation.also} <= SCOPES


def test_each_operation_is_described_in_both_languages_with_an_example() -> None:
    for operation in OPERATIONS:
        assert operation.summary, operation.name
        assert re.search(r"[\u4e00-\u9fff]", operation.summary_zh), operation.name
        if operation.body is not None:
            assert operation.example is not None, operation.name
            msgspec.convert(operation.example, operation.body)
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))
    routes = [(operation.method, operation.path) for operation in OPERATIONS]
    assert len(routes) == len(set(routes))


def all_commands() -> set[str]:
    folder = Path(commands.__file__).parent
    found: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.endswith("Command"):
                found.add(node.name)
    return found


def made_by_the_table() -> set[str]:
    """The commands that the routes name, read from their source."""
    known = {one.__name__ for one in _subclasses(Command)}
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "api" / "routes").glob("*.py")
    )
    return {name for name in known if re.search(rf"\bcommands\.{name}\b", source)}


def _subclasses(kind: type) -> set[type]:
    own = set(kind.__subclasses__())
    return own | {deeper for one in own for deeper in _subclasses(one)}


def test_every_command_has_a_door() -> None:
    concrete = {one.__name__ for one in _subclasses(Command)} & all_commands()
    assert concrete - made_by_the_table() - NO_DOOR == set()


def test_where_a_person_decides_on_what_they_saw_the_version_is_asked_for() -> None:
    assert {one.name for one in COMMANDS if one.if_match} == {
        "grant.approve",
        "grant.reject",
        "grant.sign",
        "grant.decline",
        "grant.approve_case",
        "grant.reject_case",
        "grant.sign_case",
        "grant.decline_case",
        "grant.confirm_error",
        "policy.approve",
        "policy.send_back",
        "customer.change_shared_profile",
    }


def test_generated_documents_are_what_the_code_says() -> None:
    for name, content in documents().items():
        written = (FOLDER / name).read_text(encoding="utf-8")
        assert written == content, f"{name}: run `python -m api.documents`"


def refused_codes() -> set[str]:
    """Every code that the tree refuses with, where it stands as it is."""
    found: set[str] = set()
    for package in ("domain", "projections", "replay", "api"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    if node.func.id in {"Refused", "Malformed", "Unopenable"} and node.args:
                        found |= _words(node.args[0])
                    if node.func.id == "Finding" and len(node.args) > 2 and "api" in str(path):
                        found |= _words(node.args[1])
    return found


def _words(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return _words(node.body) | _words(node.orelse)
    return set()


def test_every_code_is_told_in_both_languages_with_the_same_facts() -> None:
    codes = refused_codes()
    assert len(codes) > 150
    own_words = {code for code in codes if code.startswith("import.")}
    assert codes - own_words - texts().keys() == set()
    for code, said in texts().items():
        assert said.keys() == {"en", "zh"}, code
        facts = {language: set(re.findall(r"\{(\w+)\}", said[language])) for language in said}
        assert facts["en"] == facts["zh"], code
        assert re.search(r"[\u4e00-\u9fff]", said["zh"]), code
        assert 400 <= status_of(code) < 600, code


def test_the_request_id_comes_back_as_sent_on_every_answer(house: House) -> None:
    odd = "not a uuid; ünïcode é ~ 0"
    for path, status in (("/livez", 200), ("/v1/persons", 401), ("/nowhere", 404)):
        method = "GET" if path != "/v1/persons" else "POST"
        answer = house.send(method, path, headers={"x-request-id": odd.encode()})
        assert answer.status_code == status
        assert answer.headers.raw[-1] == (b"x-request-id", odd.encode()) or (
            (b"x-request-id", odd.encode()) in answer.headers.raw
        )
    big = house.send("POST", "/v1/persons", content=b"x" * 600_000, headers={"x-request-id": "7"})
    assert (big.status_code, big.headers["x-request-id"]) == (413, "7")


def test_a_fault_of_ours_is_a_problem_without_its_message(
    house: House, trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(house.services.ledgers, "load", broken)
    headers = trade["admin"].headers | {"x-request-id": "mine"}
    path = "/v1/staff/01900000-0000-7000-8000-000000000000"
    answer = house.send("GET", path, headers=headers)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "server.fault"
    assert "secret" not in answer.text


def test_another_method_is_405_and_an_unknown_path_404(house: House) -> None:
    answer = house.send("GET", "/access/v1/evaluation")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert house.send("DELETE", "/v1/grants").status_code == 405
    assert house.send("GET", "/v1/nothing").json()["code"] == "route.unknown"
    assert house.send("GET", "/livez/").status_code == 404


def test_answers_say_what_browsers_may_do_with_them(house: House) -> None:
    for path in ("/livez", "/docs", "/nowhere"):
        headers = house.send("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")


def test_the_documents_page_fetches_nothing_from_elsewhere(house: House) -> None:
    page = house.send("GET", "/docs").text
    assert "/v1/grants/{id}/approvals" in page
    assert not re.search(r"<(script|link|img|iframe)\b", page)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_a_problem_speaks_the_language_asked_for(house: House) -> None:
    def detail(accept: str) -> str:
        return house.send("GET", "/nowhere", headers={"accept-language": accept}).json()["detail"]

    assert detail("zh-CN,zh;q=0.9,en;q=0.8") == "没有此路径。"
    assert detail("en;q=0.9, zh;q=0.3") == "There is no such path."
    assert detail("fr, de;q=0.5") == "There is no such path."
    assert detail("zh;q=banana") == "There is no such path."


def test_commands_carry_the_headers_that_the_document_asks_for() -> None:
    for operation in COMMANDS:
        assert isinstance(operation, CommandOperation)
        assert operation.method == "POST"
        assert operation.kind in {"catalogue", "person", "staff", "customer", "policy", "grant"}


def test_the_openapi_document_holds_together(house: House) -> None:
    document = house.send("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    for ref in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found = document
        for step in ref.split("/"):
            found = found[step]
        assert found, ref
    for path, verbs in document["paths"].items():
        for verb, one in verbs.items():
            places = set(re.findall(r"\{(\w+)\}", path))
            named = {p["name"] for p in one["parameters"] if p.get("in") == "path"}
            assert places == named, path
            success = {status for status in one["responses"] if status.startswith("2")}
            assert len(success) == 1, (verb, path)
