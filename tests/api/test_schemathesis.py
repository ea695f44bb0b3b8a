"""The served OpenAPI document and the service agree: whatever schemathesis makes of the one, the
other answers with a documented status and shape, and never with a fault."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from api.app import server_config
from tests.support.doors import ALL, House
from tests.support.trade import Trade

pytestmark = pytest.mark.drill

EXAMPLES = 2
FULL_EXAMPLES = 3
PHASES = "examples,fuzzing"
FULL_PHASES = "examples,coverage,fuzzing"
SEED = "20261122"
WORKERS = "6"
CONFIGURATION = Path(__file__).parent / "schemathesis.toml"


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    """The application of `house` behind uvicorn; it waits for no position that is not there yet."""
    patient = house.services.settings
    house.services.settings = patient.model_copy(update={"wait_seconds": 0.05})
    server = uvicorn.Server(server_config(house.app, house.settings.model_copy(update={"port": 0})))
    server.config.lifespan = "off"  # the house has begun the services in its own loop
    listening = socket.create_server(("127.0.0.1", 0))

    async def serve() -> None:
        await server.serve(sockets=[listening])

    future = asyncio.run_coroutine_threadsafe(serve(), house.loop.loop)
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    future.result(20)
    house.services.settings = patient


@pytest.mark.timeout(1800)
def test_every_operation_answers_as_its_document_says(
    url: str, trade: Trade, rounds: Callable[[int, int], int], tmp_path: Path
) -> None:
    caller = trade.service("prober", *ALL)
    words = (
        *("-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
        *("run", f"{url}/openapi.json", "--checks", "all", "--warnings", "off"),
        *("--header", f"Authorization: Bearer {caller.key}"),
        *("--max-examples", str(rounds(EXAMPLES, FULL_EXAMPLES)), "--seed", SEED),
        *("--workers", WORKERS),
        *("--phases", PHASES if rounds(1, 2) == 1 else FULL_PHASES, "--no-color"),
    )
    ran = subprocess.run(
        (sys.executable, *words), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    (tmp_path / "answer.txt").write_text(ran.stdout, encoding="utf-8")
    summary = re.findall(r"^.*(?:Test cases|Generated|passed|failed).*$", ran.stdout, re.MULTILINE)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
    print("\n".join(summary))
