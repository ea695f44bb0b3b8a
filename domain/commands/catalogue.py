"""What may be asked of the catalogue; by an administrator, or the operator's command line."""

from __future__ import annotations

from typing import final

import msgspec

from domain import catalogue as catalogues
from domain.duties import actor, require_administrator_or_operator
from domain.values import Instant, Names
from domain.view import Command, View


class CatalogueCommand(Command, frozen=True, kw_only=True):
    """A command on the tenant's one catalogue; `tenant` is its stream id."""

    tenant: str

    @property
    def kind(self) -> str:
        return "catalogue"

    @property
    def stream_id(self) -> str:
        return self.tenant


@final
class DeclareDimension(CatalogueCommand, frozen=True, kw_only=True):
    """Declare a dimension: `territory`, `product`, `channel`, ..."""

    dimension: str
    names: Names

    def decide(self, view: View) -> None:
        require_administrator_or_operator(actor(view), view.at)
        events = catalogues.declare_dimension(
            view.catalogue(), dimension=self.dimension, names=self.names, act=view.act
        )
        view.record("catalogue", view.tenant, events)


@final
class AddPoint(CatalogueCommand, frozen=True, kw_only=True):
    """Add a point, which may be named in `[from_, until)`; `attributes`: dimension -> path."""

    dimension: str
    path: str
    names: Names
    from_: Instant | None = None
    until: Instant | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    def decide(self, view: View) -> None:
        require_administrator_or_operator(actor(view), view.at)
        events = catalogues.add_point(
            view.catalogue(),
            dimension=self.dimension,
            path=self.path,
            names=self.names,
            from_=self.from_,
            until=self.until,
            attributes=self.attributes,
            act=view.act,
        )
        view.record("catalogue", view.tenant, events)


@final
class RenamePoint(CatalogueCommand, frozen=True, kw_only=True):
    """Give a point other names."""

    dimension: str
    path: str
    names: Names

    def decide(self, view: View) -> None:
        require_administrator_or_operator(actor(view), view.at)
        events = catalogues.rename_point(
            view.catalogue(),
            dimension=self.dimension,
            path=self.path,
            names=self.names,
            act=view.act,
        )
        view.record("catalogue", view.tenant, events)


@final
class EndPoint(CatalogueCommand, frozen=True, kw_only=True):
    """End a point: now, or at `ends_at`."""

    dimension: str
    path: str
    ends_at: Instant | None = None

    def decide(self, view: View) -> None:
        require_administrator_or_operator(actor(view), view.at)
        events = catalogues.end_point(
            view.catalogue(),
            dimension=self.dimension,
            path=self.path,
            ends_at=self.ends_at,
            act=view.act,
        )
        view.record("catalogue", view.tenant, events)
