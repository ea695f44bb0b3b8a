"""Every promise in docs/guarantees names tests that are there, the same in both languages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINE = re.compile(r"^- `(tests/[\w/]+\.py)::(\w+)`$", re.MULTILINE)


def named(document: str) -> list[tuple[str, str]]:
    return LINE.findall((ROOT / "docs" / document).read_text())


@pytest.mark.parametrize(("path", "test"), sorted(set(named("guarantees.md"))))
def test_a_promise_is_held_by_a_test_that_is_there(path: str, test: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert test in {node.name for node in found}


def test_both_languages_promise_the_same() -> None:
    assert named("guarantees.md") == named("guarantees.zh-CN.md")


@pytest.mark.parametrize("document", ["guarantees.md", "guarantees.zh-CN.md"])
def test_no_promise_stands_without_a_test(document: str) -> None:
    chapters = re.split(r"^## ", (ROOT / "docs" / document).read_text(), flags=re.MULTILINE)[1:-1]
    assert chapters
    assert [text.splitlines()[0] for text in chapters if not LINE.search(text)] == []
