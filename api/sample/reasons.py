"""Why things were decided in the sample, what was asked, answered and noted: codes and texts."""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    "failed": (("not_reached", "多次致电未接通。"), ("data_differs", "工商登记与申请资料不一致。")),
    "rejected": (
        ("territory_served", "该区域已有足够经销商。"),
        ("sales_low", "上年度销量未达标。"),
        ("not_now", None),
    ),
    "declined": (("terms", "对保证金条款有异议。"), ("not_needed", None)),
    "suspended": (
        ("complaint", "消费者投诉包装与备案不符，待核查。"),
        ("price", "低于最低零售价销售。"),
        ("quality", "抽检样品水分超标。"),
        ("payment", None),
    ),
    "resumed": (("cleared", "整改完成，复查合格。"), ("cleared", None)),
    "revoked": (
        ("breach", "跨区销售，二次警告后未改正。"),
        ("counterfeit", "门店发现仿冒产品。"),
        ("closed", None),
    ),
    "blocked": (("fraud_suspected", "涉嫌提交虚假材料。"), ("arrears", "货款逾期九十天。")),
    "unblocked": (("cleared", "款项已结清。"), ("cleared", None)),
    "error": (
        ("entered_twice", "同一申请录入了两次。"),
        ("wrong_customer", "录到了别的客户名下。"),
    ),
}
"""What was decided -> its reasons: a code, and for some of them a text."""

QUESTIONS: Final = (
    "请补充门店照片与租赁合同。",
    "请说明申请销售的具体城市。",
    "请确认联系人是否变更。",
    "请提供上一年度的销售数据。",
)
ANSWERS: Final = (
    "已补充，请查收。",
    "仅在申请所列城市销售。",
    "联系人未变更。",
    "销售数据见附件。",
)
NOTES: Final = (
    "客户来电询问续期事宜。",
    "已走访门店，陈列良好。",
    "季度对账无异议。",
    "提醒提交年度授权资料。",
)
CALLS: Final = (
    "电话回访：本人确认申请内容无误。",
    "电话回访：负责人确认区域与产品。",
    "电话回访：财务确认合同已收到。",
)
"""What a note of a call says; it is stored as a file."""

LABELS: Final = ("visit", "call", "quarterly_review", "reminder")
