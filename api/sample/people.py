"""The sample's thirty people: who they are, in which roles and teams, since when and until when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from domain.values import Instant, Party


def day(text: str) -> Instant:
    """Return nine o'clock in China on a day."""
    return datetime.fromisoformat(f"{text}T01:00:00+00:00").astimezone(UTC)


class Colleague(NamedTuple):
    """One of the staff; works here from the beginning to `left`, and again from `back`."""

    number: str
    name: str
    level: str
    roles: tuple[str, ...]
    team: str | None = None
    left: Instant | None = None
    back: Instant | None = None

    def here(self, at: Instant) -> bool:
        """Tell whether they work here at that instant."""
        if self.left is None or at < self.left:
            return True
        return self.back is not None and at > self.back


ADMINISTRATOR: Final = "S-0001"
COMPLIANCE: Final = "S-0006"

STAFF: Final = (
    Colleague("S-0001", "张三", "head", ("administrator",)),
    Colleague("S-0002", "李四", "senior", ("requester",), "sales/east"),
    Colleague("S-0003", "王五", "senior", ("approver", "verifier"), "quality"),
    Colleague("S-0004", "赵六", "senior", ("approver",), "brand"),
    Colleague("S-0005", "钱七", "head", ("approver",), "brand"),
    Colleague("S-0006", "孙八", "head", ("compliance",), "compliance"),
    Colleague("S-0007", "周明远", "senior", ("requester",), "sales/north"),
    Colleague("S-0008", "吴静怡", "senior", ("requester",), "sales/east"),
    Colleague("S-0009", "郑海涛", "senior", ("requester",), "sales/south"),
    Colleague("S-0010", "冯晓燕", "senior", ("requester",), "sales/west"),
    Colleague("S-0011", "陈建国", "junior", ("requester",), "sales/north"),
    Colleague("S-0012", "褚玉兰", "junior", ("requester",), "sales/east"),
    Colleague("S-0013", "卫东", "junior", ("requester",), "sales/south"),
    Colleague("S-0014", "蒋雪梅", "junior", ("requester",), "sales/west"),
    Colleague("S-0015", "沈思远", "junior", ("requester",), "sales/east"),
    Colleague("S-0016", "韩冰", "junior", ("requester",), "sales/north", day("2025-08-29")),
    Colleague("S-0017", "杨帆", "senior", ("verifier",), "quality"),
    Colleague("S-0018", "朱丽", "junior", ("verifier",), "quality"),
    Colleague("S-0019", "秦岭", "junior", ("verifier",), "quality"),
    Colleague("S-0020", "尤佳", "junior", ("verifier",), "quality"),
    Colleague(
        "S-0021", "许诺", "junior", ("verifier",), "quality", day("2026-03-31"), day("2026-06-01")
    ),
    Colleague("S-0022", "何清和", "head", ("approver",)),
    Colleague("S-0023", "吕安然", "head", ("approver",), "brand"),
    Colleague("S-0024", "施展", "senior", ("approver",), "brand", day("2025-12-31")),
    Colleague("S-0025", "张若溪", "senior", ("approver",), "brand"),
    Colleague("S-0026", "孔文", "senior", ("compliance",), "compliance"),
    Colleague("S-0027", "曹宁", "senior", ("compliance",), "compliance"),
    Colleague("S-0028", "严谨", "senior", ("reviewer",), "compliance"),
    Colleague("S-0029", "华书墨", "head", ("auditor",)),
    Colleague("S-0030", "金安", "head", ("privacy_officer", "administrator")),
)

MANAGERS: Final = tuple(f"S-{number:04d}" for number in (2, *range(7, 17)))
"""Who looks after customers; S-0016 handed theirs over to S-0012."""

HANDED_OVER: Final = ("S-0016", "S-0012")


class Deputy(NamedTuple):
    """Who stands in for whom, from when until when."""

    principal: str
    deputy: str
    from_: Instant
    until: Instant


DEPUTIES: Final = (
    Deputy("S-0004", "S-0025", day("2025-02-05"), day("2025-02-20")),
    Deputy("S-0006", "S-0026", day("2025-07-14"), day("2025-07-28")),
    Deputy("S-0003", "S-0017", day("2025-10-09"), day("2025-10-24")),
    Deputy("S-0005", "S-0023", day("2026-02-24"), day("2026-03-10")),
    Deputy("S-0017", "S-0018", day("2026-06-15"), day("2026-06-30")),
    Deputy("S-0004", "S-0022", day("2026-10-26"), day("2026-11-13")),
    Deputy("S-0027", "S-0026", day("2026-10-19"), day("2026-11-09")),
)


class Crew:
    """Finds colleagues by role; their parties are known once they are appointed."""

    def __init__(self) -> None:
        self.parties: dict[str, Party] = {}

    def party(self, number: str) -> Party:
        """Return the party of a staff number."""
        return self.parties[number]

    def holding(self, role: str, at: Instant, *, levels: tuple[str, ...] = ()) -> list[str]:
        """Return the numbers of those who work here then in this role, and at such a level."""
        return [
            one.number
            for one in STAFF
            if role in one.roles and one.here(at) and (not levels or one.level in levels)
        ]

    def deputy(self, number: str, at: Instant) -> str | None:
        """Return who stands in for somebody at that instant."""
        for one in DEPUTIES:
            if one.principal == number and one.from_ < at < one.until:
                return one.deputy
        return None
