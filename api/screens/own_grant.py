"""A grant's page for the party it is given to: what they hold, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.ids import is_id
from api.problems import Answered
from api.screens.acts import Act, Tried, offered
from api.screens.drawing import draw, sentence
from api.screens.grant_acts import ACTS, OWN
from api.screens.naming import LocalBook, book, ids_of, points_of
from api.screens.visits import Visit
from domain.errors import Refused
from domain.values import PolicyRef


class OwnGrant:
    """One's own grant as the record that forms are offered on."""

    def __init__(self, visit: Visit, stream: str, document: Mapping[str, Any]) -> None:
        self._visit = visit
        self.id = stream
        self.document = document
        self.version: int = document["version"]
        self.agreement: Mapping[str, Any] | None = document.get("agreement")
        self.request: Mapping[str, Any] = document["cases"][0]

    def choices(self, act: Act, name: str) -> Sequence[tuple[str, str]] | None:
        """Return what can be chosen for a field; see `acts.Subject`."""
        found = self.agreement
        match name:
            case "party":
                return [("grantee", "")] if self._signs(act) else []
            case "digest":
                return [(found["digest"], "")] if found is not None else []
            case "case" if act.name == "sign_case":
                return [(found["case"], "")] if found is not None else []
            case "case":
                return [
                    (one["case"], "")
                    for one in self.document["cases"]
                    if one["open"] and one["what"] != "request"
                ]
            case _:
                return None

    def _signs(self, act: Act) -> bool:
        found = self.agreement
        if found is None or "grantee" not in found["signers"]:
            return False
        beside = found["case"] != self.request["case"]
        return beside == ("case" in act.places)

    def principals(self) -> Sequence[tuple[str, str]]:
        """Return nobody: a member acts for their customer alone."""
        return ()

    def expected(self) -> frozenset[str]:
        """Return the names of the acts that wait."""
        if self.document["status"] == "information_requested":
            return frozenset({"provide_information"})
        return frozenset({"sign", "sign_case"})


async def show(
    visit: Visit,
    stream: str,
    asked: Mapping[str, str],
    tried: Tried | None = None,
    status: int = 200,
) -> Answered:
    """Answer with the page. Raises `Refused` `grant.unknown` for what is not theirs."""
    if not is_id(stream):
        raise Refused("grant.unknown", grant=stream[:64])
    found = (await visit.desk.ask("me.grant", {"id": stream})).document
    subject = OwnGrant(visit, stream, found)
    names = await visit.work(
        book,
        visit,
        ids_of([found["grantee"]]),
        points_of(one["scope"] for one in (found, *found["cases"]) if "scope" in one),
    )
    table = [one for one in ACTS if one.name in OWN]
    values = {
        "grant": found,
        "grantee": names.party(found["grantee"]),
        "kind": names.version(PolicyRef(found["policy"], found["policy_version"])),
        "terms": await visit.work(_terms, names, found, found),
        "cases": [
            one | {"shown": await visit.work(_terms, names, found, one) if "scope" in one else None}
            for one in found["cases"]
        ],
        "forms": await offered(visit, subject, table, tried),
        "refusal": None if tried is None else sentence(visit, tried.refused),
        "tried": None if tried is None else tried.act,
        "moved": tried is not None and tried.refused.code == "version.moved",
        "happened": "since" in asked,
        "nothing": "nothing" in asked,
    }
    return draw(visit, "own_grant.html", values, status=status)


def _terms(names: LocalBook, grant: Mapping[str, Any], terms: Mapping[str, Any]) -> dict[str, Any]:
    """Return terms as their grantee sees them. Blocks."""
    ref = PolicyRef(grant["policy"], grant["policy_version"])
    term: Mapping[str, Any] = terms.get("term", {})
    return {
        "number": terms.get("terms", 1),
        "asked": False,
        "days": term.get("days"),
        "kind": names.version(ref),
        "actions": [names.action(ref, one) for one in terms["actions"]],
        "scope": [
            {
                "dimension": names.dimension(dimension),
                "points": [(names.point(dimension, one), one) for one in patterns],
            }
            for dimension, patterns in terms["scope"].items()
        ],
        "starts_at": terms.get("starts_at", term.get("starts_at")),
        "ends_at": terms.get("ends_at", term.get("ends_at")),
        "pass_on": terms.get("pass_on", 0),
        "purpose": terms.get("purpose"),
        "template": terms.get("template"),
    }
