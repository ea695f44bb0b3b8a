"""A grant's page: read, asked and decided on, under the very rules of the API."""


from tests.support.screens import Person
from tests.support.trade import Trade


def test_an_approver_finds_the_work_and_approves_from_the_page(trade: Trade) -> None:
    customer = trade.customer("SG-1")
    grant = trade.pending(customer)
    trade.house.follow()
    person = Person(trade.house).sign_in(trade["approver"])
    work = person.open("/work")
    assert f"/grants/{grant['id']}" in work.links
    page = person.open(f"/grants/{grant['id']}")
    assert "approve" in page.acts()
    done = person.submit(page.form("approve"))
    assert done.status == 200, done.source
    assert "Done. This happened" in done.said
    assert trade["admin"].get(f"/v1/grants/{grant['id']}").json()["state"]["status"] == "approved"
