"""When a policy's body is complete enough to be submitted."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

import msgspec

from domain.codes import code_fault
from domain.errors import Refused
from domain.events.policy import Group, PolicyBody, Stage
from domain.kinds import BUILT_IN, kind_faults
from domain.scopes import MAX_DIMENSIONS
from domain.staff import ROLES

MAX_DAYS: Final = 36_600
"""Longest time a policy speaks of: a hundred years."""

MAX_ACTIONS: Final = 100
MAX_STAGES: Final = 10
MAX_PLACES: Final = 40
"""Most people all stages together ask for."""

MAX_GRANT_DEPTH: Final = 8
"""How deep a grant may be passed on at most."""

MAX_DEMANDED: Final = 20
"""Most kinds of evidence, kinds of checks, checks or people one policy demands."""

NO_APPROVALS: Final = frozenset({"administrator", "auditor"})
"""Roles that give no approvals: who keeps the rights of others, and who only reads."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class BodyFault(msgspec.Struct, frozen=True, gc=False):
    """What is missing or wrong, and where: a JSON pointer (RFC 6901) into the body."""

    pointer: str
    problem: str


def body_fault(body: PolicyBody) -> BodyFault | None:
    """Return the first thing that keeps this body from being submitted, or None."""
    parts: tuple[Callable[[PolicyBody], Iterator[BodyFault]], ...] = (
        _what,
        _demands,
        _stages,
        _agreement,
        _times,
        _kind,
    )
    return next((fault for part in parts for fault in part(body)), None)


def require_complete(body: PolicyBody, declared: Collection[str]) -> None:
    """Refuse with `policy.incomplete` a body with a fault, or of dimensions nobody declared."""
    fault = body_fault(body)
    if fault is None:
        undeclared = (
            BodyFault(f"/dimensions/{number}", "not_declared")
            for number, dimension in enumerate(body.dimensions)
            if dimension not in declared and dimension not in BUILT_IN
        )
        fault = next(undeclared, None)
    if fault is not None:
        raise Refused("policy.incomplete", pointer=fault.pointer, problem=fault.problem)


def _codes(pointer: str, codes: Collection[str], most: int) -> Iterator[BodyFault]:
    if len(codes) > most:
        yield BodyFault(pointer, "too_many")
    seen: set[str] = set()
    for number, code in enumerate(codes):
        fault = code_fault(code) or ("repeated" if code in seen else None)
        if fault is not None:
            yield BodyFault(f"{pointer}/{number}", fault)
        seen.add(code)


def _within(pointer: str, number: int, least: int, most: int) -> Iterator[BodyFault]:
    if not least <= number <= most:
        yield BodyFault(pointer, "out_of_range")


def _what(body: PolicyBody) -> Iterator[BodyFault]:
    kind_fault = code_fault(body.kind)
    if kind_fault is not None:
        yield BodyFault("/kind", kind_fault)
    if not body.names.zh.strip() or not body.names.en.strip():
        yield BodyFault("/names", "empty")
    if not body.dimensions:
        yield BodyFault("/dimensions", "empty")
    yield from _codes("/dimensions", body.dimensions, MAX_DIMENSIONS)
    if not body.actions:
        yield BodyFault("/actions", "empty")
    yield from _codes("/actions", [rule.action for rule in body.actions], MAX_ACTIONS)
    for number, rule in enumerate(body.actions):
        if not rule.names.zh.strip() or not rule.names.en.strip():
            yield BodyFault(f"/actions/{number}/names", "empty")


def _demands(body: PolicyBody) -> Iterator[BodyFault]:
    need = body.identification
    yield from _within("/identification/checks", need.checks, 0, MAX_DEMANDED)
    yield from _within("/identification/channels", need.channels, 0, need.checks)
    yield from _within("/identification/days", need.days, 1, MAX_DAYS)
    yield from _codes("/evidence", body.evidence, MAX_DEMANDED)
    yield from _codes("/grades", body.grades, MAX_DEMANDED)
    if body.verification is not None:
        yield from _codes("/verification/kinds", body.verification.kinds, MAX_DEMANDED)
        yield from _within("/verification/persons", body.verification.persons, 1, MAX_DEMANDED)


def _stages(body: PolicyBody) -> Iterator[BodyFault]:
    needs_approval = any(not rule.free for rule in body.actions)
    if needs_approval and not body.stages and not body.no_approval_needed:
        yield BodyFault("/stages", "empty")
    if body.stages and body.no_approval_needed:
        yield BodyFault("/no_approval_needed", "contradicts_stages")
    yield from _codes("/stages", [stage.id for stage in body.stages], MAX_STAGES)
    for number, stage in enumerate(body.stages):
        yield from _stage(f"/stages/{number}", stage)
    if sum(group.number for stage in body.stages for group in stage.groups) > MAX_PLACES:
        yield BodyFault("/stages", "too_many")


def _stage(pointer: str, stage: Stage) -> Iterator[BodyFault]:
    if not stage.groups:
        yield BodyFault(f"{pointer}/groups", "empty")
    for number, group in enumerate(stage.groups):
        yield from _group(f"{pointer}/groups/{number}", group)
    yield from _within(f"{pointer}/lapse_days", stage.lapse_days, 1, MAX_DAYS)
    if stage.escalation is not None and stage.escalation not in ROLES:
        yield BodyFault(f"{pointer}/escalation", "role_unknown")


def _group(pointer: str, group: Group) -> Iterator[BodyFault]:
    if group.role not in ROLES:
        yield BodyFault(f"{pointer}/role", "role_unknown")
    if group.role in NO_APPROVALS:
        yield BodyFault(f"{pointer}/role", "role_without_approvals")
    yield from _within(f"{pointer}/number", group.number, 1, MAX_PLACES)
    yield from _codes(f"{pointer}/levels", group.levels, MAX_DEMANDED)


def _agreement(body: PolicyBody) -> Iterator[BodyFault]:
    agreement = body.agreement
    if agreement is None:
        if body.starts == "on_signature":
            yield BodyFault("/starts", "no_signature")
        return
    if not agreement.template.strip():
        yield BodyFault("/agreement/template", "empty")
    if not agreement.version.strip():
        yield BodyFault("/agreement/version", "empty")
    if _SHA256.fullmatch(agreement.sha256) is None:
        yield BodyFault("/agreement/sha256", "not_a_hash")
    if not agreement.signers:
        yield BodyFault("/agreement/signers", "empty")
    yield from _codes("/agreement/signers", agreement.signers, MAX_DEMANDED)
    yield from _within("/agreement/lapse_days", agreement.lapse_days, 1, MAX_DAYS)


def _kind(body: PolicyBody) -> Iterator[BodyFault]:
    for pointer, problem in kind_faults(body):
        yield BodyFault(pointer, problem)


def _times(body: PolicyBody) -> Iterator[BodyFault]:
    yield from _within("/longest_days", body.longest_days, 1, MAX_DAYS)
    yield from _within("/submission_lapse_days", body.submission_lapse_days, 1, MAX_DAYS)
    if body.review_days is not None:
        yield from _within("/review_days", body.review_days, 1, MAX_DAYS)
    yield from _within("/depth", body.depth, 0, MAX_GRANT_DEPTH)
    yield from _codes("/sanctions", body.sanctions, MAX_DEMANDED)
    yield from _within("/backdate_days", body.backdate_days, 0, MAX_DAYS)
    yield from _within("/provisional_days", body.provisional_days, 1, MAX_DAYS)
    yield from _within("/grace_days", body.grace_days, 0, MAX_DAYS)
