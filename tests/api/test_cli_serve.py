"""serve and demo as processes: begun, ended in order, refused where they must not begin."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from api.provisioning import Database
from tests.support import cluster
from tests.support.commands import Installation, addresses, installed


@pytest.fixture(scope="module")
def here(run_directory: Path) -> Iterator[Installation]:
    with installed(run_directory) as made:
        yield made


def test_serve_listens_answers_and_ends_in_order(here: Installation) -> None:
    with here.served("serve", "--port", "0", "--lang", "en") as served:
        assert "(doors, read models, verifier, timekeeper)" in served.text
        assert httpx.get(f"{served.url}/livez").status_code == 200
        assert httpx.get(f"{served.url}/readyz").status_code == 200
        assert served.end(signal.SIGTERM) == 0
        assert "what was acknowledged is stored" in served.text


def test_serve_ends_by_ctrl_c_as_well(here: Installation) -> None:
    with here.served("serve", "--port", "0", "--json") as served:
        told = json.loads(served.text)
        assert told["parts"] == ["doors", "runner", "verifier", "timekeeper"]
        assert told["listening"] == served.url
        assert served.end(signal.SIGINT) == 0


def test_a_request_under_way_is_answered_before_the_end(here: Installation) -> None:
    """The end waits for it: its body is still being sent when the signal comes."""
    here.say("tenant", "create", "slow")
    key = here.say(
        "key", "create", "--tenant", "slow", "--party", "service:till", "--scope", "evaluate"
    ).out.strip()
    body = b'{"subject": "service:x", "action": "a", "resource": {"type": "t", "id": "i"}}'
    head = (
        "POST /v1/checks HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nauthorization: Bearer {key}\r\n\r\n"
    )
    with here.served("serve", "--port", "0", "--json") as served:
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 20) as slow:
            slow.sendall(head.encode() + body[:10])
            time.sleep(1.0)  # until it is under way
            served.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            slow.sendall(body[10:])
            answer = b"".join(iter(lambda: slow.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"decision":false' in answer
        assert served.process.wait(20) == 0


@pytest.mark.parametrize("part", ["runner", "verifier", "timekeeper", "doors"])
def test_each_part_runs_alone(here: Installation, part: str) -> None:
    with here.served("serve", "--only", part, "--port", "0", "--json") as served:
        told = json.loads(served.text)
        assert told["parts"] == [part]
        assert (told["listening"] is not None) == (part == "doors")
        assert served.end() == 0


def test_a_port_that_is_taken_is_told_before_anything_is_opened(here: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = here.run("serve", "--port", str(port), "--lang", "en")
    assert (said.code, said.out) == (3, "")
    assert f"serve.port_taken: Nobody can listen on 127.0.0.1:{port}" in said.err


def test_a_port_that_is_taken_is_told_before_the_sample_is_made(here: Installation) -> None:
    tenants = here.say("tenant", "list", "--json").json()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = here.run("demo", "--port", str(taken.getsockname()[1]), "--lang", "en")
    assert said.code == 3
    assert "serve.port_taken: " in said.err
    assert here.say("tenant", "list", "--json").json() == tenants


@pytest.mark.parametrize("role", ["migrator", "projector"])
def test_serve_refuses_a_wrong_role(here: Installation, role: str) -> None:
    said = here.run("serve", "--port", "0", DATABASE_URL=getattr(here.database, role))
    assert said.code == 3
    assert "database." in said.err
    assert "counterseal_service" in said.err


def test_serve_refuses_a_database_that_is_not_migrated_and_migrate_mends_it(
    run_directory: Path, tmp_path: Path
) -> None:
    bare = cluster.bare_database(run_directory)
    try:
        here = Installation(tmp_path, bare)
        refused = here.run("serve", "--port", "0")
        assert refused.code == 3
        assert "counterseal migrate" in refused.err
        assert here.say("doctor").code == 1
        done = here.say("migrate", "--json")
        assert done.code == 0
        assert done.json()["applied"][0] == "0001_keys.sql"
        assert here.say("migrate", "--json").json()["applied"] == []
        assert here.say("doctor").code == 0
    finally:
        cluster.drop(bare.admin or "", bare.name)


def test_provision_writes_the_addresses_for_their_owner_alone(
    run_directory: Path, tmp_path: Path
) -> None:
    """The roles belong to the whole server, so their passwords are the run's."""
    cluster.bare_database(run_directory)  # so that they are there
    name = f"counterseal_provisioned_{time.monotonic_ns()}"
    secrets = run_directory / "secrets"
    here = Installation(tmp_path, None)
    try:
        said = here.say("provision", "--name", name, "--secrets", str(secrets), "--lang", "en",
                        ADMIN_DATABASE_URL=cluster.server_url(run_directory))  # fmt: skip
        assert said.code == 0, said.err
        file = secrets / f"{name}.env"
        assert str(file) in said.out
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        variables = dict(
            line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines()
        )
        unquoted = {key: value.strip("'") for key, value in variables.items()}
        assert here.say("doctor", **unquoted).code == 0
        assert "postgresql://" not in said.out + said.err
    finally:
        cluster.drop(cluster.server_url(run_directory), name)


def test_demo_makes_its_tenant_once_with_keys_for_their_owner_alone(
    fresh_database: Callable[[], Database], tmp_path: Path
) -> None:
    here = Installation(tmp_path, fresh_database())
    folder = tmp_path / "demo"
    with here.served("demo", "--small", "--port", "0", "--lang", "zh") as demo:
        assert "可看五处" in demo.text
        assert demo.end() == 0
    tenants = here.say("tenant", "list", "--json").json()
    keys = here.say("key", "list", "--json").json()
    assert [one["name"] for one in tenants] == ["demo"]
    for file in folder.glob("*.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    begun = time.monotonic()
    with here.served("demo", "--small", "--port", "0", "--lang", "en") as demo:
        assert time.monotonic() - begun < 10
        assert demo.text.count(f"{demo.url}/") == 3
        assert here.say("tenant", "list", "--json").json() == tenants
        assert len(here.say("key", "list", "--json").json()) == len(keys)
        assert tried(demo.text, folder)["decision"] is True
        assert demo.end() == 0
    (folder / "shop.key").unlink()
    with here.served("demo", "--small", "--port", "0", "--lang", "en") as demo:
        assert tried(demo.text, folder)["decision"] is True
        assert demo.end() == 0
    after = here.say("tenant", "list", "--json").json()
    assert [one["position"] for one in after] == [one["position"] for one in tenants]


def test_demo_brings_its_own_database_and_finds_it_again(run_directory: Path) -> None:
    """What `make run` does on a bare machine: no address is given, a server is started."""
    folder = run_directory / "bare"
    here = Installation(folder, None)
    try:
        with here.served("demo", "--small", "--port", "0", "--lang", "en") as demo:
            assert tried(demo.text, folder / "demo")["decision"] is True
            assert demo.end(signal.SIGINT) == 0
        made = here.say("tenant", "list", "--json").json()
        begun = time.monotonic()
        with here.served("demo", "--small", "--port", "0", "--lang", "en") as demo:
            assert time.monotonic() - begun < 10
            assert tried(demo.text, folder / "demo")["decision"] is True
            assert demo.end() == 0
        assert here.say("tenant", "list", "--json").json() == made
        assert here.say("doctor", "--log").code == 0
    finally:
        cluster.end_server(folder / "postgres")


def tried(welcome: str, folder: Path) -> dict[str, object]:
    """Ask what the first thing to try asks."""
    line = next(one for one in welcome.splitlines() if "/v1/checks" in one)
    url = re.findall(r"http\S+", line)[0]
    body = line.partition(" -d '")[2].removesuffix("'")
    key = (folder / "shop.key").read_text(encoding="utf-8").strip()
    assert str(folder / "shop.key") in line
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return httpx.post(url, content=body, headers=headers).json()


def test_the_sample_has_no_case_that_breaks_the_rules(here: Installation) -> None:
    with here.served("demo", "--small", "--port", "0", "--lang", "en") as demo:
        assert demo.end() == 0
    assert here.say("doctor", "--log", "--tenant", "demo").code in (0, 1)
    verdict = here.say("doctor", "--log", "--json").json()
    assert [one for one in verdict["looked"] if not one["ok"] and one["code"] != "lag"] == []


def test_the_addresses_are_those_of_the_roles(here: Installation) -> None:
    assert here.database is not None
    assert set(addresses(here.database)) <= set(here.environment)
