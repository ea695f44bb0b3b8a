"""How texts are cut into words: whatever is part of a text is found by the words it needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from projections.history_words import MAX_WORD, folded, needed, words

CHINESE = st.text("上海茶行有限公司龙井杭州", min_size=1, max_size=12)
ANY = st.text(max_size=40)


def test_chinese_is_found_by_each_sign_and_each_pair_of_neighbours() -> None:
    assert words(["上海茶行"]) == {"上", "海", "茶", "行", "上海", "海茶", "茶行"}
    assert needed("海茶行") == {"海茶", "茶行"}
    assert needed("茶") == {"茶"}


def test_other_scripts_are_found_by_whole_runs_of_letters_and_digits() -> None:
    assert words(["cs-20261122-7f3k9q-c"]) == {"cs", "20261122", "7f3k9q", "c"}
    assert words(["call_back cn/31"]) == {"call", "back", "cn", "31"}
    assert words(["чай 7é"]) == {"чай", "7é"}
    assert words(["天地2号a座"]) >= {"2", "a", "天地", "号", "座"}


def test_a_text_is_compared_in_one_width_one_case_and_single_spaces() -> None:
    assert folded("  \uff34\uff45\uff41\u3000House\n ") == "tea house"
    assert folded("STRASSE") == folded("straße")
    assert folded("a\x00b\u202ec") == "a b c"


def test_a_text_without_letters_needs_nothing() -> None:
    assert needed(folded("。。 -- ++")) == set()


def test_a_word_has_a_length() -> None:
    assert words(["x" * 500]) == needed("x" * 500) == {"x" * MAX_WORD}


@given(CHINESE, CHINESE, CHINESE)
def test_any_part_of_a_chinese_text_is_found(before: str, part: str, behind: str) -> None:
    assert needed(folded(part)) <= words([folded(before + part + behind)])


@given(ANY, ANY, ANY)
def test_any_part_between_spaces_is_found(before: str, part: str, behind: str) -> None:
    assert needed(folded(part)) <= words([folded(f"{before} {part} {behind}")])


@given(ANY)
def test_folding_twice_is_folding_once_and_leaves_nothing_a_database_refuses(text: str) -> None:
    once = folded(text)
    assert folded(once) == once
    assert once.isprintable()
