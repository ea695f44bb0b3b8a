"""Facts are taken over as they are, and nothing else gets past the verbs that way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.commands.imports import IMPORTER, MAX_EVENTS, Facts, RecordImported
from domain.duties import OPERATOR
from domain.errors import Refused
from domain.events import Event
from domain.events.catalogue import DimensionDeclared, PointAdded, PointRenamed
from domain.events.grant import GrantApproved, GrantNoted
from domain.values import TIMEKEEPER, Imported, Names, Party, Term, Terms
from domain.view import Circumstances, Claim, Loaded, View
from tests.support.ledger import clock

NOW = clock()
FACT = Imported("old-system", 1)
TENANT = "018f0000-0000-7000-8000-000000000001"
GRANT = "018f0000-0000-7000-8000-000000000002"
NAMES = Names("一", "one")


def noted(**more: Any) -> GrantNoted:
    given: dict[str, Any] = {"at": NOW - timedelta(days=9), "by": IMPORTER, "imported": FACT}
    return GrantNoted(**(given | more), label="step")


def decided(*facts: Facts, by: Party = IMPORTER, there: dict[str, Loaded] | None = None) -> View:
    known = there or {}
    view = View(
        lambda kind, stream_id: known.get(stream_id, Loaded(0, None)),
        Circumstances(TENANT, NOW, "018f0000-0000-7000-8000-00000000000c", by),
    )
    RecordImported(facts=facts).decide(view)
    return view


def refused(code: str, *facts: Facts, **more: Any) -> None:
    with pytest.raises(Refused) as found:
        decided(*facts, **more)
    assert found.value.code == code


def of_grant(*events: Event, **more: Any) -> Facts:
    return Facts("grant", GRANT, events, **more)


def test_facts_are_recorded_as_they_are_and_claim_what_they_claim() -> None:
    claim = Claim("grant_number", b"x", GRANT)
    event = noted()
    view = decided(of_grant(event, claims=(claim,)))
    assert [new.event for new in view.events] == [event]
    assert view.claims == [claim]
    assert view.reads == {GRANT: 0}


@pytest.mark.parametrize("party", [OPERATOR, TIMEKEEPER, Party("service:shop"), Party("staff:x")])
def test_only_the_importer_gets_past_the_verbs(party: Party) -> None:
    refused("import.not_importer", of_grant(noted()), by=party)


def test_an_event_that_does_not_say_where_it_comes_from_is_refused() -> None:
    terms = Terms("small", ("sell",), {"place": ("CN",)}, Term())
    forged = GrantApproved(at=NOW - timedelta(days=1), by=IMPORTER, terms=terms)
    refused("import.not_a_fact", of_grant(noted(), forged))


def test_what_is_yet_to_come_is_no_history() -> None:
    decided(of_grant(noted(at=NOW)))
    refused("import.not_yet", of_grant(noted(at=NOW + timedelta(microseconds=1))))


def test_a_history_that_is_there_gets_nothing_added() -> None:
    there = {GRANT: Loaded(3, None)}
    refused("import.stream_exists", of_grant(noted()), there=there)
    view = decided(of_grant(noted(), if_absent=True), there=there)
    assert view.events == []
    assert view.reads == {GRANT: 3}


def test_one_command_takes_a_bounded_number_of_events() -> None:
    refused("import.too_many_events", of_grant(*[noted()] * (MAX_EVENTS + 1)))


def test_a_catalogue_gets_only_what_it_lacks_and_keeps_its_own_names() -> None:
    given: dict[str, Any] = {"at": NOW - timedelta(days=9), "by": IMPORTER, "imported": FACT}

    def declared(names: Names) -> DimensionDeclared:
        return DimensionDeclared(**given, dimension="place", names=names)

    def point(path: str) -> PointAdded:
        return PointAdded(**given, dimension="place", path=path, names=NAMES)

    first = decided(Facts("catalogue", TENANT, (declared(NAMES), point("CN")), if_absent=True))
    assert len(first.events) == 2
    there = {TENANT: Loaded(2, first.look("catalogue", TENANT).state)}
    facts = (declared(Names("二", "two")), point("CN"), point("DE"))
    second = decided(Facts("catalogue", TENANT, facts, if_absent=True), there=there)
    assert [new.event for new in second.events] == [point("DE")]

    renamed = PointRenamed(**given, dimension="place", path="CN", names=NAMES)
    refused("import.not_a_fact", Facts("catalogue", TENANT, (renamed,)), there=there)
