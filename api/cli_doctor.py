"""`counterseal doctor`: looks at everything that must be right, one finding a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from api import cli_counts, cli_texts
from api.cli_errors import told
from api.cli_help import Command
from api.cli_places import Places, Tenant, tenant_of, tenants
from api.cli_projections import MODEL, differences, models
from api.cli_shown import FINDINGS, FINE, Json, document, line, table, working
from api.cli_texts import say

if TYPE_CHECKING:
    import psycopg

SKEW_SECONDS: Final = 1.0
"""Difference of the two clocks that is reported; `append` refuses 2 s."""

LAG_SECONDS: Final = 60.0
"""How long the next event of a read model may have waited."""

STAND_SECONDS: Final = 0.5
"""For how long a read model of a tenant with a given clock is watched; a runner polls every 50 ms.
"""

LOOKS_ON: Final = frozenset({"clock", "durable"})
"""Findings after which the rest can be looked at all the same."""

DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")


class Looked(NamedTuple):
    """What was looked at and how it was found; `position` is a place in a tenant's log."""

    ok: bool
    code: str
    text: str
    tenant: str | None = None
    position: int | None = None


Look = Callable[[Places, "psycopg.Connection[Any]"], Iterator[Looked]]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("doctor", cls=Command)(doctor)


def doctor(
    *,
    log: Annotated[bool, typer.Option("--log")] = False,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    as_json: Json = False,
) -> int:
    """Look at database, roles, migrations, keys, read models, clocks; with --log at every log."""
    places = Places(migrates=False)  # it looks, and changes nothing
    found: list[Looked] = []
    counts: list[cli_counts.Counted] = []
    with places.connection() as conn:
        looks: list[Look] = [_server, _role, _clock, _migrations]
        for look in looks:
            found += look(places, conn)
        blind = {one.code for one in found if not one.ok} - LOOKS_ON
        if not blind:  # what comes now can only be read by the right role, of this version
            known = tenants(conn) if tenant is None else [tenant_of(conn, tenant)]
            found += _keys(places)
            found += _read_models(conn, known)
            found += _quarantine(conn, known)
            found += _verified(conn, known)
            counts = cli_counts.counted(conn, known)
            if log:
                for one in known:
                    found += _log(places, one)
        elif log:
            found.append(Looked(False, "log", say("doctor.log_not_read")))
    _show(found, counts, as_json=as_json)
    return FINE if all(one.ok for one in found) else FINDINGS


def _show(found: list[Looked], counts: list[cli_counts.Counted], *, as_json: bool) -> None:
    findings = [one for one in found if not one.ok]
    if as_json:
        looked, held = [one._asdict() for one in found], [one._asdict() for one in counts]
        document({"ok": not findings, "looked": looked, "counts": held})
        return
    table(
        None,
        [(say("doctor.ok" if one.ok else "doctor.finding"), one.code, one.text) for one in found],
    )
    cli_counts.show(counts)
    line()
    if findings:
        line(say("doctor.findings", number=len(findings)))
    else:
        line(say("doctor.fine"))


def _server(_places: Places, conn: psycopg.Connection[Any]) -> Iterator[Looked]:
    row = conn.execute("SELECT current_database(), current_user, version()").fetchone()
    name, role, version = row or ("", "", "")
    yield Looked(
        True,
        "database",
        say("doctor.database", name=name, role=role, version=" ".join(version.split()[:2])),
    )
    values = dict(
        conn.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", (list(DURABLE),)
        ).fetchall()
    )
    off = [name for name in DURABLE if values.get(name) == "off"]
    names = ", ".join(off or DURABLE)
    yield Looked(
        not off, "durable", say("doctor.durable_off" if off else "doctor.durable", names=names)
    )


def _role(_places: Places, conn: psycopg.Connection[Any]) -> Iterator[Looked]:
    from api.postgres_host import StartRefused
    from api.service_role import check_service_role

    try:
        check_service_role(conn)
    except StartRefused as refused:
        if refused.code != "database.not_durable":  # told above
            yield Looked(False, refused.code, _sentence(refused))
            return
    yield Looked(True, "role", say("doctor.role"))


def _migrations(places: Places, conn: psycopg.Connection[Any]) -> Iterator[Looked]:
    from api.provisioning import KEYS_FOLDER
    from projections import migrate

    with places.connection("keys_database_url") as keys:
        for where, which, folder in (
            ("doctor.ledger", conn, migrate.FOLDER),
            ("doctor.keys_database", keys, KEYS_FOLDER),
        ):
            try:
                lacking = [one.name for one in migrate.pending(which, folder)]
            except migrate.MigrationRefused as refused:
                yield Looked(False, "migrations", f"{say(where)}: {_sentence(refused)}")
                continue
            names = ", ".join(lacking)
            text = say("doctor.pending", names=names) if lacking else say("doctor.migrated")
            yield Looked(not lacking, "migrations", f"{say(where)}: {text}")


def _keys(places: Places) -> Iterator[Looked]:
    """Whether the key file opens the key database; before its first key there is neither."""
    from domain.errors import Refused

    file = places.settings.key_file
    with places.connection("keys_database_url") as conn:
        row = conn.execute("SELECT count(*) FROM epochs").fetchone()
    if row is None or row[0] == 0:
        yield Looked(True, "keys", say("doctor.keys_none", file=file))
        return
    try:
        with places.keys():
            yield Looked(True, "keys", say("doctor.keys", file=file))
    except Refused as refused:
        yield Looked(False, refused.code, _sentence(refused))


def _sentence(fault: Exception) -> str:
    """Return how the command line tells a fault, in the language spoken."""
    known = told(fault)
    return str(fault) if known is None else known.sentence


def _clock(_places: Places, conn: psycopg.Connection[Any]) -> Iterator[Looked]:
    """The database's clock against ours, at the middle of the round trip."""
    began, sent = datetime.now(UTC), time.monotonic()
    row = conn.execute("SELECT clock_timestamp()").fetchone()
    half = (time.monotonic() - sent) / 2
    skew = 0.0 if row is None else (row[0] - began).total_seconds() - half
    text = say("doctor.clock", seconds=f"{skew:+.3f}")
    yield Looked(abs(skew) <= SKEW_SECONDS + half, "clock", text)


def _read_models(conn: psycopg.Connection[Any], known: list[Tenant]) -> Iterator[Looked]:
    names = {one.id: one.name for one in known}
    given = {one.id for one in known if one.clock == "given"}
    late = 0
    for row in models(conn, None):
        model = dict(zip(MODEL, row, strict=True))
        tenant = model["tenant_id"]
        if tenant not in names or not model["live"] or model["behind"] <= 0:
            continue
        key = (tenant, model["projection"], model["generation"])
        seconds = _waited(conn, tenant, model["position"])
        if _stands(conn, key, model["position"]) if tenant in given else seconds > LAG_SECONDS:
            late += 1
            text = say(
                "doctor.stands" if tenant in given else "doctor.behind",
                tenant=names[tenant],
                projection=model["projection"],
                events=model["behind"],
                seconds=round(seconds),
            )
            yield Looked(False, "lag", text, tenant, model["position"])
    if not late:
        yield Looked(True, "lag", say("doctor.up_to_date", tenants=len(known)))


def _waited(conn: psycopg.Connection[Any], tenant: str, position: int) -> float:
    """Return for how many seconds the first event behind a position has waited."""
    with conn.transaction():
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant,))
        row = conn.execute(
            "SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float FROM batches"
            " WHERE tenant_id = %s AND first_position + count > %s + 1"
            " ORDER BY first_position LIMIT 1",
            (tenant, position),
        ).fetchone()
    return 0.0 if row is None else row[0]


def _stands(conn: psycopg.Connection[Any], key: tuple[str, str, int], position: int) -> bool:
    """Return whether a read model does not move: where the clock is given no instant tells."""
    time.sleep(STAND_SECONDS)
    row = conn.execute(
        "SELECT position FROM checkpoints"
        " WHERE tenant_id = %s AND projection = %s AND generation = %s",
        key,
    ).fetchone()
    return row is None or row[0] == position


def _quarantine(conn: psycopg.Connection[Any], known: list[Tenant]) -> Iterator[Looked]:
    number = 0
    for tenant in known:
        with conn.transaction():
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (tenant.id,))
            rows = conn.execute(
                "SELECT stream_id::text, position, projection, code FROM quarantined"
                " WHERE tenant_id = %s ORDER BY position",
                (tenant.id,),
            ).fetchall()
        for stream, position, projection, code in rows:
            number += 1
            text = say(
                "doctor.quarantined",
                tenant=tenant.name,
                stream=stream,
                position=position,
                projection=projection,
                code=code,
            )
            yield Looked(False, "quarantine", text, tenant.id, position)
    if not number:
        yield Looked(True, "quarantine", say("doctor.no_quarantine"))


def _verified(conn: psycopg.Connection[Any], known: list[Tenant]) -> Iterator[Looked]:
    """What the verifier found; `counterseal-audit compare` tells every value."""
    number = 0
    for tenant in known:
        for name, rows in differences(conn, tenant.id).items():
            number += 1
            text = say("doctor.differs", tenant=tenant.name, projection=name, rows=rows)
            yield Looked(False, "rows", text, tenant.id)
    if not number:
        yield Looked(True, "rows", say("doctor.no_difference"))


def _log(places: Places, tenant: Tenant) -> Iterator[Looked]:
    """Read a tenant's whole log, under a role that can only read."""
    from replay.verify import verify

    field = "auditor_database_url" if places.has("auditor_database_url") else "database_url"
    with working(say("doctor.reading", tenant=tenant.name)):
        verdict = verify(places.url(field), tenant.id)
    for one in verdict.findings:
        what = cli_texts.word("log", one.code)
        text = say(
            "doctor.log_finding",
            tenant=tenant.name,
            position="?" if one.position is None else one.position,
            what=what,
            detail=one.detail,
        )
        yield Looked(False, one.code, text, tenant.id, one.position)
    if not verdict.findings:
        text = say(
            "doctor.log",
            tenant=tenant.name,
            events=verdict.events,
            batches=verdict.batches,
            position=verdict.position,
        )
        yield Looked(True, "log", text, tenant.id, verdict.position)
