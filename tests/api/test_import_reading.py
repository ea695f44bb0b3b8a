"""Tables are read row by row; what is broken is told with its line and derails nothing."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import xlsxwriter

from api.importing import reading
from api.importing.faults import BadCell, Unusable
from api.importing.instants import instant, microseconds, zone_of
from api.importing.mapping import FileShape
from api.importing.reading import Broken, Progress, Row, Table, open_table


def opened(data: bytes, codec: str = "utf-8", **shape: str) -> Table:
    return open_table(io.BytesIO(data), Path("x"), FileShape(**shape), codec, Progress())


def told(data: bytes, codec: str = "utf-8", **shape: str) -> list[tuple[int, int, object]]:
    """Row, line, and the cells or the code of each row."""
    return [
        (one.row, one.line, list(one.cells) if isinstance(one, Row) else one.code)
        for one in opened(data, codec, **shape).rows
    ]


def test_rows_are_read_with_their_lines_and_empty_lines_are_none() -> None:
    assert told(b"a,b\r\n\r\n1,2\r\n,\r\n3,4") == [
        (1, 3, ["1", "2"]),
        (2, 4, ["", ""]),
        (3, 5, ["3", "4"]),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert list(opened(b"\xef\xbb\xbfa,b\n1,2\n").header) == ["a", "b"]


def test_a_quoted_cell_may_hold_the_delimiter_quotes_and_further_lines() -> None:
    assert told(b'a;b\n"1;2";"say ""x""\nand more"\n3;4\n', delimiter=";") == [
        (1, 2, ["1;2", 'say "x"\nand more']),
        (2, 4, ["3", "4"]),
    ]


def test_a_quote_never_closed_swallows_no_row() -> None:
    rows = b"".join(b"%d,x\n" % number for number in range(200))
    found = told(b'a,b\n1,"open\n' + rows)
    assert found[0] == (1, 2, "import.row_quotes")
    assert len(found) == 201
    assert [one[2] for one in found[1:]] == [[str(number), "x"] for number in range(200)]


def test_a_quote_that_closes_in_a_later_row_swallows_no_row_either() -> None:
    found = told(b'a,b\n1,"open\n2,x\n3,"y"\n4,z\n')
    assert [one[2] for one in found] == [
        "import.row_quotes", ["2", "x"], ["3", "y"], ["4", "z"],
    ]  # fmt: skip


def test_a_row_with_too_few_or_too_many_cells_is_broken_alone() -> None:
    assert told(b"a,b\n1\n1,2,3\n1,2\n") == [
        (1, 2, "import.row_width"),
        (2, 3, "import.row_width"),
        (3, 4, ["1", "2"]),
    ]


def test_bytes_that_are_no_text_are_told_with_their_column() -> None:
    table = opened("a,b,c\n甲,乙,丙\n".encode() + b"1,\xff,3\n1,2,3\n")
    rows = list(table.rows)
    broken = rows[1]
    assert isinstance(broken, Broken)
    assert (broken.row, broken.line, broken.code) == (2, 3, "import.not_in_encoding")
    assert broken.column == 1
    assert isinstance(rows[2], Row)


def test_chinese_is_read_in_both_encodings() -> None:
    for codec in ("utf-8", "gb18030"):
        assert told("案件,人\n甲,张三\n".encode(codec), codec) == [(1, 2, ["甲", "张三"])]


def test_a_header_in_another_encoding_is_told_before_any_row() -> None:
    with pytest.raises(Unusable) as found:
        opened("案件,人\n".encode("gb18030"))
    assert found.value.code == "import.header_not_in_encoding"
    assert found.value.params == {"line": 1, "byte": 1}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "import.file_empty"),
        (b"\n \n", "import.file_empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "import.header_not_in_encoding"),
        (b"%PDF-1.7\0\0\n", "import.not_a_table"),
        ("a,b\n1,2\n".encode("utf-16-le"), "import.not_a_table"),
        (b'"a,b\n', "import.not_a_table"),
        (b"x" * (reading.MAX_LINE_BYTES + 1), "import.not_a_table"),
        (b"PK\x03\x04 and no more", "import.not_a_table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and no more", "import.not_a_table"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with path.open("rb") as file, pytest.raises(Unusable) as found:
        open_table(file, path, FileShape(), "utf-8", Progress())
    assert found.value.code == code


def test_a_line_without_end_is_refused_and_not_kept_in_memory() -> None:
    data = b"a,b\n1,2\n" + b"y" * (3 * reading.MAX_LINE_BYTES) + b",\n3,4\n"
    assert [one[2] for one in told(data)] == [["1", "2"], "import.line_too_long", ["3", "4"]]


def test_a_workbook_is_read_with_its_instants_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "table.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("other").write(0, 0, "nothing")
        sheet = book.add_worksheet("steps")
        sheet.write_row(2, 0, ["a", "when", "c"])
        sheet.write(3, 0, 12.0)
        day = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write_datetime(3, 1, datetime(2011, 5, 1, 8, 30), day)  # noqa: DTZ001
        sheet.write(5, 0, "x")
    with path.open("rb") as file:
        table = open_table(file, path, FileShape(sheet="steps"), "utf-8", Progress())
        assert list(table.header) == ["a", "when", "c"]
        assert list(table.rows) == [
            Row(1, 4, ["12", datetime(2011, 5, 1, 8, 30), ""]),  # noqa: DTZ001
            Row(2, 6, ["x", "", ""]),
        ]
    with path.open("rb") as file, pytest.raises(Unusable) as found:
        open_table(file, path, FileShape(sheet="gone"), "utf-8", Progress())
    assert found.value.code == "import.sheet_missing"


def test_a_workbook_that_unpacks_to_too_much_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write(0, 0, "a")
    monkeypatch.setattr(reading, "MAX_UNPACKED_BYTES", 100)
    with path.open("rb") as file, pytest.raises(Unusable) as found:
        open_table(file, path, FileShape(), "utf-8", Progress())
    assert found.value.code == "import.workbook_too_large"


def at(text: str, pattern: str | None = None, zone: str | None = None) -> datetime:
    return instant(microseconds(text, pattern, zone_of(zone)))


def test_instants_keep_their_microseconds_and_are_told_in_utc() -> None:
    assert at("2011-10-11 13:45:40.276001+02:00") == datetime(
        2011, 10, 11, 11, 45, 40, 276001, tzinfo=UTC
    )
    assert at("2011-10-11T13:45:40Z") == datetime(2011, 10, 11, 13, 45, 40, tzinfo=UTC)
    assert at("1901-02-03T00:00:00+00:00") == datetime(1901, 2, 3, tzinfo=UTC)


def test_a_zone_that_changes_with_the_season_is_followed() -> None:
    pattern, zone = "%d.%m.%Y %H:%M", "Europe/Amsterdam"
    assert at("01.07.2011 12:00", pattern, zone).hour == 10
    assert at("01.12.2011 12:00", pattern, zone).hour == 11
    # 30 October 2011 has the hour from 02:00 twice; the first is taken
    assert at("30.10.2011 02:30", pattern, zone).hour == 0
    assert at("01.12.2011 12:00", pattern, "+08:00").hour == 4


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"])
def test_the_first_and_the_last_instant_of_the_calendar_are_read(text: str) -> None:
    assert instant(microseconds(text, None, None)).isoformat() == text


@pytest.mark.parametrize(
    ("text", "zone", "code"),
    [
        ("2011-02-30T10:00:00Z", None, "import.instant_impossible"),
        ("2011-13-01T10:00:00Z", None, "import.instant_impossible"),
        ("yesterday", None, "import.instant_impossible"),
        # no year of UTC's calendar: nobody could read it again
        ("0001-01-01T00:00:00+14:00", None, "import.instant_impossible"),
        ("9999-12-31T23:59:59-01:00", None, "import.instant_impossible"),
        ("2011-05-01T10:00:00", None, "import.zone_missing"),
        # clocks were put forward over this
        ("2011-03-27T02:30:00", "Europe/Amsterdam", "import.instant_impossible"),
        ("0001-01-01T00:00:00", "Europe/Amsterdam", "import.instant_impossible"),
    ],
)
def test_an_instant_that_never_was_is_refused(text: str, zone: str | None, code: str) -> None:
    with pytest.raises(BadCell) as found:
        microseconds(text, None, zone_of(zone))
    assert found.value.code == code


def test_microseconds_are_exact_both_ways() -> None:
    start = datetime(2011, 10, 30, 0, 59, 59, 999_999, tzinfo=UTC)
    for step in range(3):
        moment = start + timedelta(microseconds=step)
        assert instant(microseconds(moment, None, None)) == moment
