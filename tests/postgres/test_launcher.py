"""The embedded server: started, found again, after every kind of end, and never beside old data."""

import os
import pwd
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from api import postgres
from api.postgres import Server, StartRefused, ensure_server
from api.postgres_host import account_for, postmaster
from api.postgres_layout import Layout
from tests.support.cluster import end_server

AS_ROOT = os.geteuid() == 0
START = """
import pathlib, sys
from api.postgres import ensure_server
print(ensure_server(pathlib.Path(sys.argv[1])).pid)
"""


@pytest.fixture
def home(run_directory: Path, tmp_path: Path) -> Iterator[Path]:
    """A directory that does not exist yet; whatever runs in it is ended after the test."""
    path = run_directory / "homes" / f"{tmp_path.name[:24]}-{time.monotonic_ns()}" / "postgres"
    yield path
    end_server(path)


@pytest.fixture(scope="module")
def lasting(run_directory: Path) -> Iterator[Path]:
    """One directory for the tests that leave it as they found it."""
    path = run_directory / "homes" / f"lasting-{time.monotonic_ns()}" / "postgres"
    yield path
    end_server(path)


def value(server: Server, query: str) -> object:
    with psycopg.connect(server.admin_url) as conn:
        row = conn.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def test_a_second_start_finds_the_running_server(lasting: Path) -> None:
    first = ensure_server(lasting)
    before = time.monotonic()
    assert ensure_server(lasting) == first
    assert time.monotonic() - before < 2
    assert first.running()
    assert value(first, "SELECT current_setting('server_version_num')::int / 10000") == first.major


def test_the_server_outlives_the_process_that_started_it(home: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-c", START, str(home)], capture_output=True, text=True, check=True
    )
    assert ensure_server(home).pid == int(started.stdout)


def test_two_starters_at_once_get_one_server(home: Path) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", START, str(home)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    pids = {int(starter.communicate(timeout=60)[0]) for starter in starters}
    assert len(pids) == 1
    found = postmaster(Layout.of(home).data)
    assert found is not None
    assert pids == {found.pid}


def test_after_a_kill_it_starts_again_with_what_was_committed(lasting: Path) -> None:
    server = ensure_server(lasting)
    with psycopg.connect(server.admin_url) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        conn.execute("INSERT INTO kept VALUES ('before')")
    server.kill()
    assert not server.running()
    again = ensure_server(lasting)
    assert again.pid != server.pid
    assert again.admin_url == server.admin_url
    assert value(again, "SELECT word FROM kept") == "before"
    with psycopg.connect(again.admin_url) as conn:
        conn.execute("DROP TABLE kept")


@pytest.fixture
def stale_pid_of_a_living_process(lasting: Path) -> Iterator[None]:
    """What a restarted container finds: the dead server's number, now some other program's."""
    server = ensure_server(lasting)
    account = account_for(Layout.of(lasting).cluster)
    server.kill()
    sleeper = subprocess.Popen(
        ["/bin/sleep", "60"], user=None if account is None else account.uid, cwd="/"
    )
    file = Layout.of(lasting).data / "postmaster.pid"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([str(sleeper.pid), *lines[1:], ""]))
    yield
    sleeper.kill()
    sleeper.wait()


def test_a_dead_servers_number_may_belong_to_another_program(
    lasting: Path, stale_pid_of_a_living_process: None
) -> None:
    assert ensure_server(lasting).running()


def test_without_the_care_for_that_number_it_would_not_start(
    lasting: Path, stale_pid_of_a_living_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "release_stale_pid", lambda data: None)
    with pytest.raises(StartRefused, match=r"postmaster\.pid") as refused:
        ensure_server(lasting)
    assert refused.value.code == "database.does_not_start"


def test_it_waits_for_children_of_a_killed_server_that_still_hold_its_memory(lasting: Path) -> None:
    server = ensure_server(lasting)
    child = next(
        process
        for process in psutil.Process(server.pid).children()
        if "checkpointer" in " ".join(process.cmdline())
    )
    child.suspend()
    os.kill(server.pid, signal.SIGKILL)
    threading.Timer(1.0, child.resume).start()  # unless the system wakes it as an orphan before
    again = ensure_server(lasting)
    assert again.running()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_half_made_cluster_is_thrown_away(home: Path) -> None:
    draft = Layout.of(home).cluster / "data.draft"
    home.parent.mkdir(mode=0o711, parents=True)
    home.mkdir(mode=0o711)
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    server = ensure_server(home)
    assert server.running()
    assert not draft.exists()


def test_stopping_ends_it_and_stopping_again_does_nothing(lasting: Path) -> None:
    server = ensure_server(lasting)
    server.stop()
    assert not server.running()
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.admin_url, connect_timeout=2)


def test_durability_cannot_be_switched_off_in_its_files(lasting: Path) -> None:
    server = ensure_server(lasting)
    with psycopg.connect(server.admin_url, autocommit=True) as conn:
        for name in (b"fsync", b"full_page_writes", b"synchronous_commit"):
            conn.execute(b"ALTER SYSTEM SET " + name + b" = off")
    server.stop()
    again = ensure_server(lasting)
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert value(again, f"SELECT current_setting('{name}')") == "on"
    with psycopg.connect(again.admin_url, autocommit=True) as conn:
        conn.execute("ALTER SYSTEM RESET ALL")


def test_it_is_closed_to_everyone_else(lasting: Path) -> None:
    home = Layout.of(ensure_server(lasting).data_dir)
    assert mode(home.home) == (0o710 if AS_ROOT else 0o700)
    assert mode(home.password) == 0o600
    for path in (home.cluster, home.data, home.sockets, home.logs):
        assert mode(path) == 0o700
    owner = home.data.stat().st_uid
    assert owner != 0
    assert home.home.stat().st_uid == home.password.stat().st_uid == os.geteuid()
    assert owner == (os.geteuid() or pwd.getpwuid(owner).pw_uid)
    writable = [
        path
        for path in (home.home / "programs").rglob("*")
        if not path.is_symlink() and (path.stat().st_uid != os.geteuid() or mode(path) & 0o022)
    ]
    assert writable == []


def test_nobody_enters_without_the_password(lasting: Path) -> None:
    server = ensure_server(lasting)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.admin_url, password="guess", connect_timeout=2)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.admin_url, user="somebody", password="", connect_timeout=2)
    assert "password" not in repr(server)
    assert server.admin_url not in repr(server)


def test_the_machine_stays_as_it_was(home: Path) -> None:
    home.parent.mkdir(mode=0o711, parents=True)
    accounts = Path("/etc/passwd").read_bytes()
    before = {path: path.stat().st_mode for path in home.parents}
    ensure_server(home)
    assert Path("/etc/passwd").read_bytes() == accounts
    assert {path: path.stat().st_mode for path in home.parents} == before


def test_a_path_too_long_for_a_socket_is_served_on_loopback(home: Path) -> None:
    server = ensure_server(home.parent / ("long" * 20) / "postgres")
    try:
        assert server.socket_dir is None
        assert value(server, "SELECT current_setting('listen_addresses')") == "127.0.0.1"
        assert ensure_server(server.data_dir) == server
    finally:
        end_server(server.data_dir)


@pytest.mark.parametrize("major", ["17", "19"])
def test_beside_another_majors_data_it_refuses_with_the_commands_to_upgrade(
    home: Path, major: str
) -> None:
    old = home / major / "data"
    home.parent.mkdir(mode=0o711, parents=True)
    home.mkdir(mode=0o711)
    old.mkdir(parents=True)
    (old / "PG_VERSION").write_text(f"{major}\n")
    (old / "base").write_bytes(b"somebody's data")
    before = snapshot(old.parent)
    with pytest.raises(StartRefused) as refused:
        ensure_server(home)
    assert refused.value.code == "database.other_major"
    assert snapshot(old.parent) == before
    assert not Layout.of(home).cluster.exists()
    for word in ("initdb", "pg_upgrade", str(old), str(Layout.of(home).data), "OLD_BIN"):
        assert word in refused.value.sentence


def test_data_of_another_major_in_its_own_place_is_not_touched(home: Path) -> None:
    data = Layout.of(home).data
    home.parent.mkdir(mode=0o711, parents=True)
    home.mkdir(mode=0o711)
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    before = snapshot(home)
    with pytest.raises(StartRefused) as refused:
        ensure_server(home)
    assert refused.value.code == "database.other_major"
    assert {name: kept for name, kept in snapshot(home).items() if name != "lock"} == before


def test_a_directory_that_is_a_cluster_itself_is_not_touched(home: Path) -> None:
    home.parent.mkdir(mode=0o711, parents=True)
    home.mkdir(mode=0o711)
    (home / "PG_VERSION").write_text("18\n")
    with pytest.raises(StartRefused) as refused:
        ensure_server(home)
    assert refused.value.code == "database.other_major"
    assert sorted(path.name for path in home.iterdir()) == ["PG_VERSION", "lock"]


def test_a_directory_others_may_write_in_is_refused(home: Path) -> None:
    home.parent.mkdir(mode=0o711, parents=True)
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(StartRefused) as refused:
        ensure_server(home)
    assert refused.value.code == "database.directory_open"
    assert list(home.iterdir()) == []


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs the server as themself")
def test_as_root_a_closed_directory_above_is_not_opened_but_refused(home: Path) -> None:
    home.parent.mkdir(mode=0o700, parents=True)
    with pytest.raises(StartRefused, match="cannot reach") as refused:
        ensure_server(home)
    assert refused.value.code == "database.directory_out_of_reach"
    assert mode(home.parent) == 0o700
