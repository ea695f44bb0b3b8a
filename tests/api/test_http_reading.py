"""Reading records and their history: pages, masks, purposes, and positions waited for."""

import psycopg
import pytest

from api.access_log import AccessLog
from tests.support.doors import ALL, Caller
from tests.support.trade import BECAUSE, Trade


@pytest.fixture(scope="module")
def reader(trade: Trade) -> Caller:
    """A staff member who may read personal data."""
    party = trade["compliance"].party
    return Caller(trade.house, trade.tenant, party, ALL | {"personal:read"})


def test_one_record_is_shown_as_it_is_now(trade: Trade) -> None:
    customer = trade.customer("shown")
    answer = trade["admin"].get(f"/v1/customers/{customer}")
    assert answer.status_code == 200
    assert answer.json()["id"] == customer
    assert answer.json()["state"]["status"] == "confirmed"
    assert answer.headers["etag"] == f'"v{answer.json()["version"]}"'
    assert int(answer.headers["position"]) > 0


def test_a_record_of_another_kind_is_unknown(trade: Trade) -> None:
    customer = trade.customer("kinds")
    for path in ("grants", "persons", "staff", "policies"):
        answer = trade["admin"].get(f"/v1/{path}/{customer}")
        assert answer.status_code == 404, path
        assert trade["admin"].get(f"/v1/{path}/{customer}/events").status_code == 404, path


def test_a_grant_shows_what_is_to_be_signed_only_when_it_is(trade: Trade) -> None:
    pending = trade.pending(trade.customer("to-sign"))
    path = f"/v1/grants/{pending['id']}"
    assert trade["admin"].get(path).json()["agreement"] is None
    seen = f'"v{pending["version"]}"'
    trade["approver"].done(f"{path}/approvals", {"stage": "first"}, if_match=seen)
    agreement = trade["admin"].get(path).json()["agreement"]
    assert agreement["signers"] == ["tenant"]
    assert len(agreement["digest"]) == 64


def test_history_comes_in_pages_that_fit_together(trade: Trade) -> None:
    customer = trade.customer("pages")
    for grade in "ABCDE":
        trade["verifier"].done(f"/v1/customers/{customer}/grade", {"grade": grade})
    path = f"/v1/customers/{customer}/events"
    whole = trade["admin"].get(path).json()
    assert whole["next_cursor"] is None
    found = []
    following: str | None = f"{path}?limit=3"
    pages = 0
    while following is not None:
        answer = trade["admin"].get(following)
        found += answer.json()["items"]
        pages += 1
        link = answer.headers.get("link")
        following = None if link is None else link.split(">")[0].removeprefix("<")
    assert pages == 3
    assert found == whole["items"]
    assert [one["version"] for one in found] == list(range(1, 9))


def test_a_cursor_belongs_to_its_list(trade: Trade) -> None:
    one, other = trade.customer("cursor-1"), trade.customer("cursor-2")
    cursor = trade["admin"].get(f"/v1/customers/{one}/events?limit=1").json()["next_cursor"]
    person = trade.people["admin"]
    for path in (f"/v1/persons/{person}/events", f"/v1/staff/{trade.staff['admin']}/events"):
        answer = trade["admin"].get(f"{path}?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor.malformed")
    for wrong in ("x", "", cursor + "A", "e30", "W10"):
        answer = trade["admin"].get(f"/v1/customers/{other}/events?cursor={wrong}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor.malformed")


@pytest.mark.parametrize(
    "name", ["as_of=3", "at=2026-01-01T00:00:00Z", "happened=2026-01-01T00:00:00Z"]
)
def test_where_the_past_means_nothing_it_is_refused(trade: Trade, name: str) -> None:
    answer = trade["admin"].get(f"/v1/projections?{name}")
    assert (answer.status_code, answer.json()["code"]) == (422, "as_of.unavailable")
    assert answer.json()["params"]["parameter"] == name.partition("=")[0]


def test_a_read_waits_for_a_position_and_says_how_far_it_got(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/persons/{trade.people['admin']}"
    here = int(trade["admin"].get(path).headers["position"])
    assert trade["admin"].get(f"{path}?at_least={here}").status_code == 200
    short = trade.house.settings.model_copy(update={"wait_seconds": 0.1})
    monkeypatch.setattr(trade.house.services, "settings", short)
    answer = trade["admin"].get(f"{path}?at_least={here + 1000}")
    assert (answer.status_code, answer.json()["code"]) == (503, "position.not_reached")
    assert answer.json()["params"]["reached"] >= here
    assert answer.headers["retry-after"] == "1"


def personal(trade: Trade, number: str) -> str:
    body = {
        "number": number,
        "form": "person",
        "full_name": "Wang Example",
        "contact": {"phone": "021-62345678"},
        "reason": {"text": "Came to the shop."},
    }
    return trade["requester"].done("/v1/customers", body)["id"]


def test_texts_are_shown_for_a_purpose_and_the_look_is_logged_first(
    trade: Trade, reader: Caller
) -> None:
    customer = personal(trade, "open-1")
    for path in (f"/v1/customers/{customer}", f"/v1/customers/{customer}/events"):
        assert "Wang" not in reader.get(path).text
        shown = reader.get(path, counterseal_purpose="dispute")
        assert shown.status_code == 200
        assert "Wang Example" in shown.text
        assert "+862162345678" in shown.text
    assert "Came to the shop." in shown.text
    with psycopg.connect(trade.house.database.auditor) as conn:
        conn.execute("SELECT set_config('counterseal.tenant', %s, true)", (trade.tenant,))
        rows = conn.execute(
            "SELECT operation, purpose, party FROM access_log WHERE stream_id = %s"
            " AND kind = 'unmasked_read' ORDER BY entry_id",
            (customer,),
        ).fetchall()
    party = reader.party.ref
    assert rows == [("customer.get", "dispute", party), ("customer.events", "dispute", party)]


def test_a_purpose_alone_opens_nothing(trade: Trade, reader: Caller) -> None:
    customer = personal(trade, "open-2")
    path = f"/v1/customers/{customer}"
    answer = trade["requester"].get(path, counterseal_purpose="dispute")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_of_key.missing")
    answer = reader.get(path, counterseal_purpose="Not A Code")
    assert (answer.status_code, answer.json()["code"]) == (400, "purpose.malformed")


def test_nothing_is_shown_unmasked_when_the_log_cannot_be_written(
    trade: Trade, reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = personal(trade, "open-3")

    def down(*_: object) -> None:
        raise psycopg.OperationalError("down")

    monkeypatch.setattr(AccessLog, "_write", down)
    path = f"/v1/customers/{customer}"
    answer = reader.get(path, counterseal_purpose="dispute")
    assert (answer.status_code, answer.json()["code"]) == (503, "access_log.unreachable")
    assert "Wang" not in answer.text
    assert reader.get(path).status_code == 200
    refused = trade["requester"].post(f"/v1/customers/{customer}/block", BECAUSE)
    assert (refused.status_code, refused.json()["code"]) == (403, "role.missing")


def test_a_forgotten_subject_shows_as_erased(trade: Trade, reader: Caller) -> None:
    customer = personal(trade, "open-4")
    trade.house.services.keys.destroy(trade.tenant, customer)
    shown = reader.get(f"/v1/customers/{customer}", counterseal_purpose="dispute")
    assert shown.json()["state"]["full_name"] == {"sealed": True, "erased": True}
    note = {"kind": "licence", "channel": "online", "passed": True, "document": "x", "note": "n"}
    answer = trade["verifier"].post(f"/v1/customers/{customer}/identity-checks", note)
    assert (answer.status_code, answer.json()["code"]) == (410, "subject.erased")


PDF = b"%PDF-1.7\n" + b"evidence " * 40_000


def test_a_file_of_evidence_goes_in_sealed_and_comes_out_for_a_purpose(
    trade: Trade, reader: Caller
) -> None:
    customer = trade.customer("filed")
    path = f"/v1/evidence?subject=customer:{customer}"
    headers = trade["verifier"].headers | {"content-type": "application/pdf"}
    stored = trade.house.send("POST", path, headers=headers, content=PDF)
    assert stored.status_code == 201
    file = stored.json()
    assert file["size"] == len(PDF)
    given = {"kind": "contract", "file": file["file"]}
    checked = trade["verifier"].done(
        f"/v1/customers/{customer}/identity-checks",
        {"kind": "licence", "channel": "online", "passed": True, "evidence": [given]},
    )
    (evidence,) = checked["events"][0]["evidence"]
    assert evidence == given | {"sha256": file["sha256"], "size": len(PDF)}
    where = stored.headers["location"]
    blind = reader.get(where)
    assert (blind.status_code, blind.json()["code"]) == (403, "purpose.missing")
    shown = reader.get(where, counterseal_purpose="dispute")
    assert shown.status_code == 200
    assert shown.content == PDF
    assert shown.headers["content-type"] == "application/pdf"
    assert shown.headers["content-disposition"] == "attachment"
    lies = b"".join(
        one.read_bytes() for one in trade.house.settings.evidence_folder.rglob("*") if one.is_file()
    )
    assert b"evidence evidence" not in lies


def test_a_file_of_somebody_else_is_no_evidence(trade: Trade) -> None:
    one, other = trade.customer("file-1"), trade.customer("file-2")
    headers = trade["verifier"].headers | {"content-type": "application/pdf"}
    path = "/v1/evidence?subject=customer:"
    file = trade.house.send("POST", path + one, headers=headers, content=PDF).json()["file"]
    answer = trade["verifier"].post(
        f"/v1/customers/{other}/identity-checks",
        {
            "kind": "licence",
            "channel": "online",
            "passed": True,
            "evidence": [{"kind": "contract", "file": file}],
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "evidence.unknown")
    nobody = "01900000-0000-7000-8000-000000000000"
    unknown = trade.house.send("POST", path + nobody, headers=headers, content=PDF)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "customer.unknown")


def test_what_is_no_evidence_is_refused(trade: Trade) -> None:
    customer = trade.customer("no-file")

    def send(kind: str, content: bytes) -> tuple[int, str]:
        headers = trade["verifier"].headers | {"content-type": kind}
        path = f"/v1/evidence?subject=customer:{customer}"
        answer = trade.house.send("POST", path, headers=headers, content=content)
        return answer.status_code, answer.json()["code"]

    assert send("text/html", b"<p>") == (415, "evidence.type_not_allowed")
    assert send("application/pdf", b"MZ not a pdf") == (415, "evidence.type_not_allowed")
    assert send("application/pdf", b"") == (422, "evidence.empty")
    too_long = b"%PDF-1.7\n" + bytes(64 * 1024 * 1024)
    assert send("application/pdf", too_long)[0] == 413
