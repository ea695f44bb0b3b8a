"""Events of a staff member: level, roles, customers assigned, deputy."""

from __future__ import annotations

from typing import ClassVar

from domain.events.common import Event
from domain.values import Instant


class StaffAppointed(Event, frozen=True):
    """A person works for the tenant; `number` is the staff number (工号), never a name."""

    name: ClassVar[str] = "staff.appointed.1"

    person: str
    number: str
    level: str
    roles: tuple[str, ...]
    customers: tuple[str, ...] = ()


class StaffLevelChanged(Event, frozen=True):
    """Another level (`junior`, `senior`, ...)."""

    name: ClassVar[str] = "staff.level_changed.1"

    level: str


class StaffRolesChanged(Event, frozen=True):
    """The roles are now exactly these."""

    name: ClassVar[str] = "staff.roles_changed.1"

    roles: tuple[str, ...]


class StaffAssignmentsChanged(Event, frozen=True):
    """The customers assigned are now exactly these."""

    name: ClassVar[str] = "staff.assignments_changed.1"

    customers: tuple[str, ...]


class StaffTeamChanged(Event, frozen=True):
    """Belongs from now on to the team at this path of the catalogue's dimension `team`; None: to
    none.
    """

    name: ClassVar[str] = "staff.team_changed.1"

    team: str | None


class StaffDeputySet(Event, frozen=True):
    """`deputy` (a staff member) may act on this one's behalf during `[from_, until)`."""

    name: ClassVar[str] = "staff.deputy_set.1"

    deputy: str
    from_: Instant
    until: Instant


class StaffDeputyEnded(Event, frozen=True):
    """Nobody acts on this one's behalf any more."""

    name: ClassVar[str] = "staff.deputy_ended.1"


class StaffHandedOver(Event, frozen=True):
    """The customers assigned are looked after by `to` from now on; `to` gets them in its own
    stream."""

    name: ClassVar[str] = "staff.handed_over.1"

    to: str
    customers: tuple[str, ...]


class StaffDeactivated(Event, frozen=True):
    """Works here no longer, at once; open work shows as unassigned."""

    name: ClassVar[str] = "staff.deactivated.1"
