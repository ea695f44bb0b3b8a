"""The system's Chromium or Chrome: where it is, and how it is started for tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
QUIET: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING: Final = (
    "No Chromium and no Chrome is on the PATH or in the usual place."
    " Debian: apt-get install chromium fonts-noto-cjk; macOS: brew install --cask google-chrome"
)


class NoBrowser(Exception):
    """There is no browser to test with; the message says how to install one."""


def find() -> str:
    """Return the path of the system's browser. Raises `NoBrowser`."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    for place in PLACES:
        if Path(place).exists():
            return place
    raise NoBrowser(MISSING)


def arguments() -> list[str]:
    """Return what the browser is started with: no calls home; as root it has no sandbox."""
    return [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else list(QUIET)
