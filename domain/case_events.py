"""Which event each step of a renewal, and of an amendment, is told by."""

from __future__ import annotations

from typing import Final, NamedTuple

from domain.events.grant_cases import (
    CaseApprovalRetracted,
    CaseApproved,
    CaseChecked,
    CaseLapsed,
    CaseOpened,
    CaseRejected,
    CaseSigned,
    CaseStageApproved,
    CaseVerified,
    CaseWithdrawn,
    GrantAmendmentApprovalRetracted,
    GrantAmendmentApproved,
    GrantAmendmentChecked,
    GrantAmendmentLapsed,
    GrantAmendmentProposed,
    GrantAmendmentRejected,
    GrantAmendmentSigned,
    GrantAmendmentStageApproved,
    GrantAmendmentVerified,
    GrantAmendmentWithdrawn,
    GrantRenewalApprovalRetracted,
    GrantRenewalApproved,
    GrantRenewalChecked,
    GrantRenewalLapsed,
    GrantRenewalRejected,
    GrantRenewalRequested,
    GrantRenewalSigned,
    GrantRenewalStageApproved,
    GrantRenewalVerified,
    GrantRenewalWithdrawn,
)
from domain.grant_states import CaseKind


class CaseEvents(NamedTuple):
    """The events of one kind of case, by their shapes."""

    opened: type[CaseOpened]
    checked: type[CaseChecked]
    verified: type[CaseVerified]
    stage_approved: type[CaseStageApproved]
    retracted: type[CaseApprovalRetracted]
    approved: type[CaseApproved]
    signed: type[CaseSigned]
    rejected: type[CaseRejected]
    withdrawn: type[CaseWithdrawn]
    lapsed: type[CaseLapsed]


_EVENTS: Final[dict[CaseKind, CaseEvents]] = {
    "renewal": CaseEvents(
        GrantRenewalRequested,
        GrantRenewalChecked,
        GrantRenewalVerified,
        GrantRenewalStageApproved,
        GrantRenewalApprovalRetracted,
        GrantRenewalApproved,
        GrantRenewalSigned,
        GrantRenewalRejected,
        GrantRenewalWithdrawn,
        GrantRenewalLapsed,
    ),
    "amendment": CaseEvents(
        GrantAmendmentProposed,
        GrantAmendmentChecked,
        GrantAmendmentVerified,
        GrantAmendmentStageApproved,
        GrantAmendmentApprovalRetracted,
        GrantAmendmentApproved,
        GrantAmendmentSigned,
        GrantAmendmentRejected,
        GrantAmendmentWithdrawn,
        GrantAmendmentLapsed,
    ),
}


def events_of(kind: CaseKind) -> CaseEvents:
    """Return the events of a kind of case."""
    return _EVENTS[kind]
