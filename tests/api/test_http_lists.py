"""Lists over HTTP: complete, resumable, as JSON and as CSV; and whether the service can serve."""

import csv
import io
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from replay.healing import heal
from replay.verifier import Verifier
from tests.support.doors import Caller, House
from tests.support.owner import superuser
from tests.support.trade import BECAUSE, POLICY, Trade

SEVEN = "/v1/customers?title=茶庄 N-"


@pytest.fixture(scope="module")
def dealers(house: House) -> Trade:
    """A firm of its own with seven customers, three grants, and an approver too many hands have."""
    trade = Trade(house)
    trade.catalogue()
    trade.policy()
    customers = [trade.customer(f"N-{number}") for number in range(7)]
    for customer in customers[:3]:
        trade.request(customer)
    house.follow()
    return trade


def pages(caller: Caller, path: str) -> list[list[dict[str, Any]]]:
    """All pages of a list, by its links."""
    found: list[list[dict[str, Any]]] = []
    following: str | None = path
    while following is not None:
        answer = caller.get(following)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        link = answer.headers.get("link")
        assert (link is None) == (answer.json()["next_cursor"] is None)
        following = None if link is None else link.split(">")[0].removeprefix("<")
    return found


def test_pages_of_a_list_are_complete_and_without_doubles(dealers: Trade) -> None:
    whole = pages(dealers["admin"], f"{SEVEN}&limit=1000")
    assert [len(one) for one in whole] == [7]
    small = pages(dealers["admin"], f"{SEVEN}&limit=3")
    assert [len(one) for one in small] == [3, 3, 1]
    assert [row for one in small for row in one] == whole[0]
    assert [row["number"] for row in whole[0]] == [f"N-{number}" for number in range(7)]
    exact = pages(dealers["admin"], f"{SEVEN}&limit=7")
    assert [len(one) for one in exact] == [7]


def test_a_list_is_filtered(dealers: Trade) -> None:
    admin = dealers["admin"]
    (grants,) = pages(admin, "/v1/grants?kind=dealership")
    assert len(grants) == 3
    one = grants[1]
    assert pages(admin, f"/v1/grants?grantee={one['grantee']}") == [[one]]
    assert pages(admin, f"/v1/grants?number={one['number']}") == [[one]]
    assert pages(admin, "/v1/grants?kind=dealership&status=active") == [[]]
    assert pages(admin, "/v1/grants?kind=dealership&status=submitted&limit=2") == [
        grants[:2],
        grants[2:],
    ]
    (named,) = pages(admin, "/v1/customers?title=茶庄 N-3")
    assert [row["number"] for row in named] == ["N-3"]
    (staff,) = pages(admin, "/v1/staff?role=approver&active=true")
    assert {row["number"] for row in staff} == {"approver", "second"}
    (policies,) = pages(admin, "/v1/policies?kind=dealership")
    assert len(policies) == 1
    for query in ("limit=0", "limit=1001", "limit=x", "colour=red", "grantee=robot"):
        answer = admin.get(f"/v1/grants?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid"), query


def test_a_cursor_belongs_to_its_filter(dealers: Trade) -> None:
    cursor = dealers["admin"].get("/v1/grants?limit=1").json()["next_cursor"]
    for path in ("/v1/grants?status=submitted", "/v1/customers", "/v1/policies"):
        joint = "&" if "?" in path else "?"
        answer = dealers["admin"].get(f"{path}{joint}cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor.malformed"), path


def test_a_list_comes_as_csv_and_the_export_is_logged(dealers: Trade) -> None:
    answer = dealers["admin"].get("/v1/customers.csv?title=茶庄 N-&limit=2")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbfcustomer_id,number,")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["number"] for row in rows] == [f"N-{number}" for number in range(7)]
    assert rows[0]["title"] == "茶庄 N-0"
    with psycopg.connect(dealers.house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (dealers.tenant,))
        row = conn.execute(
            "SELECT operation, party FROM access_log WHERE kind = 'export'"
        ).fetchone()
    assert row == ("customer.list_csv", dealers["admin"].party.ref)


@pytest.mark.parametrize("sign", "=+-@\uff1d\uff0b\uff0d\uff20")
def test_a_cell_is_never_a_formula(dealers: Trade, sign: str) -> None:
    """Full-width signs begin one too, where people type them."""
    number = f"F-{ord(sign)}"
    dealers.customer(number, title=f"{sign}1+1")
    dealers.house.follow()
    text = dealers["admin"].get(f"/v1/customers.csv?number={number}").content.decode()
    assert f",'{sign}1+1," in text


def test_a_list_waits_for_a_position(dealers: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = dealers.customer("W-1")
    body = {"grade": "A"}
    position = dealers["verifier"].done(f"/v1/customers/{customer}/grade", body)["position"]
    short = dealers.house.settings.model_copy(update={"wait_seconds": 0.1})
    monkeypatch.setattr(dealers.house.services, "settings", short)
    path = f"/v1/customers?number=W-1&at_least={position}"
    answer = dealers["admin"].get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "position.not_reached")
    dealers.house.follow()
    answer = dealers["admin"].get(path)
    assert answer.json()["items"][0]["grade"] == "A"
    assert int(answer.headers["position"]) >= position


def test_a_list_shows_the_status_by_the_clock(dealers: Trade) -> None:
    customer = dealers.customer("T-1")
    ends_at = datetime.now(UTC) + timedelta(seconds=1.5)
    policy = {"kind": "visit", "starts": "fixed", "agreement": None, "verification": None}
    dealers.policy(**(POLICY | policy | {"no_approval_needed": True, "stages": []}))
    term = {"starts_at": "2020-01-01T00:00:00Z", "ends_at": ends_at.isoformat()}
    answer = dealers["requester"].post(
        "/v1/grants",
        {
            "grantee": f"customer:{customer}",
            "kind": "visit",
            "actions": ["sell"],
            "scope": {"territory": ["CN"], "product": ["tea"]},
            "term": {**term, "starts_at": datetime.now(UTC).isoformat()},
        },
    )
    assert answer.status_code == 201, answer.text
    dealers.house.follow()
    path = f"/v1/grants?grantee=customer:{customer}"
    assert dealers["admin"].get(path).json()["items"][0]["status"] == "active"
    time.sleep(max(0.0, (ends_at - datetime.now(UTC)).total_seconds()) + 0.05)
    assert dealers["admin"].get(path).json()["items"][0]["status"] == "expired"


def test_points_of_the_catalogue_are_listed(dealers: Trade) -> None:
    shown = dealers["requester"].get("/v1/catalogue").json()
    assert shown["state"]["dimensions"]["territory"]["points"] == 4
    small = pages(dealers["requester"], "/v1/catalogue/points?dimension=territory&limit=3")
    paths = [row["path"] for one in small for row in one]
    assert paths == ["CN", "CN/31", "CN/31/0115", "CN/32"]
    (under,) = pages(dealers["admin"], "/v1/catalogue/points?dimension=territory&under=CN/31")
    assert [row["path"] for row in under] == ["CN/31", "CN/31/0115"]
    answer = dealers["admin"].get("/v1/catalogue/points?dimension=colour")
    assert (answer.status_code, answer.json()["code"]) == (422, "catalogue.dimension_unknown")


def test_duties_kept_apart_show_no_breach(dealers: Trade) -> None:
    auditor = dealers["compliance"]
    assert pages(auditor, "/v1/compliance/duties") == [[]]
    totals = auditor.get("/v1/compliance/duties/totals").json()
    assert totals == {
        "cases": 0,
        "pairs": {"requested_checked": 0, "requested_approved": 0, "checked_approved": 0},
    }
    answer = auditor.get("/v1/compliance/duties?pair=all")
    assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid")


def test_read_models_say_how_far_they_are(dealers: Trade) -> None:
    dealers.house.follow()
    found = {
        one["projection"]: one for one in dealers["admin"].get("/v1/projections").json()["items"]
    }
    assert {"permissions", "standings", "points", "grants", "customers", "hands"} <= found.keys()
    assert all(one["behind"] == 0 for one in found.values())
    dealers["admin"].done("/v1/persons", {})
    found = {
        one["projection"]: one for one in dealers["admin"].get("/v1/projections").json()["items"]
    }
    assert found["grants"]["behind"] == 1
    assert found["permissions"]["behind"] == 0


def gauges(house: House) -> dict[str, float]:
    """What differs and is in quarantine, of all tenants: those of other tests, too."""
    assert house.send("GET", "/readyz").status_code == 200
    text = house.send("GET", "/metrics").text
    found = re.findall(r"^counterseal_(differences|quarantined_streams) (\S+)$", text, re.MULTILINE)
    return {name: float(count) for name, count in found}


def test_read_models_say_what_was_verified_what_differs_and_what_is_in_quarantine(
    house: House, dealers: Trade
) -> None:
    house.follow()
    verifier = Verifier(house.database.projector, turn=5_000, rest=3_600)

    def verified() -> dict[str, Any]:
        while verifier.step().worked:
            pass
        answer: dict[str, Any] = dealers["admin"].get("/v1/projections").json()
        return answer

    sound = verified()
    assert {one["verified"] - one["head"] for one in sound["items"]} == {0}
    assert (sound["quarantined"]["count"], sound["differences"]["count"]) == (0, 0)
    assert sound["swept_at"] is not None
    before = gauges(house)
    with superuser(house.database) as conn:
        conn.execute(
            "UPDATE points SET names = '{}' WHERE ctid = (SELECT ctid FROM points"
            " WHERE dimension = 'territory' AND tenant_id = %s LIMIT 1)",
            (dealers.tenant,),
        )
        conn.execute("UPDATE sweeps SET swept_at = NULL")
    found = verified()
    verifier.close()
    differing, held = found["differences"], found["quarantined"]
    assert differing["count"] == sum(one["differences"] for one in found["items"]) > 0
    assert [(one["relation"], one["columns"]) for one in differing["rows"]] == [
        ("points", ["names"])
    ]
    assert [(one["stream_id"], one["code"]) for one in held["streams"]] == [
        (dealers.tenant, "table.differs")
    ]
    more = {name: count - before[name] for name, count in gauges(house).items()}
    assert more == {"differences": differing["count"], "quarantined_streams": held["count"]}
    for one in held["streams"]:
        heal(house.database.migrator, dealers.tenant, one["stream_id"])
    assert dealers["admin"].get("/v1/projections").json()["differences"]["count"] == 0


def test_the_service_says_whether_it_can_serve(
    house: House, dealers: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house.send("GET", "/livez").json() == {"status": "live"}
    house.follow()
    ready = house.send("GET", "/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["lag"]["grants"] == 0
    text = house.send("GET", "/metrics").text
    assert 'counterseal_requests_total{operation="grant.request",status="201"}' in text
    assert 'counterseal_projection_lag{projection="grants"} 0.0' in text

    def down(*_: object) -> None:
        raise psycopg.OperationalError("down")

    monkeypatch.setattr(house.services.ledgers.datastore.pool, "connection", down)
    assert house.send("GET", "/livez").status_code == 200
    answer = house.send("GET", "/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not_ready"
    refused = dealers["admin"].get("/v1/projections")
    assert (refused.status_code, refused.json()["code"]) in {
        (503, "database.unreachable"),
        (503, "ledger.unreachable"),
    }


def test_reading_needs_its_own_scope(dealers: Trade) -> None:
    auditor = dealers.service("auditor", "audit:read")
    for path in (
        "/v1/grants",
        "/v1/customers",
        "/v1/staff",
        "/v1/policies",
        "/v1/catalogue",
        "/v1/compliance/duties",
        "/v1/projections",
    ):
        assert auditor.get(path).status_code == 200, path
    writes = auditor.post(f"/v1/staff/{dealers.staff['second']}/deactivation", BECAUSE)
    assert (writes.status_code, writes.json()["code"]) == (403, "scope_of_key.missing")


@pytest.mark.parametrize("instant", ["0.5", "1e9", "-1", " 17", "\u0661"])
def test_a_number_is_no_instant(trade: Trade, instant: str) -> None:
    answer = trade["admin"].get(f"/v1/compliance/ending?instant={instant}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/instant"


@pytest.mark.parametrize("path", ["/v1/grants", "/v1/customers", "/v1/policies", "/v1/grants.csv"])
def test_a_state_that_there_is_none_of_is_refused_and_not_an_empty_list(
    trade: Trade, path: str
) -> None:
    answer = trade["admin"].get(f"{path}?status=activ")
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/status"
