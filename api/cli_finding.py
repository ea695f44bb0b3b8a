"""What a command on a grant needs and the grant itself tells: its open case, hold, digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from api.cli_errors import Failure, Usage
from api.cli_shown import FINDINGS
from api.cli_texts import say

FOUND: Final = frozenset({"case", "hold", "digest"})
"""Fields that need not be given where the grant has one only."""

_REVOCATIONS: Final = frozenset({"grant.confirm_revocation", "grant.cancel_revocation"})
_ERRORS: Final = frozenset({"grant.confirm_error", "grant.dismiss_error"})


def places_of(path: str) -> list[str]:
    """Return what a path of an operation needs beside the grant's id."""
    return [name for name in re.findall(r"{(\w+)}", path) if name != "id"]


def find(operation: str, name: str, shown: Mapping[str, Any]) -> str:
    """Return the value of a field of `FOUND` from a grant as the service shows it.

    Raises `Failure` `acts.not_open` where the grant has none, `Usage` `acts.which` where several.
    """
    state: Mapping[str, Any] = shown["state"]
    known = _known(operation, name, shown)
    if len(known) > 1:
        raise Usage("acts.which", field=name, known=", ".join(known))
    if not known:
        sentence = say("acts.not_open", field=name, number=state["number"])
        raise Failure("acts.not_open", sentence, FINDINGS)
    return known[0]


def _known(operation: str, name: str, shown: Mapping[str, Any]) -> list[str]:
    state: Mapping[str, Any] = shown["state"]
    if name == "hold":
        holds = [one for one in state.get("holds", ()) if one.get("until") is None]
        return [one["id"] for one in holds if one["id"] is not None]
    if name == "digest":
        agreement = shown.get("agreement")
        return [] if agreement is None else [agreement["digest"]]
    if operation in _ERRORS:
        return [state["error"]] if state.get("error") else []
    key = "revocation" if operation in _REVOCATIONS else "open_case"
    return [state[key]["case"]] if state.get(key) else []
