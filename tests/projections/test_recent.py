"""The bounded store of what was used recently."""

from __future__ import annotations

from projections.recent import Recent


def test_it_holds_no_more_than_its_limit_and_at_least_half_of_it() -> None:
    store: Recent[int] = Recent(10)
    for number in range(100):
        store.put(str(number), number)
        assert len(store) <= 10
        recent = range(max(0, number - 4), number + 1)
        assert all(store.get(str(one)) == one for one in recent)


def test_what_is_asked_for_stays_and_what_is_not_goes() -> None:
    store: Recent[int] = Recent(4)
    store.put("kept", 1)
    for number in range(50):
        store.put(str(number), number)
        assert store.get("kept") == 1
    assert store.get("0") is None


def test_what_is_dropped_is_gone_wherever_it_lay() -> None:
    store: Recent[int] = Recent(4)
    for number in range(4):
        store.put(str(number), number)
    store.drop("0")
    store.drop("3")
    assert (store.get("0"), store.get("3"), store.get("2")) == (None, None, 2)
    store.clear()
    assert len(store) == 0


def test_a_value_put_again_is_the_new_one() -> None:
    store: Recent[int] = Recent(2)
    store.put("a", 1)
    store.put("b", 2)
    store.put("a", 3)
    assert store.get("a") == 3
    assert len(store) <= 2
