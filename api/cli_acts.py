"""`counterseal grant VERB`: every command on a grant as its own verb, said to a running service.

The verbs come from the table below, what each takes from the operation of that name: the operations
are loaded when a verb is said or its own help page is asked for, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from typer.main import get_command

from api.cli_help import Command, Group, page, path_of
from api.cli_service import KeyFile
from api.cli_shown import Json
from api.cli_texts import say

if TYPE_CHECKING:
    from api.routes.commands import CommandOperation

VERBS: Final[Mapping[str, str]] = {
    "request": "grant.request",
    "ask": "grant.ask_information",
    "provide": "grant.provide_information",
    "check": "grant.record_check",
    "fail": "grant.fail_verification",
    "approve": "grant.approve",
    "retract": "grant.retract_approval",
    "reject": "grant.reject",
    "withdraw": "grant.withdraw",
    "sign": "grant.sign",
    "decline": "grant.decline",
    "note": "grant.note",
    "suspend": "grant.suspend",
    "confirm-suspension": "grant.confirm_suspension",
    "resume": "grant.resume",
    "revoke": "grant.revoke",
    "request-revocation": "grant.request_revocation",
    "confirm-revocation": "grant.confirm_revocation",
    "cancel-revocation": "grant.cancel_revocation",
    "revoke-by-rule": "grant.revoke_by_rule",
    "renew": "grant.request_renewal",
    "amend": "grant.propose_amendment",
    "check-case": "grant.check_case",
    "fail-case": "grant.fail_case",
    "approve-case": "grant.approve_case",
    "retract-case": "grant.retract_case_approval",
    "reject-case": "grant.reject_case",
    "withdraw-case": "grant.withdraw_case",
    "sign-case": "grant.sign_case",
    "decline-case": "grant.decline_case",
    "supersede": "grant.supersede",
    "propose-error": "grant.propose_error",
    "confirm-error": "grant.confirm_error",
    "dismiss-error": "grant.dismiss_error",
}
"""Verb -> the operation it says."""

Number = Annotated[str, typer.Argument(metavar="NUMBER")]
Fields = Annotated[list[str] | None, typer.Argument(metavar="FIELD=VALUE")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="CODE")]
Evidence = Annotated[list[str] | None, typer.Option("--evidence", metavar="KIND=PATH")]
Paper = Annotated[list[str] | None, typer.Option("--paper", metavar="KIND=PLACE")]
Principal = Annotated[str | None, typer.Option("--on-behalf-of", metavar="PARTY")]
Would = Annotated[bool, typer.Option("--dry-run")]
Seen = Annotated[int | None, typer.Option("--version", metavar="VERSION", min=0)]
Yes = Annotated[bool, typer.Option("--yes")]
Key = Annotated[str | None, typer.Option("--idempotency-key", metavar="KEY")]
At = Annotated[str | None, typer.Option("--at", metavar="INSTANT")]


class Said(NamedTuple):
    """What was said beside the grant's number."""

    fields: list[str]
    reason: str | None
    evidence: list[str]
    paper: list[str]
    principal: str | None
    would: bool
    seen: int | None
    yes: bool
    key: str | None
    at: str | None
    key_file: Path | None
    as_json: bool


class VerbGroup(Group):
    """A group that makes its verbs when they are first looked at: most commands need none."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self._own: dict[str, Any] = self.commands
        del self.commands  # so that it is asked for below, once

    def __getattr__(self, name: str) -> Any:
        if name != "commands":
            raise AttributeError(name)
        self.commands = self._own | _verbs()
        return self.commands


def _verbs() -> dict[str, Any]:
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    app.callback(cls=Group)(lambda: None)
    for verb, operation in VERBS.items():
        act = _new(verb) if operation == "grant.request" else _on(verb)
        app.command(verb, cls=ActCommand)(act)
    made: Any = get_command(app)
    return made.commands


def operation_of(verb: str) -> CommandOperation:
    """Return the operation of a verb."""
    from api.routes.operations_table import COMMANDS

    return next(one for one in COMMANDS if one.name == VERBS[verb])


class ActCommand(Command):
    """A verb with its fields on its help page."""

    def get_help(self, ctx: Any) -> str:
        from api.cli_fields import fields_of
        from api.cli_finding import FOUND, places_of

        operation = operation_of(path_of(ctx).rpartition(" ")[2])
        rows = [(f"{name}=ID", say("acts.found")) for name in places_of(operation.path)]
        for one in fields_of(operation.body):
            note = "acts.found" if one.name in FOUND else "acts.needed" if one.needed else None
            notes = [] if note is None else [say(note)]
            notes += [", ".join(one.words)] if one.words else []
            rows.append((f"{one.name}={one.form}", "\n".join(notes)))
        return page(self, ctx, ("help.fields", rows))


def _on(verb: str) -> Callable[..., int]:
    def act(
        grant: Number,
        fields: Fields = None,
        *,
        reason: Reason = None,
        evidence: Evidence = None,
        paper: Paper = None,
        principal: Principal = None,
        would: Would = False,
        seen: Seen = None,
        yes: Yes = False,
        idempotency_key: Key = None,
        at: At = None,
        key_file: KeyFile = None,
        as_json: Json = False,
    ) -> int:
        from api.cli_saying import told

        said = Said(fields or [], reason, evidence or [], paper or [], principal, would, seen, yes,
                    idempotency_key, at, key_file, as_json)  # fmt: skip
        return told(operation_of(verb), verb, grant, said)

    return act


def _new(verb: str) -> Callable[..., int]:
    def act(
        fields: Fields = None,
        *,
        reason: Reason = None,
        evidence: Evidence = None,
        paper: Paper = None,
        principal: Principal = None,
        would: Would = False,
        idempotency_key: Key = None,
        at: At = None,
        key_file: KeyFile = None,
        as_json: Json = False,
    ) -> int:
        from api.cli_saying import told

        said = Said(fields or [], reason, evidence or [], paper or [], principal, would, None,
                    False, idempotency_key, at, key_file, as_json)  # fmt: skip
        return told(operation_of(verb), verb, None, said)

    return act
