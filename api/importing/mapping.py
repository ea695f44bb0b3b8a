"""A mapping: which column is what, which step is which event, and what stands in for the rest."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, Literal

import msgspec

from api.importing.faults import Unusable
from api.importing.instants import zone_of
from api.importing.templates import Template
from domain.codes import code_fault
from domain.events.policy import PolicyBody
from domain.policy_bodies import body_fault
from domain.scopes import ANY
from domain.staff import ROLES
from domain.values import CHANNELS, Instant, Names

MAX_MAPPING_BYTES: Final = 1024 * 1024
MAX_STEPS: Final = 1_000
"""Most steps a mapping names."""

ENCODINGS: Final = {
    "utf-8": "utf-8",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "latin-1": "iso8859-1",
    "iso-8859-1": "iso8859-1",
    "windows-1252": "cp1252",
}
"""Encodings in which a line's end and a delimiter are the bytes they are in ASCII; name -> codec.
A byte order mark of UTF-8 is skipped."""

Kind = Literal[
    "request",
    "ask",
    "provide",
    "check",
    "fail",
    "approve",
    "reject",
    "withdraw",
    "effect",
    "suspend",
    "resume",
    "revoke",
    "note",
]
"""What a step may be; a step the mapping does not name is a note."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the mapping: a word it does not know is an error, never overlooked."""


class FileShape(_Part, frozen=True):
    """How the table is written; `sheet` of a workbook, the first one unless named."""

    encoding: str = "utf-8"
    delimiter: str = ","
    sheet: str | None = None


class Columns(_Part, frozen=True):
    """The columns by the words of the header; `id` is a unique id of the step, if there is one."""

    case: str
    step: str
    person: str
    instant: str
    id: str | None = None


class Instants(_Part, frozen=True):
    """How instants are written: ISO 8601 unless `format` (of strptime) says otherwise; `zone`, a
    name of the IANA database or an offset, where they do not carry one."""

    format: str | None = None
    zone: str | None = None


class People(_Part, frozen=True):
    """What the file calls a person. `number`: a staff number or pseudonym, written in the clear;
    `name`: a person's name, which is sealed, the staff number being made by the import.

    `roles`: those their steps in the file need, or exactly these. `nobody` is the service that
    stands for an empty cell; without it such a row is refused."""

    called: Literal["number", "name"] = "number"
    level: str = "imported"
    roles: Literal["as_done"] | tuple[str, ...] = "as_done"
    nobody: str | None = None


class Step(_Part, frozen=True):
    """The event a step is. `check` (what kind of check it was) and `channel` for check and fail;
    `stage` for approve (the first one unless named) and `role` (of its groups, the first unless
    named); `hold` names the hold that suspend begins and resume ends; `reason` is a code written
    with it."""

    event: Kind
    check: str = "document"
    channel: str = "register"
    stage: str | None = None
    role: str | None = None
    hold: str = "imported"
    reason: str | None = None


class Constants(_Part, frozen=True):
    """What the file lacks; texts may be templates, `{column}` a cell and `{case}` the case's.

    `grantee` is `customer:<number>`: a customer record is made for it where there is none, with
    `title` as its name. `confirmed_until`: how long it counts as identified; without it nobody
    imported stands, and every check of their grants denies. `term`: `open`, or days from the
    effect."""

    grantee: str
    actions: tuple[str, ...]
    scope: dict[str, str]
    title: str | None = None
    channel: str = "register"
    term: Literal["open"] | int = "open"
    confirmed_until: Instant | None = None


class Dimension(_Part, frozen=True):
    """A dimension of the catalogue, declared where it is not; names of points by path, a path
    without names stands for itself."""

    names: Names
    points: dict[str, Names] = {}


class Written(_Part, frozen=True):
    """The mapping as the file says it."""

    format: Literal[1]
    source: str
    columns: Columns
    constants: Constants
    policy: PolicyBody
    steps: dict[str, Kind | Step]
    file: FileShape = FileShape()
    instants: Instants = Instants()
    people: People = People()
    dimensions: dict[str, Dimension] = {}
    values: dict[str, dict[str, str]] = {}
    policy_stays: bool = False


class Mapping:
    """A mapping that was looked through, its templates compiled.

    `source` names where the facts come from; with the case it is what makes them known again, so it
    stays the same when a later export of the same system is imported. `policy_stays`: new requests
    may rest on the imported policy, which nobody has approved here; else it is retired at once.
    """

    def __init__(self, written: Written) -> None:
        self.written = written
        self.source = written.source
        self.columns = written.columns
        self.file = written.file
        self.people = written.people
        self.constants = written.constants
        self.policy = written.policy
        self.dimensions = written.dimensions
        self.policy_stays = written.policy_stays
        self.steps = {
            name: one if isinstance(one, Step) else Step(one) for name, one in written.steps.items()
        }
        aliases = {"case": written.columns.case}
        self.grantee = Template(written.constants.grantee, aliases, written.values)
        self.title = Template(written.constants.title or "", aliases, written.values)
        self.channel = Template(written.constants.channel, aliases, written.values)
        self.scope = {
            dimension: Template(text, aliases, written.values)
            for dimension, text in sorted(written.constants.scope.items())
        }
        self.zone = zone_of(written.instants.zone)
        self.codec = ENCODINGS.get(written.file.encoding.lower(), "")
        _look_through(self)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that the file must have, each once."""
        columns = self.columns
        named = [columns.case, columns.step, columns.person, columns.instant]
        if columns.id is not None:
            named.append(columns.id)
        for template in (self.grantee, self.title, self.channel, *self.scope.values()):
            named += template.columns
        return tuple(dict.fromkeys(named))

    def stage_of(self, step: Step) -> str:
        """Return the stage an approval is given in."""
        return step.stage or self.policy.stages[0].id


def read_mapping(path: Path) -> Mapping:
    """Return the mapping in a TOML file.

    Raises `Unusable`: `import.mapping_unreadable`, `import.mapping_malformed`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MAPPING_BYTES + 1)
    except OSError as fault:
        raise Unusable("import.mapping_unreadable", fault=fault.strerror) from fault
    if len(data) > MAX_MAPPING_BYTES:
        raise Unusable("import.mapping_malformed", fault=f"over {MAX_MAPPING_BYTES} bytes")
    return parse_mapping(data)


def parse_mapping(data: bytes) -> Mapping:
    """Return the mapping in TOML. Raises `Unusable` `import.mapping_malformed`."""
    try:
        document = tomllib.loads(data.decode())
        written = msgspec.convert(document, Written)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise _malformed(str(fault)) from fault
    return Mapping(written)


def _malformed(fault: str) -> Unusable:
    return Unusable("import.mapping_malformed", fault=fault)


def _look_through(mapping: Mapping) -> None:
    """Refuse what does not fit together, before a row is read."""
    if code_fault(mapping.source) is not None:
        raise _malformed("source: one word")
    if not mapping.codec:
        raise _malformed(f"file.encoding: one of {', '.join(ENCODINGS)}")
    if len(mapping.file.delimiter) != 1 or mapping.file.delimiter in '"\r\n':
        raise _malformed("file.delimiter: one character")
    if len(mapping.steps) > MAX_STEPS:
        raise _malformed(f"steps: more than {MAX_STEPS}")
    _look_through_people(mapping.people)
    _look_through_constants(mapping)
    _look_through_steps(mapping)


def _look_through_people(people: People) -> None:
    if code_fault(people.level) is not None:
        raise _malformed("people.level: one word")
    if people.roles != "as_done" and not ROLES.issuperset(people.roles):
        raise _malformed(f"people.roles: of {', '.join(sorted(ROLES))}")
    if people.nobody is not None and code_fault(people.nobody) is not None:
        raise _malformed("people.nobody: one word, the name of a service")


def _look_through_constants(mapping: Mapping) -> None:
    constants, policy = mapping.constants, mapping.policy
    fault = body_fault(policy)
    if fault is not None:
        raise _malformed(f"policy{fault.pointer}: {fault.problem}")
    if not constants.grantee.startswith("customer:"):
        raise _malformed("constants.grantee: customer:<number>")
    known = {rule.action for rule in policy.actions}
    if not constants.actions or not known.issuperset(constants.actions):
        raise _malformed("constants.actions: of the policy's actions")
    if set(constants.scope) != set(policy.dimensions):
        raise _malformed("constants.scope: exactly the policy's dimensions")
    for dimension, text in constants.scope.items():
        if text != ANY and dimension not in mapping.dimensions:
            raise _malformed(f"dimensions.{dimension}: its names are missing")
    if constants.term != "open" and constants.term < 1:
        raise _malformed("constants.term: open, or days")
    if not mapping.channel.columns and constants.channel not in CHANNELS:
        raise _malformed(f"constants.channel: of {', '.join(sorted(CHANNELS))}")


def _look_through_steps(mapping: Mapping) -> None:
    stages = {stage.id: {group.role for group in stage.groups} for stage in mapping.policy.stages}
    for name, step in mapping.steps.items():
        if step.event == "approve" and not stages:
            raise _malformed(f"steps.{name}: the policy has no stage")
        if step.stage is not None and step.stage not in stages:
            raise _malformed(f"steps.{name}.stage: of {', '.join(sorted(stages))}")
        if step.role is not None and step.role not in stages[mapping.stage_of(step)]:
            raise _malformed(f"steps.{name}.role: no group of the stage has it")
        if step.channel not in CHANNELS:
            raise _malformed(f"steps.{name}.channel: of {', '.join(sorted(CHANNELS))}")
        for word in (step.check, step.hold, step.reason or step.hold):
            if code_fault(word) is not None:
                raise _malformed(f"steps.{name}: one word, not {word!r}")
