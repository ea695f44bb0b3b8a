"""Documents made from the code: OpenAPI, problem codes, events; a test finds them out of date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from api.openapi import document
from api.problems import status_of
from api.routes.operations_table import OPERATIONS
from api.texts import Language, texts
from domain.events import EVENTS, STREAMS, stream_kind

FOLDER: Final = Path(__file__).parent.parent / "docs"

_GENERATED: Final = "Made by `python -m api.documents`; changes by hand are lost."


def documents() -> Mapping[str, str]:
    """Return file name -> content of every generated document."""
    return {
        "openapi.json": json.dumps(document(OPERATIONS), ensure_ascii=False, indent=1) + "\n",
        "problems.md": problems("en"),
        "problems.zh-CN.md": problems("zh"),
        "events.md": events(),
    }


_PROBLEMS: Final[Mapping[Language, tuple[str, str, str]]] = {
    "en": (
        "Problems",
        (
            "Every refusal is an RFC 9457 problem of the type `urn:counterseal:problem:<code>`."
            " A code never changes; `…` stands for a fact that `params` holds."
        ),
        "| code | status | says |",
    ),
    "zh": (
        "问题代码",
        (
            "每次拒绝都是 RFC 9457 问题，类型为 `urn:counterseal:problem:<code>`。代码永不更改；"
            "`…` 表示 `params` 中的具体事实。"
        ),
        "| 代码 | 状态 | 说明 |",
    ),
}


def problems(language: Language) -> str:
    """Return every code with its status and its sentence, by the first part of the code."""
    title, intro, columns = _PROBLEMS[language]
    lines = [f"# {title}", "", _GENERATED, "", intro]
    family = ""
    for code in sorted(texts()):
        first = code.partition(".")[0]
        if first != family:
            family = first
            lines += ["", f"## {family}", "", columns, "|---|---|---|"]
        template = texts()[code][language].format_map(_Ellipsis())
        lines.append(f"| `{code}` | {status_of(code)} | {template.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


class _Ellipsis(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "…"


def events() -> str:
    """Return every event there is, with its fields."""
    lines = [
        "# Events",
        "",
        _GENERATED,
        "",
        "Stored names are a contract: `<stream>.<past participle>.<version>`. Every event has",
        "`at`, `by`, and may have `on_behalf_of`, `reason`, `evidence`, `imported`; what follows",
        "is each one's own. *Sealed* fields hold texts that only the key of their subject opens.",
    ]
    for stream in STREAMS:
        lines += ["", f"## {stream}"]
        for name in (one for one in EVENTS if stream_kind(one) == stream):
            lines += _event(name)
    lines += ["", "## Values", ""]
    lines += _values()
    return "\n".join(lines) + "\n"


COMMON: Final = frozenset({"at", "by", "on_behalf_of", "reason", "evidence", "imported"})


@cache
def _schemas() -> dict[str, Any]:
    _, found = msgspec.json.schema_components(list(EVENTS.values()), ref_template="{name}")
    return dict(found)


def _event(name: str) -> list[str]:
    schema = _schemas()[EVENTS[name].__name__]
    about = str(schema.get("description", "")).partition("\n\n")[0]
    lines = ["", f"### `{name}`", "", " ".join(about.split())]
    fields = {key: one for key, one in schema["properties"].items() if key not in COMMON}
    return [*lines, *_fields(fields, schema.get("required", []))]


def _fields(fields: Mapping[str, Any], required: list[str]) -> list[str]:
    if not fields:
        return []
    rows = [
        f"| `{name}` | {_type(one)} | {'yes' if name in required else ''} |"
        for name, one in fields.items()
    ]
    return ["", "| field | type | always |", "|---|---|---|", *rows]


def _values() -> list[str]:
    names = {event.__name__ for event in EVENTS.values()}
    lines: list[str] = []
    for name, schema in sorted(_schemas().items()):
        if name in names:
            continue
        about = str(schema.get("description", "")).partition("\n\n")[0]
        lines += [f"### {name}", "", " ".join(about.split())]
        lines += [*_fields(schema["properties"], schema.get("required", [])), ""]
    return lines[:-1]


def _type(schema: Any) -> str:
    if "$ref" in schema:
        name = cast(str, schema["$ref"])
        return "*Sealed*" if name == "Sealed" else name
    if "anyOf" in schema:
        kinds = [_type(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(kinds)
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema.get('items', {}))}"
        case "object":
            return f"map of {_type(schema.get('additionalProperties', {}))}"
        case "string":
            return {"date-time": "instant", "byte": "bytes"}.get(schema.get("format", ""), "text")
        case "integer":
            return "whole number"
        case "boolean":
            return "true or false"
        case other:
            return str(other or "anything")


def main() -> None:
    """Write every document into docs/."""
    for name, content in documents().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
