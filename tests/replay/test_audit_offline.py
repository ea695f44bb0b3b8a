"""A bundle is verified and asked where no database is, and answers what the database answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from replay import cli
from tests.replay.auditing import Audit
from tests.support.mixed import Mixed

REPLAY = Path(cli.__file__).parent
BLOCKED = """
import sys
def watch(event, given):
    if event.startswith("socket."):
        raise OSError("there is no network here")
sys.addaudithook(watch)
from replay.cli import main
sys.exit(main(sys.argv[1:]))
"""
OPENS = BLOCKED.rpartition("from replay")[0] + "import socket\nsocket.socket()"


@pytest.fixture
def audit(firm: Mixed, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Audit:
    return Audit(firm, capsys, tmp_path)


def apart() -> list[str]:
    """What puts a program into a network of its own, with nobody in it; nothing where that is not
    allowed here.
    """
    words = ["unshare", "--net", "--map-root-user"]
    try:
        allowed = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return []
    return words if allowed else []


def without_network(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*apart(), sys.executable, "-c", BLOCKED, *words],
        capture_output=True,
        text=True,
        env={"LANG": "C", "PYTHONPATH": str(REPLAY.parent)},
        check=False,
    )


def test_a_bundle_is_verified_and_asked_where_no_database_is_and_sockets_are_blocked(
    audit: Audit,
) -> None:
    file = str(audit.bundle())
    for words in (
        ("verify",),
        ("verify", "--against", file),
        ("as-of", "--model", "permissions"),
        ("history", "--limit", "5"),
        ("compare",),
    ):
        found = without_network(*words, "--bundle", file)
        assert (found.returncode, found.stderr.count("Traceback")) == (0, 0), found.stderr


def test_the_block_of_the_network_holds() -> None:
    """Else the test above would show nothing."""
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    assert without_network("verify", "--database-url", url).returncode == 3
    tried = subprocess.run(
        [
            sys.executable,
            "-c",
            OPENS,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "there is no network here" in tried.stderr


def test_a_bundle_answers_what_the_database_answers(audit: Audit) -> None:
    file = str(audit.bundle())
    position = audit.document("as-of")["position"]
    for words in (
        ("as-of", "--limit", "0"),
        ("as-of", "--limit", "0", "--known", str(position // 2), "--model", "standings"),
        ("history", "--limit", "0"),
        ("verify",),
        ("compare",),
    ):
        code, out, _ = audit(*words, "--bundle", file, "--json")
        assert code == 0
        assert json.loads(out) == audit.document(*words)


def test_a_changed_bundle_is_refused_with_its_place_and_no_trace(audit: Audit) -> None:
    file = audit.bundle("--to", "9")
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 4
    file.write_bytes(data)
    for command in ("verify", "as-of", "history", "compare"):
        code, out, err = audit(command, "--bundle", str(file), "--lang", "en")
        assert (code, out) == (1, "")
        assert re.fullmatch(
            r"counterseal-audit: bundle\.hash: .*, at .*bytes \d+ to \d+\..*\n", err
        )
    code, _, err = audit("verify", "--bundle", str(file), "--json")
    assert (code, json.loads(err)["code"]) == (1, "bundle.hash")


def test_a_bundle_is_for_its_owner_and_is_not_written_over_unasked(audit: Audit) -> None:
    file = audit.bundle("--to", "9")
    assert file.stat().st_mode & 0o077 == 0
    before = file.read_bytes()
    code, _, err = audit.database("bundle", str(file), "--lang", "en")
    assert (code, file.read_bytes()) == (2, before)
    assert "bundle.there" in err
    assert [one.name for one in audit.folder.iterdir()] == [file.name], "nothing half-made is left"


def test_a_bundle_of_chosen_records_answers_for_them_alone(audit: Audit) -> None:
    one, two = audit.document("as-of", "--limit", "2")["items"]
    file = str(audit.bundle("--grant", one["number"]))
    code, out, _ = audit("as-of", "--bundle", file, "--grant", one["number"], "--json")
    assert (code, json.loads(out)["items"]) == (0, [one])
    code, _, err = audit("as-of", "--bundle", file, "--grant", two["number"])
    assert (code, "record.unknown" in err) == (2, True)
    code, _, err = audit("as-of", "--bundle", file)
    assert (code, "source.partial" in err) == (2, True)
    code, _, err = audit("compare", "--bundle", file)
    assert (code, "compare.no_rows" in err) == (2, True)
