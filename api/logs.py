"""Log lines as JSON, with an allow-list of fields: no body, name, token or database message."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import orjson
import structlog

ALLOWED: Final = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "operation",
        "method",
        "status",
        "seconds",
        "code",
        "key",
        "tenant",
        "stream",
        "position",
        "projection",
        "behind",
        "kind",
        "fault",
        "at",
        "host",
        "port",
        "pid",
        "version",
        "count",
    }
)
"""What a line may say; everything else is dropped, whoever wrote it."""


def only_allowed(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop every field that is not on the list."""
    return {name: value for name, value in line.items() if name in ALLOWED}


class _Foreign(logging.Handler):
    """Lines of libraries: which one spoke and how loud. What it said may hold anything."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno,
            record.getMessage() if record.name.startswith("counterseal.") else "library",
            kind=record.name,
            at=f"{record.module}:{record.lineno}",
        )


def configure(level: str, out: TextIO | None = None) -> None:
    """Set up this process's log; lines go to standard error unless told otherwise."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_allowed,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out or sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Foreign()]
    root.setLevel(max(number, logging.WARNING))


def _dumps(line: Any, **_: Any) -> str:
    return orjson.dumps(line, default=str).decode()
