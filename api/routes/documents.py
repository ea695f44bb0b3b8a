"""The documents of the service, rendered here: no script, nothing fetched from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any, Final

import orjson

from api.problems import Answered
from api.routes.operations import JSON, Call, Operation

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}"
    "pre{background:#f4f4f4;padding:.6rem;overflow:auto;max-height:24rem}"
    "summary{cursor:pointer;padding:.3rem 0}"
    ".verb{display:inline-block;min-width:3.5rem;font-weight:bold}"
    ".zh{color:#555}"
)


@cache
def _policy() -> bytes:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'".encode()


def page(document: Mapping[str, Any]) -> bytes:
    """Return an OpenAPI document as a page of HTML."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])}</p>",
        '<p><a href="/openapi.json">openapi.json</a></p>',
    ]
    shared = document["components"]
    for tag in document["tags"]:
        found = [
            (path, verb, one)
            for path, verbs in document["paths"].items()
            for verb, one in verbs.items()
            if tag["name"] in one["tags"]
        ]
        if found:
            parts.append(f"<h2>{escape(tag['description'])}</h2>")
            parts += [_operation(path, verb, one, shared) for path, verb, one in found]
    parts.append("<h2>Schemas</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f'<details id="{escape(name)}"><summary>{escape(name)}</summary>')
        parts.append(f"{_json(schema)}</details>")
    return "".join([*parts, "</body></html>"]).encode()


def _resolved(one: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a `$ref` into the components stands for."""
    if "$ref" not in one:
        return one
    _, family, name = str(one["$ref"]).rsplit("/", 2)
    return shared[family][name]


def _operation(path: str, verb: str, one: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    parts = [
        f'<details><summary><span class="verb">{escape(verb.upper())}</span>',
        f"<code>{escape(path)}</code> {escape(one['summary'])}",
        f' <span class="zh">{escape(one["x-summary-zh"])}</span></summary>',
        f"<p>{escape(one['description'])}</p>",
    ]
    if one["parameters"]:
        parts.append("<ul>")
        for parameter in (_resolved(given, shared) for given in one["parameters"]):
            needed = " (required)" if parameter.get("required") else ""
            name = f"<code>{escape(parameter['name'])}</code> in {parameter['in']}{needed}"
            parts.append(f"<li>{name} {escape(parameter.get('description', ''))}</li>")
        parts.append("</ul>")
    if "requestBody" in one:
        for kind, content in one["requestBody"]["content"].items():
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            link = f' <a href="#{escape(name)}">{escape(name)}</a>' if name else ""
            parts.append(f"<p>Body: {escape(kind)}{link}</p>{_json(content.get('example'))}")
    parts.append("<ul>")
    for status, given in one["responses"].items():
        answer = _resolved(given, shared)
        parts.append(f"<li><code>{escape(status)}</code> {escape(answer['description'])}</li>")
    return "".join([*parts, "</ul></details>"])


def _json(value: Any) -> str:
    if value is None:
        return ""
    return f"<pre>{escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())}</pre>"


def operations_of(document: Callable[[], Mapping[str, Any]]) -> Sequence[Operation]:
    """Return the operations that show this document, which is made at its first use."""

    @cache
    def as_json() -> bytes:
        return orjson.dumps(document())

    @cache
    def as_page() -> bytes:
        return page(document())

    async def openapi(_: Call) -> Answered:
        return Answered(200, [(b"content-type", JSON)], as_json())

    async def docs(_: Call) -> Answered:
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", _policy()),
        ]
        return Answered(200, headers, as_page())

    return (
        Operation(
            name="documents.openapi",
            method="GET",
            path="/openapi.json",
            scope=None,
            summary="This document",
            summary_zh="本文档",
            handle=openapi,
        ),
        Operation(
            name="documents.page",
            method="GET",
            path="/docs",
            scope=None,
            summary="This document as a page",
            summary_zh="本文档的网页形式",
            media_type="text/html",
            handle=docs,
        ),
    )
