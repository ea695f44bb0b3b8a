"""A fault of a file is told with line, column and reason; its case stays out, others go in."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.importing import intake
from api.importing.faults import Unusable
from domain.events.customer import CustomerRegistered
from domain.events.grant import GrantRequested
from tests.support.importing import WHOLE, Bench, Import, rows, small_mapping, table


def cases_of(bench: Bench) -> set[str]:
    """The cases that have a grant in the log: each has a customer of its own."""
    numbers: dict[str, str] = {}
    found: set[str] = set()
    for _, stream_id, event in bench.facts():
        match event:
            case CustomerRegistered():
                numbers[f"customer:{stream_id}"] = event.number
            case GrantRequested():
                found.add(numbers[event.grantee])
            case _:
                pass
    return found


def good(case: str = "b", day: int = 2) -> list[str]:
    return rows(case, *WHOLE, day=day)


def spoiled(case: str, column: int, cell: str, row: int = 1) -> list[str]:
    """The rows of a case with one cell exchanged."""
    lines = rows(case, *WHOLE)
    cells = lines[row].split(",")
    cells[column] = cell
    lines[row] = ",".join(cells)
    return lines


@pytest.mark.parametrize(
    ("column", "cell", "name", "code"),
    [
        (1, "", "step", "import.cell_empty"),
        (1, "x" * 201, "step", "import.cell_too_long"),
        (1, "a\x07b", "step", "import.cell_unsafe"),
        (2, "", "who", "import.cell_empty"),
        (2, "Ann Lee", "who", "import.person_no_code"),
        (3, "2011-02-30T10:00:00Z", "when", "import.instant_impossible"),
        (3, "2011-05-01T10:00:00", "when", "import.zone_missing"),
        (3, "3011-05-01T10:00:00Z", "when", "import.instant_future"),
        (4, "a-0", "id", "import.step_repeated"),
        (4, "b-0", "id", "import.step_repeated"),
        (5, "CN//31", "where", "import.path_malformed"),
        (5, "*", "where", None),
    ],
)
def test_a_bad_cell_keeps_its_whole_case_out_and_no_other(
    bench: Bench, imported: Import, column: int, cell: str, name: str, code: str | None
) -> None:
    report = imported(table(good("b"), spoiled("a", column, cell), good("c", day=3)))
    if code is None:
        assert report.refused == 0
        return
    fault = report.refused_rows[0]
    assert (fault.row, fault.line, fault.column, fault.code) == (6, 7, name, code)
    assert (report.cases.written, report.cases.refused) == (2, 1)
    assert (report.rows.written, report.rows.refused, report.rows.left_out) == (8, 1, 3)
    assert cases_of(bench) == {"b", "c"}


def test_a_step_id_that_comes_back_breaks_the_case_that_has_it_later(
    bench: Bench, imported: Import
) -> None:
    report = imported(table(spoiled("a", 4, "same"), spoiled("b", 4, "same"), good("c")))
    assert [(one.line, one.case) for one in report.refused_rows] == [(7, "b")]
    assert cases_of(bench) == {"a", "c"}


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ("a,look,bob,2011-05-01T09:00:00+08:00,a-1", "import.row_width"),
        ("a,look,bob,2011-05-01T09:00:00+08:00,a-1,CN/31,more", "import.row_width"),
        ('a,look,"bob,2011-05-01T09:00:00+08:00,a-1,CN/31', "import.row_quotes"),
    ],
)
def test_a_broken_row_keeps_its_case_out(
    bench: Bench, imported: Import, broken: str, code: str
) -> None:
    lines = rows("a", *WHOLE)
    lines[1] = broken
    report = imported(table(good("b"), lines, good("c", day=3)))
    assert [(one.line, one.column, one.code) for one in report.refused_rows] == [(7, "", code)]
    assert cases_of(bench) == {"b", "c"}


def test_bytes_in_another_encoding_keep_their_case_out(bench: Bench, imported: Import) -> None:
    lines = table(good("b"), rows("a", "ask", "look"), good("c", day=3)).encode().split(b"\n")
    lines[6] = lines[6].replace(b",bob,", b",\xd5\xc5,")
    report = imported(b"\n".join(lines))
    fault = report.refused_rows[0]
    assert (fault.line, fault.column, fault.code) == (7, "who", "import.not_in_encoding")
    assert fault.case == "a"
    assert cases_of(bench) == {"b", "c"}


def test_a_lost_row_between_two_cases_keeps_both_out(bench: Bench, imported: Import) -> None:
    """It may have been a step of either; a case that may lack a step is not written."""
    report = imported(table(good("b"), "###", rows("a", *WHOLE), good("c", day=3)))
    assert report.refused_rows[0].case is None
    assert cases_of(bench) == {"c"}
    assert (report.cases.total, report.cases.refused) == (3, 2)


def test_a_lost_row_within_a_case_keeps_that_case_out_alone(bench: Bench, imported: Import) -> None:
    lines = rows("a", *WHOLE)
    lines[2] = "?;?;?"
    imported(table(good("b"), lines, good("c", day=3)))
    assert cases_of(bench) == {"b", "c"}


def test_rows_of_a_file_sorted_by_time_find_their_case_by_its_name(
    bench: Bench, imported: Import
) -> None:
    mixed = [row for three in zip(good("b"), rows("a", *WHOLE), good("c"), strict=True)
             for row in three]  # fmt: skip
    mixed[4] = mixed[4].removesuffix(",CN/31")
    imported(table(mixed))
    assert cases_of(bench) == {"b", "c"}


def test_where_a_lost_row_could_be_any_cases_nothing_is_written(
    bench: Bench, imported: Import
) -> None:
    mixed = [row for two in zip(good("b"), rows("a", *WHOLE), strict=True) for row in two]
    mixed[4] = "###"
    with pytest.raises(Unusable) as found:
        imported(table(mixed))
    assert found.value.code == "import.case_unreadable"
    assert found.value.params == {"line": 6, "row": 5}
    assert bench.log() == []


@pytest.mark.parametrize(
    ("data", "code", "params"),
    [
        (b"", "import.file_empty", {}),
        (b"case,step,who,when,id,where\n\n", "import.file_empty", {}),
        (
            b"case,step,who,id,where\n1,2,3,4,5\n",
            "import.column_missing",
            {"line": 1, "column": "when", "found": ("case", "step", "who", "id", "where")},
        ),
        (
            b"case,step,who,when,id,where,who\n1,2,3,4,5,6,7\n",
            "import.column_twice",
            {"line": 1, "column": "who"},
        ),
        (b'{"case": 1}\n', "import.column_missing", {}),
        (b"%PDF-1.7\n\0\n", "import.column_missing", {}),
    ],
)
def test_a_file_that_is_none_is_refused_before_anything_is_written(
    bench: Bench, imported: Import, data: bytes, code: str, params: dict[str, object]
) -> None:
    with pytest.raises(Unusable) as found:
        imported(data)
    assert found.value.code == code
    assert params.items() <= found.value.params.items()
    assert bench.log() == []


def test_a_file_wholly_in_another_encoding_is_told_so(imported: Import) -> None:
    data = table(rows("案件", *WHOLE, who="张三 李四")).replace("who", "经办人")
    with pytest.raises(Unusable) as found:
        imported(data.encode("gb18030"))
    assert found.value.code == "import.header_not_in_encoding"
    report = imported(table(rows("案件", *WHOLE, who="张三 李四")).encode("gb18030"))
    assert (report.cases.total, report.rows.refused) == (0, 4)


def test_the_encoding_that_the_mapping_names_is_read(bench: Bench, imported: Import) -> None:
    data = table(rows("案件", *WHOLE, who="张三 李四")).encode("gb18030")
    report = imported(data, file='encoding = "gb18030"')
    assert report.cases.written == 1
    assert cases_of(bench) == {"案件"}


def test_a_column_of_texts_is_not_taken_for_names_of_steps(
    bench: Bench, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_STEP_NAMES", 3)
    imported(table(rows("a", "ask", "one", "two")))
    with pytest.raises(Unusable) as found:
        imported(table(rows("b", "ask", "one", "two", "three")))
    assert found.value.code == "import.too_many_step_names"
    assert len(cases_of(bench)) == 1


def test_a_case_of_too_many_steps_is_refused_whole(
    bench: Bench, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_CASE_STEPS", 3)
    report = imported(table(rows("a", *WHOLE), rows("b", "ask", "look")))
    assert [(one.line, one.case, one.code) for one in report.refused_rows] == [
        (2, "a", "import.case_too_long")
    ]
    assert cases_of(bench) == {"b"}


def test_a_value_that_the_mapping_does_not_list_is_refused(bench: Bench, imported: Import) -> None:
    listed = '[values.where]\n"CN/31" = "CN/31"'
    text = table(rows("a", *WHOLE), spoiled("b", 5, "CN/32"))
    report = imported(text, constants=listed)
    assert [(one.line, one.column, one.code) for one in report.refused_rows] == [
        (7, "where", "import.value_not_listed")
    ]
    assert cases_of(bench) == {"a"}


def test_a_repaired_row_brings_its_case_in_afterwards(bench: Bench, imported: Import) -> None:
    first = imported(table(good("b"), spoiled("a", 3, "?"), good("c", day=3)))
    before = len(bench.log())
    second = imported(table(good("b"), rows("a", *WHOLE), good("c", day=3)))
    assert (first.cases.refused, second.cases.written, second.cases.present) == (1, 1, 2)
    assert second.events == len(bench.log()) - before
    assert cases_of(bench) == {"a", "b", "c"}


def test_a_case_that_says_something_else_later_is_refused_and_stays_as_it_was(
    bench: Bench, imported: Import
) -> None:
    imported(table(rows("a", "ask", "look"), good("b")))
    before = bench.log()
    report = imported(table(rows("new", "ask"), rows("a", *WHOLE), good("b")))
    assert [(one.line, one.case, one.code) for one in report.refused_rows] == [
        (3, "a", "import.case_changed")
    ]
    assert (report.cases.written, report.cases.present, report.cases.refused) == (1, 1, 1)
    assert bench.log()[: len(before)] == before
    asked = [fact for fact in bench.facts("grant.") if isinstance(fact.event, GrantRequested)]
    assert len(asked) == 3


def test_every_refused_row_is_told_though_the_report_lists_so_many(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.importing.report.MAX_LISTED", 2)
    path = tmp_path / "file"
    path.write_text(table(*[spoiled(f"a{number}", 3, "?") for number in range(5)], good("b")))
    told: list[int] = []
    report = bench.run(path, small_mapping(), on_fault=lambda fault: told.append(fault.line))
    assert told == [3, 7, 11, 15, 19]
    assert (len(report.refused_rows), report.refused) == (2, 5)
    assert report.faults == {"import.instant_impossible": 5}
