"""A bar that shows how far a long reading is, on a terminal; elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from replay.sources import Source, silent


@contextmanager
def shown(source: Source, text: str, total: int) -> Generator[None]:
    """Show how many of `total` events were read from a source while the block runs."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=max(total, 1))
        source.tell = lambda events: progress.advance(task, events)
        try:
            yield
        finally:
            source.tell = silent
