"""Templates: a text with `{column}` in it, filled from the cells of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping

from api.importing.faults import BadCell

_BRACES = re.compile(r"\{([^{}]+)\}")


class Template:
    """A text with columns in it. `columns` are those it needs, in order.

    A column that `values` names is translated; a cell that is not listed there is refused."""

    def __init__(
        self, text: str, aliases: Mapping[str, str], values: Mapping[str, Mapping[str, str]]
    ) -> None:
        parts = _BRACES.split(text)
        self._texts = parts[0::2]
        self.columns = tuple(aliases.get(name, name) for name in parts[1::2])
        self._values = tuple(values.get(column) for column in self.columns)

    def fill(self, cells: Mapping[str, str]) -> str:
        """Return the text with the cells in it. Raises `BadCell` `import.value_not_listed`."""
        found = self._texts[0]
        for place, column in enumerate(self.columns):
            cell = cells[column]
            values = self._values[place]
            if values is not None:
                if cell not in values:
                    raise BadCell("import.value_not_listed", column=column)
                cell = values[cell]
            found += cell + self._texts[place + 1]
        return found
