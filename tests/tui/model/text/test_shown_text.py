from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.text.shown_text import shown_text, source_text
from broadcast_tui.tui.model.text.wrapping import cells_of

PIECES = [
    "a", "word", " ", "*", "**", "_", "~~", "`", "```", "```py\n", "\\", "[t](https://e.org/x)", "[", "](",
    ")", "https://e.org", "> ", ">", "\n", "\n> ", "| a | b |", "\n|---|--:|\n", "|", "漢", "e\u0301",
    "👍🏽", "\u200d", "❤", "\ufe0f", "🇩🇪",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a **bold** `x` ~~no~~ *it*", "a bold x no it"),
        ("[here](https://e.org/x) now", "here e.org now"),
        ("[**f**](https://e.org)", "**f** e.org"),
        ("[bank.org](https://e.org)", "[bank.org](https://e.org)"),
        ("[x](https://u@e.org)", "[x](https://u@e.org)"),
        (r"\*no\* \\x", r"*no* \x"),
        (r"1\. one", "1. one"),
        (r"\# no \[x] *yes*", "# no [x] yes"),
        (r"\# no \[x]", "# no [x]"),
        (r"C:\Users C:\ x", r"C:\Users C:\ x"),
        (r"¯\_(ツ)_/¯", r"¯\_(ツ)_/¯"),
        (r"*why* not ¯\_(ツ)_/¯ or _so_ ¯\_(ツ)_/¯ `\_`", r"why not ¯\_(ツ)_/¯ or so ¯\_(ツ)_/¯ \_"),
        (r"¯\_ \_/¯", "¯_ _/¯"),
        ("> quoted\nme", "quoted\nme"),
        (">", ">"),
        (">\u200da", ">\u200da"),
        ("```py\na\n```\nb", "a\nb"),
        ("see\n```\na\nb", "see\na\nb"),
        ("```\n```", "```\n```"),
        ("```py", "```py"),
        ("snake_case 2*3*4", "snake_case 2*3*4"),
        ("| a | b |\n|:--|--:|\n| long | 1 |\nend", "a       b\n────  ───\nlong    1\nend"),
        ("| a | b |\n|---|\n", "| a | b |\n|---|\n"),
        ("a | b\n--|--\n1 | 2 | 3", "a    b  \n───  ───\n1 | 2 | 3"),
    ],
)
def test_what_is_shown(written: str, shown: str) -> None:
    assert shown_text(written, tables_within=60).text == shown


def test_what_is_marked() -> None:
    shown = shown_text("> a **b**\n```py\nx\n```")
    assert shown.quotes == {0: 2}
    assert shown.blocks == ((1, 2, "py"),)
    assert [(span.start, span.end) for span in shown.spans[0]] == [(2, 3)]
    assert shown_text("> a", quotes=False).text == "> a"
    assert shown_text("| a | b |\n|---|---|", tables_within=7).text == "| a | b |\n|---|---|"
    assert source_text("**b**").text == "**b**"


@given(TEXTS, st.booleans(), st.sampled_from([0, 14, 40]))
def test_every_shown_character_is_found_in_the_written_text(written: str, quotes: bool, tables: int) -> None:
    shown = shown_text(written, quotes=quotes, tables_within=tables, tables_below_label=not quotes)
    ends = [0, 0]
    for piece in shown.pieces:
        assert (
            shown.text[piece.shown : piece.shown + piece.length]
            == (written[piece.written : piece.written + piece.length])
        )
        assert piece.shown >= ends[0]
        assert piece.written >= ends[1]
        ends = [piece.shown + piece.length, piece.written + piece.length]
        for offset in range(piece.length):
            assert shown.written_at(piece.shown + offset) == piece.written + offset
            assert shown.shown_at(piece.written + offset) == piece.shown + offset
    to_written = [shown.written_at(index) for index in range(len(shown.text) + 1)]
    to_shown = [shown.shown_at(index) for index in range(len(written) + 1)]
    assert to_written == sorted(to_written)
    assert to_shown == sorted(to_shown)
    assert to_written[-1] == len(written)
    assert to_shown[-1] == len(shown.text)


@given(TEXTS)
def test_a_line_is_never_wider_than_it_was_written(written: str) -> None:
    line = visible_line(written)
    shown = shown_text(line, tables_within=200)
    assert "\n" not in shown.text
    assert cells_of(shown.text) + shown.quotes.get(0, 0) <= cells_of(line)


@given(TEXTS)
def test_spans_are_ascending_and_inside_their_lines(written: str) -> None:
    shown = shown_text(written, tables_within=40)
    lines = shown.text.split("\n")
    for number, spans in shown.spans.items():
        end = 0
        for span in spans:
            assert end <= span.start < span.end <= len(lines[number])
            end = span.end


@pytest.mark.parametrize("text", ["**bold** and `code`", "```py\nx\n```", "> quoted", "| a | b |\n|---|---|"])
def test_all_that_is_shown_stands_for_all_that_was_written(text: str) -> None:
    shown = shown_text(text, tables_within=60)
    first, last = shown.written_at(0), shown.written_at(len(shown.text))
    visible = [shown.pieces[0].written, shown.pieces[-1].written + shown.pieces[-1].length]
    assert shown.whole(first, last) == shown.whole(*visible) == (0, len(text))
    assert shown.whole(visible[0] + 1, visible[1]) == (visible[0] + 1, visible[1])


def test_a_wide_table_is_cut_to_the_width() -> None:
    written = "| name | what happened | n |\n|---|---|--:|\n| eu-west | " + "a long story " * 30 + "| 12 |"
    text = shown_text(written, tables_within=30).text
    assert text.split("\n") == [
        "name     what happened       n",
        "───────  ────────────────  ───",
        "eu-west  a long story a …   12",
    ]
    assert {cells_of(line) for line in text.split("\n")} <= {29, 30}


def test_the_widest_columns_are_cut_first_and_evenly() -> None:
    row = "| " + " | ".join(["x" * 4, "y" * 50, "陈" * 30]) + " |"
    rows = shown_text(f"{row}\n|---|---|---|\n{row}", tables_within=31).text.split("\n")
    assert rows[0] == rows[2] == "xxxx  yyyyyyyyyyy…  陈陈陈陈陈…"
    assert cells_of(rows[1]) == 31


def test_a_table_begins_below_a_label() -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    shown = shown_text(table, tables_within=60, tables_below_label=True)
    assert shown.text == "\na    b  \n───  ───\n1    2  "
    assert [shown.written_at(index) for index in (0, 1, 6)] == [2, 2, 6]
    assert (shown.shown_at(0), sorted(shown.spans)) == (1, [1, 2])
    assert shown_text(f"See:\n{table}", tables_within=60, tables_below_label=True).text.startswith("See:\na")


def test_a_table_with_too_many_columns_stays_as_written() -> None:
    written = "| aaaaaaaa | bbbbbbbb |\n|---|---|\n| 1 | 2 |"
    assert shown_text(written, tables_within=12).text.startswith("aaaa…  bbbb…")
    assert shown_text(written, tables_within=11).text == written


@given(
    st.lists(st.lists(st.text("ab 陈🐙é", max_size=30), min_size=2, max_size=4), min_size=1),
    st.integers(1, 60),
)
def test_no_row_of_a_table_is_wider_than_allowed(rows: list[list[str]], within: int) -> None:
    count = len(rows[0])
    lines = ["|" + "|".join((*row, *[""] * count)[:count]) + "|" for row in rows]
    written = "\n".join([lines[0], "|---" * count + "|", *lines[1:]])
    shown = shown_text(written, tables_within=within)
    if shown.text != written:
        assert all(cells_of(line) <= within for line in shown.text.split("\n"))


def test_a_large_table_is_not_laid_out() -> None:
    head = "| a | b |\n|---|---|\n"
    wide = head + "| " + "x" * 2_000 + " | y |"
    assert shown_text(wide, tables_within=10_000).text.startswith("a    b")
    assert len(shown_text(head + "| x | y |\n" * 1_500, tables_within=100).text) < 20_000
