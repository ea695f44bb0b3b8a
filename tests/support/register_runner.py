"""One import of a register in a process of its own, to be killed or measured; a module to run."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from api.importing.register_plan import Wanted
from api.importing.register_running import run_register
from api.keys import FieldSealer, KeyStore
from domain.ledger import Ledgers
from projections.inline import InlineTables
from tests.support.import_runner import Errand
from tests.support.ledger import clock
from tests.support.peak import peak_kib
from tests.support.register_ground import KIND, ZONE


def main(text: str) -> None:
    """Import, and print the report as JSON, with the most memory this process ever had."""
    errand = msgspec.json.decode(text, type=Errand)
    keys = KeyStore(errand.keys, Path(errand.key_file))
    ledgers = Ledgers(errand.service, InlineTables(), clock)
    wanted = Wanted(KIND, (), ZONE)
    sealer = FieldSealer(keys)
    report = run_register(ledgers, keys, sealer, errand.tenant, Path(errand.file), wanted)
    document = report.document("en") | {"peak_rss_kib": peak_kib()}
    sys.stdout.write(msgspec.json.encode(document).decode())
    ledgers.close()
    keys.close()


if __name__ == "__main__":
    main(sys.argv[1])
