"""One grant from request to revocation, over HTTP."""

from tests.support.trade import BECAUSE, Trade


def test_a_grant_goes_from_request_to_revocation_and_every_check_follow(trade: Trade) -> None:
    customer = trade.customer("way")
    assert not trade.may(customer)
    signed = trade.active(customer)
    grant = signed["id"]
    assert trade.may(customer, since=signed["position"])
    assert not trade.may(customer, "CN/32")
    compliance = trade["compliance"]
    held = compliance.done(f"/v1/grants/{grant}/suspension", BECAUSE)
    assert held["state"]["status"] == "suspended"
    assert not trade.may(customer)
    hold = held["events"][0]["fields"]["hold"]
    resumed = compliance.done(f"/v1/grants/{grant}/resumption", {"hold": hold} | BECAUSE)
    assert resumed["state"]["status"] == "active"
    assert trade.may(customer, since=resumed["position"])
    revoked = compliance.done(f"/v1/grants/{grant}/revocation", BECAUSE)
    assert revoked["state"]["status"] == "revoked"
    assert not trade.may(customer)
    why = trade.checker.ask(
        "/v1/checks",
        {
            "subject": f"customer:{customer}",
            "action": "sell",
            "resource": {
                "type": "territory",
                "id": "CN/31/0115",
                "properties": {"product": "tea/green"},
            },
        },
    ).json()
    assert why["decision"] is False
    assert why["explanation"]["code"] == "check.revoked"
    assert why["explanation"]["grant"] == grant
