"""One import in a process of its own, to be killed; run as a module with its errand as JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from api.importing.mapping import read_mapping
from api.importing.running import run_import
from api.keys import FieldSealer, KeyStore
from domain.ledger import Ledgers
from projections.inline import InlineTables
from tests.support.ledger import clock
from tests.support.peak import peak_kib


class Errand(NamedTuple):
    """Where to and what."""

    service: str
    keys: str
    key_file: str
    tenant: str
    file: str
    mapping: str


def main(text: str) -> None:
    """Import, and print the report as JSON, with the most memory this process ever had."""
    errand = msgspec.json.decode(text, type=Errand)
    keys = KeyStore(errand.keys, Path(errand.key_file))
    ledgers = Ledgers(errand.service, InlineTables(), clock)
    report = run_import(
        ledgers,
        keys,
        FieldSealer(keys),
        errand.tenant,
        Path(errand.file),
        read_mapping(Path(errand.mapping)),
    )
    document = report.document() | {"peak_rss_kib": peak_kib()}
    sys.stdout.write(msgspec.json.encode(document).decode())
    ledgers.close()
    keys.close()


if __name__ == "__main__":
    main(sys.argv[1])
