"""The OpenAPI 3.1 document, made from the table of operations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any, Final, cast

import msgspec

from api.identity import SCOPES
from api.problems import MEDIA_TYPE
from api.routes.commands import CommandOperation
from api.routes.operations import Operation

REF: Final = "#/components/schemas/{name}"
EXAMPLE_ID: Final = "01900000-0000-7000-8000-000000000000"
INSTANT: Final = "2026-11-01T08:30:00Z"

_PART = re.compile(r"\{(\w+)\}")

TAGS: Final = {
    "access": ("Access checks", "访问检查"),
    "catalogue": ("Catalogue", "目录"),
    "person": ("Persons", "自然人"),
    "staff": ("Staff", "员工"),
    "customer": ("Customers", "客户"),
    "policy": ("Policies", "政策"),
    "grant": ("Grants", "授权"),
    "evidence": ("Evidence", "证据"),
    "worklist": ("Work", "待办"),
    "compliance": ("Compliance", "合规"),
    "history": ("History", "经过"),
    "projections": ("Read models", "读模型"),
    "health": ("Health", "健康"),
    "documents": ("Documents", "文档"),
}

STATUSES: Final = {
    "400": "Malformed: body, query or headers are not what the operation takes.",
    "401": "No key, or one that is not accepted.",
    "403": "This key, party or person may not; also where duties must be separate.",
    "404": "There is no such thing here.",
    "409": "Not in this state, or it belongs to another record already.",
    "412": "Another version than If-Match says; `state` is the current one.",
    "413": "Too long.",
    "415": "Not a content type that the operation takes.",
    "422": "Well formed, and the rules say no.",
    "428": "If-Match is needed here.",
    "429": "Too many requests of this key are under way.",
    "503": "Not able to right now; try again after Retry-After.",
}

PAST: Final[Mapping[str, str]] = {
    "as_of": "By what was known then: a position of the log, or an instant.",
    "at": "Statuses and waiting times by the clock at this instant.",
    "happened": "By the acts alone that happened at or before this instant.",
}
"""Ways of asking for the past; an operation says which it takes, docs/past.md tells of them."""

COMMON: Final[dict[str, Any]] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457. `code` never changes; docs/problems.md lists all.",
        "properties": {
            "type": {"type": "string", "examples": ["urn:counterseal:problem:grant.state"]},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string", "description": "In the language of Accept-Language."},
            "params": {"type": "object", "description": "The facts behind it."},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": {"type": "string", "description": "RFC 6901."},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                },
            },
            "version": {"type": "integer", "description": "With 412."},
            "state": {
                "type": ["object", "null"],
                "description": "With 412: the current state; null where there is none.",
            },
        },
        "required": ["type", "status", "code", "detail"],
    },
    "Event": {
        "type": "object",
        "description": "What happened. docs/events.md lists the fields of each type.",
        "properties": {
            "position": {"type": "integer", "description": "Place in the log; 0 in a dry run."},
            "type": {"type": "string", "examples": ["grant.requested.1"]},
            "stream": {"type": "string", "format": "uuid"},
            "version": {"type": "integer"},
            "at": {"type": "string", "format": "date-time"},
            "recorded_at": {"type": "string", "format": "date-time"},
            "by": {"type": "object"},
            "on_behalf_of": {"type": "object"},
            "reason": {"type": "object"},
            "evidence": {"type": "array", "items": {"type": "object"}},
            "fields": {"type": "object"},
        },
        "required": ["position", "type", "stream", "version", "at", "recorded_at", "by", "fields"],
    },
    "CommandAnswer": {
        "type": "object",
        "properties": {
            "result": {"enum": ["done", "no_op", "would"]},
            "id": {"type": "string", "format": "uuid", "description": "The record."},
            "version": {"type": "integer"},
            "position": {"type": "integer"},
            "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
            "state": {"type": "object", "description": "The record's state after them."},
        },
        "required": ["result", "id", "version", "position", "events", "state"],
    },
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the whole document; the same operations give the same document."""
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Counterseal",
            "version": metadata.version("counterseal"),
            "description": "The ledger of who may do what, on whose word, and until when.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": f"{en} · {zh}"} for name, (en, zh) in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": COMMON | _schemas(operations),
            "responses": {status: _refusal(status, text) for status, text in STATUSES.items()},
            "parameters": {name: one for name, (_, one) in HEADERS.items()},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"An API key, `ak_...`. Scopes: {', '.join(sorted(SCOPES))}.",
                }
            },
        },
    }


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    bodies = list(dict.fromkeys(one.body for one in operations if one.body is not None))
    _, found = msgspec.json.schema_components(bodies, ref_template=REF)
    return {name: _without_nothing(schema) for name, schema in sorted(found.items())}


def _without_nothing(schema: Any) -> Any:
    """Leave defaults out: a field that is not sent has none, and null is not asked for."""
    if isinstance(schema, dict):
        pairs = cast(dict[str, Any], schema)
        return {name: _without_nothing(one) for name, one in pairs.items() if name != "default"}
    if isinstance(schema, list):
        ones = cast(list[Any], schema)
        return [_without_nothing(one) for one in ones]
    return schema


def _operation(one: Operation) -> dict[str, Any]:
    command = isinstance(one, CommandOperation)
    found: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.name.partition(".")[0]],
        "summary": one.summary,
        "description": _description(one),
        "parameters": [*_path(one), *_query(one), *_headers(one)],
        "responses": _responses(one, command),
        "security": [] if one.scope is None else [{"key": []}],
        "x-summary-zh": one.summary_zh,
    }
    if one.scope is not None:
        found["x-scopes"] = [one.scope, *one.also]
    if one.body is not None:
        found["requestBody"] = {
            "required": command is False
            or any(f.required for f in msgspec.structs.fields(one.body)),
            "content": {
                "application/json": {
                    "schema": {"$ref": REF.format(name=one.body.__name__)},
                    "example": one.example or {},
                }
            },
        }
    elif one.raw_body is not None:
        found["requestBody"] = {
            "required": True,
            "description": one.raw_body,
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    return found


def _description(one: Operation) -> str:
    scopes = " or ".join(f"`{scope}`" for scope in (one.scope, *one.also) if scope)
    need = f"Needs the scope {scopes}." if scopes else "Needs no key."
    return " ".join(filter(None, (one.description, one.summary_zh + "。", need)))


def _path(one: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "example": "1" if name == "version" else EXAMPLE_ID,
        }
        for name in _PART.findall(one.path)
    ]


def _query(one: Operation) -> list[dict[str, Any]]:
    shapes = [one.query] if one.query is not None else []
    if isinstance(one, CommandOperation):
        return [
            {
                "name": "dry_run",
                "in": "query",
                "description": "Say what would happen, and write nothing.",
                "schema": {"type": "boolean"},
            }
        ]
    found: list[dict[str, Any]] = []
    for shape in shapes:
        _, components = msgspec.json.schema_components([shape], ref_template=REF)
        schema = components[shape.__name__]
        for name, values in schema["properties"].items():
            if name in PAST and name not in one.past:
                continue
            found.append(
                {
                    "name": name,
                    "in": "query",
                    "required": name in schema.get("required", ()),
                    "schema": _without_nothing(values),
                }
                | ({"description": PAST[name]} if name in PAST else {})
            )
    return found


def _header(name: str, description: str, *, required: bool, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _headers(one: Operation) -> list[dict[str, Any]]:
    return [
        {"$ref": f"#/components/parameters/{name}"}
        for name, (goes_with, _) in HEADERS.items()
        if goes_with(one)
    ]


HEADERS: Final[Mapping[str, tuple[Callable[[Operation], bool], dict[str, Any]]]] = {
    "IdempotencyKey": (
        lambda one: isinstance(one, CommandOperation),
        _header(
            "Idempotency-Key",
            "Makes the command happen once; bare or quoted.",
            required=True,
            example="8e03978e-40d5-43dd",
        ),
    ),
    "IfMatch": (
        lambda one: isinstance(one, CommandOperation) and not one.if_match,
        _header("If-Match", "The version looked at.", required=False, example='"v3"'),
    ),
    "IfMatchRequired": (
        lambda one: isinstance(one, CommandOperation) and one.if_match,
        _header("If-Match", "The version decided on.", required=True, example='"v3"'),
    ),
    "CountersealAt": (
        lambda one: isinstance(one, CommandOperation),
        _header(
            "Counterseal-At",
            "The instant, for a tenant with a given clock.",
            required=False,
            example=INSTANT,
        ),
    ),
    "CountersealPurpose": (
        lambda one: one.unmasks,
        _header(
            "Counterseal-Purpose",
            "What unmasked texts are needed for; needs `personal:read`, and is logged.",
            required=False,
            example="dispute",
        ),
    ),
    "SharePurpose": (
        lambda one: one.name == "customer.shared",
        _header(
            "Counterseal-Purpose",
            "The purpose of the share; it is logged.",
            required=True,
            example="repair",
        ),
    ),
}


def _responses(one: Operation, command: bool) -> dict[str, Any]:
    if command:
        schema: dict[str, Any] = {"$ref": REF.format(name="CommandAnswer")}
        example: Any = _command_example(one)
    else:
        schema, example = {"type": "object"}, one.shows or {}
    if one.media_type != "application/json":
        schema, example = {"type": "string"}, ""
    content = {one.media_type: {"schema": schema, "example": example}}
    found: dict[str, Any] = {
        "201" if one.created else "200": {"description": one.answer, "content": content}
    }
    for status in STATUSES:
        if _may(one, command, status):
            found[status] = {"$ref": f"#/components/responses/{status}"}
    return found


def _refusal(status: str, description: str) -> dict[str, Any]:
    schema = {"schema": {"$ref": REF.format(name="Problem")}}
    content: dict[str, Any] = {MEDIA_TYPE.decode(): schema}
    if status == "400":  # what is no HTTP at all is refused before any operation
        content["text/plain"] = {"schema": {"type": "string"}}
    return {"description": description, "content": content}


def _may(one: Operation, command: bool, status: str) -> bool:
    if one.scope is None:
        unknown = status == "404" and "{" in one.path
        return unknown or (status == "503" and one.name == "health.ready")
    if status == "422":
        return command or one.query is not None or one.body is not None
    if status in {"409", "412"}:
        return command
    if status == "428":
        return isinstance(one, CommandOperation) and one.if_match
    if status in {"413", "415"}:
        return one.body is not None or one.raw_body is not None
    return True


def _command_example(one: Operation) -> dict[str, Any]:
    kind = one.kind if isinstance(one, CommandOperation) else "grant"
    event = {
        "position": 41,
        "type": f"{kind}.<what happened>.1",
        "stream": EXAMPLE_ID,
        "version": 3,
        "recorded_at": INSTANT,
        "at": INSTANT,
        "by": {"ref": f"staff:{EXAMPLE_ID}", "person": EXAMPLE_ID},
        "fields": {},
    }
    return {
        "result": "done",
        "id": EXAMPLE_ID,
        "version": 3,
        "position": 41,
        "events": [event],
        "state": {"status": "<as it is now>"},
    }
