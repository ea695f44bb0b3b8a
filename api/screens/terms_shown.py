"""Terms as a grant's page shows them: kind, actions, places by their names, term."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.screens.naming import LocalBook
from api.screens.words import Words
from domain.events.policy import PolicyBody
from domain.values import PolicyRef

Json = Mapping[str, Any]


class TermsShown:
    """Shows terms; `body_of` gives what a version of a policy says."""

    def __init__(
        self, words: Words, names: LocalBook, body_of: Callable[[Json], PolicyBody | None]
    ) -> None:
        self._words = words
        self._names = names
        self._body_of = body_of

    def kind(self, policy: Json, terms: Json) -> str:
        """Return what kind of grant it is, under which version of its policy."""
        body = self._body_of(policy)
        name = terms["kind"] if body is None else self._names.names(body.names)
        return self._words.say("grant.under", name=name, version=policy["version"])

    def every(self, state: Json) -> list[dict[str, Any]]:
        """Return all versions agreed on, the newest first; before any, the terms asked for."""
        effects: Sequence[Json] = state.get("effects", ())
        agreed = [
            self._shown(one["terms"], one["policy"], one["starts_at"], one.get("ends_at"))
            for one in reversed(effects)
        ]
        return agreed or [self._asked(state["terms"], state["policy"])]

    def case(self, state: Json) -> dict[str, Any] | None:
        """Return an open renewal or amendment and its terms; None where there is none."""
        case: Json | None = state.get("open_case")
        if case is None:
            return None
        return {
            "kind": case["kind"],
            "status": case["status"],
            "lapses_at": case.get("lapses_at"),
            "effective_at": case.get("effective_at"),
            "terms": self._asked(case["terms"], case["policy"]),
        }

    def _asked(self, terms: Json, policy: Json) -> dict[str, Any]:
        term: Json = terms["term"]
        shown = self._shown(terms, policy, term.get("starts_at"), term.get("ends_at"))
        return shown | {"asked": True, "days": term.get("days")}

    def _shown(
        self, terms: Json, policy: Json, starts_at: str | None, ends_at: str | None
    ) -> dict[str, Any]:
        ref = PolicyRef(policy["policy"], policy["version"])
        return {
            "number": terms.get("number", 1),
            "asked": False,
            "days": None,
            "kind": self.kind(policy, terms),
            "actions": [self._names.action(ref, one) for one in terms["actions"]],
            "scope": [
                {
                    "dimension": self._names.dimension(dimension),
                    "points": [(self._names.point(dimension, one), one) for one in patterns],
                }
                for dimension, patterns in terms["scope"].items()
            ],
            "starts_at": starts_at,
            "ends_at": ends_at,
            "pass_on": terms.get("pass_on", 0),
            "purpose": terms.get("purpose"),
            "template": terms.get("template"),
        }
