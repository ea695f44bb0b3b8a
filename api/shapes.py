"""What bodies are made of: safe text types, ids, and the small shapes that many commands share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec

LINE_CHARACTERS: Final = 200
TEXT_CHARACTERS: Final = 4_000
CODE_CHARACTERS: Final = 64
PATH_CHARACTERS: Final = 512
MAX_ITEMS: Final = 200
"""Items of one list in a body, where its own meaning gives no smaller bound."""

# Nothing that cannot be seen or that turns the reading direction around: control characters,
# lone surrogates, line and paragraph separators, bidirectional controls (Unicode TR 36).
_UNSEEN: Final = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSEEN_BUT_LINES: Final = (
    r"\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
)

Line = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=LINE_CHARACTERS, pattern=rf"^(?![\s\S]*[{_UNSEEN}])[\s\S]*\S"
    ),
]
"""One line of text: not blank, no control characters."""

Text = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=TEXT_CHARACTERS,
        pattern=rf"^(?![\s\S]*[{_UNSEEN_BUT_LINES}])[\s\S]*\S",
        description="Free text. It is sealed under the key of whom it speaks of.",
    ),
]
"""Text of several lines; it is sealed before any rule sees it."""

Code = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=CODE_CHARACTERS,
        pattern=rf"^(?![\s\S]*[{_UNSEEN}\s/*])",
        description="A short word of the tenant's own, without white space, `/` and `*`.",
    ),
]
"""A code of the tenant's own; the domain says the same of codes."""

Path = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=PATH_CHARACTERS, pattern=rf"^(?![\s\S]*[{_UNSEEN}])[\s\S]*\S"
    ),
]
"""A path of a dimension, `CN/31/0115`; the catalogue says whether it is one."""

Id = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\s\S])",
        examples=["01900000-0000-7000-8000-000000000000"],
    ),
]
"""An id as answers give it."""

Ref = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:customer|staff):[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\s\S])",
        examples=["customer:01900000-0000-7000-8000-000000000000"],
    ),
]
"""Who may be acted for or granted to: `customer:<id>` or `staff:<id>`."""

Grantee = Annotated[
    str,
    msgspec.Meta(
        max_length=PATH_CHARACTERS + 5,
        pattern=(
            r"^(?:(?:customer|staff):[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
            rf"|team:(?![\s\S]*[{_UNSEEN}*])[\s\S]*\S)(?![\s\S])"
        ),
        examples=["customer:01900000-0000-7000-8000-000000000000", "team:after-sales"],
    ),
]
"""Who may be given a grant: `customer:<id>`, `staff:<id>`, or `team:<path>` of the catalogue."""

When = Annotated[datetime, msgspec.Meta(tz=True, examples=["2026-11-01T00:00:00Z"])]
"""An RFC 3339 instant with its zone."""

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}(?![\s\S])")]

Days = Annotated[int, msgspec.Meta(ge=0, le=36_600)]


class Shape(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    rename={"from_": "from"},
):
    """A body or a part of one; a field it does not know is refused."""


class ReasonGiven(Shape, frozen=True, kw_only=True):
    """Why: a code of the tenant's list, a text, or both."""

    code: Code | None = None
    text: Text | None = None


class EvidenceGiven(Shape, frozen=True, kw_only=True):
    """What was shown: a stored file (`file`, from `POST /v1/evidence`) or the place of a paper."""

    kind: Annotated[
        Code,
        msgspec.Meta(
            description="`recording`, `written_note`, `identity_card`, `passport`,"
            " `business_licence`, `contract`, `photo`, `statement`, or what the policy names."
        ),
    ]
    file: Sha256 | None = None
    place: Line | None = None
    ends_at: When | None = None


class NamesGiven(Shape, frozen=True, kw_only=True):
    """The name of a thing, never of a natural person, in Chinese and English."""

    zh: Line
    en: Line


class TermGiven(Shape, frozen=True, kw_only=True):
    """From when until when; or for how many days, where the policy says from when."""

    starts_at: When | None = None
    ends_at: When | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=36_600)] | None = None


class Deed(Shape, frozen=True, kw_only=True):
    """What every command may carry beside its own fields."""

    reason: ReasonGiven | None = None
    evidence: Annotated[tuple[EvidenceGiven, ...], msgspec.Meta(max_length=50)] = ()
    on_behalf_of: Ref | None = None
