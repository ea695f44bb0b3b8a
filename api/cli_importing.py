"""What every import on the command line shows: how far it is, what was refused, and why a file
cannot be used.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from api.cli_shown import USAGE, aside
from api.cli_texts import spoken

if TYPE_CHECKING:
    from domain.errors import Refused


def quiet(*_: object) -> None:
    """Show nothing."""


def private(path: Path) -> TextIO:
    """Open a CSV that nobody but its owner may read: cells of persons stand in it. One that was
    there is emptied and closed to others first. Raises `OSError`.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe, a terminal are nobody's to close
            os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def progress(phases: Sequence[str]) -> Generator[Callable[[str, int, int], None]]:
    """Give what shows progress: a bar a phase on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield quiet
        return
    from rich.console import Console
    from rich.progress import Progress

    from api.importing.words import word

    with Progress(console=Console(stderr=True), transient=True) as shown:
        tasks = {
            phase: shown.add_task(word(f"phase.{phase}", spoken()), start=False, total=None)
            for phase in phases
        }

        def tell(phase: str, done: int, total: int) -> None:
            shown.start_task(tasks[phase])
            shown.update(tasks[phase], completed=done, total=total)

        yield tell


def unusable(fault: Refused, *, as_json: bool) -> int:
    """Say why nothing was imported: the file or the mapping as a whole cannot be used."""
    from api.importing.words import word

    sentence = word(fault.code, spoken(), **fault.params)
    if as_json:
        told = {"code": fault.code, "detail": sentence, "exit": USAGE}
        aside(json.dumps(told, ensure_ascii=False))
    else:
        aside(f"counterseal: {fault.code}: {sentence}")
    return USAGE
