"""`rebuild`: the permission rows of a tenant made once more from its log, and swapped."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL

from api.provisioning import Database
from replay.rebuild import rebuild
from replay.rebuild_plan import connect, drop
from tests.bench.logs import lengthen
from tests.bench.measure import Plan, Result, Side, compare, in_turn
from tests.bench.stage import database, plain_database
from tests.support.world import World

GRANTS = 40_000
PEER_GRANTS = 1_500
WAIT_S = 300
ACTS = 6
"""Events a grant, of one that is asked for, checked, approved and in force."""


class Ours:
    """A tenant with one grant as it was made by real commands, and copies of it."""

    def __init__(self, made: Database, grants: int) -> None:
        self._made = made
        world = World(made)
        grant = world.active()
        self.tenant = world.tenant
        world.close()
        lengthen(made, self.tenant, [grant], ACTS * grants)
        rebuild(made.migrator, self.tenant, accept=True)  # the copies have no rows yet

    def run(self, _: float) -> float:
        """Return events a second of a whole rebuild, the swap included."""
        with connect(self._made.migrator) as conn:
            drop(conn, self.tenant)
        done = rebuild(self._made.migrator, self.tenant, ["permissions"], workers=2)
        if done.position is None:
            raise RuntimeError("what was rebuilt is not what was live")
        return done.events / done.seconds


class PeerGrant(Aggregate):
    """A grant as the library has aggregates."""

    class Approved(Aggregate.Event):
        """From here on there is a right."""

        scope: dict[str, list[str]]

    @event("Requested")
    def __init__(self, number: str) -> None:
        self.number = number
        self.status = "requested"

    @event("Said")
    def say(self, status: str) -> None:
        """One of the acts between."""
        self.status = status

    @event(Approved)
    def approve(self, scope: dict[str, list[str]]) -> None:
        """Say yes to it."""
        self.scope = scope


class Rights(PostgresTrackingRecorder):
    """The rows of rights, each written with the place it follows from."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS rights (grant_id uuid PRIMARY KEY, scope text,"
                " known_from bigint)"
            ).format()
        )

    def open(self, grant: UUID, scope: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as curs:
            self._insert_tracking(curs, tracking)
            curs.execute(
                "INSERT INTO rights VALUES (%s, %s, %s)", (grant, scope, tracking.notification_id)
            )

    def pass_by(self, tracking: Tracking) -> None:
        self.insert_tracking(tracking)


class Granting(Projection[Rights]):
    """One row a grant in force."""

    @singledispatchmethod
    def process_event(self, domain_event: object, tracking: Tracking) -> None:
        """Note that nothing follows from it."""
        self.view.pass_by(tracking)

    @process_event.register
    def _(self, domain_event: PeerGrant.Approved, tracking: Tracking) -> None:
        self.view.open(domain_event.originator_id, str(domain_event.scope), tracking)


class Library:
    """`eventsourcing` as it comes: its application, its `ProjectionRunner`."""

    def __init__(self, address: str, grants: int) -> None:
        parts = {key: str(value) for key, value in conninfo_to_dict(address).items()}
        self._address = address
        self.env = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": parts["dbname"],
            "POSTGRES_HOST": parts["host"],
            "POSTGRES_PORT": parts.get("port", "5432"),
            "POSTGRES_USER": parts["user"],
            "POSTGRES_PASSWORD": parts.get("password", ""),
        }
        self.events = ACTS * grants
        app: Application[UUID] = Application(self.env)
        for number in range(grants):
            grant = PeerGrant(f"N{number}")
            for status in ("checked", "verified", "pending"):
                grant.say(status)
            grant.approve({"territory": ["CN/31"], "product": ["tea"]})
            grant.say("active")
            app.save(grant)
        app.close()

    def run(self, _: float) -> float:
        """Return events a second from the first event to the last."""
        with psycopg.connect(self._address, autocommit=True) as conn:
            conn.execute("DROP TABLE IF EXISTS rights, granting_tracking")
        start = time.perf_counter()
        with ProjectionRunner(
            application_class=Application[UUID],
            projection_class=Granting,
            view_class=Rights,
            env=self.env,
        ) as runner:
            runner.wait(self.events, WAIT_S)
        return self.events / (time.perf_counter() - start)


def run(plan: Plan) -> Result:
    """Measure."""
    scale = max(plan.scale, 0.002)
    with database() as made:
        ours = Ours(made, int(GRANTS * scale))
        library = Library(plain_database(made, "library"), int(PEER_GRANTS * scale) or 1)
        sides = [
            Side("rebuild of permission rows", "events/s", ours.run),
            Side("eventsourcing's ProjectionRunner", "events/s", library.run),
        ]
        figures = in_turn(sides, plan)
    return compare(sides[0], [(sides[1], 40.0, "higher")], figures, name="rebuild")
