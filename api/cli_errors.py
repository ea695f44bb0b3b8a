"""What goes wrong on the command line: one clear line with its code, and the exit code."""

from __future__ import annotations

import sys
from typing import Any, Final

from api.cli_shown import FINDINGS, UNREACHABLE, USAGE
from api.cli_texts import OWN
from replay.cli_errors import Told, Usage, of_database, of_program, of_usage, template

__all__ = ["Failure", "Told", "Usage", "told"]

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


def told(fault: Exception) -> Told | None:
    """Return how a fault is told; None for one of this program's own, whose trace is wanted.

    What is imported here was loaded already by whoever raised it.
    """
    if isinstance(fault, Usage):
        return of_usage(OWN, fault.code, **fault.params)
    if isinstance(fault, Failure):
        return Told(fault.code, fault.sentence, fault.exit_code)
    name = type(fault).__name__
    code: str = getattr(fault, "code", "")
    if name == "IncompleteSettings":
        missing: list[str] = getattr(fault, "missing", [])
        return of_usage(OWN, "settings.missing", names=", ".join(missing))
    if name in ("StartRefused", "MigrationRefused"):
        sentence: str = getattr(fault, "sentence", str(fault))
        known = template(OWN, "faults", code, {"sentence": sentence}) or sentence
        return Told(code, known, UNREACHABLE)
    return _of_library(fault) or _of_domain(fault, code) or _own(fault)


def _of_domain(fault: Exception, code: str) -> Told | None:
    """A refusal: its sentence is the one that the doors give."""
    from domain.errors import Refused

    if not isinstance(fault, Refused):
        return None
    from api.texts import text

    sentence = template(OWN, "faults", code, fault.params) or text(code, OWN.spoken(), fault.params)
    if code in MISUSED:
        return Told(code, sentence, USAGE)
    return Told(code, sentence, UNREACHABLE if code.startswith(OUT_OF_REACH) else FINDINGS)


def _of_library(fault: Any) -> Told | None:
    """Faults of the database and of the settings: a code, never their own words."""
    known = of_database(OWN, fault)
    if known is not None:
        return known
    if (pydantic := sys.modules.get("pydantic")) is not None and isinstance(
        fault, pydantic.ValidationError
    ):
        wrong = [".".join(map(str, one["loc"])) or one["msg"] for one in fault.errors()]
        return of_usage(OWN, "settings.malformed", names=", ".join(wrong))
    return None


def _own(fault: Exception) -> Told | None:
    """A fault of this program; at level debug its trace is wanted."""
    from api.settings import read_settings

    return None if read_settings().log_level == "debug" else of_program(OWN, fault)
