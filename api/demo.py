"""What `make run` brings: the sample tenant, made once, its API keys, and what to look at first."""

from __future__ import annotations

import contextlib
import shlex
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from api import cli_texts, identity
from api.cli_errors import Usage
from api.cli_places import Places, tenants
from api.cli_tenants import create
from api.cli_texts import Language, say
from api.postgres import default_data_dir
from api.postgres_host import locked, write_secret
from api.sample import loading, story
from api.sample.desk import OtherEdition
from api.screens.sessions import create_link
from domain.values import Party
from projections.runner import Runner

if TYPE_CHECKING:
    from api.wiring import Services

TENANT: Final = "demo"

SCOPES: Final = {
    "administrator": ("admin", "staff", "policies", "audit:read"),
    "requester": ("customers", "grants:request", "grants:read"),
    "verifier": ("customers", "grants:verify", "grants:read", "shares", "me"),
    "approver": ("grants:approve", "grants:read"),
    "second-approver": ("grants:approve", "grants:read"),
    "compliance": ("policies", "customers", "grants:supervise", "grants:read", "audit:read"),
    "auditor": ("audit:read", "grants:read"),
    "reviewer": ("grants:read",),
    "member": ("grants:request", "grants:sign", "grants:read", "me"),
    "shop": ("evaluate", "search"),
}
"""Name of a key's file -> what it may ask for."""

STAFF: Final = {
    "administrator": "S-0001",
    "requester": "S-0002",
    "verifier": "S-0003",
    "approver": "S-0004",
    "second-approver": "S-0005",
    "compliance": "S-0006",
    "reviewer": "S-0028",
    "auditor": "S-0029",
}

SIGNS_IN: Final = "approver"
"""Whose key the link of the welcome signs in with."""

LINK_SECONDS: Final = 24 * 3600
"""How long that link is good, once."""


class Made(msgspec.Struct, frozen=True):
    """The note of what was made: which tenant, and what to ask about it."""

    tenant: str
    customers: dict[str, str]
    grants: dict[str, str]


class Tried(NamedTuple):
    """What the welcome speaks of: the folder of the keys, what was made, a link's token."""

    folder: Path
    made: Made
    elsewhere: Path | None  # the data directory, where it is not the usual one
    link: str


def prepare(places: Places, *, small: bool = False) -> Tried:
    """Make the sample tenant and its keys unless they are there; two at once wait for each other.

    Stopped anywhere, the next call does the rest: every command has its key, the note is written
    last. Raises `Usage` `demo.other`.
    """
    folder = places.settings.data_dir / "demo"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / "lock"):
        made = _noted(places, folder)
        if made is None:
            made = _make(places, folder, loading.SMALL if small else loading.FULL)
        usual = default_data_dir().parent
        here = places.settings.data_dir
        return Tried(folder, made, None if here == usual else here, _link(places, folder))


def _note(folder: Path) -> Path:
    return folder / "tenant.json"


def _key(folder: Path, name: str) -> Path:
    return folder / f"{name}.key"


def _noted(places: Places, folder: Path) -> Made | None:
    """Return the note, if the database has its tenant and every key has its file."""
    try:
        made = msgspec.json.decode(_note(folder).read_bytes(), type=Made)
    except (OSError, msgspec.MsgspecError):
        return None
    with places.connection() as conn:
        there = any(one.id == made.tenant for one in tenants(conn))
    whole = all(_key(folder, name).exists() for name in SCOPES)
    return made if there and whole else None


def _make(places: Places, folder: Path, scale: float) -> Made:
    with places.connection() as conn:
        known = next((one for one in tenants(conn) if one.name == TENANT), None)
    if known is not None and known.clock != "given":
        raise Usage("demo.other", name=TENANT)
    tenant = create(places, TENANT, given_clock=True) if known is None else known.id
    with places.services() as services:
        with _followed(places), _progress() as tell:
            try:
                loaded = loading.load(services, tenant, scale, tell)
            except OtherEdition:
                raise Usage("demo.other", name=TENANT) from None
        _keys(places, services, tenant, folder, loaded.staff | {"member": loaded.member})
    made = Made(tenant, story.customer_ids(), story.numbers())
    write_secret(_note(folder), msgspec.json.encode(made).decode())
    return made


def _keys(
    places: Places,
    services: Services,
    tenant: str,
    folder: Path,
    parties: Mapping[str, Party],
) -> None:
    """Make a key a role, each in a file."""
    holders = {name: Party(parties[number].ref) for name, number in STAFF.items()}
    holders |= {"member": parties["member"], "shop": Party("service:shop")}
    with places.connection("migrator_database_url") as conn:
        for name, party in holders.items():
            # A crash between the two leaves a key that nobody was shown.
            key = identity.create_key(conn, services.keys, tenant, party, SCOPES[name])
            write_secret(_key(folder, name), f"{key}\n")


def _link(places: Places, folder: Path) -> str:
    """Return the token of a new link that signs in once with one of the sample's keys."""
    parts = identity.parse(_key(folder, SIGNS_IN).read_text(encoding="utf-8").strip())
    if parts is None:
        raise Usage("key.malformed", key=SIGNS_IN)
    with places.connection("migrator_database_url") as conn, places.keys() as keys:
        return create_link(conn, keys, parts.tenant, parts.key_id, LINK_SECONDS)


@contextlib.contextmanager
def _followed(places: Places) -> Generator[None]:
    """Let the read models follow meanwhile, and to the end: the lists are whole afterwards."""
    follower, stop = Runner(places.url("projector_database_url")), threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,), name="sample-follower")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        follower.wake()
        thread.join()
    rest = Runner(places.url("projector_database_url"))
    while rest.step():
        pass
    rest.close()


@contextlib.contextmanager
def _progress() -> Generator[Callable[[float], None]]:
    """Give what shows how much of the two years is over: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(say("demo.making"), total=1.0)
        yield lambda part: shown.update(task, completed=part)


def welcome(tried: Tried, url: str, language: Language) -> str:
    """Return five things to look at, each a link to open or a line to paste into a shell."""
    folder, made, elsewhere, link = tried
    where = "" if elsewhere is None else f"COUNTERSEAL_DATA_DIR={shlex.quote(str(elsewhere))} "
    check = msgspec.json.encode(
        {
            "subject": f"customer:{made.customers['D-0001']}",
            "action": "sell",
            "resource": {
                "type": "territory",
                "id": "CN/31/0115",
                "properties": {"product": "tea/green/longjing", "channel": "store"},
            },
        }
    ).decode()
    accept = " -H 'Accept-Language: zh'" if language == "zh" else ""
    bearer = f'-H "Authorization: Bearer $(cat {shlex.quote(str(_key(folder, "shop")))})"'
    json = f"-H 'Content-Type: application/json' -d '{check}'"
    command = f"{where}.venv/bin/counterseal"
    lines = [
        "",
        say("demo.up", url=url),
        "",
        say("demo.screens"),
        f"   {url}/sign-in?link={link}",
        say("demo.docs"),
        f"   {url}/docs",
        say("demo.check"),
        f"   curl -sw '\\n' {url}/v1/checks {bearer}{accept} {json}",
        say("demo.work"),
        f"   {command} worklist --tenant {TENANT} --for {STAFF[SIGNS_IN]} | head -15",
        say("demo.doctor"),
        f"   {command} doctor --tenant {TENANT}",
        "",
        say("demo.keys", folder=folder),
        cli_texts.say("demo.end"),
    ]
    return "\n".join(lines)
