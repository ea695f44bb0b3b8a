"""API keys: what opens the doors, for how long, and for whom."""

import secrets
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from api.identity import (
    KEY_LIFE_SECONDS,
    RESERVED,
    SECRET_BYTES,
    create_key,
    format_key,
    list_keys,
    parse,
    rotate_key,
    withdraw_key,
)
from api.ids import new_id
from domain.errors import Refused
from domain.values import Party
from tests.support.doors import Caller, Firm, House
from tests.support.screens import Person
from tests.support.trade import Trade, evaluation


def status(house: House, authorization: str) -> tuple[int, str]:
    """What a check answers: status and code."""
    answer = house.send(
        "POST",
        "/access/v1/evaluation",
        headers={"authorization": authorization.encode()},
        json=evaluation("01900000-0000-7000-8000-000000000000"),
    )
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic abc", "Bearer", "Bearer ", "ak_x.y", "Token ak_x.y"],
)
def test_without_a_bearer_key_the_answer_is_401(house: House, authorization: str) -> None:
    assert status(house, authorization) == (401, "login.missing")


def test_a_key_changed_anywhere_opens_nothing(house: House, trade: Trade) -> None:
    key = trade.checker.key
    assert status(house, f"Bearer {key}") == (200, "")
    assert status(house, f"bearer {key}") == (200, "")
    name, secret = key[3:].split(".")
    other = "A" if name[5] != "A" else "B"
    for wrong in (
        f"ak_{name[:5]}{other}{name[6:]}.{secret}",
        f"ak_{name}.{secret[:-2]}{'A' if secret[-2] != 'A' else 'B'}{secret[-1]}",
        f"ak_{name}.{secret}A",
        f"ak_{name}.{secret[:-1]}",
        f"ak_{name}",
        key.upper(),
        f"ak_{name}.{secret}=",
        "ak_" + "é" * 43 + "." + "A" * 43,
    ):
        assert status(house, f"Bearer {wrong}") == (401, "login.failed"), wrong


def test_the_secret_is_stored_nowhere(house: House, trade: Trade) -> None:
    secret = trade.checker.key.partition(".")[2]
    token = parse(trade.checker.key)
    assert token is not None
    with psycopg.connect(house.database.migrator) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
        row = conn.execute(
            "SELECT api_keys::text, length(hash) FROM api_keys WHERE key_id = %s", (token.key_id,)
        ).fetchone()
    assert row is not None
    assert row[1] == 32
    assert secret not in row[0]


def test_a_key_is_good_until_its_end(house: House, trade: Trade) -> None:
    ends_at = datetime.now(UTC) + timedelta(seconds=1.2)
    with psycopg.connect(house.database.migrator) as conn:
        key = create_key(
            conn, house.services.keys, trade.tenant, Party("service:s"), ["evaluate"], ends_at
        )
    assert status(house, f"Bearer {key}") == (200, "")
    time.sleep(max(0.0, (ends_at - datetime.now(UTC)).total_seconds()))
    assert status(house, f"Bearer {key}") == (401, "login.failed")


def test_a_withdrawn_key_opens_nothing_once_that_is_acknowledged(
    house: House, trade: Trade
) -> None:
    caller = Caller(house, trade.tenant, Party("service:gone"), ["evaluate"])
    token = parse(caller.key)
    assert token is not None
    assert status(house, f"Bearer {caller.key}") == (200, "")
    before = time.monotonic()
    with psycopg.connect(house.database.migrator, autocommit=True) as conn:
        assert withdraw_key(conn, trade.tenant, token.key_id)
        assert time.monotonic() - before >= KEY_LIFE_SECONDS
        assert status(house, f"Bearer {caller.key}") == (401, "login.failed")
        shown = {str(row[0]): row for row in list_keys(conn, trade.tenant)}
    assert shown[token.key_id][6] is not None
    assert shown[token.key_id][7] is not None  # last use


def test_a_rotated_key_opens_with_both_secrets_for_the_overlap(house: House, trade: Trade) -> None:
    caller = Caller(house, trade.tenant, Party("service:turned"), ["evaluate"])
    token = parse(caller.key)
    assert token is not None
    with psycopg.connect(house.database.migrator, autocommit=True) as conn:
        given = (conn, house.services.keys, trade.tenant, token.key_id)
        turned = rotate_key(*given, timedelta(seconds=3))
        assert turned.party == "service:turned"
        named = parse(turned.key)
        assert named is not None
        assert (named[:2], named.secret != token.secret) == (token[:2], True)
        for key in (caller.key, turned.key):
            assert status(house, f"Bearer {key}") == (200, "")
        time.sleep(max(0.0, (turned.former_until - datetime.now(UTC)).total_seconds()))
        assert status(house, f"Bearer {caller.key}") == (401, "login.failed")
        assert status(house, f"Bearer {turned.key}") == (200, "")
        anew = rotate_key(*given, timedelta(hours=1))
        last = rotate_key(*given, timedelta(hours=1))
        assert status(house, f"Bearer {turned.key}") == (401, "login.failed"), "rotated twice"
        for key in (anew.key, last.key):
            assert status(house, f"Bearer {key}") == (200, "")
        assert withdraw_key(conn, trade.tenant, token.key_id)
        for key in (anew.key, last.key):
            assert status(house, f"Bearer {key}") == (401, "login.failed"), "both end with the key"
        with pytest.raises(Refused) as refused:
            rotate_key(*given, timedelta(hours=1))
    assert refused.value.code == "key.not_good"


def test_without_overlap_the_former_secret_and_its_sessions_are_over_at_once(
    house: House, trade: Trade
) -> None:
    approver = trade["approver"]
    seen = Caller(house, trade.tenant, approver.party, {"evaluate", "grants:read"})
    person = Person(house).sign_in(seen)
    assert person.send("GET", "/work").status_code == 200
    token = parse(seen.key)
    assert token is not None
    assert status(house, f"Bearer {seen.key}")[0] != 401
    with psycopg.connect(house.database.migrator, autocommit=True) as conn:
        keys = house.services.keys
        turned = rotate_key(conn, keys, trade.tenant, token.key_id, timedelta())
    assert status(house, f"Bearer {seen.key}") == (401, "login.failed")
    assert person.send("GET", "/work").status_code == 303, "signed out"
    assert status(house, f"Bearer {turned.key}")[0] != 401


def test_a_former_secret_does_not_outlive_its_key(house: House, trade: Trade) -> None:
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    with psycopg.connect(house.database.migrator, autocommit=True) as conn:
        keys = house.services.keys
        made = create_key(conn, keys, trade.tenant, Party("service:s"), ["evaluate"], ends_at)
        token = parse(made)
        assert token is not None
        turned = rotate_key(conn, keys, trade.tenant, token.key_id, timedelta(hours=24))
    assert turned.former_until == ends_at


def test_failed_logins_are_logged_without_the_key(house: House, trade: Trade) -> None:
    name = trade.checker.key.partition(".")[0]
    token = parse(trade.checker.key)
    assert token is not None
    assert status(house, f"Bearer {name}.{'A' * 43}") == (401, "login.failed")
    with psycopg.connect(house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
        row = conn.execute(
            "SELECT kind, key_id::text, operation FROM access_log ORDER BY entry_id DESC LIMIT 1"
        ).fetchone()
    assert row == ("login_failed", token.key_id, "access.evaluate")


def test_a_key_opens_its_own_tenant_only(house: House, trade: Trade) -> None:
    other = Firm(house)
    other.first_administrator()
    mine = trade["admin"].done("/v1/persons", {})["id"]
    foreign = other["root"].get(f"/v1/persons/{mine}")
    unknown = other["root"].get("/v1/persons/01900000-0000-7000-8000-000000000000")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "person.unknown")
    assert foreign.json().keys() == unknown.json().keys()
    answer = other["root"].post(f"/v1/persons/{mine}/merge", {"into": mine})
    assert (answer.status_code, answer.json()["code"]) == (404, "person.unknown")


def test_a_deactivated_staff_member_may_nothing_whatever_their_key_says(trade: Trade) -> None:
    leaver = trade.appoint("leaver", "administrator")
    assert leaver.post("/v1/persons", {}).status_code == 201
    trade["root"].done(f"/v1/staff/{trade.staff['leaver']}/deactivation")
    answer = leaver.post("/v1/persons", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "actor.not_in_standing")


def test_a_deactivated_staff_member_reads_nothing_either(trade: Trade) -> None:
    leaver = trade.appoint("reader", "administrator")
    path = f"/v1/staff/{trade.staff['reader']}"
    assert leaver.get(path).status_code == 200
    trade["root"].done(f"{path}/deactivation")
    time.sleep(KEY_LIFE_SECONDS)
    for asked in (path, f"{path}/events", "/v1/staff", "/v1/staff.csv", "/v1/grants"):
        answer = leaver.get(asked)
        assert (answer.status_code, answer.json()["code"]) == (403, "actor.not_in_standing"), asked


def test_a_key_has_so_many_requests_under_way_and_no_more(
    house: House, trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.services.gate, "_requests_a_key", 3)
    headers = trade["admin"].headers
    requests = [
        ("POST", "/v1/persons", {"headers": headers | {"idempotency-key": f"many{n}"}, "json": {}})
        for n in range(12)
    ]
    answers = house.together(requests)
    codes = [answer.status_code for answer in answers]
    assert codes.count(429) >= 1
    assert codes.count(201) >= 3
    late = next(answer for answer in answers if answer.status_code == 429)
    assert late.json()["code"] == "request.too_many"
    assert late.headers["retry-after"] == "1"
    assert trade["admin"].post("/v1/persons", {}).status_code == 201


@pytest.mark.parametrize(
    ("party", "scopes", "code"),
    [
        (Party("service:x"), ["everything"], "key.scope_unknown"),
        (Party("robot:x"), ["evaluate"], "key.party_malformed"),
        (Party("service:"), ["evaluate"], "key.party_malformed"),
        (Party("customer:x"), ["evaluate"], "key.party_malformed"),
        (Party("staff:x", "someone"), ["evaluate"], "key.party_malformed"),
        (Party("service:operator"), ["admin"], "key.party_reserved"),
        (Party("service:operator", "someone"), ["admin"], "key.party_malformed"),
        (Party("service:timekeeper"), ["grants:supervise"], "key.party_reserved"),
        (Party("service:import"), ["import"], "key.party_reserved"),
    ],
)
def test_a_key_for_nobody_or_for_unknown_scopes_is_refused(
    house: House, trade: Trade, party: Party, scopes: list[str], code: str
) -> None:
    with (
        psycopg.connect(house.database.migrator) as conn,
        pytest.raises(Refused) as refused,
    ):
        create_key(conn, house.services.keys, trade.tenant, party, scopes)
    assert refused.value.code == code


@pytest.mark.parametrize("party", sorted(one.ref for one in RESERVED))
def test_a_key_of_a_party_within_the_program_opens_nothing_however_it_was_made(
    house: House, trade: Trade, party: str
) -> None:
    """ADR 0003: whoever reaches the table past the command line gets no operator by it."""
    key = format_key(trade.tenant, new_id(), secrets.token_bytes(SECRET_BYTES))
    token = parse(key)
    assert token is not None
    hashed = house.services.keys.api_key_hash(token.secret)
    with psycopg.connect(house.database.migrator) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
        conn.execute(
            "INSERT INTO api_keys (tenant_id, key_id, hash, party, scopes)"
            " VALUES (%s, %s, %s, %s, %s)",
            (trade.tenant, token.key_id, hashed, party, ["evaluate"]),
        )
    assert status(house, f"Bearer {key}") == (401, "login.failed")
