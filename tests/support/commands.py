"""The command line as a person uses it: an installation of its own, words in, text and code out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from api import cli
from api.provisioning import Database
from tests.support import cluster

PATIENCE_S = 90.0
FOREIGN = re.compile(
    r"(COUNTERSEAL_|DATABASE_URL|KEYS_|PROJECTOR_|MIGRATOR_|AUDITOR_|LC_|LANG|TEST_DATABASE)"
)
URL = re.compile(r"http://[\d.]+:\d+")


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The answer as JSON."""
        return json.loads(self.out)


class Installation:
    """Databases and a data directory; `environment` leads a command to them."""

    def __init__(self, folder: Path, database: Database | None, **more: str) -> None:
        self.folder = folder
        self.database = database
        self.environment = {k: v for k, v in os.environ.items() if not FOREIGN.match(k)}
        self.environment |= {"COUNTERSEAL_DATA_DIR": str(folder), **more}
        if database is not None:
            self.environment |= addresses(database)

    def say(self, *words: str, **more: str) -> Said:
        """Run a command in this process, to be quick about it; `more` are further variables."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment | more, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = cli.main(words)
        return Said(code, out.getvalue(), err.getvalue())

    def run(self, *words: str, **more: str) -> Said:
        """Run a command in a process of its own: what serves sets up the log of its process."""
        found = subprocess.run(
            [sys.executable, "-m", "api.cli", *words],
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Said(found.returncode, found.stdout, found.stderr)

    @contextmanager
    def served(self, *words: str, **more: str) -> Iterator[Served]:
        """Start a command that serves, wait until it says so; killed at the end if still there."""
        said = self.folder.parent / f"{self.folder.name}.{time.monotonic_ns()}.stderr"
        with said.open("wb") as beside:
            process = subprocess.Popen(
                [sys.executable, "-m", "api.cli", *words],
                env=self.environment | more,
                stdout=subprocess.PIPE,
                stderr=beside,
            )
        served = Served(process, said)
        try:
            served.wait_for(r"Ctrl-C|\"listening\"")
            yield served
        finally:
            said.unlink()
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)
            assert process.stdout is not None
            process.stdout.close()


class Served:
    """A serving process; `text` is what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], beside: Path) -> None:
        self.process = process
        self._beside = beside
        self.text = ""

    def wait_for(self, pattern: str) -> None:
        """Read on until what was said fits. Fails when the process ends or time is over."""
        out = self.process.stdout
        assert out is not None
        end = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([out], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(out.fileno(), 65_536) if ready else b""
            assert piece, f"ended or silent, after: {self.text!r} {self._beside.read_text()!r}"
            self.text += piece.decode()

    @property
    def url(self) -> str:
        """Where it listens."""
        found = URL.search(self.text)
        assert found is not None, self.text
        return found[0]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end; return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.text += self.process.stdout.read().decode()
        return code


def addresses(database: Database) -> dict[str, str]:
    """The variables that name a database's roles."""
    return {
        "DATABASE_URL": database.service,
        "KEYS_DATABASE_URL": database.keys,
        "PROJECTOR_DATABASE_URL": database.projector,
        "MIGRATOR_DATABASE_URL": database.migrator,
        "KEYS_MIGRATOR_DATABASE_URL": database.keys_migrator,
        "AUDITOR_DATABASE_URL": database.auditor,
    }


@contextmanager
def installed(run: Path) -> Generator[Installation]:
    """Give an installation with migrated databases of its own, on the run's server."""
    made = cluster.new_database(run)
    try:
        with tempfile.TemporaryDirectory(prefix="cli-") as folder:
            yield Installation(Path(folder), made)
    finally:
        cluster.drop(made.admin or "", made.name)
