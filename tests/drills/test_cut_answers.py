"""The answer to a commit is cut off on its way back: the key finds the first answer, and without a
key the command happens twice."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable

import pytest

from api.provisioning import Database
from domain.values import Reason
from projections.inline import FOLDS
from replay.verify import verify
from tests.support import drill_oracle
from tests.support.drill_doors import Doors, DoorsWorld, answer_of
from tests.support.drill_load import Sent, reckon
from tests.support.drill_proxy import CuttingProxy
from tests.support.drill_tailing import Mark
from tests.support.drill_worker import PATIENCE_S, Worker
from tests.support.ledger import make_tenant, new_id, submission
from tests.support.owner import superuser

pytestmark = pytest.mark.drill


def test_an_answer_cut_off_is_found_by_its_key(
    doors: Doors, rounds: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    """The real service behind the proxy; each answer is held against the log and `commands`."""
    number = rounds(10, 100)
    database = doors.database
    world = DoorsWorld(doors)
    customer = world.customer()
    sent: list[Sent] = []
    statuses = Counter[str]()
    with (
        CuttingProxy(database.service) as proxy,
        doors.open(database_url=proxy.before(database).service) as service,
    ):
        service.ready()
        for count in range(number):
            mark = f"m{count}"
            command = submission(
                world.tenant,
                world.request_command(customer),
                world.party("requester"),
                key=mark,
                reason=Reason(code=mark),
            )
            proxy.cut_next()
            answer = answer_of(service.command(command))
            assert proxy.cut == count + 1, "nothing was cut"
            again = answer_of(service.command(command))
            assert again.events == answer.events
            statuses[answer.status] += 1
            sent.append(Sent(mark, tuple(event[0] for event in answer.events)))
            assert list(sent[-1].positions or ()) == kept(database, world.tenant, mark)
    found = reckon(database, world.tenant, sent)
    wrong = {*found.lost, *found.doubled, *found.elsewhere}
    tell("answers to a commit cut", number, len(wrong), **statuses)
    assert not wrong, found
    assert statuses == {"repeated": number}
    assert not verify(database.auditor, world.tenant).findings
    assert not drill_oracle.compare(database, world.tenant).differing
    world.close()


def kept(database: Database, tenant: str, key: str) -> list[int]:
    """Return the positions that `commands` has for a key."""
    with superuser(database) as conn:
        row = conn.execute(
            "SELECT first_position, count FROM commands WHERE tenant_id = %s AND key = %s",
            (tenant, key),
        ).fetchone()
    return [] if row is None else list(range(row[0], row[0] + row[1]))


@pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "control: without a key"])
def test_only_a_key_keeps_a_cut_command_from_happening_twice(
    keyed: bool,
    database: Database,
    rounds: Callable[[int, int], int],
    tell: Callable[..., None],
) -> None:
    number = rounds(10, 100)
    tenant = make_tenant(database, FOLDS)
    names = [f"n{count}" for count in range(number)]
    with CuttingProxy(database.service) as proxy, Worker(proxy.before(database)) as worker:
        worker.ready()
        for name in names:
            proxy.cut_next()
            key = secrets.token_hex(8) if keyed else None
            answer = worker.submit(
                submission(tenant, Mark(person=new_id(), name=name), key=key)
            ).result(PATIENCE_S)
            assert answer.status == ("repeated" if keyed else "done")
        assert proxy.cut == number
    with superuser(database) as conn:
        rows = conn.execute(
            "SELECT convert_from(data, 'UTF8')::json ->> 'account' FROM events"
            " WHERE tenant_id = %s AND type = 'person.account_linked.1'",
            (tenant,),
        ).fetchall()
    times = Counter(account.partition("/")[0] for (account,) in rows)
    doubled = sum(times[name] > 1 for name in names)
    if keyed:
        tell("answers cut, ledger by itself", number, number - list(times.values()).count(1))
        assert times == dict.fromkeys(names, 1)
    else:
        tell("control of answers cut, without keys", number, doubled)
        assert doubled == number, "without a key every command cut happens again"
