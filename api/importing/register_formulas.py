"""Which cells of a workbook's sheet are formulas: read off its XML, since the values tell nothing.

An xlsx file is a zip of XML parts (ECMA-376, part 1): the workbook names its sheets (18.2.19), its
relationships the part of each (part 2, 9.3), and a cell that is computed has an `f` (18.3.1.40).
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from typing import IO, Final
from xml.parsers import expat

from api.importing.faults import Unusable

PIECE_BYTES: Final = 1 << 16
"""Bytes of a part that are unpacked at a time."""

_WORKBOOK: Final = "xl/workbook.xml"
_RELATIONS: Final = "xl/_rels/workbook.xml.rels"
_CELL = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")

_Attributes = dict[str, str]


def formulas(packed: zipfile.ZipFile, sheet: str, limit: int) -> frozenset[tuple[int, int]]:
    """Return the cells of a sheet that are formulas: row from 1, column from 0.

    Unpacks no more than `limit` bytes, whatever the file says of itself. Raises `Unusable`:
    `import.not_a_table`, `import.workbook_too_large`."""
    try:
        with packed.open(_part(packed, sheet, limit)) as part:
            return _scanned(part, limit)
    except (KeyError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, expat.ExpatError):
        raise Unusable("import.not_a_table", line=1) from None


def _part(packed: zipfile.ZipFile, sheet: str, limit: int) -> str:
    """Return the name of a sheet's part."""
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def in_workbook(name: str, given: _Attributes) -> None:
        if _local(name) == "sheet":
            link = next((text for key, text in given.items() if _local(key) == "id"), "")
            ids[given.get("name", "")] = link

    def in_relations(name: str, given: _Attributes) -> None:
        if _local(name) == "Relationship":
            targets[given.get("Id", "")] = given.get("Target", "")

    for name, handler in ((_WORKBOOK, in_workbook), (_RELATIONS, in_relations)):
        with packed.open(name) as part:
            _parse(part, limit, handler)
    target = targets[ids[sheet]]
    return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")


def _scanned(part: IO[bytes], limit: int) -> frozenset[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    place = [0, -1]

    def begins(name: str, given: _Attributes) -> None:
        match _local(name):
            case "row":
                place[:] = [int(given.get("r", place[0] + 1)), -1]
            case "c":
                named = _CELL.fullmatch(given.get("r", ""))
                if named is None:
                    place[1] += 1
                else:
                    place[:] = [int(named[2]), _number(named[1])]
            case "f":
                found.add((place[0], place[1]))
            case _:
                pass

    _parse(part, limit, begins)
    return frozenset(found)


def _parse(part: IO[bytes], limit: int, begins: object) -> None:
    """Read a part to its end. A document type, which no workbook has, is refused: what bombs in XML
    are made of."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = begins  # pyright: ignore[reportAttributeAccessIssue]
    parser.StartDoctypeDeclHandler = _refuse_doctype
    read = 0
    while piece := part.read(PIECE_BYTES):
        read += len(piece)
        if read > limit:
            raise Unusable("import.workbook_too_large", limit=limit)
        parser.Parse(piece, False)
    parser.Parse(b"", True)


def _refuse_doctype(*_: object) -> None:
    raise ValueError("a workbook's part has no document type")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _number(letters: str) -> int:
    found = 0
    for letter in letters:
        found = found * 26 + ord(letter) - ord("A") + 1
    return found - 1
