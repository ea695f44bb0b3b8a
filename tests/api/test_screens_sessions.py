"""Signing in on the screens: with a key, with a link that works once, until either is over."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from api.identity import create_key, parse, withdraw_key
from api.provisioning import Database
from api.screens import sessions
from api.screens.sessions import create_link
from domain.errors import Refused
from domain.values import Party
from tests.support.doors import Caller, Firm, House, opened
from tests.support.screens import Form, Person
from tests.support.trade import Trade

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)


def link_of(trade: Trade, caller: Caller, seconds: int = 60) -> str:
    token = parse(caller.key)
    assert token is not None
    with psycopg.connect(trade.house.database.migrator) as conn:
        keys = trade.house.services.keys
        return create_link(conn, keys, trade.tenant, token.key_id, seconds)


def logged(trade: Trade) -> tuple[str, str]:
    """Kind and operation of the newest row of the access log."""
    with psycopg.connect(trade.house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
        row = conn.execute(
            "SELECT kind, operation FROM access_log ORDER BY entry_id DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_a_key_signs_in_and_signing_out_ends_the_session(trade: Trade) -> None:
    person = Person(trade.house)
    assert person.send("GET", "/work").headers["location"] == "/sign-in?next=%2Fwork"
    person.sign_in(trade["approver"])
    page = person.open("/work")
    assert page.status == 200
    kept = dict(person.cookies)
    (out,) = [one for one in page.forms if one.action == "/sign-out"]
    gone = person.submit(out)
    assert person.cookies == {}
    assert "Sign in with a key" in gone.said
    person.cookies = kept
    assert person.send("GET", "/work").status_code == 303, "the cookie opens nothing any more"


def test_the_cookie_is_for_the_browser_alone(trade: Trade) -> None:
    person = Person(trade.house)
    answer = person.send("POST", "/sign-in", {"key": trade["approver"].key, "next": "/work"})
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.endswith("; Path=/; SameSite=Strict; HttpOnly")
    token = cookie.partition(";")[0].partition("=")[2]
    assert trade["approver"].key.partition(".")[2] not in token
    with psycopg.connect(trade.house.database.service) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
        rows = conn.execute("SELECT s::text FROM sessions s").fetchall()
    assert rows
    assert all(token.partition(".")[2] not in row[0] for row in rows), "the secret is stored"


def test_over_https_the_cookie_is_one_that_no_other_host_can_set(
    fresh_database: Callable[[], Database], tmp_path: Path
) -> None:
    with opened(fresh_database(), tmp_path, public_url="https://seal.example") as house:
        firm = Firm(house)
        key = firm.first_administrator().key
        answer = Person(house).send("POST", "/sign-in", {"key": key, "next": "/work"})
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-counterseal_session=ss_")
    assert cookie.endswith("; Path=/; SameSite=Strict; HttpOnly; Secure")


def test_a_key_that_is_none_is_refused_and_logged(trade: Trade) -> None:
    person = Person(trade.house)
    wrong = f"{trade['approver'].key.partition('.')[0]}.{'A' * 43}"
    for key in ("", "é" * 9, wrong):
        answer = person.send("POST", "/sign-in", {"key": key, "next": "/work"})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert wrong not in answer.text
    assert logged(trade) == ("login_failed", "screens.sign_in")


def test_a_link_signs_in_once_and_looking_at_it_uses_it_up_not(trade: Trade) -> None:
    link = link_of(trade, trade["verifier"])
    first, second = Person(trade.house), Person(trade.house)
    for _ in range(3):  # what previews a link only looks at it
        assert first.open(f"/sign-in?link={link}").status == 200
    page = first.open(f"/sign-in?link={link}")
    (form,) = [one for one in page.forms if "link" in one.fields]
    assert first.submit(form).status == 200
    assert first.open("/work").status == 200
    refused = second.submit(form)
    assert (refused.status, "This link is used up" in refused.alert) == (401, True)
    assert logged(trade) == ("login_failed", "screens.sign_in")
    assert "This link is used up" in second.open(f"/sign-in?link={link}").alert


def test_of_many_who_use_a_link_at_once_one_gets_in(trade: Trade) -> None:
    link = link_of(trade, trade["verifier"])
    headers = {"origin": "http://doors", "content-type": "application/x-www-form-urlencoded"}
    sent = ("POST", "/sign-in", {"content": f"link={link}&next=/work", "headers": headers})
    answers = trade.house.together([sent] * 8)
    assert sorted(one.status_code for one in answers) == [303] + [401] * 7


def test_a_link_is_over_after_its_minutes_and_of_no_use_where_made_up(trade: Trade) -> None:
    link = link_of(trade, trade["verifier"], seconds=1)
    time.sleep(1.1)
    person = Person(trade.house)
    name, _, secret = link_of(trade, trade["verifier"]).partition(".")
    swapped = f"{name}.{secret[::-1]}"
    for one in (link, swapped, "sl_x", trade["verifier"].key, "x" * 3000):
        assert person.send("GET", "/sign-in?link=" + one).status_code == 401, one
        answer = person.send("POST", "/sign-in", {"link": one, "next": "/work"})
        assert answer.status_code == 401, one


def test_no_link_is_made_for_a_key_that_is_over(trade: Trade) -> None:
    with psycopg.connect(trade.house.database.migrator) as conn:
        keys = trade.house.services.keys
        ended = datetime.now(UTC) - timedelta(seconds=1)
        key = create_key(conn, keys, trade.tenant, Party("service:x"), ["evaluate"], ended)
        token = parse(key)
        assert token is not None
        with pytest.raises(Refused, match=r"key\.not_good"):
            create_link(conn, keys, trade.tenant, token.key_id, 60)


def test_whoever_loses_the_key_is_signed_out_at_once(trade: Trade) -> None:
    caller = Caller(trade.house, trade.tenant, trade["approver"].party, ["grants:read"])
    person = Person(trade.house).sign_in(caller)
    assert person.open("/work").status == 200
    token = parse(caller.key)
    assert token is not None
    with psycopg.connect(trade.house.database.migrator, autocommit=True) as conn:
        assert withdraw_key(conn, trade.tenant, token.key_id)
    assert person.send("GET", "/work").status_code == 303
    assert person.send("POST", "/grants/x", {"act": "approve"}).status_code == 401


@pytest.mark.parametrize("column", ["used_at", "ends_at"])
def test_a_session_ends_when_nobody_uses_it_and_after_a_day_of_work(
    trade: Trade, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    person = Person(trade.house).sign_in(trade["approver"])
    assert person.open("/work").status == 200
    if column == "used_at":
        monkeypatch.setattr(sessions, "IDLE_SECONDS", -1)
    else:
        with psycopg.connect(trade.house.database.migrator) as conn:
            conn.execute("SET ROLE counterseal_owner")
            conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
            conn.execute("UPDATE sessions SET ends_at = clock_timestamp()")
    assert person.send("GET", "/work").status_code == 303


def test_a_key_has_so_many_sessions_and_the_oldest_goes(trade: Trade) -> None:
    first = Person(trade.house).sign_in(trade["second"])
    assert first.open("/work").status == 200
    others = [Person(trade.house).sign_in(trade["second"]) for _ in range(sessions.SESSIONS_A_KEY)]
    assert first.send("GET", "/work").status_code == 303
    assert others[0].send("GET", "/work").status_code == 200


def test_a_form_of_another_session_or_site_is_refused(trade: Trade) -> None:
    person = Person(trade.house).sign_in(trade["approver"])
    grant = trade.request(trade.customer("SS-1"))["id"]
    form = person.open(f"/grants/{grant}").form("note")
    other = Person(trade.house).sign_in(trade["approver"]).open(f"/grants/{grant}").form("note")
    stolen = form.fields | {"of_session": other.fields["of_session"]}
    none = {name: value for name, value in form.fields.items() if name != "of_session"}
    for fields in (stolen, none):
        answer = person.send("POST", form.action, fields)
        assert answer.status_code == 403
        assert "form.token" in answer.text
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://["},
        {"origin": "http://[::1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
    ):
        for path, fields in ((form.action, form.fields), ("/sign-in", {"key": "x"})):
            answer = person.send("POST", path, fields, **headers)
            assert (answer.status_code, "form.foreign" in answer.text) == (403, True), headers
    events = trade["admin"].get(f"/v1/grants/{grant}/events").json()["items"]
    assert [one["type"] for one in events] == ["grant.requested.1"]
    assert person.send("POST", form.action, form.fields, sec_fetch_site="same-origin", origin="")


def test_a_form_is_read_strictly(trade: Trade) -> None:
    person = Person(trade.house).sign_in(trade["approver"])
    grant = trade.request(trade.customer("SS-2"))["id"]
    form = person.open(f"/grants/{grant}").form("note")
    send = person.house.send
    cookie = "; ".join(f"{name}={one}" for name, one in person.cookies.items())
    headers = {"cookie": cookie, "origin": "http://doors", "accept-language": "en"}
    plain = send("POST", form.action, headers=headers, json=form.fields)
    assert plain.status_code == 415
    headers["content-type"] = "application/x-www-form-urlencoded"
    for content in (b"act=note&act=note", b"act=%ff", b"a=1&" * 200, "act=茶".encode()):
        answer = send("POST", form.action, headers=headers, content=content)
        assert answer.status_code == 400, content
    unknown = person.submit(form, act="promote")
    assert unknown.status == 400


def test_signing_in_leads_to_a_page_of_ours_and_nowhere_else(trade: Trade) -> None:
    for where in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"):
        person = Person(trade.house)
        fields = {"key": trade["approver"].key, "next": where}
        answer = person.send("POST", "/sign-in", fields)
        assert answer.headers["location"] == "/work"
        switched = person.send("GET", f"/language?to=zh&next={where}")
        assert switched.headers["location"] == "/"


def test_every_page_carries_the_headers_that_keep_it_to_itself(trade: Trade) -> None:
    person = Person(trade.house).sign_in(trade["approver"])
    for path in ("/", "/work", "/grants", "/grants/nothing", "/nothing"):
        answer = person.send("GET", path)
        assert answer.headers["content-security-policy"] == POLICY, path
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    style = re.search(r'href="(/static/[^"]+)"', person.send("GET", "/").text)
    assert style is not None
    sheet = person.send("GET", style[1])
    assert sheet.headers["content-type"].startswith("text/css")
    assert "immutable" in sheet.headers["cache-control"]


def test_signing_in_anew_leaves_no_old_session(trade: Trade, house: House) -> None:
    person = Person(house).sign_in(trade["approver"])
    old = dict(person.cookies)
    page = person.open(f"/sign-in?link={link_of(trade, trade['verifier'])}")
    (form,) = [one for one in page.forms if "link" in one.fields]
    assert isinstance(form, Form)
    assert person.submit(form).status == 200
    assert person.cookies != old
    person.cookies = old
    assert person.send("GET", "/work").status_code == 303
