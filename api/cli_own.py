"""What whoever acts for a customer is shown of their own, in the shape in which others see it.

Their key opens nothing but `/v1/me`; the commands on a grant are the same for everyone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from api.cli_errors import Failure
from api.cli_grant_shown import OPEN

if TYPE_CHECKING:
    from api.cli_client import Service

OWN_ONLY: Final = "actor.own_view_only"
"""The refusal that sends a caller to their own view."""

_TERMS: Final = ("kind", "actions", "scope", "term", "pass_on", "parent", "template", "purpose")
_NEVER: Final = OPEN | {"rejected", "withdrawn", "lapsed"}


def shut_out(fault: Failure) -> bool:
    """Return whether a refusal leaves the caller their own view to look in."""
    return fault.code in (OWN_ONLY, "scope_of_key.missing")


def own_id(service: Service, kind: str, number: str) -> str | None:
    """Return the id of one's own grant or of oneself by number; None for all else.

    Raises `Failure`.
    """
    if kind == "customer":
        me = myself(service)
        known = me.get("customer", {}).get("number") == number
        return str(me["party"]).partition(":")[2] if known else None
    if kind == "grant":
        for page in service.pages("/v1/me/requests", {}):
            for one in page:
                if one["number"] == number:
                    return str(one["grant"])
    return None


def myself(service: Service) -> Mapping[str, Any]:
    """Return who the caller is. Raises `Failure`."""
    return service.get("/v1/me").document


def grant_read(
    service: Service, stream: str, past: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Return a grant as the key may see it, now or in the past: whole, or what is shown to its own
    party.

    Raises `Failure`.
    """
    try:
        return service.get(f"/v1/grants/{stream}", past).document
    except Failure as fault:
        if fault.code != OWN_ONLY:
            raise
    own: Mapping[str, Any] = service.get(f"/v1/me/grants/{stream}", past).document
    found = {"id": stream, "version": own["version"], "state": _state(own)}
    return found if own["agreement"] is None else found | {"agreement": own["agreement"]}


def _state(own: Mapping[str, Any]) -> dict[str, Any]:
    policy = {"policy": own["policy"], "version": own["policy_version"]}
    state: dict[str, Any] = {
        "number": own["number"],
        "status": own["status"],
        "grantee": own["grantee"],
        "terms": _terms(own),
        "policy": policy,
        "effects": [],
        "holds": [{"id": None, "from": one} for one in own["suspended_from"]],
        "revoked_from": own["revoked_from"],
    }
    if own["status"] not in _NEVER:
        state["effects"] = [{"starts_at": own["starts_at"], "ends_at": own["ends_at"]}]
    for case in own["cases"]:
        if not case["open"]:
            continue
        if case["what"] == "request":
            state["lapses_at"] = case["lapses_at"]
        else:
            named = {"case": case["case"], "kind": case["what"], "status": case["status"]}
            state["open_case"] = named | {"terms": _terms(case), "policy": policy}
    return state


def _terms(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in _TERMS if name in shown}
