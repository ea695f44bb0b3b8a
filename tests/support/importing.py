"""A place to import to, and tables to import: made here, or the permit log where it lies."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.types.json import Jsonb

from api.importing.mapping import Mapping, parse_mapping, read_mapping
from api.importing.report import Report
from api.importing.running import run_import
from api.keys import FieldSealer, KeyStore
from api.provisioning import Database
from domain.batches import StoredRow
from domain.codec import decode
from domain.events import Event
from domain.grant_states import Grant
from domain.grants import evolve
from domain.ledger import Ledgers
from projections.inline import FOLDS, InlineTables
from tests.support.ledger import clock, new_id
from tests.support.world import RUNNER_FOLDS

ROOT = Path(__file__).parents[2]
PERMITS = ROOT.parent / "shared" / "real" / "permit-receipts.csv"
PERMITS_MAPPING = ROOT / "tests" / "mappings" / "permit-receipts.toml"

HEADER = "case,step,who,when,id,where"


def permits() -> Path:
    """The permit log; without it the test is skipped, and says so."""
    if not PERMITS.exists():
        pytest.skip("the permit log ../shared/real/permit-receipts.csv is not there")
    return PERMITS


def permits_mapping() -> Mapping:
    """How the permit log is read."""
    return read_mapping(PERMITS_MAPPING)


SMALL = """
format = 1
source = "small"
{source}

[columns]
case = "case"
step = "step"
person = "who"
instant = "when"
id = "id"

{instants}

[people]
{people}

[file]
{file}

[steps]
"ask" = "request"
"look" = {{ event = "check", check = "paper" }}
"agree" = "approve"
"send" = "effect"
"hold" = "suspend"
"lift" = "resume"
"stop" = "revoke"
"refuse" = "reject"
"back" = "withdraw"
"bad" = {{ event = "fail", check = "paper" }}

[constants]
grantee = "customer:{{case}}"
actions = ["sell"]
term = {term}
confirmed_until = 2100-01-01T00:00:00Z
channel = "post"
{constants}

[constants.scope]
place = "{{where}}"

[dimensions.place]
names = {{ zh = "地点", en = "Place" }}

[policy]
kind = "small"
names = {{ zh = "小", en = "Small" }}
dimensions = ["place"]
actions = [{{ action = "sell", names = {{ zh = "卖", en = "Sell" }} }}]
verification = {{ kinds = ["paper"], persons = 1 }}
starts = "on_approval"

[[policy.stages]]
id = "one"
names = {{ zh = "一", en = "One" }}
groups = [{{ role = "approver", number = 1 }}]
"""


def small_text(**parts: str) -> str:
    """The mapping of the small tables, as TOML; `parts` are more lines of its tables."""
    given = {
        "source": "",
        "instants": "",
        "people": "",
        "file": "",
        "constants": "",
        "term": '"open"',
    }
    return SMALL.format_map(given | parts)


def small_mapping(**parts: str) -> Mapping:
    """The mapping of the small tables."""
    return parse_mapping(small_text(**parts).encode())


def rows(case: str, *steps: str, day: int = 1, who: str = "ann bob cid dan") -> list[str]:
    """Rows of one case, an hour apart, each step by the next of `who` (the last one stays)."""
    people = who.split()
    return [
        f"{case},{step},{people[min(number, len(people) - 1)]},"
        f"2011-05-{day:02}T{8 + number:02}:00:00+08:00,{case}-{number},CN/31"
        for number, step in enumerate(steps)
    ]


WHOLE = ("ask", "look", "agree", "send")


def table(*lines: str | list[str]) -> str:
    """A small table with its header."""
    flat = [line for one in lines for line in ([one] if isinstance(one, str) else one)]
    return "\n".join([HEADER, *flat]) + "\n"


def generated(path: Path, count: int, seed: int = 7) -> int:
    """Write a table of about `count` rows, whole cases; return how many rows it has."""
    drawn = random.Random(seed)
    written = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        number = 0
        while written < count:
            number += 1
            start = 1_262_304_000 + drawn.randrange(300_000_000)
            steps = ["ask", *drawn.choices(["look", "note it"], k=drawn.randrange(1, 4))]
            steps += WHOLE[2:] if drawn.random() < 0.8 else []
            for place, step in enumerate(steps):
                when = _written(start + 3_600 * place)
                who = f"r{drawn.randrange(60):02}"
                file.write(
                    f"c{number},{step},{who},{when},{number}-{place},CN/{drawn.randrange(30):02}\n"
                )
            written += len(steps)
    return written


def _written(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat()


Import = Callable[..., Report]
"""Imports a text or bytes as a file, with more lines of the small mapping."""


class Fact(NamedTuple):
    """An event of the log, decoded."""

    position: int
    stream_id: str
    event: Event


class Bench:
    """A tenant to import into; `keys_of` another database where two are to name things alike."""

    def __init__(
        self,
        database: Database,
        key_file: Path,
        *,
        tenant: str | None = None,
        keys_of: Database | None = None,
        given_clock: bool = False,
    ) -> None:
        self.database = database
        self.key_file = key_file
        self.keys = KeyStore((keys_of or database).keys, self.key_file)
        self.sealer = FieldSealer(self.keys)
        self.ledgers = Ledgers(database.service, InlineTables(), clock)
        self.tenant = tenant or new_id()
        with psycopg.connect(database.migrator) as conn:
            conn.execute("SET ROLE counterseal_owner")
            folds = Jsonb({**FOLDS, **RUNNER_FOLDS})
            kind = "given" if given_clock else "system"
            name = f"t-{new_id()}"
            conn.execute("SELECT create_tenant(%s, %s, %s, %s)", (self.tenant, name, kind, folds))

    def run(self, path: Path, mapping: Mapping, **more: Any) -> Report:
        """Import a file."""
        return run_import(self.ledgers, self.keys, self.sealer, self.tenant, path, mapping, **more)

    def log(self) -> list[StoredRow]:
        """Every row of the log."""
        found: list[StoredRow] = []
        while page := self.ledgers.events(self.tenant, len(found) + 1, None, 10_000):
            found += page
        return found

    def facts(self, prefix: str = "") -> Iterator[Fact]:
        """Every event whose stored name begins so."""
        for row in self.log():
            if row.type.startswith(prefix):
                yield Fact(row.position, str(row.stream_id), decode(row.type, row.data))

    def close(self) -> None:
        self.ledgers.close()
        self.keys.close()

    def of_type(self, kind: type[Any]) -> list[Any]:
        """Every event of a type, in the order of the log."""
        return [fact.event for fact in self.facts() if isinstance(fact.event, kind)]

    def grant(self) -> Grant:
        """The only grant, folded."""
        state: Grant | None = None
        for fact in self.facts("grant."):
            state = evolve(state, fact.event)  # pyright: ignore[reportArgumentType]
        assert state is not None
        return state
