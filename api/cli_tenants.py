"""Commands on tenants: make one, list them, appoint its first administrator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from api.cli_errors import Usage
from api.cli_help import Command, Group
from api.cli_places import Places, instant_of, tenant_of, tenants
from api.cli_shown import FINE, Json, aside, document, pairs, table
from api.cli_texts import say

if TYPE_CHECKING:
    from api.wiring import Services
    from domain.values import Instant

LONGEST_NAME: Final = 200


class Appointed(NamedTuple):
    """A staff member just appointed; `done` is False where they already were."""

    staff: str
    person: str
    number: str
    done: bool


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    tenant = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    tenant.command("create", cls=Command)(tenant_create)
    tenant.command("list", cls=Command)(tenant_list)
    app.add_typer(tenant, name="tenant", cls=Group)
    staff = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    staff.command("appoint-first", cls=Command)(staff_appoint_first)
    app.add_typer(staff, name="staff", cls=Group)


Number = Annotated[str, typer.Option("--number", metavar="NUMBER")]
Name = Annotated[str, typer.Option("--name", metavar="NAME")]
At = Annotated[str | None, typer.Option("--at", metavar="INSTANT")]


def tenant_create(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    given_clock: Annotated[bool, typer.Option("--given-clock")] = False,
    first_number: Annotated[str | None, typer.Option("--first-number", metavar="NUMBER")] = None,
    first_name: Annotated[str | None, typer.Option("--first-name", metavar="NAME")] = None,
    at: At = None,
    as_json: Json = False,
) -> int:
    """Make a tenant, and its first administrator where one is named."""
    if (first_number is None) != (first_name is None):
        raise Usage("tenant.first")
    places, instant = Places(), instant_of(at)
    tenant = create(places, name, given_clock=given_clock)
    # A crash right here leaves a tenant without an administrator: `staff appoint-first` makes one.
    first = None
    if first_number is not None and first_name is not None:
        with places.services() as services:
            first = appoint_first(services, tenant, first_number, first_name, instant)
    if as_json:
        shown = None if first is None else _shown(first)
        clock = "given" if given_clock else "system"
        document({"tenant": tenant, "name": name, "clock": clock, "administrator": shown})
        return FINE
    rows: list[tuple[str, object]] = [(say("tenant.id"), tenant), (say("tenant.name"), name)]
    if given_clock:
        rows.append((say("tenant.clock"), say("tenant.clock_given")))
    if first is not None:
        rows.append((say("staff.id"), first.staff))
        rows.append((say("staff.person"), first.person))
    pairs(rows)
    if first is None:
        aside(say("tenant.next", tenant=tenant))
    return FINE


def create(places: Places, name: str, *, given_clock: bool = False) -> str:
    """Make a tenant in one transaction; return its id. Raises `Usage`: `tenant.name`, `.taken`."""
    import psycopg
    from psycopg.types.json import Jsonb

    from api.ids import new_id

    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise Usage("tenant.name", limit=LONGEST_NAME)
    tenant = new_id()
    clock = "given" if given_clock else "system"
    with places.connection("migrator_database_url") as conn:
        try:
            with conn.transaction():
                conn.execute("SET LOCAL ROLE counterseal_owner")
                conn.execute(
                    "SELECT create_tenant(%s, %s, %s, %s)", (tenant, name, clock, Jsonb(folds()))
                )
        except psycopg.errors.UniqueViolation:
            raise Usage("tenant.taken", name=name) from None
    return tenant


def folds() -> Mapping[str, int]:
    """Return the fold version of every read model of this release."""
    from projections import inline, models

    return {**inline.FOLDS, **models.FOLDS}


def tenant_list(*, as_json: Json = False) -> int:
    """List the tenants."""
    with Places().connection() as conn:
        found = tenants(conn)
    if as_json:
        document([one._asdict() for one in found])
        return FINE
    headings = [say(f"tenant.{key}") for key in ("id", "name", "clock", "created", "events")]
    table(
        headings,
        [
            (one.id, one.name, say(f"tenant.clock_{one.clock}"), one.created_at, one.position)
            for one in found
        ],
    )
    if not found:
        aside(say("tenant.none_yet"))
    return FINE


def staff_appoint_first(
    number: Number,
    name: Name,
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    at: At = None,
    as_json: Json = False,
) -> int:
    """Appoint an administrator as the operator."""
    places, instant = Places(), instant_of(at)
    with places.connection() as conn:
        found = tenant_of(conn, tenant)
    with places.services() as services:
        first = appoint_first(services, found.id, number, name, instant)
    if as_json:
        document({"tenant": found.id, **_shown(first)})
        return FINE
    pairs(
        [
            (say("tenant.name"), found.name),
            (say("staff.number"), first.number),
            (say("staff.id"), first.staff),
            (say("staff.person"), first.person),
        ]
    )
    aside(say("staff.next" if first.done else "staff.already", staff=first.staff))
    return FINE


def _shown(first: Appointed) -> dict[str, str]:
    return {"staff": first.staff, "person": first.person, "number": first.number}


def appoint_first(
    services: Services, tenant: str, number: str, name: str, at: Instant | None = None
) -> Appointed:
    """Register a person and appoint them administrator, as `service:operator`.

    Said again with the same number it changes nothing. Raises `Refused` as the commands do.
    """
    from api.ids import new_id
    from api.shapes import Deed
    from domain.commands.persons import RegisterPerson
    from domain.commands.staff import NUMBER_CLAIM, AppointStaff
    from domain.duties import OPERATOR
    from domain.ledger import Outcome
    from domain.view import Command as Asked

    def put(command: Asked, step: str, subject: str) -> Outcome:
        edge = services.edge(tenant, OPERATOR)
        submission = edge.submission(
            command,
            Deed(),
            caller=OPERATOR.ref,
            key=f"appoint-first/{number}/{step}",
            fingerprint=b"appoint-first",
            subject=subject,
            at=at,
        )
        return services.ledgers.execute(submission)

    edge = services.edge(tenant, OPERATOR)
    person = new_id()
    sealed = edge.seal(name, "full_name", person, person)
    registered = put(RegisterPerson(person=person, full_name=sealed), "person", person)
    person = registered.events[0].stream_id
    # A crash here leaves a person without an appointment; said again, the key finds them.
    command = AppointStaff(
        staff=new_id(),
        person=person,
        number=number,
        number_claim=edge.hash(NUMBER_CLAIM, number),
        level="head",
        roles=("administrator",),
    )
    outcome = put(command, "appointment", person)
    return Appointed(outcome.events[0].stream_id, person, number, outcome.status == "done")
