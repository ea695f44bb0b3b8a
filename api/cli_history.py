"""`counterseal history`: what happened, a readable line an event, by qualifiers and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli_errors import Usage
from api.cli_help import Command
from api.cli_past import AsOf, Happened, looked, looking
from api.cli_places import Places, tenant_of
from api.cli_shown import FINE, Json, aside, document, instant, line, table
from api.cli_texts import say, spoken, word

if TYPE_CHECKING:
    import psycopg

LINES: Final = 50
"""Lines where nothing is said."""
PAGE: Final = 1_000
ORDERS: Final = ("newest", "oldest")


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("history", cls=Command)(history)


def history(
    words: Annotated[list[str] | None, typer.Argument(metavar="WORDS...")] = None,
    *,
    order: Annotated[str, typer.Option("--order", metavar="ORDER")] = "newest",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0)] = LINES,
    around: Annotated[int | None, typer.Option("--around", metavar="POSITION", min=1)] = None,
    as_of: AsOf = None,
    happened: Happened = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="TENANT")] = None,
    as_json: Json = False,
) -> int:
    """List what happened, or what led to one event and what followed from it.

    Sealed texts are left out: they are shown by the service, for a purpose and into its log.
    """
    if order not in ORDERS:
        raise Usage("history.order", order=order, known=ORDERS)
    if around is not None and words:
        raise Usage("history.around")
    places = Places()
    with places.connection() as conn:
        known = tenant_of(conn, tenant)
        view = looked(conn, known, as_of, None, happened)
        with looking(places, conn, known, view):
            if around is not None:
                return _around(conn, known.id, around, as_json=as_json)
            rows, more = _found(conn, known.id, _question(words or []), order, limit)
            shown = _shown(conn, known.id, rows)
    if as_json:
        document({"items": shown, "more": more, **view.named()})
        return FINE
    _table(shown)
    if not shown:
        aside(say("history.none"))
    if more:
        aside(say("history.more", number=len(shown)))
    return FINE


def _question(words: Sequence[str]) -> str:
    """Return the words as one question; what the shell took for one word stays one."""
    said: list[str] = []
    for one in words:
        name, colon, value = one.partition(":")
        if any(sign.isspace() for sign in one) and '"' not in one:
            plain = colon and not any(sign.isspace() for sign in name)
            said.append(f'{name}:"{value}"' if plain else f'"{one}"')
        else:
            said.append(one)
    return " ".join(said)


def _found(
    conn: psycopg.Connection[Any], tenant: str, question: str, order: str, limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """Return the first rows, all of them with the limit 0, and whether more follow."""
    from projections.history_asked import asked, filter_of
    from projections.history_reading import find

    wanted = filter_of(conn, tenant, asked(question))
    found: list[dict[str, Any]] = []
    after: Sequence[Any] | None = None
    while True:
        page = find(
            conn,
            tenant,
            wanted=wanted,
            order="oldest" if order == "oldest" else "newest",
            after=after,
            limit=min(PAGE, limit - len(found)) if limit else PAGE,
        )
        found += page.items
        if page.last is None or (limit and len(found) >= limit):
            return found, page.last is not None
        after = page.last


def _shown(
    conn: psycopg.Connection[Any], tenant: str, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return rows as they are shown, each with its line."""
    from projections.history_lines import line as line_of
    from projections.history_lines import named_in, told
    from projections.history_lines_names import Book
    from projections.history_names import folded, names

    every = [told(row) for row in rows]
    ids, points = named_in(every)
    book = Book(
        spoken(),
        names(conn, tenant, ids, points),
        lambda stream: folded(conn, tenant, "policy", stream),
    )
    return [
        {name: value for name, value in row.items() if name != "data"}
        | {"line": line_of(one, book)}
        for row, one in zip(rows, every, strict=True)
    ]


def _around(conn: psycopg.Connection[Any], tenant: str, position: int, *, as_json: bool) -> int:
    from projections.history_reading import around

    found = around(conn, tenant, position)
    near = [*found.led_to, *found.followed]
    first, *others = _shown(conn, tenant, [found.item, *(one.item for one in near)])
    shown = [{"relation": one.relation, **row} for one, row in zip(near, others, strict=True)]
    led_to, followed = shown[: len(found.led_to)], shown[len(found.led_to) :]
    if as_json:
        document({**first, "led_to": led_to, "followed": followed, "more": found.more})
        return FINE
    _table([first])
    for heading, rows in (("history.led_to", led_to), ("history.followed", followed)):
        if rows:
            line()
            line(say(heading))
            _table(rows)
    for one in found.more:
        side, _, relation = one.partition(".")
        aside(say("history.cut", side=say(f"history.{side}"), relation=word("relations", relation)))
    return FINE


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows; those around an event with how they stand to it."""
    related = any("relation" in row for row in rows)
    headings = [say("history.position"), say("history.at")]
    headings += [say("history.relation")] if related else []
    table(
        [*headings, say("history.line")],
        [
            (
                row["position"],
                instant(row["at"]),
                *([word("relations", row["relation"])] if related else []),
                row["line"],
            )
            for row in rows
        ],
    )
