"""What the policies of `share` and `staff` must hold, and what is left of a value shown masked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st
from msgspec.structs import replace

from domain import kinds, masks
from domain.errors import Refused
from domain.events.policy import ActionRule, PolicyBody, ShareTemplate
from domain.kinds import FIELDS
from domain.policy_bodies import BodyFault, body_fault, require_complete
from domain.sharing import Share
from domain.values import Instant, Term, Terms
from tests.support.given import NAMES, NOW, policy_body

TEMPLATE = ShareTemplate(
    "after-sales",
    NAMES,
    {"title": "read", "contact.phone": "masked", "address": "edit", "grade": "none"},
    ("repair", "recall"),
    30,
)


def share(**changes: Any) -> PolicyBody:
    """A share's policy with one template."""
    whole: dict[str, Any] = {
        "kind": "share",
        "dimensions": ("customer",),
        "actions": (ActionRule("read", NAMES), ActionRule("edit", NAMES)),
        "templates": (TEMPLATE,),
    }
    return policy_body(**(whole | changes))


def template(**changes: Any) -> PolicyBody:
    return share(templates=(replace(TEMPLATE, **changes),))


def terms(**changes: Any) -> Terms:
    given: dict[str, Any] = {
        "kind": "share",
        "actions": ("read",),
        "scope": {"customer": ("c",)},
        "term": Term(days=30),
        "template": "after-sales",
        "purpose": "repair",
    }
    return Terms(**(given | changes))


def test_a_share_s_policy_names_its_templates_and_its_one_dimension_needs_no_declaration() -> None:
    assert body_fault(share()) is None
    require_complete(share(), declared=())
    staff = policy_body(kind="staff", dimensions=("customer", "manager"))
    require_complete(staff, declared=())


@pytest.mark.parametrize(
    ("body", "pointer", "problem"),
    [
        (share(templates=()), "/templates", "empty"),
        (share(dimensions=("customer", "territory")), "/dimensions", "customer_alone"),
        (share(actions=(ActionRule("sell", NAMES),)), "/actions/0", "read_or_edit"),
        (share(depth=1), "/depth", "out_of_range"),
        (share(templates=(TEMPLATE, TEMPLATE)), "/templates/1/id", "repeated"),
        (share(templates=(TEMPLATE,) * 51), "/templates", "too_many"),
        (template(id="a b"), "/templates/0/id", "space"),
        (template(names=replace(NAMES, en=" ")), "/templates/0/names", "empty"),
        (template(fields={"shoe_size": "read"}), "/templates/0/fields/shoe_size", "field_unknown"),
        (template(fields={"title": "edit"}), "/templates/0/fields/title", "field_not_editable"),
        (template(fields={"title": "none"}), "/templates/0/fields", "empty"),
        (template(fields={}), "/templates/0/fields", "empty"),
        (template(purposes=()), "/templates/0/purposes", "empty"),
        (template(purposes=("a", "a")), "/templates/0/purposes/1", "repeated"),
        (template(purposes=("维修",)), "/templates/0/purposes/0", "not_a_purpose"),
        (template(longest_days=0), "/templates/0/longest_days", "out_of_range"),
        (policy_body(templates=(TEMPLATE,)), "/templates", "not_a_share"),
        (
            policy_body(kind="staff", dimensions=("customer",)),
            "/dimensions",
            "customer_and_manager_missing",
        ),
    ],
)
def test_what_is_missing_in_a_body_of_its_kind_is_named(
    body: PolicyBody, pointer: str, problem: str
) -> None:
    assert body_fault(body) == BodyFault(pointer, problem)


def test_terms_of_a_share_keep_within_their_template() -> None:
    body = share(longest_days=90)
    kinds.require_template(terms(), body)
    end = NOW + timedelta(days=30)
    for term in (Term(days=30), Term(NOW, end), Term(ends_at=end)):
        kinds.require_template_term(terms(term=term), body)
    kinds.require_template_term(terms(term=Term(ends_at=end)), body, NOW)
    kinds.require_template_term(terms(term=Term(days=90)), template(longest_days=None))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (terms(template=None), "share.template_unknown"),
        (terms(template="other"), "share.template_unknown"),
        (terms(purpose=None), "share.purpose_unknown"),
        (terms(purpose="sale"), "share.purpose_unknown"),
    ],
)
def test_terms_of_a_share_beyond_their_template_are_refused(asked: Terms, code: str) -> None:
    with pytest.raises(Refused) as refused:
        kinds.require_template(asked, share())
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("term", "begin"),
    [
        (Term(days=31), None),
        (Term(NOW, NOW + timedelta(days=30, seconds=1)), None),
        (Term(ends_at=NOW + timedelta(days=30)), NOW - timedelta(seconds=1)),
        (Term(NOW, NOW + timedelta(days=30)), NOW - timedelta(seconds=1)),
    ],
)
def test_a_share_lasts_no_longer_than_its_template_lets_it(
    term: Term, begin: Instant | None
) -> None:
    with pytest.raises(Refused) as refused:
        kinds.require_template_term(terms(term=term), share(), begin)
    assert refused.value.code == "term.too_long"


@pytest.mark.parametrize("more", [{"template": "after-sales"}, {"purpose": "repair"}])
def test_no_other_kind_has_a_template_or_a_purpose(more: dict[str, str]) -> None:
    asked = terms(kind="dealership", template=None, purpose=None)
    kinds.require_template(asked, policy_body())
    with pytest.raises(Refused) as refused:
        kinds.require_template(replace(asked, **more), policy_body())
    assert refused.value.code == "share.template_unknown"


def test_a_share_shows_its_fields_in_one_order_and_edits_only_where_that_is_granted() -> None:
    shown = {"title": "read", "contact.phone": "masked", "address": "read"}
    assert Share(terms(), TEMPLATE).levels() == shown
    edited = Share(terms(actions=("edit", "read")), TEMPLATE).levels()
    assert edited == shown | {"address": "edit"}
    assert list(edited) == [field for field in FIELDS if field in edited]


@pytest.mark.parametrize(
    ("dimension", "pattern", "fine"),
    [
        ("customer", "*", True),
        ("customer", "01900000-0000-7000-8000-000000000000", True),
        ("customer", "01900000-0000-7000-8000-00000000000G", False),
        ("customer", "D-1", False),
        ("grade", "A", True),
        ("grade", "A/B", False),
        ("manager", "sales/east", True),
    ],
)
def test_patterns_without_a_catalogue_are_ids_grades_and_teams(
    dimension: str, pattern: str, fine: bool
) -> None:
    if fine:
        kinds.require_built_in(dimension, (pattern,))
        return
    with pytest.raises(Refused) as refused:
        kinds.require_built_in(dimension, (pattern,))
    assert refused.value.code == "scope.point_unknown"


def test_a_scope_names_no_more_customers_than_are_looked_at() -> None:
    ids = tuple(f"01900000-0000-7000-8000-{n:012d}" for n in range(kinds.MAX_NAMED + 1))
    kinds.require_built_in("customer", ids[1:])
    with pytest.raises(Refused) as refused:
        kinds.require_built_in("customer", ids)
    assert refused.value.code == "scope.too_many_patterns"


@pytest.mark.parametrize(
    ("field", "text", "shown"),
    [
        ("full_name", "王小明", "王*"),
        ("title", "示例茶行（上海）有限公司", "示*"),
        ("contact.phone", "+8613812341234", "138****1234"),
        ("contact.phone", "13812341234", "138****1234"),
        ("contact.phone", "+862155550100", "****100"),
        ("contact.phone", "110", "****"),
        ("contact.email", "zhou@example.com", "z****@example.com"),
        ("contact.email", "not an address", "****"),
        ("identity_number", "11010519491231002X", "****002X"),
        ("uscc", "91110000600037341L", "****341L"),
        ("number", "D-1", "****"),
        ("contact.note", "calls back", "****"),
        ("grade", "A", "****"),
        ("address", "上海市浦东新区", "上*"),
    ],
)
def test_what_is_shown_masked(field: str, text: str, shown: str) -> None:
    assert masks.masked(field, text) == shown


@for_any(st.sampled_from(FIELDS), st.text(min_size=1, max_size=60))
def test_a_masked_value_shows_no_more_than_seven_characters_but_an_address_s_host(
    field: str, text: str
) -> None:
    shown = masks.masked(field, text)
    assert "*" in shown
    if field == "contact.email":
        shown = shown.partition("@")[0]
    assert len(shown.replace("*", "")) <= 7
