"""The policies as a table: one row a policy, with what was recorded of each of its versions."""

from __future__ import annotations

from typing import Any

from domain.policies import Policy
from projections.rows import StreamModel


def row(policy: Policy) -> dict[str, Any]:
    """Return the row of a state; names and status are the newest version's."""
    newest = policy.versions.get(policy.newest)
    names = None if newest is None else {"zh": newest.body.names.zh, "en": newest.body.names.en}
    return {
        "kind": policy.kind,
        "names": names,
        "newest": policy.newest,
        "status": policy.status,
        "versions": [
            {
                "number": one.number,
                "status": one.status,
                "from": one.from_,
                "retired_at": one.retired_at,
            }
            for _, one in sorted(policy.versions.items())
        ],
        "irregular": policy.irregular,
    }


MODEL = StreamModel(
    name="policies",
    fold=1,
    kind="policy",
    key="policy_id",
    columns={
        "kind": "text",
        "names": "jsonb",
        "newest": "integer",
        "status": "text",
        "versions": "jsonb",
        "irregular": "boolean",
    },
    row=row,
)
