"""What goes wrong on the command line: one clear line with its code, and the exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from api import cli_texts
from api.cli_shown import FAULT, FINDINGS, UNREACHABLE, USAGE

OUT_OF_REACH: Final = ("database.", "keys.", "ledger.", "serve.")
"""Codes that begin so say that nothing could be decided."""


MISUSED: Final = frozenset(
    {
        "check.bad_id",
        "position.not_reached",
        "clock.not_given",
        "history.qualifier_unknown",
        "history.value_malformed",
        "history.value_unknown",
        "history.quote_open",
        "history.word_empty",
        "history.too_long",
        "history.too_many",
    }
)
"""Refusals that say the arguments are not right."""


class Usage(Exception):
    """The arguments do not go together; `code` is under `usage` in the texts."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class Failure(Exception):
    """What went wrong, told by whoever knows it best: a code, a sentence in the language spoken.

    `status` is that of the service's answer, None where it gave none.
    """

    def __init__(
        self, code: str, sentence: str, exit_code: int, *, status: int | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = sentence
        self.exit_code = exit_code
        self.status = status


class Told(NamedTuple):
    """A fault as it is told."""

    code: str
    sentence: str
    exit_code: int


def told(fault: Exception) -> Told | None:
    """Return how a fault is told; None for one of this program's own, whose trace is wanted.

    What is imported here was loaded already by whoever raised it.
    """
    if isinstance(fault, Usage):
        return Told(fault.code, _template("usage", fault.code, fault.params) or fault.code, USAGE)
    if isinstance(fault, Failure):
        return Told(fault.code, fault.sentence, fault.exit_code)
    name = type(fault).__name__
    code: str = getattr(fault, "code", "")
    if name == "IncompleteSettings":
        missing: list[str] = getattr(fault, "missing", [])
        return _usage("settings.missing", names=", ".join(missing))
    if name in ("StartRefused", "MigrationRefused"):
        sentence: str = getattr(fault, "sentence", str(fault))
        known = _template("faults", code, {"sentence": sentence}) or sentence
        return Told(code, known, UNREACHABLE)
    return _of_library(fault) or _of_domain(fault, code) or _own(fault)


def _usage(code: str, **params: Any) -> Told:
    return Told(code, _template("usage", code, params) or code, USAGE)


def _of_domain(fault: Exception, code: str) -> Told | None:
    """A refusal: its sentence is the one that the doors give."""
    from domain.errors import Refused

    if not isinstance(fault, Refused):
        return None
    from api.texts import text

    sentence = _template("faults", code, fault.params) or text(
        code, cli_texts.spoken(), fault.params
    )
    if code in MISUSED:
        return Told(code, sentence, USAGE)
    return Told(code, sentence, UNREACHABLE if code.startswith(OUT_OF_REACH) else FINDINGS)


def _of_library(fault: Any) -> Told | None:
    """Faults of the database and of the settings: a code, never their own words."""
    if (psycopg := sys.modules.get("psycopg")) is not None:
        pool = sys.modules.get("psycopg_pool")
        waited = pool is not None and isinstance(fault, pool.PoolTimeout)
        if waited or isinstance(fault, psycopg.OperationalError):
            return Told("database.unreachable", _fault("database.unreachable"), UNREACHABLE)
        if isinstance(fault, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedFunction):
            return Told("database.migrations_pending", _fault("database.not_migrated"), UNREACHABLE)
        if isinstance(fault, psycopg.Error):
            state = fault.sqlstate or "?"
            return Told("database.fault", _fault("database.fault", state=state), UNREACHABLE)
    if (pydantic := sys.modules.get("pydantic")) is not None and isinstance(
        fault, pydantic.ValidationError
    ):
        wrong = [".".join(map(str, one["loc"])) or one["msg"] for one in fault.errors()]
        return _usage("settings.malformed", names=", ".join(wrong))
    return None


def _own(fault: Exception) -> Told | None:
    """A fault of this program: what kind and where, no message, which may hold anything."""
    from api.settings import read_settings

    if read_settings().log_level == "debug":
        return None
    place = _place(fault.__traceback__)
    return Told("program.fault", _fault("program.fault", kind=_kind(fault), place=place), FAULT)


def _kind(fault: Exception) -> str:
    return type(fault).__name__


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


def _fault(code: str, **params: Any) -> str:
    return _template("faults", code, params) or code


def _template(section: str, code: str, params: dict[str, Any]) -> str | None:
    if not cli_texts.has(section, code):
        return None
    from api.texts import shown

    comma = "、" if cli_texts.spoken() == "zh" else ", "
    known = {name: shown(value, comma) for name, value in params.items()}
    return cli_texts.word(section, code).format_map(_Known(known))


class _Known(dict[str, str]):
    """Parameters; one that is named and not given shows as an ellipsis."""

    def __missing__(self, key: str) -> str:
        return "…"
