"""The house holds itself to its rules: floors, sizes, words, and what may be asked where."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("domain", "projections", "replay", "api")
FILE_LINES = 400
FUNCTION_LINES = 80
DOMAIN_IMPORTS = {"domain", "msgspec", "eventsourcing"}
RECORDER_IMPORTS = DOMAIN_IMPORTS | {"psycopg", "psycopg_pool"}
DOMAIN_MAY_SEND = {"domain/recorder.py", "domain/sending.py"}
# A clock, an id, a random number, a cipher, the environment: the edge makes them, never the domain.
DOMAIN_FORBIDDEN_MODULES = {"os", "random", "secrets", "ssl", "hmac", "socket", "subprocess"}
DOMAIN_FORBIDDEN_CALLS = re.compile(
    r"\b(datetime\.(now|utcnow|today)|date\.today|uuid[1-8]|urandom|token_\w+|environ|getenv"
    r"|time\.(time|time_ns|localtime|gmtime))\b"
)
# What waits for a deadline needs a clock that nothing stored ever shows.
DOMAIN_MAY_WAIT = {
    f"domain/{name}.py" for name in ("flight", "landing", "ledger", "recorder", "writer")
}
FORBIDDEN_CLASS_WORDS = re.compile(r"(Manager|Helper|Utils?|Base)$")
FORBIDDEN_FILE_WORDS = re.compile(r"(^|_)(manager|helper|utils?|base)s?$")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
BLANKET_IGNORES = re.compile(
    r"#\s*(type:\s*ignore|pyright:\s*ignore)(?!\[)|#\s*noqa(?!:)", re.IGNORECASE
)
FOREIGN = re.compile(
    r"/(?:work|root)/|files\.pythonhosted\.org|(?:index-url|https?://[^\s\"')]*(?:pypi|simple/))"
)
TEXT_SUFFIXES = {
    "", ".cfg", ".css", ".html", ".in", ".json", ".lock", ".md", ".py", ".sql", ".toml", ".txt",
    ".typed", ".yaml", ".yml",
}  # fmt: skip


def modules(*packages: str) -> list[Path]:
    return sorted(path for name in packages for path in (ROOT / name).rglob("*.py"))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def tracked() -> list[Path]:
    """The files that belong to the project; without git, every file that is not hidden."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        names = [name for name in listed.stdout.split("\0") if name]
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_four_packages_come_from_this_tree(package: str) -> None:
    where = importlib.import_module(package).__file__
    assert where is not None
    assert Path(where).resolve() == (ROOT / package / "__init__.py").resolve()


def test_no_file_and_no_function_is_too_long() -> None:
    long: list[str] = []
    for path in modules(*PACKAGES, "tests"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            long.append(f"{short(path)}: {lines} lines, at most {FILE_LINES}")
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.append(
                        f"{short(path)}:{node.lineno}: {node.name} has {length} lines,"
                        f" at most {FUNCTION_LINES}"
                    )
    assert not long, "\n".join(long)


def test_every_module_says_what_it_is_in_one_sentence() -> None:
    silent: list[str] = []
    for path in modules(*PACKAGES, "tests"):
        docstring = ast.get_docstring(parsed(path)) or ""
        sentence = " ".join(docstring.split("\n\n")[0].split())
        if not sentence.endswith(".") or len(sentence) > 250 or re.search(r"\. [A-Z]", sentence):
            silent.append(f"{short(path)}: {sentence[:60]!r}")
    assert not silent, "\n".join(silent)


def test_the_domain_imports_only_what_it_may() -> None:
    wrong: list[str] = []
    for path in modules("domain"):
        allowed = RECORDER_IMPORTS if short(path) in DOMAIN_MAY_SEND else DOMAIN_IMPORTS
        for name in imported(parsed(path)):
            top = name.split(".")[0]
            known = top in allowed or top in sys.stdlib_module_names
            if top in DOMAIN_FORBIDDEN_MODULES or not known:
                wrong.append(f"{short(path)}: {name}")
    assert not wrong, "\n".join(wrong)


def test_the_domain_makes_no_clock_no_id_and_no_random_number() -> None:
    wrong: list[str] = []
    for path in modules("domain"):
        tree = parsed(path)
        wrong += [
            f"{short(path)}:{node.lineno}: {ast.unparse(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute | ast.Name)
            and DOMAIN_FORBIDDEN_CALLS.search(ast.unparse(node))
        ]
        if short(path) not in DOMAIN_MAY_WAIT and "time" in set(imported(tree)):
            wrong.append(f"{short(path)}: import time")
    assert not wrong, "\n".join(wrong)


def test_only_the_settings_read_the_environment() -> None:
    wrong = [
        short(path)
        for path in modules(*PACKAGES)
        if short(path) != "api/settings.py"
        and re.search(r"\b(environ|getenv|BaseSettings)\b", ast.unparse(parsed(path)))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_class_and_no_file_has_an_empty_name() -> None:
    wrong = [short(path) for path in modules(*PACKAGES) if FORBIDDEN_FILE_WORDS.search(path.stem)]
    for path in modules(*PACKAGES):
        wrong += [
            f"{short(path)}: {node.name}"
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.ClassDef) and FORBIDDEN_CLASS_WORDS.search(node.name)
        ]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_left_unfinished_or_silenced() -> None:
    own = Path(__file__).resolve()
    wrong = [
        f"{short(path)}:{number}: {line.strip()}"
        for path in modules(*PACKAGES, "tests")
        if path.resolve() != own
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line) or BLANKET_IGNORES.search(line)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["projections/sql", "api/sql_keys"])
def test_migrations_are_numbered_without_a_gap(folder: str) -> None:
    names = sorted(path.name for path in (ROOT / folder).iterdir())
    assert names, folder
    for number, name in enumerate(names, 1):
        assert re.fullmatch(rf"{number:04}_[a-z0-9_]+\.sql", name), name


def headings(path: Path) -> list[int]:
    """The levels of a document's headings, outside of code."""
    outside = re.sub(
        r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return [len(mark) for mark in re.findall(r"^(#+) ", outside, flags=re.MULTILINE)]


def test_documents_for_people_are_in_step_in_both_languages() -> None:
    generated = {"events.md"}
    documents = [path for path in (ROOT / "docs").glob("*.md") if path.name not in generated]
    documents += list(ROOT.glob("README*.md"))
    apart: list[str] = []
    for path in documents:
        if path.name.endswith(".zh-CN.md"):
            other = path.with_name(path.name.replace(".zh-CN.md", ".md"))
        else:
            other = path.with_name(path.name.replace(".md", ".zh-CN.md"))
        if not other.exists():
            apart.append(f"{short(path)} has no {other.name}")
        elif headings(path) != headings(other):
            apart.append(f"{short(path)}: {headings(path)} against {headings(other)}")
    assert not apart, "\n".join(apart)


def test_the_tree_names_no_machine_and_no_registry() -> None:
    own = Path(__file__).resolve()
    wrong: list[str] = []
    for path in tracked():
        if path.suffix not in TEXT_SUFFIXES or path.resolve() == own:
            continue
        text = path.read_text(encoding="utf-8")
        wrong += [f"{short(path)}: {found.group()}" for found in FOREIGN.finditer(text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-browser.lock"])
def test_every_locked_dependency_has_a_hash(name: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8"))
    assert len(entries) > 50
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_contracts_of_the_floors_are_kept() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
