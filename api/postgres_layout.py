"""The places in the embedded server's directory, and the refusal beside another version's data."""

import shlex
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Self

from api.postgres_host import WHEEL, Account, StartRefused, programs

ADMIN = "postgres"
INITDB = (
    f"--username={ADMIN}",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--auth=scram-sha-256",
    "--data-checksums",
)


@dataclass(frozen=True)
class Layout:
    """The places in a data directory; `cluster` is the only one that belongs to the account."""

    home: Path
    major: int

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        return cls(data_dir.expanduser().resolve(), int(metadata.version(WHEEL).split(".")[0]))

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def password(self) -> Path:
        return self.home / "admin.password"

    @property
    def cluster(self) -> Path:
        return self.home / str(self.major)

    @property
    def data(self) -> Path:
        return self.cluster / "data"

    @property
    def sockets(self) -> Path:
        return self.cluster / "socket"

    @property
    def logs(self) -> Path:
        return self.cluster / "log"

    @property
    def start_log(self) -> Path:
        return self.cluster / "start.log"


def refuse_other_majors(home: Layout, account: Account | None) -> None:
    """Refuse beside another major version's data: an empty new database must not take its place."""
    for version in sorted(home.home.glob("*/data/PG_VERSION")):
        major = version.read_text(encoding="utf-8").strip()
        if version.parent == home.data and major != str(home.major):
            raise StartRefused(
                "database.other_major",
                f"{home.data} holds data of PostgreSQL {major}, not {home.major}; nothing was"
                " touched. Move it to where its version says, or set DATABASE_URL.",
            )
        if version.parent != home.data and not home.data.exists():
            commands = upgrade_commands(home, version.parent, major, account)
            raise StartRefused(
                "database.other_major",
                f"{version.parent} holds data of PostgreSQL {major}, and these programs are"
                f" PostgreSQL {home.major}; nothing was touched. To upgrade, with the programs of"
                f" PostgreSQL {major} at hand:\n{commands}",
            )
    if (home.home / "PG_VERSION").exists():
        raise StartRefused(
            "database.other_major",
            f"{home.home} is itself a PostgreSQL data directory; nothing was touched. Name a"
            " directory above it, or start that server and set DATABASE_URL.",
        )


def upgrade_commands(home: Layout, old: Path, major: str, account: Account | None) -> str:
    """The shell commands that bring an older cluster to this version, leaving the old one alone."""
    bin_dir = programs(home.home, account)
    cluster, new = shlex.quote(str(home.cluster)), shlex.quote(str(home.data))
    owner = "" if account is None else f"-o {account.name} "
    shell = "sh -c" if account is None else f"su -s /bin/sh {account.name} -c"
    initdb = f"{shlex.quote(str(bin_dir / 'initdb'))} {' '.join(INITDB)} --pwfile=pw -D {new}"
    upgrade = (
        f'{shlex.quote(str(bin_dir / "pg_upgrade"))} -U {ADMIN} -b "$OLD_BIN"'
        f" -B {shlex.quote(str(bin_dir))} -d {shlex.quote(str(old))} -D {new}"
    )
    inside = f'umask 077 && printf %s "$PGPASSWORD" > pw && {initdb} && {upgrade} ; rm -f pw'
    old_bin = f"/usr/lib/postgresql/{major}/bin   # where the programs of PostgreSQL {major} are"
    return "\n".join(
        [
            f"  export OLD_BIN={old_bin}",
            f'  export PGPASSWORD="$(cat {shlex.quote(str(home.password))})"',
            f"  install -d -m 700 {owner}{cluster} && cd {cluster}",
            f"  {shell} {shlex.quote(inside)}",
        ]
    )
