"""The read models that follow the log: what each is called, and which fold version this code
writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from projections import (
    compliance_models,
    customers,
    duties,
    grants,
    history,
    policies,
    staff,
    tasks,
)
from projections.rows import SeriesModel, StreamModel

STREAM_MODELS: Final[tuple[StreamModel, ...]] = (
    grants.MODEL,
    customers.MODEL,
    policies.MODEL,
    staff.MODEL,
)

SERIES_MODELS: Final[tuple[SeriesModel, ...]] = (
    tasks.MODEL,
    compliance_models.CASES,
    compliance_models.EFFECTS,
    compliance_models.POLICY_VERSIONS,
)

FOLDS: Final[Mapping[str, int]] = MappingProxyType(
    {model.name: model.fold for model in (*STREAM_MODELS, *SERIES_MODELS)}
    | {duties.NAME: duties.FOLD, history.NAME: history.FOLD}
)
"""Read model -> fold version of this code."""
