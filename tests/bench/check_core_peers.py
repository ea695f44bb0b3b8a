"""pycasbin and cedarpy with the same grants as `check_core`, each set up as well as it can be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Protocol, cast

import casbin  # pyright: ignore[reportMissingTypeStubs]
import cedarpy
import msgspec

from domain.scopes import ANY, prefixes
from domain.values import Instant
from tests.bench.check_core_ground import Asked, Grant, Ground

Ask = Callable[[Asked], bool]


def _us(at: Instant) -> int:
    """Return an instant as both peers compare it: microseconds since 1970, a whole number."""
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _now() -> int:
    return time.time_ns() // 1000


# --- pycasbin -------------------------------------------------------------------------------------

MODEL: Final = """
[request_definition]
r = sub, act, territory, product, channel, now
[policy_definition]
p = sub, act, territory, product, channel, begin, until
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = allows(r.territory, r.product, r.channel, r.now, p.territory, p.product, p.channel, p.begin, \
p.until)
"""
KEYS: Final = (0, 1)
"""Its FastEnforcer looks only at the policies of the asked subject and action."""

_prefixes = lru_cache(maxsize=65_536)(prefixes)


@lru_cache(maxsize=65_536)
def _patterns(joined: str) -> frozenset[str]:
    return frozenset(joined.split("|"))


def allows(
    territory: str,
    product: str,
    channel: str,
    now: str,
    territories: str,
    products: str,
    channels: str,
    begin: str,
    until: str,
) -> bool:
    """Tell whether a policy allows it; one function, for each costs pycasbin an evaluation more."""
    return (
        begin <= now < until
        and not _patterns(territories).isdisjoint(_prefixes(territory))
        and not _patterns(products).isdisjoint(_prefixes(product))
        and not _patterns(channels).isdisjoint(_prefixes(channel))
    )


class _Enforcer(Protocol):
    def enforce(self, *given: str) -> bool: ...


def pycasbin(ground: Ground) -> Ask:
    """Return its answers; it holds strings only, so instants are numbers of equal length."""
    model: Any = casbin.FastModel(KEYS)
    model.load_model_from_text(MODEL)
    made: Any = casbin.FastEnforcer(model, cache_key_order=KEYS)
    made.add_function("allows", allows)
    made.logger.setLevel(logging.ERROR)  # it would write every denial
    policy = made.model.model["p"]["p"].policy
    for grant in ground.permissions():
        scope = ("|".join(grant.scope[name]) for name in ("territory", "product", "channel"))
        rule = (*scope, str(_us(grant.begin)), str(_us(grant.until)))
        for action in grant.actions:
            policy.append([grant.grantee, action, *rule])  # as its adapters do
    enforcer = cast(_Enforcer, made)

    def ask(asked: Asked) -> bool:
        return enforcer.enforce(*asked, str(_now()))

    return ask


# --- cedarpy --------------------------------------------------------------------------------------

NO_ENTITIES: Final = cedarpy.Entities.from_json_str("[]")


def cedar(ground: Ground) -> Ask:
    """Return its answers; each question is given the policies of its subject and action alone, for
    it looks at all that it is given.
    """
    texts: dict[tuple[str, str], list[str]] = {}
    for grant in ground.permissions():
        for action in grant.actions:
            texts.setdefault((grant.grantee, action), []).append(_policy(grant, action))
    sets = {key: cedarpy.PolicySet.from_str("\n".join(found)) for key, found in texts.items()}
    none = cedarpy.PolicySet.from_str("")

    def ask(asked: Asked) -> bool:
        request = {
            "principal": {"type": "Party", "id": asked.subject},
            "action": {"type": "Action", "id": asked.action},
            "resource": {"type": "Territory", "id": asked.territory},
            "context": {
                "territory": asked.territory,
                "product": asked.product,
                "channel": asked.channel,
                "now": _now(),
            },
        }
        policies = sets.get((asked.subject, asked.action), none)
        return cedarpy.is_authorized(request, policies, NO_ENTITIES).allowed

    return ask


def _policy(grant: Grant, action: str) -> str:
    """Return a grant as a policy; prefixes by `like`, faster than entities or sets of prefixes."""
    conditions = [f"{_us(grant.begin)} <= context.now", f"context.now < {_us(grant.until)}"]
    for dimension, patterns in grant.scope.items():
        if ANY not in patterns:
            path = f"context.{dimension}"
            either = (
                f"{path} == {_text(one)} || {path} like {_text(f'{one}/*')}" for one in patterns
            )
            conditions.append(f"({' || '.join(either)})")
    head = (
        f"principal == Party::{_text(grant.grantee)}, action == Action::{_text(action)}, resource"
    )
    return f"permit({head}) when {{ {' && '.join(conditions)} }};"


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
