"""The doors as they are served, in a process of their own, with three routes more to compare
with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn

from api import bodies, logs
from api.app import create_app, server_config
from api.garbage import collect_seldom
from api.problems import Answered
from api.provisioning import Database
from api.routes import operations_table
from api.routes.authzen import ALLOWED, HEADERS, Evaluation
from api.routes.commands import read
from api.routes.operations import Call, Operation, answered
from api.settings import Settings
from api.wiring import Services, of_database

START_S = 30.0


async def constant(call: Call) -> Answered:
    """Do all that an evaluation does but decide."""
    bodies.decode(call.services.decoder(Evaluation), await call.json())
    return Answered(200, HEADERS, ALLOWED)


async def select_one(call: Call) -> Answered:
    """The same, with one question to the database that asks nothing."""
    bodies.decode(call.services.decoder(Evaluation), await call.json())
    pool: Any = vars(vars(call.services)["_reader"])["_pool"]  # the very pool of the checks
    async with pool.connection() as conn:
        await (await conn.execute("SELECT 1")).fetchone()
    return Answered(200, HEADERS, ALLOWED)


NOTE = next(one for one in operations_table.COMMANDS if one.name == "grant.note")


async def nothing(call: Call) -> Answered:
    """Do all that a command's route does but the command: parse path, query, headers and body,
    authenticate, answer."""
    await read(call, NOTE)
    return answered({"result": "done", "id": call.id("id", "grant"), "events": []})


BESIDE = tuple(
    Operation(
        name=f"bench.{name}", method="POST", path=f"/bench/{path}", scope=scope,
        summary=name, summary_zh=name, handle=handle,
    )
    for name, path, scope, handle in (
        ("constant", "constant", "evaluate", constant),
        ("select_one", "select_one", "evaluate", select_one),
        ("nothing", "grants/{id}/nothing", "grants:supervise", nothing),
    )
)  # fmt: skip


def main(given: str) -> None:
    """Serve until ended."""
    asked = json.loads(given)
    setattr(operations_table, "OPERATIONS", (*operations_table.OPERATIONS, *BESIDE))  # noqa: B010
    settings = Settings(data_dir=Path(asked["folder"]), host="127.0.0.1", port=asked["port"])
    logs.configure(settings.log_level)
    services = Services(settings, of_database(Database(**asked["database"])))
    collect_seldom()  # as a serving process does
    uvicorn.Server(server_config(create_app(services), settings)).run()
    services.close()


@contextmanager
def served(database: Database, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server process and wait until it is ready; end it afterwards."""
    given = json.dumps({"database": asdict(database), "folder": str(folder), "port": port})
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.server", given], stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                if time.monotonic() > end or process.poll() is not None:
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1])
