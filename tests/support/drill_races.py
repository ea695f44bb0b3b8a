"""Pairs of commands that meet, what came of them, and what their two orders could have given."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from msgspec.structs import replace

from api.provisioning import Database
from domain.commands.customers import BlockCustomer
from domain.commands.grants import ApproveStage
from domain.commands.policies import RetirePolicy
from domain.commands.staff import DeactivateStaff
from domain.commands.supervision import RecordActivation
from domain.events.policy import Group, PolicyBody, Stage
from domain.ledger import Submission
from domain.values import TIMEKEEPER, Party, Term
from domain.view import Command
from tests.support.drill_worker import Answer
from tests.support.ledger import clock, new_id, submission
from tests.support.owner import superuser
from tests.support.world import BECAUSE, BODY, World, names


class Scene(NamedTuple):
    """Two commands about to meet, and the grants whose effect both may touch.

    It can be played from `ready_at` on.
    """

    world: World
    first: Submission
    second: Submission
    grants: tuple[str, ...]
    ready_at: datetime | None = None


class Result(NamedTuple):
    """What came of a pair: both answers, what the log says happened in its order, and how many of
    the scene's grants are in force now for somebody in standing."""

    first: str
    second: str
    story: tuple[str, ...]
    in_force: int


class Case(NamedTuple):
    """One kind of pair: how its scene is made, and what every policy of its world says."""

    name: str
    make: Callable[[World], Scene]
    body: PolicyBody = BODY


def _scene(
    world: World,
    one: tuple[str | Party, Command],
    other: tuple[str | Party, Command],
    grants: Iterable[str],
    **more: Any,
) -> Scene:
    first, second = (
        submission(world.tenant, command, world.party(who), **({"reason": BECAUSE} | more))
        for who, command in (one, other)
    )
    return Scene(world, first, second, tuple(grants))


def _approve_and_deactivate(world: World) -> Scene:
    approver = f"approver-{secrets.token_hex(4)}"
    staff = world.appoint(approver, "approver")
    grant = world.pending()
    return _scene(
        world,
        (approver, ApproveStage(grant_id=grant, stage="sales")),
        ("root", DeactivateStaff(staff=staff)),
        [grant],
    )


def _approve_and_block(world: World) -> Scene:
    customer = world.customer()
    grant = world.pending(customer)
    return _scene(
        world,
        ("approver0", ApproveStage(grant_id=grant, stage="sales")),
        ("compliance", BlockCustomer(customer=customer)),
        [grant],
    )


def _activate_and_block(world: World) -> Scene:
    """The start of the grant lies a little ahead; on a slow machine farther."""
    customer = world.customer()
    for seconds in (0.5, 1, 2, 4, 8, 16):
        start = clock() + timedelta(seconds=seconds)
        term = Term(starts_at=start, ends_at=start + timedelta(days=300))
        command = replace(world.request_command(customer), term=term)
        world.say("requester", command)
        world.check(command.grant_id)
        if world.approve(command.grant_id).state.status == "scheduled":
            scene = _scene(
                world,
                (TIMEKEEPER, RecordActivation(grant_id=command.grant_id)),
                ("compliance", BlockCustomer(customer=customer)),
                [command.grant_id],
            )
            return scene._replace(ready_at=start)
    raise TimeoutError("no grant was approved before its start")


def _request_and_retire(world: World) -> Scene:
    policy = new_id()
    version = world.publish(replace(world.body, kind=f"kind-{secrets.token_hex(4)}"), policy)
    command = replace(world.request_command(world.customer()), policy=policy)
    return _scene(
        world,
        ("requester", command),
        ("compliance", RetirePolicy(policy=policy, version=version)),
        [command.grant_id],
    )


def _same_key(world: World) -> Scene:
    """As two processes make it of one request sent twice: other ids, one key, one fingerprint."""
    customer = world.customer()
    one, other = world.request_command(customer), world.request_command(customer)
    return _scene(
        world,
        ("requester", one),
        ("requester", other),
        [one.grant_id, other.grant_id],
        key=secrets.token_hex(8),
    )


def _two_accounts(world: World) -> Scene:
    one, other = (f"{account}-{secrets.token_hex(4)}" for account in ("one", "other"))
    world.appoint(one, "approver")
    world.appoint(other, "approver", person=world.people[one])
    grant = world.pending()
    command = ApproveStage(grant_id=grant, stage="sales")
    return _scene(world, (one, command), (other, command), [grant])


TWO_APPROVERS = replace(
    BODY, stages=(Stage("sales", names("sales"), (Group("approver", 2),), lapse_days=30),)
)

CASES = (
    Case("approve x deactivate the approver", _approve_and_deactivate),
    Case("last approval x block", _approve_and_block),
    Case("activation x block", _activate_and_block),
    Case("request x retire the policy", _request_and_retire),
    Case("the same key twice", _same_key),
    Case("two approvals by two accounts of one person", _two_accounts, TWO_APPROVERS),
)


# --- what came of it ------------------------------------------------------------------------------


def seen(scene: Scene) -> Scene:
    """Return the scene as people play it over HTTP: they approve what they have seen."""
    world = scene.world

    def having_seen(one: Submission) -> Submission:
        if not isinstance(one.command, ApproveStage):
            return one
        loaded = world.ledgers.load(world.tenant, "grant", one.command.grant_id)
        return replace(one, expected_version=loaded.version)

    return scene._replace(first=having_seen(scene.first), second=having_seen(scene.second))


def head(world: World) -> int:
    """Return how far the log goes."""
    return world.ledgers.tail(world.tenant, 2**62).position


def result_of(scene: Scene, since: int, first: Answer, second: Answer) -> Result:
    """Return what came of the pair, by the answers, the log after `since` and the check's rows."""
    same = scene.first.key == scene.second.key
    by = {event[0]: " by the second" for event in second.events}
    by |= {event[0]: " by the first" for event in first.events}
    streams = {event[2] for answer in (first, second) for event in answer.events}
    with superuser(scene.world.database) as conn:
        log = conn.execute(
            "SELECT position, type FROM events WHERE tenant_id = %s AND position > %s"
            " AND type <> 'person.registered.1' ORDER BY position",
            (scene.world.tenant, since),
        ).fetchall()
        held = in_force(conn, scene.world.tenant, streams.union(scene.grants))
    story = tuple(
        name + ("" if same and position in by else by.get(position, " by nobody"))
        for position, name in log
    )
    return Result(first.status, second.status, story, held)


def in_force(conn: psycopg.Connection[Any], tenant: str, grants: Iterable[str]) -> int:
    """Return how many of the grants are in force now for a grantee in standing, by the rows."""
    row = conn.execute(
        "SELECT count(*) FROM permissions p JOIN standings s"
        " ON s.tenant_id = p.tenant_id AND s.party = p.grantee AND s.known_to IS NULL"
        " WHERE p.tenant_id = %s AND p.grant_id = ANY(%s::uuid[]) AND p.known_to IS NULL"
        " AND now() >= p.valid_from AND now() < p.valid_to"
        " AND now() >= s.valid_from AND now() < s.valid_to",
        (tenant, list(grants)),
    ).fetchone()
    return 0 if row is None else int(row[0])


def tally(results: Iterable[Result]) -> Mapping[Result, int]:
    """Return how often each result came."""
    counts: dict[Result, int] = {}
    for result in results:
        counts[result] = counts.get(result, 0) + 1
    return counts


def same_batch(database: Database, tenant: str, positions: Iterable[int]) -> bool:
    """Tell whether all these positions were written by one append."""
    with superuser(database) as conn:
        row = conn.execute(
            "SELECT count(DISTINCT (SELECT max(first_position) FROM batches b"
            " WHERE b.tenant_id = %(tenant)s AND b.first_position <= p))"
            " FROM unnest(%(positions)s::bigint[]) AS p",
            {"tenant": tenant, "positions": list(positions)},
        ).fetchone()
    return row == (1,)
