"""What a grant holds and is asked to hold, from which instant on, and what goes beyond that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from domain.grant_states import Case, Effect, Grant, Hold
from domain.holdings import Holding, Step, holdings, wider
from domain.values import PolicyRef, Term, Terms
from tests.domain.grant_world import DAY, T0, terms

REF = PolicyRef("dealership", 1)
NEWER = PolicyRef("dealership", 2)
NOW = T0 + 10 * DAY
USUAL = terms(term=Term(T0, T0 + 100 * DAY))


def day(number: int) -> datetime:
    return T0 + number * DAY


def grant(status: Any = "active", **changes: Any) -> Grant:
    """A grant from T0 until day 100, in effect unless said otherwise."""
    effective = status in ("scheduled", "active", "suspended")
    effects = (Effect(T0, day(100), USUAL, REF),) if effective else ()
    usual = Grant(status, "G", "customer:shop", "c", USUAL, REF, effects=effects)
    return replace(usual, **changes)


def spans(of: Grant, at: datetime = NOW) -> list[tuple[Step, int, datetime, datetime | None]]:
    return [(one.step, one.terms.number, one.starts_at, one.ends_at) for one in holdings(of, at)]


# --- what it holds --------------------------------------------------------------------------------


def test_nothing_is_held_before_there_is_a_grant() -> None:
    assert holdings(None, NOW) == ()


def test_what_is_in_effect_is_held_from_now_on() -> None:
    (one,) = holdings(grant(), NOW)
    assert one == Holding("effective", USUAL, REF, NOW, day(100), day(100))
    assert spans(grant(), day(-5)) == [("effective", 1, T0, day(100))]


def test_a_hold_takes_nothing_away() -> None:
    held = grant("suspended", holds=(Hold("h", day(1), frozenset()),))
    assert spans(held) == [("effective", 1, NOW, day(100))]


def test_a_revocation_cuts_it_from_its_instant_on() -> None:
    assert spans(grant(revoked_from=day(20))) == [("effective", 1, NOW, day(20))]
    assert spans(grant(revoked_from=day(200))) == [("effective", 1, NOW, day(100))]
    assert spans(grant(revoked_from=NOW)) == []


def test_later_terms_go_before_earlier_ones_and_those_that_are_over_are_left_out() -> None:
    second, third = replace(USUAL, number=2), replace(USUAL, number=3)
    effects = (
        Effect(T0, day(100), USUAL, REF),
        Effect(day(5), day(100), second, NEWER),
        Effect(day(40), day(90), third, NEWER),
    )
    changed = grant(effects=effects)
    assert spans(changed) == [
        ("effective", 2, NOW, day(40)),
        ("effective", 3, day(40), day(90)),
    ]
    assert [one.policy for one in holdings(changed, NOW)] == [NEWER, NEWER]


@pytest.mark.parametrize(
    "status",
    ["rejected", "withdrawn", "lapsed", "expired", "revoked", "superseded", "entered_in_error"],
)
def test_what_has_ended_holds_nothing(status: str) -> None:
    assert holdings(grant(effects=grant().effects, status=status), NOW) == ()


# --- what it is asked to hold ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["submitted", "information_requested", "verifying", "pending_approval"]
)
def test_what_is_asked_for_is_sought_as_if_it_took_effect_now(status: str) -> None:
    assert spans(grant(status)) == [("sought", 1, NOW, day(100))]
    assert spans(grant(status), day(-5)) == [("sought", 1, T0, day(100))]
    assert spans(grant(status, lapses_at=NOW)) == []


def test_what_is_approved_is_held_until_its_time_to_sign_is_over() -> None:
    assert spans(grant("approved", lapses_at=day(11))) == [("approved", 1, NOW, day(100))]
    assert spans(grant("approved", lapses_at=day(11)), day(11)) == []


@pytest.mark.parametrize(
    ("status", "lapses_at", "latest"),
    [
        ("pending_approval", day(14), day(40)),
        ("approved", day(14), day(44)),
        ("approved", None, day(40)),
    ],
)
def test_a_term_of_days_is_counted_from_now_and_at_the_latest_from_the_last_signature(
    status: str, lapses_at: datetime | None, latest: datetime
) -> None:
    days = replace(USUAL, term=Term(days=30))
    (one,) = holdings(grant(status, terms=days, lapses_at=lapses_at), NOW)
    assert (one.starts_at, one.ends_at, one.latest) == (NOW, day(40), latest)


# --- renewals and amendments ----------------------------------------------------------------------


def with_case(of: Grant, kind: Any, status: Any = "pending_approval", **changes: Any) -> Grant:
    asked: Terms = replace(USUAL, number=2, term=changes.pop("term", Term(ends_at=day(200))))
    return replace(of, open_case=Case("x", kind, status, asked, NEWER, **changes))


def test_a_renewal_is_sought_from_the_end_agreed_on_before() -> None:
    renewed = with_case(grant(), "renewal")
    assert spans(renewed)[1:] == [("sought", 2, day(100), day(200))]
    assert holdings(renewed, NOW)[1].policy == NEWER
    after_the_end = replace(renewed, status="expired")
    assert spans(after_the_end, day(110)) == [("sought", 2, day(110), day(200))]


def test_a_renewal_taken_over_of_what_has_no_end_is_sought_from_now_on() -> None:
    """Only imported history has such a case; every command on the grant meets it, a revocation
    too."""
    unending = grant(effects=(Effect(T0, None, USUAL, REF),))
    assert spans(with_case(unending, "renewal"))[1:] == [("sought", 2, NOW, day(200))]


def test_a_renewal_of_days_to_be_signed_early_counts_from_that_end_too() -> None:
    days = with_case(grant(), "renewal", "approved", term=Term(days=30), lapses_at=day(14))
    one = holdings(days, NOW)[1]
    assert (one.step, one.starts_at, one.ends_at) == ("approved", day(100), day(130))
    assert one.latest == day(130)
    signed_late = with_case(grant(), "renewal", "approved", term=Term(days=30), lapses_at=day(120))
    late = holdings(signed_late, NOW)[1]
    assert (late.ends_at, late.latest) == (day(130), day(150))


def test_an_amendment_is_sought_from_its_instant_on() -> None:
    assert spans(with_case(grant(), "amendment"))[1] == ("sought", 2, NOW, day(200))
    later = with_case(grant(), "amendment", effective_at=day(20))
    assert spans(later)[1] == ("sought", 2, day(20), day(200))
    scheduled = grant(effects=(Effect(day(30), day(100), USUAL, REF),))
    assert spans(with_case(scheduled, "amendment"))[1] == ("sought", 2, day(30), day(200))
    before = with_case(scheduled, "amendment", effective_at=day(20))
    assert spans(before)[1] == ("sought", 2, day(30), day(200))


def test_an_approved_case_is_held_as_an_approved_request_is() -> None:
    approved = with_case(grant(), "amendment", "approved", lapses_at=day(11))
    assert spans(approved)[1] == ("approved", 2, NOW, day(200))
    assert len(spans(approved, day(11))) == 1


def test_an_amendment_of_what_has_no_end_has_none() -> None:
    endless = grant(effects=(Effect(T0, None, USUAL, REF),))
    assert spans(with_case(endless, "amendment", term=Term()))[1] == ("sought", 2, NOW, None)


# --- what goes beyond -----------------------------------------------------------------------------

HELD = Holding("effective", USUAL, REF, NOW, day(50), day(50))


@pytest.mark.parametrize(
    ("new", "beyond"),
    [
        (HELD, False),
        (replace(HELD, starts_at=day(11), ends_at=day(49)), False),
        (replace(HELD, starts_at=day(9)), True),
        (replace(HELD, ends_at=day(51)), True),
        (replace(HELD, ends_at=None), True),
        (replace(HELD, terms=terms(actions=("advertise", "sell"))), True),
        (replace(HELD, terms=terms(actions=("advertise",))), True),
        (replace(HELD, terms=terms(pass_on=1)), True),
        (replace(HELD, terms=terms(scope={"product": ("tea",), "territory": ("CN",)})), True),
        (
            replace(HELD, terms=terms(scope={"product": ("tea",), "territory": ("CN/31/0115",)})),
            False,
        ),
    ],
)
def test_only_what_is_wider_in_something_goes_beyond(new: Holding, beyond: bool) -> None:
    for signed in (False, True):
        assert wider((HELD,), (new,), signed=signed) == ((new,) if beyond else ())


def test_what_was_without_end_is_not_gone_beyond_in_time() -> None:
    assert wider((replace(HELD, ends_at=None),), (HELD,), signed=True) == ()


def test_two_together_do_not_give_what_neither_gives() -> None:
    first, second = replace(HELD, ends_at=day(20)), replace(HELD, starts_at=day(20))
    assert wider((first, second), (HELD,), signed=False) == (HELD,)


@pytest.mark.parametrize(
    ("old", "new", "beyond", "beyond_signed"),
    [
        ("sought", "approved", True, True),
        ("sought", "effective", True, True),
        ("approved", "effective", False, True),
        ("effective", "approved", False, False),
        ("approved", "sought", False, False),
        ("effective", "sought", False, False),
    ],
)
def test_what_is_firmer_goes_beyond(
    old: Step, new: Step, beyond: bool, beyond_signed: bool
) -> None:
    before, after = (replace(HELD, step=old),), (replace(HELD, step=new),)
    assert (wider(before, after, signed=False) != ()) is beyond
    assert (wider(before, after, signed=True) != ()) is beyond_signed
