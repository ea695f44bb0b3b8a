"""Where the database is when nobody names one: an embedded PostgreSQL of this machine.

The wheel brings the programs; this file starts them, finds them running, and stops them. The server
outlives whoever started it. It listens on a Unix socket in a closed directory, or on loopback where
the path is too long for a socket, and asks everyone for a password.
"""

import contextlib
import logging
import os
import secrets
import shlex
import shutil
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import platformdirs
import psutil

from api.postgres_host import (
    POLL_SECONDS,
    Account,
    Postmaster,
    StartRefused,
    account_for,
    alive,
    drop_other_programs,
    locked,
    make_home,
    postmaster,
    programs,
    release_stale_pid,
    run,
    serves,
    write_secret,
)
from api.postgres_layout import ADMIN, INITDB, Layout, refuse_other_majors

__all__ = ["NOTICE", "Server", "StartRefused", "default_data_dir", "ensure_server"]

log = logging.getLogger("counterseal.postgres")

START_SECONDS = 60
STOP_SECONDS = 60
START_ATTEMPTS = 5
LOG_LINES = 5
SOCKET_PATH_BYTES = 103  # macOS has 104 with the final zero, Linux 108
SOCKET_PORT = 5432  # only a part of the socket's name
ROOT_DATA_DIR = Path("/var/lib/counterseal/postgres")

NOTICE = {
    "en": "This PostgreSQL is embedded: for one machine, for trying out and for tests."
    " Set DATABASE_URL to a server of your own before anything depends on it.",
    "zh": "这是内嵌的 PostgreSQL，只供单机试用和测试。"
    "正式使用之前，请把 DATABASE_URL 指向自己的服务器。",
}

# On the command line, which beats every file and ALTER SYSTEM: an acknowledged command is durable.
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
SETTINGS = {
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "logging_collector": "on",
    "log_directory": "../log",
    "log_filename": "postgresql-%a.log",  # seven days, one file each, then over again
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
    # A detail, a statement or a parameter may hold what a person wrote.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True)
class Server:
    """An embedded server that was running when this was made; `admin_url` is its superuser's."""

    admin_url: str = field(repr=False)
    data_dir: Path
    port: int
    pid: int
    major: int
    socket_dir: Path | None  # None: it listens on loopback

    def running(self) -> bool:
        """Whether this very process still serves the directory."""
        return alive(self.pid) and serves(self.pid, Layout.of(self.data_dir).data)

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server, if any runs, and wait for its end; raises `StartRefused` if it stays."""
        home = Layout.of(self.data_dir)
        with locked(home.lock):
            found = postmaster(home.data)
            if found is None or not serves(found.pid, home.data):
                return
            account = account_for(home.cluster)
            argv = [str(programs(home.home, account) / "pg_ctl"), "stop", "-w", "-s"]
            argv += ["-D", str(home.data), "-m", mode, "-t", str(STOP_SECONDS)]
            result = run(argv, account)
            if result.returncode != 0:
                raise StartRefused("database.does_not_stop", result.stdout.strip())

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would; wait until it and its children end."""
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            family = [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
            os.kill(self.pid, signal.SIGKILL)
            _wait_until(lambda: not any(alive(pid) for pid in (self.pid, *family)), STOP_SECONDS)


def default_data_dir() -> Path:
    """The directory used when none is set: the user's data directory; root's is below /var/lib."""
    if os.geteuid() == 0:
        return ROOT_DATA_DIR
    return platformdirs.user_data_path("counterseal") / "postgres"


def ensure_server(data_dir: Path) -> Server:
    """Start the embedded server of this directory, or find it running; returns once it is ready.

    The directory is made if it is missing. What a crash leaves (a half-made cluster, a stale
    `postmaster.pid`) is cleared away here; two starters at once get the same server. Raises
    `StartRefused` with `database.other_major`, `.directory_open`, `.directory_out_of_reach`,
    `.of_another_account`, `.no_account`, `.no_programs`, `.busy`, `.does_not_start`.
    """
    home = Layout.of(data_dir)
    account = account_for(home.cluster)
    make_home(home.home, account)
    with locked(home.lock):
        refuse_other_majors(home, account)
        _make_cluster_directory(home, account)
        password = _password(home)
        found = _running(home)
        if found is None:
            bin_dir = programs(home.home, account)
            _initialize(home, bin_dir, account, password)
            found = _start(home, bin_dir, account)
            drop_other_programs(home.home, bin_dir)
            log.warning(NOTICE["en"])
    return _server(home, found, password)


def _server(home: Layout, found: Postmaster, password: str) -> Server:
    socket_dir = Path(found.socket_dir) if found.socket_dir else None
    host = quote(found.socket_dir, safe="/") or "127.0.0.1"
    url = f"postgresql://{ADMIN}:{quote(password)}@/{ADMIN}?host={host}&port={found.port}"
    return Server(url, home.home, found.port, found.pid, home.major, socket_dir)


def _make_cluster_directory(home: Layout, account: Account | None) -> None:
    """Make the account's own directory. A crash between the steps is mended by the next start."""
    home.cluster.mkdir(mode=0o700, exist_ok=True)
    if account is not None and home.cluster.stat().st_uid == 0:
        os.chown(home.cluster, account.uid, account.gid)


def _password(home: Layout) -> str:
    """The superuser's password, written before the cluster that uses it: never one without."""
    if not home.password.exists():
        write_secret(home.password, secrets.token_urlsafe(32))
    return home.password.read_text(encoding="utf-8")


def _running(home: Layout) -> Postmaster | None:
    """The server that serves this directory, once it is ready; None when there is none."""
    found = postmaster(home.data)
    if found is None or not serves(found.pid, home.data):
        return None
    state = {"found": found}

    def ready_or_gone() -> bool:
        now = postmaster(home.data)
        if now is not None:
            state["found"] = now
        return (now is not None and now.ready) or not serves(state["found"].pid, home.data)

    _wait_until(ready_or_gone, START_SECONDS)
    found = state["found"]
    return found if found.ready and serves(found.pid, home.data) else None


def _initialize(home: Layout, bin_dir: Path, account: Account | None, password: str) -> None:
    """Make the cluster beside its place and rename it; a crash between leaves a mere draft."""
    if home.data.exists():
        return
    draft, secret = home.cluster / "data.draft", home.cluster / "password.draft"
    shutil.rmtree(draft, ignore_errors=True)
    write_secret(secret, password)
    try:
        if account is not None:
            os.chown(secret, account.uid, account.gid, follow_symlinks=False)
        argv = [str(bin_dir / "initdb"), *INITDB, f"--pwfile={secret}", "-D", str(draft)]
        result = run(argv, account)
    finally:
        secret.unlink(missing_ok=True)
    if result.returncode != 0:
        raise StartRefused("database.does_not_start", f"initdb failed: {result.stdout.strip()}")
    draft.rename(home.data)


def _start(home: Layout, bin_dir: Path, account: Account | None) -> Postmaster:
    """Start the server and wait until it answers.

    Tried again while children of a killed server still hold its shared memory, and when another
    program took the free port first.
    """
    output = ""
    for attempt in range(START_ATTEMPTS):
        release_stale_pid(home.data)
        # No server serves this directory, so nobody owns a socket or its lock that still lies here.
        run(["/bin/rm", "-rf", str(home.start_log), str(home.sockets)], account)
        run(["/bin/mkdir", "-m", "700", str(home.sockets)], account)
        options = {**SETTINGS, **DURABLE, **_address(home)}
        words = shlex.join(f"--{name}={value}" for name, value in options.items())
        argv = [str(bin_dir / "pg_ctl"), "start", "-w", "-s", "-t", str(START_SECONDS)]
        argv += ["-D", str(home.data), "-l", str(home.start_log), "-o", words]
        result = run(argv, account)
        found = postmaster(home.data)
        if result.returncode == 0 and found is not None:
            return found
        output = result.stdout + _log_tail(home)
        if "still in use" not in output and "Address already in use" not in output:
            break
        time.sleep(0.5 * (attempt + 1))
    raise StartRefused("database.does_not_start", f"PostgreSQL does not start: {output.strip()}")


def _log_tail(home: Layout) -> str:
    """The last lines the server wrote, before and after it opened its log file."""
    logs = sorted(home.logs.glob("*.log"), key=lambda path: path.stat().st_mtime)
    text = ""
    for path in (home.start_log, *logs[-1:]):
        with contextlib.suppress(FileNotFoundError):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            text += "\n".join(lines[-LOG_LINES:]) + "\n"
    return text


def _address(home: Layout) -> dict[str, str]:
    """Where to listen: a socket in a closed directory; a loopback port if its path is too long."""
    path = str(home.sockets)
    name = os.fsencode(f"{path}/.s.PGSQL.{SOCKET_PORT}")
    if len(name) <= SOCKET_PATH_BYTES and not set(path) & set(",'\""):
        return {
            "listen_addresses": "",
            "unix_socket_directories": path,
            "unix_socket_permissions": "0700",
            "port": str(SOCKET_PORT),
        }
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "port": str(port),
    }


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StartRefused(
                "database.busy", f"The embedded server did not change its state within {seconds} s."
            )
        time.sleep(POLL_SECONDS)
