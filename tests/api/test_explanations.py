"""What an explanation says of grants above, in both languages."""

from __future__ import annotations

import pytest

from api.explanations import explained
from api.texts import Language
from projections.chains import Link
from projections.checks import Explanation

PARENT = Link("p", "CS-2", 1, "customer:b")
WHY = Explanation(
    "check.suspended",
    grant="p",
    number="CS-2",
    terms=1,
    level=1,
    own=Link("o", "CS-1", 3, "customer:a"),
    chain=(PARENT,),
)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "Grant CS-1 was passed on. Level 1 above it: Grant CS-2 is suspended."),
        ("zh", "授权 CS-1 为转授。其上第 1 级：授权 CS-2 处于暂停状态。"),
    ],
)
def test_what_fails_above_is_told_of_both_grants(language: Language, expected: str) -> None:
    document = explained(WHY, language)
    assert document["detail"] == expected
    assert (document["code"], document["number"], document["level"]) == (
        "check.suspended", "CS-2", 1,
    )  # fmt: skip
    assert document["own"]["number"] == "CS-1"
    assert document["chain"] == [
        {"grant": "p", "number": "CS-2", "terms": 1, "grantee": "customer:b"}
    ]


def test_what_fails_by_itself_is_told_alone() -> None:
    document = explained(Explanation("check.suspended", grant="o", number="CS-1"), "en")
    assert document == {
        "code": "check.suspended",
        "detail": "Grant CS-1 is suspended.",
        "grant": "o",
        "number": "CS-1",
    }
