"""A refusal carries every fact that its sentence names: in tests of the domain this is looked at
wherever a command is refused."""

from __future__ import annotations

from string import Formatter
from typing import Final

from api.texts import texts
from domain.errors import Refused

MAY_BE_NOTHING: Final = frozenset({("stage.not_open", "open"), ("grant.not_due", "due_at")})
"""Facts that there may be none of."""


def require_tellable(refused: Refused) -> None:
    """Fail where a sentence of the refusal's code, in either language, would have a gap."""
    for template in texts().get(refused.code, {}).values():
        for _, name, _, _ in Formatter().parse(template):
            if name is None:
                continue
            assert name in refused.params, f"{refused.code} does not say {name}"
            if (refused.code, name) not in MAY_BE_NOTHING:
                assert refused.params[name] is not None, f"{refused.code}: {name} is nothing"
