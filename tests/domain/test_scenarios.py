"""Tells the stories of `tests/scenarios/*.toml`, which are written for readers who know no code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.commands.cases import (
    ConfirmError,
    DeclineCase,
    DismissError,
    ProposeAmendment,
    ProposeError,
    RecordCaseLapse,
    RejectCase,
    RequestRenewal,
    RetractCaseApproval,
    SupersedeGrant,
    WithdrawCase,
)
from domain.commands.grants import (
    ApproveStage,
    AskInformation,
    DeclineGrant,
    NoteGrant,
    ProvideInformation,
    RecordCheck,
    RejectGrant,
    RetractApproval,
    SignGrant,
    WithdrawGrant,
)
from domain.commands.supervision import (
    CancelRevocation,
    ConfirmRevocation,
    ConfirmSuspension,
    RecordActivation,
    RecordExpiry,
    RecordGrantLapse,
    RecordSuspensionLapse,
    RequestRevocation,
    ResumeGrant,
    RevokeGrant,
    SuspendGrant,
)
from domain.effect import in_force
from domain.errors import Refused
from domain.scopes import covers
from domain.sharing import ruling_at
from domain.values import Term
from domain.view import Command
from tests.domain.case_story import (
    ANOTHER,
    another_grant,
    approve_case,
    case_of,
    case_word,
    check_case,
    sign_case,
)
from tests.domain.grant_story import requesting
from tests.domain.grant_world import DAY, GRANT, T0, WHY, World, body

FOLDER = Path(__file__).parent.parent / "scenarios"
STORIES = sorted(path.stem for path in FOLDER.glob("*.toml"))

Given = dict[str, Any]
Deed = Callable[[World, str, str, Given], Any]
"""In a world, by someone, about the word in brackets, with what the step gives."""


def on_day(number: float) -> Any:
    return T0 + number * DAY


def days(given: Given) -> Term:
    """From which day to which, or how many."""
    begins = None if "from" not in given else on_day(given["from"])
    ends = None if "to" not in given else on_day(given["to"])
    return Term(begins, ends, given.get("days"))


def wish(given: Given) -> Given:
    """Actions, scope and term where the step gives them."""
    found: Given = {}
    if "actions" in given:
        found["actions"] = tuple(given["actions"])
    if "product" in given or "territory" in given:
        found["scope"] = {
            "product": tuple(given.get("product", ("tea",))),
            "territory": tuple(given.get("territory", ("CN/31",))),
        }
    if given.keys() & {"from", "to", "days"}:
        found["term"] = days(given)
    return found


def run(command: Callable[[World, str, Given], Command]) -> Deed:
    """A deed that is one command; who decides gives a reason."""
    return lambda world, by, word, given: world.run(command(world, word, given), by=by, reason=WHY)


def simply(kind: type[Any], **fields: Any) -> Deed:
    return run(lambda _world, _word, _given: kind(grant_id=GRANT, **fields))


def naming(kind: type[Any], field: str, **fields: Any) -> Deed:
    """A command that takes the word in brackets."""
    return run(lambda _world, word, _given: kind(grant_id=GRANT, **{field: word}, **fields))


def on_the_case(kind: type[Any], field: str = "") -> Deed:
    return run(
        lambda world, word, _given: kind(
            grant_id=GRANT, case=case_of(world), **({field: word} if field else {})
        )
    )


def amendment(_world: World, word: str, given: Given) -> Command:
    rest = {name: what for name, what in wish(given).items() if name != "term"}
    begins = None if "from" not in given else on_day(given["from"])
    ends = None if "to" not in given else on_day(given["to"])
    return ProposeAmendment(grant_id=GRANT, case=word, effective_at=begins, ends_at=ends, **rest)


def revocation(_world: World, _word: str, given: Given) -> Command:
    begins = None if "from" not in given else on_day(given["from"])
    return RevokeGrant(grant_id=GRANT, case="revocation", effective_at=begins)


DEEDS: dict[str, Deed] = {
    r"asks for the grant": run(lambda _w, _word, given: requesting(**wish(given))),
    r"asks a question": simply(AskInformation),
    r"answers": run(lambda _w, _word, given: ProvideInformation(grant_id=GRANT, **wish(given))),
    r"checks by (\w+)": naming(RecordCheck, "check", channel="email"),
    r"approves (\w+)": run(
        lambda _w, word, given: ApproveStage(grant_id=GRANT, stage=word, **wish(given))
    ),
    r"takes the approval of (\w+) back": naming(RetractApproval, "stage"),
    r"rejects it": simply(RejectGrant),
    r"withdraws it": simply(WithdrawGrant),
    r"signs for the (\w+)": run(
        lambda world, word, _given: SignGrant(grant_id=GRANT, party=word, digest=world.digest)  # type: ignore[arg-type]
    ),
    r"declines to sign for the (\w+)": naming(DeclineGrant, "party"),
    r"notes (\w+)": naming(NoteGrant, "label"),
    r"suspends it as (\w+)": naming(SuspendGrant, "hold"),
    r"suspends it for the time being as (\w+)": naming(SuspendGrant, "hold", provisional=True),
    r"confirms the suspension (\w+)": naming(ConfirmSuspension, "hold"),
    r"resumes (\w+)": naming(ResumeGrant, "hold"),
    r"asks for its revocation": simply(RequestRevocation, case="revocation"),
    r"confirms the revocation": simply(ConfirmRevocation, case="revocation"),
    r"calls the revocation off": simply(CancelRevocation, case="revocation"),
    r"revokes it": run(revocation),
    r"asks for the renewal (\w+)": run(
        lambda _w, word, given: RequestRenewal(grant_id=GRANT, case=word, term=days(given))
    ),
    r"proposes the amendment (\w+)": run(amendment),
    r"checks the case by (\w+)": lambda world, by, word, _given: check_case(world, by, word),
    r"approves the case in (\w+)": lambda world, by, word, given: approve_case(
        world, by, word, **wish(given)
    ),
    r"takes the approval of the case in (\w+) back": on_the_case(RetractCaseApproval, "stage"),
    r"rejects the case": on_the_case(RejectCase),
    r"withdraws the case": on_the_case(WithdrawCase),
    r"signs the case for the (\w+)": lambda world, by, word, _given: sign_case(world, by, word),
    r"declines to sign the case for the (\w+)": on_the_case(DeclineCase, "party"),
    r"says that it was entered in error": simply(ProposeError, case="error"),
    r"confirms the error": simply(ConfirmError, case="error"),
    r"says that it was no error": simply(DismissError, case="error"),
    r"puts the other grant in its place": simply(SupersedeGrant, successor=ANOTHER),
    r"writes the lapse down": simply(RecordGrantLapse),
    r"writes the lapse of the case down": on_the_case(RecordCaseLapse),
    r"writes the start down": simply(RecordActivation),
    r"writes the end down": simply(RecordExpiry),
    r"writes down that (\w+) fell": naming(RecordSuspensionLapse, "hold"),
    r"blocks the shop": lambda world, _by, _word, _given: world.block(),
    r"grants the shop another": lambda world, _by, _word, _given: another_grant(world),
}
"""What someone may do in a story, in the words of the stories."""

STEP = {"day", "when", "with", "refused", "then", "case", "holds", "may", "may_not"}


def tell(world: World, step: Given) -> None:
    """Let one step happen, and look whether what the story says is so."""
    assert step.keys() <= STEP, step
    world.now = on_day(step["day"])
    if "when" in step:
        refused = ""
        try:
            do(world, step["when"], step.get("with", {}))
        except Refused as code:
            refused = code.code
        assert refused == step.get("refused", ""), step
    if "then" in step:
        assert world.status == step["then"], step
    if "case" in step:
        assert case_word(world) == step["case"], step
    if "holds" in step:
        held = [[begin, end, number] for begin, end, number in in_force(world.grant)]
        told = [[on_day(begin), on_day(end), number] for begin, end, number in step["holds"]]
        assert held == told, step
    for wanted in ("may", "may_not"):
        for action, product, territory in step.get(wanted, ()):
            effect = ruling_at(world.grant, world.now)
            point = {"product": product, "territory": territory}
            may = (
                effect is not None
                and action in effect.terms.actions
                and covers(effect.terms.scope, point)
            )
            assert may == (wanted == "may"), step


def do(world: World, when: str, given: Given) -> None:
    by, _, words = when.partition(" ")
    for pattern, deed in DEEDS.items():
        found = re.fullmatch(pattern, words)
        if found is not None:
            deed(world, by, found[1] if found.groups() else "", given)
            return
    raise AssertionError(f"nobody knows what it means that someone {words!r}")


def policy(says: Given) -> Given:
    """What a story says of its policy: numbers, and what is `not demanded`."""
    absent: Given = {
        "checks": {"verification": None},
        "approvals": {"stages": (), "no_approval_needed": True},
        "signatures": {"agreement": None},
    }
    found = {name: what for name, what in says.items() if name != "not_demanded"}
    for one in says.get("not_demanded", ()):
        found |= absent[one]
    return found


def story(name: str) -> Given:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


@pytest.mark.parametrize("name", STORIES)
def test_the_story_goes_as_it_is_told(name: str) -> None:
    told = story(name)
    assert {"title", "title_zh", "step"} <= told.keys() <= {"title", "title_zh", "policy", "step"}
    world = World(body(**policy(told.get("policy", {}))))
    for step in told["step"]:
        tell(world, step)


def test_every_deed_is_told_somewhere_and_some_are_refused() -> None:
    steps = [step for name in STORIES for step in story(name)["step"]]
    words = [step["when"].partition(" ")[2] for step in steps if "when" in step]
    untold = {pattern for pattern in DEEDS if not any(re.fullmatch(pattern, one) for one in words)}
    assert untold == set()
    assert len(STORIES) >= 12
    assert sum("refused" in step for step in steps) >= 12
    assert all(step.keys() & {"when", "then", "case", "holds", "may", "may_not"} for step in steps)


def test_a_story_that_goes_otherwise_is_found_out() -> None:
    for wrong in ({"then": "rejected"}, {"refused": "grant.state"}, {"case": "verifying"}):
        with pytest.raises(AssertionError):
            tell(World(), {"day": 0, "when": "ann asks for the grant", **wrong})
    with pytest.raises(AssertionError, match="nobody knows"):
        tell(World(), {"day": 0, "when": "ann dances"})
