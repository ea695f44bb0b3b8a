"""What `make run` brings: a sample tenant, made once, its API keys, and what to try with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from api import cli_texts, demo_tenant, identity
from api.cli_places import Places, tenants
from api.cli_shown import working
from api.cli_tenants import create
from api.cli_texts import Language, say
from api.postgres import default_data_dir
from api.postgres_host import locked, write_secret
from domain.values import Party
from projections.runner import Runner

TENANT: Final = "demo"

SCOPES: Final = {
    "administrator": ("admin", "staff", "policies", "audit:read"),
    "requester": ("customers", "grants:request", "grants:read"),
    "verifier": ("customers", "grants:verify", "grants:read", "shares", "me"),
    "approver": ("grants:approve", "grants:read"),
    "second-approver": ("grants:approve", "grants:read"),
    "compliance": ("policies", "customers", "grants:supervise", "grants:read", "audit:read"),
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
}


class Made(msgspec.Struct, frozen=True):
    """The note of what was made: which tenant, and what to ask about it."""

    tenant: str
    customers: dict[str, str]
    grants: dict[str, str]


class Tried(NamedTuple):
    """What the welcome speaks of: the folder of the keys, and what was made."""

    folder: Path
    made: Made
    elsewhere: Path | None  # the data directory, where it is not the usual one


def prepare(places: Places) -> Tried:
    """Make the sample tenant and its keys unless they are there; two at once wait for each other.

    Stopped anywhere, the next call does the rest: every command has its key, the note is written
    last.
    """
    folder = places.settings.data_dir / "demo"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / "lock"):
        made = _noted(places, folder)
        if made is None:
            with working(say("demo.making")):
                made = _make(places, folder)
        usual = default_data_dir().parent
        here = places.settings.data_dir
        return Tried(folder, made, None if here == usual else here)


def _note(folder: Path) -> Path:
    return folder / "tenant.json"


def _noted(places: Places, folder: Path) -> Made | None:
    """Return the note, if the database has its tenant and every key has its file."""
    try:
        made = msgspec.json.decode(_note(folder).read_bytes(), type=Made)
    except (OSError, msgspec.MsgspecError):
        return None
    with places.connection() as conn:
        there = any(one.id == made.tenant for one in tenants(conn))
    whole = all((folder / f"{name}.key").exists() for name in SCOPES)
    return made if there and whole else None


def _make(places: Places, folder: Path) -> Made:
    with places.connection() as conn:
        known = next((one.id for one in tenants(conn) if one.name == TENANT), None)
    tenant = known or create(places, TENANT)
    with places.services() as services:
        sample = demo_tenant.make(services, tenant)
        parties = {name: Party(sample.parties[number].ref) for name, number in STAFF.items()}
        parties |= {"member": sample.members["D-0001"], "shop": Party("service:shop")}
        with places.connection("migrator_database_url") as conn:
            for name, party in parties.items():
                file = folder / f"{name}.key"
                # A crash between the two leaves a key that nobody was shown.
                key = identity.create_key(conn, services.keys, tenant, party, SCOPES[name])
                write_secret(file, f"{key}\n")
    follower = Runner(places.url("projector_database_url"))
    while follower.step():  # so that the lists are whole when the welcome says what to try
        pass
    follower.close()
    made = Made(tenant, sample.customers, sample.grants)
    write_secret(_note(folder), msgspec.json.encode(made).decode())
    return made


def welcome(tried: Tried, url: str, language: Language) -> str:
    """Return what to open and three things to try, each a line to paste into a shell."""
    folder, made, elsewhere = tried
    where = "" if elsewhere is None else f"COUNTERSEAL_DATA_DIR={shlex.quote(str(elsewhere))} "
    customer = f"customer:{made.customers['D-0001']}"
    check = msgspec.json.encode(
        {
            "subject": customer,
            "action": "sell",
            "resource": {
                "type": "territory",
                "id": "CN/31/0115",
                "properties": {"product": "tea/green/longjing", "channel": "store"},
            },
        }
    ).decode()
    accept = " -H 'Accept-Language: zh'" if language == "zh" else ""

    def curl(key: str, path: str, more: str = "") -> str:
        file = shlex.quote(str(folder / f"{key}.key"))
        bearer = f'-H "Authorization: Bearer $(cat {file})"'
        return f"curl -sw '\\n' {url}{path} {bearer}{accept}{more}"

    approver = shlex.quote(str(folder / "approver.key"))
    approve = f"grant approve {made.grants['to_approve']} stage=sales --key-file {approver}"
    asked = f" -H 'Content-Type: application/json' -d '{check}'"
    lines = [
        "",
        say("demo.up", url=url),
        "",
        say("demo.open"),
        f"  {url}/docs",
        "",
        say("demo.try"),
        "",
        say("demo.check"),
        f"   {curl('shop', '/v1/checks', asked)}",
        "",
        say("demo.list"),
        f"   {curl('compliance', '/v1/grants')}",
        "",
        say("demo.show"),
        f"   {where}.venv/bin/counterseal grant show {made.grants['suspended']} --tenant {TENANT}",
        "",
        say("demo.keys", folder=folder),
        say("demo.acts"),
        f"   COUNTERSEAL_URL={url} .venv/bin/counterseal {approve}",
        "",
        cli_texts.say("demo.end"),
    ]
    return "\n".join(lines)
