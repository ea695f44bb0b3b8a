"""The auditor's command line as a person calls it, on the log of the small firm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replay import cli
from tests.support.mixed import Mixed


class Audit:
    """The command line as a person calls it, on the small firm's log."""

    def __init__(self, firm: Mixed, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.firm = firm
        self.folder = folder
        self._capsys = capsys
        self._place = ["--database-url", firm.house.database.auditor, "--tenant", firm.tenant]

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = cli.main(words)
        out, err = self._capsys.readouterr()
        return code, out, err

    def database(self, *words: str) -> tuple[int, str, str]:
        return self(words[0], *self._place, *words[1:])

    def document(self, *words: str) -> Any:
        code, out, err = self.database(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def bundle(self, *words: str) -> Path:
        file = self.folder / "made.bundle"
        code, _, err = self.database("bundle", str(file), "--force", *words)
        assert code == 0, err
        return file
