"""What goes wrong on a command line: one clear line with its code, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from replay.cli_shown import FAULT, UNREACHABLE, USAGE
from replay.cli_texts import Texts, shown


class Usage(Exception):
    """The arguments do not go together; `code` is under `usage` in the texts."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class Told(NamedTuple):
    """A fault as it is told."""

    code: str
    sentence: str
    exit_code: int


def of_usage(texts: Texts, code: str, /, **params: Any) -> Told:
    """Return how a misuse is told."""
    return Told(code, template(texts, "usage", code, params) or code, USAGE)


def of_database(texts: Texts, fault: Any) -> Told | None:
    """Return how a fault of the database is told: a code, never its own words.

    What is asked for here was loaded already by whoever raised it.
    """
    psycopg = sys.modules.get("psycopg")
    if psycopg is None:
        return None
    pool = sys.modules.get("psycopg_pool")
    waited = pool is not None and isinstance(fault, pool.PoolTimeout)
    if waited or isinstance(fault, psycopg.OperationalError):
        return _fault(texts, "database.unreachable", UNREACHABLE)
    if isinstance(fault, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedFunction):
        found = template(texts, "faults", "database.not_migrated", {})
        return Told("database.migrations_pending", found or "", UNREACHABLE)
    if isinstance(fault, psycopg.Error):
        return _fault(texts, "database.fault", UNREACHABLE, state=fault.sqlstate or "?")
    return None


def of_program(texts: Texts, fault: Exception) -> Told:
    """Return how a fault of the program's own is told: what kind and where, no message, which may
    hold anything.
    """
    kind, place = type(fault).__name__, _place(fault.__traceback__)
    return _fault(texts, "program.fault", FAULT, kind=kind, place=place)


def template(texts: Texts, section: str, code: str, params: Mapping[str, Any]) -> str | None:
    """Return the sentence of a code, None where it has none."""
    if not texts.has(section, code):
        return None
    comma = "、" if texts.spoken() == "zh" else ", "
    known = {name: shown(value, comma) for name, value in params.items()}
    return texts.word(section, code).format_map(_Known(known))


def _fault(texts: Texts, code: str, exit_code: int, /, **params: Any) -> Told:
    return Told(code, template(texts, "faults", code, params) or code, exit_code)


def _place(trace: TracebackType | None) -> str:
    """The innermost line that is ours."""
    root = Path(__file__).parent.parent
    found = "?"
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            found = f"{path.relative_to(root)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


class _Known(dict[str, str]):
    """Parameters; one that is named and not given shows as an ellipsis."""

    def __missing__(self, key: str) -> str:
        return "…"
