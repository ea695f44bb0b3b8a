"""What stands where a text is sealed and the reader may not see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from domain.sealing import Sealed

MASKED: Final = {"sealed": True}
"""What is shown of a sealed text that is not opened."""

Show = Callable[[Sealed, str], Any]
"""Gives what is shown for a sealed value found in the field of this name."""


def masked(_sealed: Sealed, _field: str) -> Any:
    """Show that there is a text, and nothing of it."""
    return MASKED
