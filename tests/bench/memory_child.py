"""One rebuild or one bundle in a process of its own, whose memory is measured; a module to run."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from tests.support.peak import peak_kib


class Errand(NamedTuple):
    """What to do, and where: `url` is the operator's for a rebuild, the auditor's for a bundle,
    which becomes the file `path`.
    """

    what: Literal["rebuild", "bundle"]
    url: str
    tenant: str
    path: str = ""


def main(text: str) -> None:
    """Do it, and print the most memory this process ever had, in KiB."""
    errand = msgspec.json.decode(text, type=Errand)
    if errand.what == "rebuild":
        _rebuild(errand)
    else:
        _bundle(errand)
    sys.stdout.write(str(peak_kib()))


def _rebuild(errand: Errand) -> None:
    """Build every read model, all in this process; what is live has no rows of the copies yet."""
    from replay.rebuild import rebuild

    rebuild(errand.url, errand.tenant, accept=True)


def _bundle(errand: Errand) -> None:
    """Write the whole log and all rows."""
    from replay.bundle_writing import write
    from replay.reader import opened

    with opened(errand.url, errand.tenant) as source, Path(errand.path).open("wb") as sink:
        write(source, sink, source.reach, datetime.now(UTC))


if __name__ == "__main__":
    main(sys.argv[1])
