from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import get_character_cell_size

from broadcast_tui.tui.model.text import wrapping
from broadcast_tui.tui.model.text.wrapping import (
    MULTILINE,
    Span,
    cells_of,
    clip,
    clusters,
    measure,
    wrap,
    wrap_by_cells,
)

FAMILY = "👨\u200d👩\u200d👧"
PIECES = [
    "a", "b", "word", "x", " ", " ", "  ", "\n", "-", ",", "(", ")", "é", "e\u0301", "ß", "—", "…",
    "漢", "字", "、", "。", "（", "）", "「", "」", "ｶ", "각", "ᄀ\u1161", "😀", "👍🏽", FAMILY, "❤\ufe0f",
    "1\ufe0f\u20e3", "🇩🇪", "🇫🇷", "🇩", "\u200d", "\ufe0f", "\u0301", "क्षि", "שלום", "\u200b", "http://e.org/",
]  # fmt: skip
CHARS = st.characters(exclude_categories=["Cc", "Cs"])
ANY_TEXT = st.lists(st.sampled_from(PIECES) | st.text(CHARS, max_size=3), max_size=40).map("".join)
PLAIN_TEXT = st.text("ab c-  \n", max_size=80)
WIDTHS = st.integers(1, 12) | st.integers(1, 300)


def slow_wrap(text: str, width: int) -> list[Span]:
    """The rules of the module, one after the other, with no thought for speed."""
    rows: list[Span] = []
    offset = 0
    for paragraph in text.split("\n"):
        parts = clusters(paragraph)
        words = [paragraph[start:end] for start, end, _ in parts]
        cells = [part[2] for part in parts]
        edges = [part[0] for part in parts] + [len(paragraph)]
        first = 0
        while True:
            if sum(cells[first:]) <= width or len(words) - first <= 1:
                if first < len(words) or not words:
                    rows.append((edges[first] + offset, len(paragraph) + offset))
                break
            cut, after = next_row(words, cells, first, width)
            rows.append((edges[first] + offset, edges[cut] + offset))
            first = after
            if first == len(words):
                break
        offset += len(paragraph) + 1
    return rows


def next_row(words: list[str], cells: list[int], first: int, width: int) -> tuple[int, int]:
    """Where the row that begins with word `first` ends, and where the next one begins."""
    cuts = range(first + 1, len(words))
    fitting = [cut for cut in cuts if cut == first + 1 or sum(cells[first:cut]) <= width]
    for cut in reversed(fitting):
        if all(word == " " for word in words[first:cut]):
            continue
        if words[cut] == " ":
            after = cut
            while after < len(words) and words[after] == " ":
                after += 1
            return cut, after
        beside_wide = 2 in (cells[cut - 1], cells[cut])
        before, behind = words[cut - 1][0], words[cut][0]
        forbidden = before in wrapping._NEVER_LAST or behind in wrapping._NEVER_FIRST
        if beside_wide and before != " " and not forbidden:
            return cut, cut
    return fitting[-1], fitting[-1]


@given(ANY_TEXT, WIDTHS)
@example("a b", 1)
@example("漢字", 1)
@example("   long indent", 2)
@example("ends in blanks    ", 4)
@example("漢 \u200b漢", 4)
def test_wraps_as_the_slow_wrapper_does(text: str, width: int) -> None:
    assert wrap(text, width) == slow_wrap(text, width)


@given(PLAIN_TEXT, WIDTHS)
def test_single_text_wraps_as_any_text_does(text: str, width: int) -> None:
    by_clusters = [wrapping._wrap_any(part, width) for part in text.split("\n")]
    plain = [wrapping._wrap_single(part, width) for part in text.split("\n")]
    assert plain == by_clusters


@given(ANY_TEXT, WIDTHS)
def test_rows_fit_and_no_cluster_is_cut(text: str, width: int) -> None:
    rows = wrap(text, width)
    edges = {0}
    offset = 0
    for paragraph in text.split("\n"):
        edges |= {offset + end for _, end, _ in clusters(paragraph)} | {offset}
        offset += len(paragraph) + 1
    for start, end in rows:
        assert {start, end} <= edges
        row = text[start:end]
        assert sum(part[2] for part in clusters(row)) <= width or len(clusters(row)) == 1


@given(ANY_TEXT, WIDTHS)
def test_nothing_but_blanks_and_line_feeds_is_left_out(text: str, width: int) -> None:
    end = 0
    rebuilt = ""
    for start, next_end in wrap(text, width):
        assert start >= end
        assert not text[end:start].strip(" \n")
        rebuilt += text[start:next_end]
        end = next_end
    assert not text[end:].strip(" \n")


@given(ANY_TEXT, WIDTHS)
def test_text_that_fits_the_width_is_one_row(text: str, width: int) -> None:
    if measure(text) <= width:
        assert wrap(text, width) == [(0, len(text))]


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_clusters_cover_the_text_without_gaps(text: str) -> None:
    parts = clusters(text)
    assert [start for start, _, _ in parts] == [0, *(end for _, end, _ in parts[:-1])] or not text
    assert not text or parts[-1][1] == len(text)


@pytest.mark.parametrize("cluster", [FAMILY, "🇩🇪", "👍🏽", "❤\ufe0f", "1\ufe0f\u20e3", "e\u0301", "각"])
def test_is_one_cluster(cluster: str) -> None:
    end = 1 + len(cluster)
    assert [part[:2] for part in clusters(f"a{cluster}b")] == [(0, 1), (1, end), (end, end + 1)]


def test_flags_in_a_row_stay_apart() -> None:
    assert [end for _, end, _ in clusters("🇩🇪🇫🇷🇩x")] == [2, 4, 5, 6]


def test_characters_on_the_fast_path_take_one_cell() -> None:
    single = [
        char
        for char in map(chr, range(0x3000))
        if wrapping.is_single(char) and not char < " " and char != "\x7f"
    ]
    assert len(single) > 1000
    assert {get_character_cell_size(char) for char in single} == {1}


@given(ANY_TEXT.map(lambda text: text.replace("\n", "")))
def test_cells_are_those_of_the_clusters(text: str) -> None:
    assert cells_of(text) == sum(cells for _, _, cells in clusters(text))


def rows_of(text: str, width: int) -> list[str]:
    return [text[start:end] for start, end in wrap(text, width)]


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [
        ("", 5, [""]),
        ("the quick brown fox", 10, ["the quick", "brown fox"]),
        ("the quick", 9, ["the quick"]),
        ("two  blanks", 4, ["two ", "blan", "ks"]),
        ("incomprehensibilities", 8, ["incompre", "hensibil", "ities"]),
        ("a\n\nb", 5, ["a", "", "b"]),
        ("    def f(x):\n        return x", 14, ["    def f(x):", "        return", "x"]),
        ("漢字かな", 5, ["漢字", "かな"]),
        ("漢字。かな", 4, ["漢", "字。", "かな"]),
        ("ab「漢", 4, ["ab", "「漢"]),
        ("漢字", 1, ["漢", "字"]),
        (f"ab{FAMILY}cd", 3, ["ab", FAMILY, "cd"]),
    ],
)
def test_examples(text: str, width: int, rows: list[str]) -> None:
    assert rows_of(text, width) == rows


def test_text_with_line_feeds_measures_more_than_any_width() -> None:
    assert measure("a\nb") == MULTILINE


@pytest.mark.parametrize(
    ("text", "width", "clipped"),
    [
        ("ana", 3, "ana"),
        ("anabel", 4, "ana…"),
        ("漢字漢字", 6, "漢字…"),
        ("漢字漢字", 4, "漢…"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
    ],
)
def test_clip(text: str, width: int, clipped: str) -> None:
    assert clip(text, width) == clipped
    assert cells_of(clipped) <= width


@given(ANY_TEXT.map(lambda text: text.replace("\n", "")), WIDTHS)
@example("", 3)
@example("    indented", 4)
def test_code_is_wrapped_by_cells_and_nothing_is_left_out(text: str, width: int) -> None:
    rows: list[str] = [""]
    for start, end, _ in clusters(text):
        cluster = text[start:end]
        if rows[-1] and sum(part[2] for part in clusters(rows[-1])) + clusters(cluster)[0][2] > width:
            rows.append("")
        rows[-1] += cluster
    assert [text[start:end] for start, end in wrap_by_cells(text, width)] == rows
