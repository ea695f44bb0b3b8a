"""Runs a transcript of shell lines out of a document, and compares what is shown with what comes.

    $ API=http://127.0.0.1:8470
    $ curl -s $API/v1/grants/$GRANT -H "Authorization: Bearer $ADMIN"
    {"id": "01a2...", "version": 3, "state": {"status": "active", ...}, ...}

No shell is needed: `curl` is a client in this process, `counterseal` a process. Ids, keys,
numbers and digests that the document shows are other ones in every run: each is tied to the one
that came in its place, and a later `GRANT=01a2...` means that one. `...` stands for more of it.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx

SECONDS = 30
TIED = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|ak_[\w-]{43}\.[\w-]{43}|CS-\d{8}-[0-9A-Z]{6}-[0-9A-Z]|\b[0-9a-f]{64}\b"
)
"""What is another one in every run, and the same within one."""

INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z")
MASKED_MEMBERS = frozenset({"position", "rests_on"})
MORE = "\N{HORIZONTAL ELLIPSIS}"


class Step(NamedTuple):
    """A command, the output shown below it, and the line of the document it stands on."""

    command: str
    shown: str
    line: int


def steps(document: Path) -> Iterator[Step]:
    """Yield the steps of a document's `console` blocks, in order."""
    inside, command, shown, begun = False, "", list[str](), 0
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if inside and command:
                yield Step(command, "\n".join(shown).strip(), begun)
            inside, command, shown = line == "```console", "", []
        elif inside and line.startswith("$ "):
            if command:
                yield Step(command, "\n".join(shown).strip(), begun)
            command, shown, begun = line[2:], [], number
        elif inside and (command.endswith("\\") or command.count("'") % 2):
            command = f"{command.removesuffix(chr(92)).rstrip()} {line.strip()}"
        elif inside and line:
            shown.append(line)


class Differs(AssertionError):
    """What came is not what the document shows."""


class Shell:
    """Runs steps; `given` are variables whose value in the document does not count."""

    def __init__(self, given: dict[str, str], environment: dict[str, str]) -> None:
        self._given = given
        self._environment = environment
        self._variables: dict[str, str] = {}
        self._came: dict[str, str] = {}
        self._shown: dict[str, str] = {}

    def run(self, step: Step) -> str:
        """Run a step and compare; return what came. Raises `Differs`."""
        named = re.fullmatch(r"([A-Z][A-Z0-9_]*)=(.*)", step.command)
        if step.command.startswith("alias "):
            return ""
        if named is not None:
            came = self._assigned(named[1], named[2])
        else:
            came = self._output(step.command)
        try:
            self.compare(step.shown, came)
        except Differs as fault:
            raise Differs(f"line {step.line}: {step.command}\n{fault}\ncame: {came}") from None
        return came

    def _assigned(self, name: str, text: str) -> str:
        """Set a variable; return what was said on the way."""
        if name in self._given:
            self._variables[name] = self._given[name]
            return ""
        value, told = self._substituted(text)
        self._variables[name] = self.words(value)[0]
        return told

    def _substituted(self, text: str) -> tuple[str, str]:
        """Put what commands print in the place of `$(...)`; return also what they said beside."""
        said: list[str] = []

        def printed(found: re.Match[str]) -> str:
            if found[1].startswith("cat "):
                path = Path(self.words(found[1])[1]).expanduser()
                return path.read_text(encoding="utf-8").strip()
            out, told = self._process(found[1])
            said.append(told)
            return out.strip()

        return re.sub(r"\$\(([^)]*)\)", printed, text), "".join(said)

    def words(self, text: str) -> list[str]:
        """Return the words of a command as a shell hands them over."""
        return [self._expanded(one) for one in shlex.split(_guarded(text), comments=True)]

    def _expanded(self, word: str) -> str:
        def value(found: re.Match[str]) -> str:
            return self._variables[found[1]]

        def came(found: re.Match[str]) -> str:
            return self._came.get(found[0], found[0])

        return re.sub(r"\$([A-Z][A-Z0-9_]*)", value, TIED.sub(came, word)).replace(GUARD, "$")

    def _output(self, command: str) -> str:
        if command.startswith("curl "):
            return self._curl(self.words(command)[1:])
        out, told = self._process(command)
        return out + told

    def _process(self, command: str) -> tuple[str, str]:
        program, *arguments = self.words(command)
        assert program == "counterseal", command
        found = subprocess.run(
            [sys.executable, "-m", "api.cli", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return found.stdout, found.stderr

    def _curl(self, words: list[str]) -> str:
        headers: dict[str, str] = {}
        url, body, method = "", None, None
        following = iter(words)
        for word in following:
            if word == "-H":
                name, _, value = next(following).partition(":")
                headers[name.strip()] = value.strip()
            elif word == "--json":
                body = next(following).encode()
                headers["Content-Type"] = "application/json"
            elif word == "-X":
                method = next(following)
            elif word != "-s":
                assert word.startswith("http"), word
                url = word
        method = method or ("GET" if body is None else "POST")
        return httpx.request(method, url, content=body, headers=headers, timeout=SECONDS).text

    # --- what came against what is shown ----------------------------------------------------------

    def compare(self, shown: str, came: str) -> None:
        """Compare an answer with what is shown of it. Raises `Differs`."""
        if shown.startswith(("{", "[")):
            self._same(_parsed(shown), json.loads(came), "")
            return
        lines = [line for line in came.splitlines() if line.strip()]
        wanted = [line for line in shown.splitlines() if line.strip()]
        if len(lines) != len(wanted):
            raise Differs(f"{len(wanted)} lines are shown, {len(lines)} came")
        for one, other in zip(wanted, lines, strict=True):
            self._same_text(" ".join(one.split()), " ".join(other.split()), "")

    def _same(self, shown: Any, came: Any, path: str) -> None:
        if isinstance(shown, dict):
            if not isinstance(came, dict):
                raise Differs(f"{path}: an object is shown")
            for name, value in shown.items():
                if name == MORE:
                    continue
                if name not in came:
                    raise Differs(f"{path}/{name} is shown and did not come")
                if name not in MASKED_MEMBERS:
                    self._same(value, came[name], f"{path}/{name}")
            if MORE not in shown and set(came) - set(shown):
                raise Differs(f"{path}: there came also {sorted(set(came) - set(shown))}")
        elif isinstance(shown, list):
            self._same_list(shown, came, path)
        elif isinstance(shown, str) and isinstance(came, str):
            self._same_text(shown, came, path)
        elif shown != came:
            raise Differs(f"{path}: {shown!r} is shown, {came!r} came")

    def _same_list(self, shown: list[Any], came: Any, path: str) -> None:
        if not isinstance(came, list):
            raise Differs(f"{path}: a list is shown")
        if MORE not in shown and len(shown) != len(came):
            raise Differs(f"{path}: {len(shown)} are shown, {len(came)} came")
        left = list(came)
        for number, one in enumerate(shown):
            if one == MORE:
                continue
            if number and shown[number - 1] == MORE:  # the last ones of those that came
                left = left[-(len(shown) - number) :]
            self._same(one, left.pop(0), f"{path}/{number}")

    def _same_text(self, shown: str, came: str, path: str) -> None:
        if shown.endswith("...") and not TIED.search(shown):
            shown, came = shown[:-3], came[: len(shown) - 3]
        tied = list(zip(TIED.findall(shown), TIED.findall(came), strict=False))
        for one, other in tied:
            if self._came.setdefault(one, other) != other:
                raise Differs(f"{path}: {one} stood for {self._came[one]}, not {other}")
            if self._shown.setdefault(other, one) != one:
                raise Differs(f"{path}: {other} is shown as {self._shown[other]} and {one}")
        if _masked(shown) != _masked(came):
            raise Differs(f"{path}: {shown!r} is shown, {came!r} came")


def _masked(text: str) -> str:
    """Return a line without what is another one in every run; a position stands at its end, or
    before the instant that it begins with.
    """
    masked = TIED.sub("#", INSTANT.sub("@", text))
    return re.sub(r" \d+$|^\d+(?= @)", " 0", masked)


GUARD = "\N{SYMBOL FOR NULL}"


def _guarded(text: str) -> str:
    """Set apart the dollars that stand between single quotes: a shell leaves them alone."""
    parts = re.split(r"('[^']*')", text)
    return "".join(one.replace("$", GUARD) if one[:1] == "'" else one for one in parts)


def _parsed(shown: str) -> Any:
    """Return JSON in which `...` may stand for more members or elements."""
    text = re.sub(r'("(?:[^"\\]|\\.)*")|\.\.\.', lambda m: m[1] or f'"{MORE}"', shown)
    text = re.sub(rf'(?<=[{{,])(\s*)"{MORE}"(?=\s*[,}}])', _member, text)
    return json.loads(text)


def _member(found: re.Match[str]) -> str:
    """An ellipsis among members needs a value, one among elements has none."""
    depth: list[str] = []
    for sign in re.sub(r'"(?:[^"\\]|\\.)*"', "", found.string[: found.start()]):
        if sign in "{[":
            depth.append(sign)
        elif sign in "}]":
            depth.pop()
    more = f'{found[1]}"{MORE}"'
    return f"{more}: 0" if depth and depth[-1] == "{" else more
