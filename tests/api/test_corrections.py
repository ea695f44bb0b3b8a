"""A corrected identifier over HTTP: taken when accepted, and what it replaces is free again."""

import random
from typing import Any

from tests.support.ledger import new_id
from tests.support.register_files import card_number, credit_code
from tests.support.trade import Trade

DRAWN = random.Random(7)
PERSON = {"form": "person", "title": None, "full_name": "Example"}


def register(trade: Trade, **fields: Any) -> str:
    """Register a customer; return its id, or the code of the refusal."""
    body = {"number": new_id(), "form": "organization", "title": "茶"} | fields
    answer = trade["requester"].post("/v1/customers", body)
    return answer.json()["id"] if answer.status_code == 201 else answer.json()["code"]


def propose(trade: Trade, customer: str, **fields: str) -> str:
    """Propose a correction; return its id, or the code of the refusal."""
    answer = trade["requester"].post(f"/v1/customers/{customer}/corrections", fields)
    if answer.status_code not in (200, 201):
        return answer.json()["code"]
    return answer.json()["events"][0]["fields"]["correction"]


def decide(trade: Trade, customer: str, correction: str, how: str) -> tuple[int, str]:
    path = f"/v1/customers/{customer}/corrections/{correction}/{how}"
    answer = trade["verifier"].post(path, {"reason": {"code": "looked_at"}})
    return answer.status_code, answer.json().get("code", "")


def test_what_was_wrong_is_free_for_its_owner_once_the_correction_is_accepted(
    trade: Trade,
) -> None:
    wrong, right = credit_code(DRAWN), credit_code(DRAWN)
    customer = register(trade, uscc=wrong)
    correction = propose(trade, customer, uscc=right)
    assert register(trade, uscc=wrong) == "claim.taken"
    assert decide(trade, customer, correction, "acceptance") == (200, "")
    assert register(trade, uscc=right) == "claim.taken"
    owner = register(trade, uscc=wrong)
    assert propose(trade, owner, uscc=right) == "claim.taken"
    assert decide(trade, customer, correction, "acceptance") == (200, "")


def test_what_was_only_proposed_is_nobodys(trade: Trade) -> None:
    own, right = credit_code(DRAWN), credit_code(DRAWN)
    customer = register(trade, uscc=own)
    first, second = (propose(trade, customer, uscc=right) for _ in range(2))
    assert decide(trade, customer, first, "rejection") == (200, "")
    assert len(register(trade, uscc=right)) == 36
    assert decide(trade, customer, second, "acceptance") == (409, "claim.taken")
    assert decide(trade, customer, second, "rejection") == (200, "")
    assert register(trade, uscc=own) == "claim.taken"


def test_the_number_of_a_persons_card_is_sealed_and_given_back_all_the_same(trade: Trade) -> None:
    wrong, right = card_number(DRAWN), card_number(DRAWN)
    customer = register(trade, **PERSON, identity_number=wrong)
    correction = propose(trade, customer, identity_number=right.lower())
    assert decide(trade, customer, correction, "acceptance") == (200, "")
    assert register(trade, **PERSON, identity_number=right) == "claim.taken"
    assert len(register(trade, **PERSON, identity_number=wrong)) == 36


def test_a_correction_of_a_title_leaves_the_identifiers_where_they_are(trade: Trade) -> None:
    own = credit_code(DRAWN)
    customer = register(trade, uscc=own)
    correction = propose(trade, customer, title="新茶")
    assert decide(trade, customer, correction, "acceptance") == (200, "")
    assert register(trade, uscc=own) == "claim.taken"


def test_an_unknown_customer_or_correction_is_told_as_before(trade: Trade) -> None:
    customer, nobody = register(trade), "01900000-0000-7000-8000-000000000000"
    assert decide(trade, customer, nobody, "acceptance") == (404, "correction.unknown")
    assert decide(trade, nobody, nobody, "acceptance") == (404, "customer.unknown")


def test_what_does_not_open_any_more_is_told_after_key_role_and_what_is_done_already(
    trade: Trade,
) -> None:
    customer = register(trade, **PERSON, identity_number=card_number(DRAWN))
    done, open_ = (propose(trade, customer, identity_number=card_number(DRAWN)) for _ in range(2))
    path = f"/v1/customers/{customer}/corrections"
    first = trade["verifier"].post(f"{path}/{done}/acceptance", key=done)
    trade.house.services.keys.destroy(trade.tenant, customer)
    again = trade["verifier"].post(f"{path}/{done}/acceptance", key=done)
    assert (again.status_code, again.json()) == (200, first.json())
    assert trade["verifier"].post(f"{path}/{done}/acceptance").status_code == 200
    told = {
        who: trade[who].post(f"{path}/{open_}/acceptance").json()["code"]
        for who in ("approver", "verifier")
    }
    assert told == {"approver": "role.missing", "verifier": "sealed.key_gone"}
