"""Every command on a grant from the command line, said to a service that really runs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from api import cli_saying, cli_texts
from api.cli_acts import VERBS
from api.routes.operations_table import COMMANDS
from domain.events import EVENTS
from tests.api.test_cli import loaded_after
from tests.support.commands import Installation, Said
from tests.support.cutting import CuttingDoor
from tests.support.sample_tenant import sampled

SCOPES = {
    "requester": ("S-0002", "grants:request", "customers"),
    "both": ("S-0003", "grants:verify", "grants:approve"),
    "sales": ("S-0004", "grants:approve"),
    "brand": ("S-0005", "grants:approve"),
    "compliance": ("S-0006", "grants:supervise"),
}
"""Name of a key -> the sample's staff member whose it is, and what it is for."""


class Desk(NamedTuple):
    """The sample tenant, served; one key a role, each in a file."""

    here: Installation
    url: str
    keys: dict[str, Path]
    numbers: dict[str, str]

    def say(self, who: str, *words: str, url: str | None = None, **more: str) -> Said:
        """Run `counterseal grant ...` with someone's key."""
        file = str(self.keys[who])
        where = {"COUNTERSEAL_URL": url or self.url} | more
        return self.here.say("grant", *words, "--key-file", file, **where)

    def done(self, who: str, *words: str, **more: str) -> dict[str, Any]:
        """Say something that is done; return the answer."""
        said = self.say(who, *words, "--json", **more)
        assert said.code == 0, said.err
        return said.json()

    def requested(self) -> str:
        """Ask for a grant; return its number."""
        return self.done("requester", "request", *ASKED)["state"]["number"]

    def pending(self) -> str:
        """Ask for a grant and check it; return its number."""
        number = self.requested()
        self.done("both", "check", number, "kind=call_back", "channel=post")
        return number

    def active(self) -> str:
        """Walk a grant to its signature; return its number."""
        number = self.pending()
        for who in ("sales", "brand"):
            self.done(who, "approve", number, f"stage={who}", "--yes")
        self.done("member", "sign", number, "party=grantee", "--yes")
        return number

    def state(self, number: str) -> dict[str, Any]:
        return self.done("requester", "show", number)["state"]


ASKED = ("grantee=customer:D-0001", "kind=dealership", "actions=sell", "scope.territory=CN/31",
         "scope.product=tea", "scope.channel=store,online", "term.days=365")  # fmt: skip


@pytest.fixture(scope="module")
def desk(run_directory: Path) -> Iterator[Desk]:
    with sampled(run_directory) as here, here.served("demo", "--small", "--port", "0") as demo:
        keys = {"member": here.folder / "demo" / "member.key"}
        for name, (number, *scopes) in SCOPES.items():
            words = ["--tenant", "demo", "--party", f"staff:{number}", "--scope", "grants:read"]
            for scope in scopes:
                words += ["--scope", scope]
            keys[name] = here.folder / f"{name}.key"
            keys[name].write_text(here.say("key", "create", *words).out)
        made = json.loads((here.folder / "demo" / "tenant.json").read_text())
        yield Desk(here, demo.url, keys, made["grants"])
        assert demo.end() == 0


def test_every_command_on_a_grant_has_exactly_one_verb() -> None:
    commands = [one.name for one in COMMANDS if one.kind == "grant"]
    assert sorted(VERBS.values()) == sorted(commands)


def test_every_event_of_a_grant_has_a_name_in_both_languages() -> None:
    events = [name for name in EVENTS if name.startswith("grant.")]
    assert [name for name in events if not cli_texts.has("events", name)] == []


def test_the_list_of_verbs_loads_neither_operations_nor_settings() -> None:
    modules = loaded_after("from api.cli import main; main(['grant', '--help'])")
    heavy = "psycopg fastapi pydantic_settings msgspec rich api.routes api.cli_client"
    assert [name for name in heavy.split() if name in modules] == []


def test_the_whole_way_from_the_request_to_the_revocation(desk: Desk) -> None:
    number = desk.active()
    assert desk.state(number)["status"] == "active"
    held = desk.say("compliance", "suspend", number, "--reason", "complaint", "--lang", "en")
    assert held.code == 0
    assert re.search(r"^\d{4}-.*Z  suspended \(hold: [0-9a-f-]{36}, reason: complaint\)", held.out,
                     re.MULTILINE)  # fmt: skip
    assert re.search(r"^State +suspended$", held.out, re.MULTILINE)
    assert desk.done("compliance", "resume", number, "--reason", "cleared")["result"] == "done"
    renewal = desk.done("requester", "renew", number, "term.days=400")
    case = renewal["state"]["open_case"]["case"]
    desk.done("both", "check-case", number, "kind=call_back", "channel=post")
    for who in ("sales", "brand"):
        desk.done(who, "approve-case", number, f"case={case}", f"stage={who}", "--yes")
    signed = desk.done("member", "sign-case", number, "party=grantee", "--yes")
    assert [one["type"] for one in signed["events"]][-1] == "grant.renewed.1"
    assert not signed["state"].get("open_case")
    revoked = desk.say("compliance", "revoke", number, "reason.code=breach", "--lang", "zh")
    assert revoked.code == 0
    assert re.search(r"^状态 +已撤销$", revoked.out, re.MULTILINE)
    shown = desk.say("requester", "show", number, "--lang", "en").out
    assert all(word in shown for word in ("renewal asked for", "renewed", "revoked", "hold ended"))


@pytest.mark.parametrize(("language", "word"), [("zh", "申请"), ("en", "duties")])
def test_who_had_a_hand_in_it_is_refused_with_exit_code_1(
    desk: Desk, language: str, word: str
) -> None:
    number = desk.pending()
    words = ("approve", number, "stage=sales", "--yes", "--lang", language)
    refused = desk.say("both", *words)
    assert (refused.code, refused.out) == (1, "")
    assert len(refused.err.splitlines()) == 1
    assert refused.err.startswith("counterseal: duties.not_separate: ")
    assert bool(re.search(r"[\u4e00-\u9fff]", refused.err)) == (language == "zh")
    told = json.loads(desk.say("both", *words, "--json").err)
    assert (told["code"], told["exit"]) == ("duties.not_separate", 1)
    assert desk.state(number)["status"] == "pending_approval"


def test_nothing_is_decided_on_unseen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = desk.pending()
    words = ("approve", number, "stage=sales", "--lang", "en")
    refused = desk.say("sales", *words)
    assert (refused.code, "acts.unseen" in refused.err) == (2, True)
    monkeypatch.setattr(cli_saying, "terminal", lambda: True)
    typed(monkeypatch, "no\n")
    left = desk.say("sales", *words)
    assert left.code == 1
    assert "acts.left" in left.err
    assert re.search(r"^State +pending approval$", left.out, re.MULTILINE)
    assert re.search(r"^ +territory: CN/31$", left.out, re.MULTILINE)
    version = desk.done("sales", "show", number)["version"]
    assert not desk.state(number).get("approvals")
    typed(monkeypatch, "y\n")
    agreed = desk.say("sales", *words)
    assert agreed.code == 0
    assert "stage approved" in agreed.out
    old = desk.say("brand", "approve", number, "stage=brand", "--version", str(version))
    assert (old.code, "version.moved" in old.err) == (1, True)


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_what_would_happen_is_told_and_nothing_is_written(desk: Desk) -> None:
    number = desk.pending()
    before = desk.done("sales", "show", number)["version"]
    said = desk.say("sales", "approve", number, "stage=sales", "--dry-run", "--lang", "en")
    assert (said.code, said.out.startswith("This would happen; nothing was written.")) == (0, True)
    assert desk.done("requester", "request", *ASKED, "--dry-run")["result"] == "would"
    assert desk.done("sales", "show", number)["version"] == before


def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_is_done_twice(desk: Desk) -> None:
    number = desk.active()
    before = desk.done("compliance", "show", number)["version"]
    with CuttingDoor(desk.url) as door:
        door.lose = 1
        done = desk.done("compliance", "suspend", number, "--reason", "complaint", url=door.url)
        assert done["result"] == "done"
        assert sum(one.startswith("POST") for one in door.asked) == 2
        assert done["version"] == before + 1
        door.lose = 3
        words = ("resume", number, "--reason", "cleared", "--lang", "en")
        lost = desk.say("compliance", *words, url=door.url)
        assert door.lose == 0
    assert (lost.code, lost.out) == (3, "")
    assert lost.err.startswith("counterseal: service.lost: ")
    assert desk.done("compliance", "show", number)["version"] == before + 2
    again = shlex.split(lost.err[lost.err.index("counterseal grant ") :])[2:]
    repeated = desk.here.say("grant", *again, "--lang", "en", COUNTERSEAL_URL=desk.url)
    assert repeated.code == 0, repeated.err
    assert repeated.out.startswith("This was said with the same key before")
    assert desk.done("compliance", "show", number)["version"] == before + 2


@pytest.mark.parametrize("words", [("list",), ("show", "x"), ("withdraw", "x"), ("sign", "x")])
def test_a_service_out_of_reach_is_told_in_one_line_with_exit_code_3(
    desk: Desk, words: tuple[str, ...]
) -> None:
    fields = ("party=grantee",) if words[0] == "sign" else ()
    said = desk.say("member", *words, *fields, "--lang", "zh", url="http://127.0.0.1:9")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("counterseal: service.unreachable: 无法连接 http://127.0.0.1:9")
    assert len(said.err.splitlines()) == 1


def test_evidence_is_stored_before_it_is_named(desk: Desk, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("Spoke with Ms Wu, all as written.", encoding="utf-8")
    number = desk.requested()
    words = ("check", number, "kind=call_back", "channel=phone")
    bare = desk.say("both", *words)
    assert (bare.code, "grant.spoken_without_record" in bare.err) == (1, True)
    paper = ("--paper", "contract=folder 7")
    done = desk.done("both", *words, "--evidence", f"written_note={note}", *paper)
    first, second = done["events"][0]["evidence"]
    assert (first["kind"], second["kind"]) == ("contract", "written_note")
    assert re.fullmatch(r"[0-9a-f]{64}", second["file"])
    dry = desk.say("both", *words, "--evidence", f"written_note={note}", "--dry-run")
    assert (dry.code, "acts.dry_evidence" in dry.err) == (2, True)


def test_a_list_is_whole_page_after_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.requested()
    monkeypatch.setattr("api.cli_client.PAGE", 2)
    said = desk.say("requester", "list", "--json")
    rows = [json.loads(one) for one in said.out.splitlines()]
    assert len(rows) > 4
    assert len({one["grant_id"] for one in rows}) == len(rows)
    assert set(desk.numbers.values()) <= {one["number"] for one in rows}
    table = desk.say("requester", "list", "--lang", "zh").out.splitlines()
    assert len(table) == len(rows) + 1
    assert table[0].split()[0] == "授权"
    some = desk.say("requester", "list", "--json", "--grantee", "customer:D-0002").out.splitlines()
    mine = {one["grant_id"] for one in rows if one["grantee"] == json.loads(some[0])["grantee"]}
    assert {json.loads(one)["grant_id"] for one in some} == mine
    none = desk.say(
        *("requester", "list", "--grantee", "customer:D-0001"),
        *("--status", "superseded", "--lang", "en"),
    )
    assert (none.code, none.out) == (0, "There is none.\n")
    cut = desk.say("requester", "list", "--limit", "3", "--json", "--lang", "en")
    assert len(cut.out.splitlines()) == 3
    assert "there may be more" in cut.err


def test_a_number_is_read_however_it_is_typed_and_a_typing_error_is_told(desk: Desk) -> None:
    number = desk.numbers["active"]
    loose = number.lower().replace("-", " ")
    assert desk.done("requester", "show", loose)["state"]["number"] == number
    last = "4" if number[-1] != "4" else "5"
    wrong = desk.say("requester", "withdraw", number[:-1] + last)
    assert (wrong.code, "grant.mistyped" in wrong.err) == (2, True)
    unknown = desk.say("requester", "withdraw", "OLD-17")
    assert (unknown.code, "grant.unknown" in unknown.err) == (2, True)
    assert (
        "party.unknown" in desk.say("requester", "request", "grantee=customer:D-9", *ASKED[1:]).err
    )


def test_what_is_open_is_found_by_itself_or_told_not_to_be(desk: Desk) -> None:
    number = desk.numbers["active"]
    said = desk.say("compliance", "resume", number, "--reason", "cleared", "--lang", "en")
    assert (said.code, "acts.not_open" in said.err) == (1, True)
    several = desk.active()
    for why in ("complaint", "audit"):
        desk.done("compliance", "suspend", several, "--reason", why)
    which = desk.say("compliance", "resume", several, "--lang", "en")
    assert (which.code, "hold=ID" in which.err) == (2, True)
    hold = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", which.err)[1]
    done = desk.done("compliance", "resume", several, f"hold={hold}", "--reason", "cleared")
    assert [one["id"] for one in done["state"]["holds"] if one["until"] is not None] == [hold]


def test_free_text_can_come_by_standard_input(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "Spoke with 吴十，\nall clear.\n")
    done = desk.done("requester", "note", desk.numbers["active"], "text=-", "label=call")
    assert done["events"][0]["fields"] == {"label": "call", "text": {"sealed": True}}
    assert "sealed" in desk.say("requester", "show", desk.numbers["active"], "--lang", "en").out


def test_whoever_acts_for_the_customer_is_shown_their_own_grant_by_its_number(desk: Desk) -> None:
    """Their key opens nothing but their own view; what is another's is unknown by any word."""
    number = desk.active()
    desk.done("compliance", "suspend", number, "--reason", "complaint")
    own = desk.say("member", "show", number)
    assert own.code == 0, own.err
    assert "customer D-0001" in own.out
    assert "suspended since " in own.out
    assert "staff" not in own.out
    shown = desk.done("member", "show", number)
    assert shown["state"]["terms"]["term"] == {"days": 365}
    assert shown["history"] == []
    another = next(
        one for one in desk.numbers.values() if _grantee(desk, one) != _grantee(desk, number)
    )
    assert "grant.unknown" in desk.say("member", "show", another).err
    asked = desk.done("member", "request", *ASKED)["state"]
    assert desk.say("member", "withdraw", asked["number"]).code == 0


def _grantee(desk: Desk, number: str) -> str:
    return str(desk.state(number)["grantee"])
