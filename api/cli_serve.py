"""`counterseal serve` and `counterseal demo`: run the service, alone or with a sample tenant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli_errors import Usage
from api.cli_help import Command
from api.cli_places import Places
from api.cli_shown import FAULT, FINE, Json, aside, line
from api.cli_texts import say, spoken

if TYPE_CHECKING:
    from api.settings import Settings
    from api.wiring import Addresses

Host = Annotated[str | None, typer.Option("--host", metavar="HOST")]
Port = Annotated[int | None, typer.Option("--port", metavar="PORT", min=0, max=65535)]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("serve", cls=Command)(serve)
    app.command("demo", cls=Command)(demo)


def serve(
    *,
    only: Annotated[str | None, typer.Option("--only", metavar="PART")] = None,
    host: Host = None,
    port: Port = None,
    as_json: Json = False,
) -> int:
    """Run the parts of the service until told to end."""
    from api import cli_process

    parts: tuple[cli_process.Part, ...] = tuple(
        part for part in cli_process.PARTS if only in (None, part)
    )
    if not parts:
        raise Usage("serve.only", value=only)
    places = Places()
    where = addresses(places)

    def ready(url: str | None) -> None:
        if as_json:
            line(json.dumps({"listening": url, "parts": parts}))
            return
        named = ", ".join(say(f"serve.{part}") for part in parts)
        if url is None:
            line(say("serve.running", parts=named))
        else:
            line(say("serve.listening", url=url, parts=named))
        if places.settings.embedded:
            _notice()

    process = cli_process.Process(_with(places.settings, host, port), where, parts)
    process.run(ready)
    if not as_json:
        line(say("serve.ended"))
    return FAULT if process.failed else FINE


def demo(
    *,
    small: Annotated[bool, typer.Option("--small")] = False,
    host: Host = None,
    port: Port = None,
) -> int:
    """Serve with the sample tenant, and say what to try."""
    from api import cli_process
    from api import demo as sample

    places = Places()
    settings = _with(places.settings, host, port)
    if settings.log_level == "info":  # a terminal is for the welcome, not for a line a request
        settings = settings.model_copy(update={"log_level": "warning"})
    cli_process.require_port(settings)  # not after the minutes that the sample takes
    tried = sample.prepare(places, small=small)

    def ready(url: str | None) -> None:
        line(sample.welcome(tried, url or "", spoken()))

    process = cli_process.Process(settings, addresses(places), cli_process.PARTS)
    process.run(ready)
    line(say("serve.ended"))
    return FAULT if process.failed else FINE


def addresses(places: Places) -> Addresses:
    """Return where a serving process finds its databases; embedded ones are started for it."""
    from api.wiring import Addresses

    projector = "projector_database_url"
    return Addresses(
        places.url("database_url"),
        places.url("keys_database_url"),
        places.url(projector) if places.has(projector) else None,
    )


def _with(settings: Settings, host: str | None, port: int | None) -> Settings:
    changes = {"host": host, "port": port}
    return settings.model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )


def _notice() -> None:
    from api.postgres import NOTICE

    aside(NOTICE[spoken()])
