"""Files that are no register, or odd ones: each is told by a code, or read as a person means it."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from api.importing import reading, register_formulas, register_repeats
from api.importing.faults import Unusable
from api.importing.register_faults import BadHeadings
from tests.support.importing import Bench
from tests.support.register_faults import in_the_ledger
from tests.support.register_files import (
    EN,
    FIELDS,
    ZH,
    Made,
    Register,
    write_csv,
    write_xlsx,
)
from tests.support.register_ground import body, lay, publish, register, today

Told = list[tuple[str, str]]
Give = Callable[..., tuple[int, Told]]


@pytest.fixture
def ground(bench: Bench) -> Bench:
    """A tenant with catalogue and policy."""
    lay(bench)
    return bench


@pytest.fixture
def give(ground: Bench, tmp_path: Path) -> Give:
    """Imports bytes or a file as a register; returns the rows written, each problem's cell and
    code."""

    def given(data: bytes | str | Path, **wanted: Any) -> tuple[int, Told]:
        path = data if isinstance(data, Path) else tmp_path / "register"
        if not isinstance(data, Path):
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        told: Told = []
        report = register(
            ground, path, on_fault=lambda one: told.append((one.cell, one.code)), **wanted
        )
        return report.rows.written, told

    return given


def rows(count: int) -> list[Made]:
    """Sound rows, one customer each."""
    made = in_the_ledger(count, 3, today())["right"]
    return [one | {"number": ""} for one in made]


def refused(give: Give, data: bytes | str | Path, **wanted: Any) -> str:
    """The code by which a file is refused as a whole."""
    with pytest.raises(Unusable) as found:
        give(data, **wanted)
    return found.value.code


def text(*lines: str, headings: tuple[str, ...] = ZH) -> str:
    return "\n".join([",".join(headings), *lines]) + "\n"


def line(made: Made) -> str:
    return ",".join(str(made.get(name, "")) for name in FIELDS)


# --- what is no register --------------------------------------------------------------------------


def test_what_is_no_register_is_told_by_its_code(give: Give) -> None:
    for data, code in (
        (b"", "import.file_empty"),
        (text().encode(), "import.file_empty"),
        (b"\n\n\n", "import.file_empty"),
        (text().encode("utf-16"), "register.utf_16"),
        (text(line(rows(1)[0])).encode("big5", errors="replace"), "register.encoding"),
        (bytes(range(128, 256)) * 40, "register.encoding"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "register.not_xlsx"),
        (b"PK\x03\x04" + bytes(600), "import.not_a_table"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "register.encoding"),
        (b"name;code\n1;2\n", "register.headings"),
    ):
        assert refused(give, data) == code, data[:20]


def test_every_fault_of_a_heading_row_is_named_at_its_cell(give: Give) -> None:
    headings = ("客户名称", "信用代码", "省份", "产品", "渠道", "生效日期", "联系人", "联系人")
    with pytest.raises(BadHeadings) as found:
        give("\n" + text("a,b,c,d,e,f,g,h", headings=headings))
    assert [(one.cell, one.code) for one in found.value.faults] == [
        ("C2", "register.column_unknown"),
        ("H2", "register.column_twice"),
        ("2", "register.column_missing"),
        ("2", "register.column_missing"),
    ]
    assert "Territory" in found.value.faults[2].why("en")
    assert "截止日期" in found.value.faults[3].why("zh")
    with pytest.raises(BadHeadings) as found:
        give(
            text(
                "", headings=tuple(one for one in ZH if one not in ("统一社会信用代码", "身份证号"))
            )
        )
    assert [one.params["zh"] for one in found.value.faults] == ["统一社会信用代码"]


def test_a_kind_or_an_action_that_is_none_is_told_before_anything_is_read(
    give: Give, ground: Bench
) -> None:
    data = text(line(rows(1)[0]))
    assert refused(give, data, kind="nothing") == "register.policy_unknown"
    assert refused(give, data, actions=("fly",)) == "register.action_unknown"
    publish(ground, body(kind="of_customers", dimensions=("customer",)))
    assert refused(give, data, kind="of_customers") == "register.kind_of_customers"


def test_a_workbook_that_unpacks_to_more_than_its_limit_is_refused(
    give: Give, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.xlsx"
    write_xlsx(path, Register(rows(3)))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/media/image1.png", bytes(3_000_000))
    monkeypatch.setattr(reading, "MAX_UNPACKED_BYTES", 2_000_000)
    assert refused(give, path) == "import.workbook_too_large"
    monkeypatch.setattr(reading, "MAX_UNPACKED_BYTES", 1 << 30)
    monkeypatch.setattr(reading, "MAX_WORKBOOK_BYTES", 1_000)
    assert refused(give, path) == "import.workbook_too_large"


def test_a_part_is_unpacked_no_further_than_the_limit_whatever_the_file_says(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lies.xlsx"
    write_xlsx(path, Register(rows(60)))
    with zipfile.ZipFile(path) as packed, pytest.raises(Unusable) as found:
        register_formulas.formulas(packed, "Sheet1", 5_000)
    assert found.value.code == "import.workbook_too_large"


def test_a_workbook_with_entities_to_expand_is_refused(give: Give, tmp_path: Path) -> None:
    path, bomb = tmp_path / "made.xlsx", tmp_path / "bomb.xlsx"
    write_xlsx(path, Register(rows(2)))
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bomb, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("sheet1.xml"):
                head, _, rest = data.partition(b"?>")
                data = head + b"?>" + entities + rest
            new.writestr(name, data)
    assert refused(give, bomb) == "import.not_a_table"


def test_a_workbook_with_a_broken_part_is_refused(give: Give, tmp_path: Path) -> None:
    path = tmp_path / "made.xlsx"
    write_xlsx(path, Register(rows(40)))
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as packed:
        info = packed.getinfo("xl/worksheets/sheet1.xml")
    name, more = struct.unpack("<HH", data[info.header_offset + 26 : info.header_offset + 30])
    start = info.header_offset + 30 + name + more
    data[start + 20 : start + 60] = bytes(40)
    assert refused(give, bytes(data)) == "import.not_a_table"


# --- odd files that are read as they are meant ----------------------------------------------------


def test_titles_above_the_heading_row_blank_rows_and_comments_are_no_rows(
    give: Give, tmp_path: Path
) -> None:
    made = rows(3)
    book = xlsxwriter.Workbook(str(tmp_path / "register.xlsx"))
    sheet: Any = book.add_worksheet()
    sheet.merge_range("C2:J2", "经销商授权登记表")
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    for place, heading in enumerate(EN):
        sheet.write_string(3, place + 2, heading + " *")
    for number, one in ((5, made[0]), (8, made[1]), (9, made[2] | {"phone": "12"})):
        for place, name in enumerate(FIELDS):
            cell = one.get(name, "")
            if name in ("from", "until"):
                sheet.write_datetime(number - 1, place + 2, cell, day)
            else:
                sheet.write_string(number - 1, place + 2, cell)
    sheet.write_string("C6", "# 示例")
    sheet.write_string("D7", "   ")
    book.close()
    assert give(tmp_path / "register.xlsx") == (2, [("M9", "register.phone_malformed")])


def test_merged_cells_hold_for_each_row_they_run_over(
    give: Give, ground: Bench, tmp_path: Path
) -> None:
    first, *rest = rows(1) * 3
    made = [first] + [one | {"name": "", "uscc": ""} for one in rest]
    for one, product in zip(made, ("tea/green", "tea/black", "ware"), strict=True):
        one["product"] = product

    def merge(_: Any, sheet: Any) -> None:
        sheet.merge_range("A2:A4", first["name"])
        sheet.merge_range("B2:B4", first["uscc"])

    path = tmp_path / "merged.xlsx"
    write_xlsx(path, Register(made), adorn=merge)
    assert give(path) == (3, [])
    assert len(list(ground.facts("customer.registered"))) == 1
    assert len(list(ground.facts("grant.requested"))) == 3


def test_rows_have_the_numbers_that_a_workbook_shows_also_behind_breaks_within_cells(
    give: Give,
) -> None:
    one, two, three = rows(3)
    quoted = line(one | {"territory": '"CN/31\nCN/32\nCN/33"'})
    bad, worse = line(two | {"phone": "1"}), line(three | {"phone": "2"})
    data = text(quoted, bad, "", ",,,,,,,,,,,", worse, "too,few")
    assert give(data) == (
        1,
        [
            ("K3", "register.phone_malformed"),
            ("K6", "register.phone_malformed"),
            ("7", "import.row_width"),
        ],
    )


def test_tabs_and_semicolons_separate_as_well(give: Give, tmp_path: Path) -> None:
    for number, sign in enumerate("\t;"):
        made = in_the_ledger(1, number + 50, today())["right"][0] | {"number": ""}
        cells = [str(made.get(name, "")) for name in FIELDS]
        assert give(f"{sign.join(EN)}\n{sign.join(cells)}\n") == (1, [])


def test_one_line_that_is_no_text_is_told_and_the_others_go_in(give: Give) -> None:
    one, two = (line(made).encode() for made in rows(2))
    spoiled = two.replace("有限公司".encode(), b"\xff\xfe")
    data = text().encode() + one + b"\n" + spoiled + b"\n"
    assert give(data) == (1, [("A3", "import.not_in_encoding")])
    english = ",".join(EN).encode() + b"\n"
    chinese = in_the_ledger(1, 77, today())["right"][0] | {"number": ""}
    assert give(english + line(chinese).encode("gb18030") + b"\n") == (1, [])


def test_a_row_with_several_problems_is_told_all_of_them(give: Give) -> None:
    [one] = rows(1)
    one |= {"name": "", "uscc": "9131", "territory": "CN/99;CN//1", "from": "?", "phone": "1"}
    one |= {"until": today() - timedelta(days=1), "number": "a b", "contact": "=1"}
    assert give(text(line(one))) == (
        0,
        [
            ("A2", "register.name_missing"),
            ("B2", "register.uscc_length"),
            ("D2", "register.point_unknown"),
            ("G2", "register.from_no_date"),
            ("H2", "register.term_over"),
            ("I2", "register.number_malformed"),
            ("J2", "register.cell_formula_text"),
            ("K2", "register.phone_malformed"),
        ],
    )


def test_days_are_written_in_many_ways_and_mean_the_same(give: Give, ground: Bench) -> None:
    day, last = today() - timedelta(days=3), today() + timedelta(days=20)
    ways = (
        f"{day:%Y-%m-%d}", f"{day.year}/{day.month}/{day.day}", f"{day:%Y.%m.%d}",
        f"{day.year}年{day.month}月{day.day}日", f"{day:%Y%m%d}", f"{day:%Y-%m-%d} 00:00:00",
    )  # fmt: skip
    lines = [
        line(made | {"from": way, "until": last}) for made, way in zip(rows(6), ways, strict=True)
    ]
    assert give(text(*lines)) == (6, [])
    terms = {
        (fact.event.starts_at, fact.event.ends_at)  # pyright: ignore[reportAttributeAccessIssue]
        for fact in ground.facts("grant.activated")
    }
    [(starts, ends)] = terms
    assert (ends - starts).days == 24
    assert (starts.hour, ends.hour) == (16, 16)  # midnight in Shanghai


def test_more_rows_of_an_exclusive_kind_than_the_limit_are_refused_as_a_whole(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(bench, exclusive=True)
    monkeypatch.setattr(register_repeats, "MAX_EXCLUSIVE_ROWS", 2)
    write_csv(tmp_path / "register.csv", rows(3))
    with pytest.raises(Unusable) as found:
        register(bench, tmp_path / "register.csv")
    assert found.value.code == "register.too_many_exclusive"


def test_more_rows_of_one_customer_than_the_limit_are_told_row_by_row(
    give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_repeats, "MAX_CUSTOMER_ROWS", 2)
    [one] = rows(1)
    lines = [line(one | {"product": some}) for some in ("tea/green", "tea/black", "ware", "tea")]
    assert give(text(*lines)) == (
        2,
        [("4", "register.customer_rows"), ("5", "register.customer_rows")],
    )
