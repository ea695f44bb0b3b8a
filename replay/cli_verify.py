"""`counterseal-audit verify` and `compare`: is the log whole, and are the tables what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replay.cli_errors import Usage
from replay.cli_places import OWN, BundleFile, DatabaseUrl, TenantName, opened, say
from replay.cli_progress import shown
from replay.cli_shown import FINDINGS, FINE, Json, aside, document, line

if TYPE_CHECKING:
    from replay.compare import Difference


def verify(
    *,
    bundle: BundleFile = None,
    database_url: DatabaseUrl = None,
    tenant: TenantName = None,
    against: Annotated[Path | None, typer.Option("--against", metavar="FILE")] = None,
    as_json: Json = False,
) -> int:
    """Read the whole log and name what is not as it must be; one finding a line."""
    from replay.verify import Verdict, verified

    with opened(bundle, database_url, tenant) as source:
        total = 2 * (source.reach.last - source.reach.first + 1)
        with shown(source, say("verify.reading", tenant=source.tenant.name), total):
            if against is None:
                verdict: Verdict = verified(source)
            else:
                from replay.bundle import opened as opened_bundle

                with opened_bundle(against) as earlier:
                    verdict = verified(source, earlier)
        name, head = source.tenant.name, source.head
    if as_json:
        document(
            {
                "tenant": name,
                "position": verdict.position,
                "recorded_at": head.recorded_at,
                "chain": head.chain.hex(),
                "events": verdict.events,
                "batches": verdict.batches,
                "findings": [
                    {"code": one.code, "position": one.position, "detail": one.detail}
                    for one in verdict.findings
                ],
            }
        )
    else:
        for one in verdict.findings:
            place = "?" if one.position is None else one.position
            what = OWN.word("findings", one.code)
            line(say("verify.finding", position=place, code=one.code, what=what, detail=one.detail))
        key = "verify.found" if verdict.findings else "verify.whole"
        line(
            say(
                key,
                tenant=name,
                events=verdict.events,
                batches=verdict.batches,
                position=verdict.position,
                number=len(verdict.findings),
                chain=head.chain.hex(),
            )
        )
    return FINDINGS if verdict.findings else FINE


def compare(
    *,
    bundle: BundleFile = None,
    database_url: DatabaseUrl = None,
    tenant: TenantName = None,
    model: Annotated[list[str] | None, typer.Option("--model", metavar="MODEL")] = None,
    as_json: Json = False,
) -> int:
    """Hold every row of the read models against what the events amount to."""
    from replay.compare import Comparison
    from replay.rebuild_plan import FOLDS

    unknown = [name for name in model or [] if name not in FOLDS]
    if unknown:
        raise Usage("model.unknown", name=unknown[0], known=list(FOLDS))
    found: list[Difference] = []
    more = 0
    with opened(bundle, database_url, tenant) as source:
        if not source.models():
            raise Usage("compare.no_rows")
        total = source.reach.last - source.reach.first + 1
        comparison = Comparison(source, model)
        with shown(source, say("compare.reading", tenant=source.tenant.name), total):
            for one in comparison:
                if len(found) < MAX_DIFFERENCES:
                    found.append(one)
                else:
                    more += 1
        compared = comparison.compared
        name = source.tenant.name
    faults = [one._asdict() for one in compared.faults]
    if as_json:
        document(
            {
                "tenant": name,
                **compared._asdict(),
                "faults": faults,
                "differences": [one._asdict() for one in found],
                "more": more,
            }
        )
    else:
        for one in found:
            line(_told(one))
        for fault in faults:
            line(say("compare.fault", **fault))
        if more:
            aside(say("compare.more", number=more))
        key = "compare.differs" if found else "compare.equal"
        line(
            say(
                key,
                tenant=name,
                number=len(found) + more,
                rows=compared.rows,
                events=compared.events,
                position=compared.position,
            )
        )
    return FINDINGS if found or faults else FINE


MAX_DIFFERENCES = 1_000
"""More are counted and not listed."""


def _told(one: Difference) -> str:
    row = ", ".join(f"{name}={value}" for name, value in one.key.items())
    if one.column:
        values = {"column": one.column, "live": one.live, "folded": one.folded}
        return say("compare.column", table=one.table, row=row, **values)
    return say(
        "compare.extra" if one.folded is None else "compare.lacking", table=one.table, row=row
    )
