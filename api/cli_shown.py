"""How this program shows things: as every command line of ours does."""

from replay.cli_shown import (
    FAULT,
    FINDINGS,
    FINE,
    UNREACHABLE,
    USAGE,
    Json,
    aside,
    document,
    instant,
    line,
    pairs,
    plain,
    table,
    width,
    working,
)

__all__ = [
    "FAULT",
    "FINDINGS",
    "FINE",
    "UNREACHABLE",
    "USAGE",
    "Json",
    "aside",
    "document",
    "instant",
    "line",
    "pairs",
    "plain",
    "table",
    "width",
    "working",
]
