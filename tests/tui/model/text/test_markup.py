from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.text import links as link_rules
from broadcast_tui.tui.model.text import markup
from broadcast_tui.tui.model.text.markup import (
    MAX_CHARS,
    SPANS_MAX,
    CodeBlock,
    TextStyle,
    blocks_of,
    has_markup,
    styled_spans,
)

PIECES = [
    "a", "word", " ", "*", "**", "***", "_", "__", "~~", "~", "`", "``", "```", "\\", "[", "]", "(", ")",
    "](", "https://e.org", "http://", "https://e.org/a_(b)", "[t](https://e.org/x)", "漢", "é", "e\u0301",
    "😀", ".", "/", "@", "https://а.com", "https://u@e.org",
]  # fmt: skip
ANY_LINE = st.lists(
    st.sampled_from(PIECES) | st.text(st.characters(exclude_characters="\n"), max_size=3), max_size=40
).map("".join)
HOSTILE = {
    "stars": "*",
    "pairs": "*a",
    "openers": "*a ",
    "underlines": "_ a",
    "ticks of all lengths": "",
    "brackets": "[",
    "nested links": "[a](",
    "links without end": "[a](http://b",
    "addresses": "http://a(",
    "parentheses": "http://((",
    "punctuation": "http://.,:;",
    "backslashes": "\\",
    "backslashes and ticks": "\\`",
    "tildes": "~~a",
    "all": "**_~~`[a](http://",
}


def styles_of(text: str) -> dict[str, str]:
    """How each piece of `text` that is not plain looks, marks left out."""
    return {
        text[run.start : run.end]: (run.style & ~TextStyle.MARK).name or ""
        for run in styled_spans(text)
        if TextStyle.MARK not in run.style
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a **bold** word", {"bold": "BOLD"}),
        ("*one* and _two_.", {"one": "ITALIC", "two": "ITALIC"}),
        ("***both***", {"both": "BOLD|ITALIC"}),
        ("**a _b_ c**", {"a ": "BOLD", "b": "BOLD|ITALIC", " c": "BOLD"}),
        ("~~no~~ (*yes*)", {"no": "STRUCK", "yes": "ITALIC"}),
        ("`a*b*c` and ``x ` y``", {"a*b*c": "CODE", "x ` y": "CODE"}),
        ("```one line```", {"one line": "CODE"}),
        ("**`x`**", {"x": "BOLD|CODE"}),
        ("snake_case_name and __init__", {}),
        ("2*3*4 and 2 * 3 * 4", {}),
        ("*.py and *.md", {}),
        ("a* b *", {}),
        ("* item one * two", {}),
        ("** a ** and ****", {}),
        ("~one~ `two", {}),
        (r"\*no\* \`no\` \[a](b)", {}),
        ("*a **b* c**", {"a **b": "ITALIC"}),
        ("no marks at all", {}),
    ],
)
def test_styles_of_markers(text: str, expected: dict[str, str]) -> None:
    assert styles_of(text) == expected


def test_markers_have_a_style_of_their_own() -> None:
    marks = [(run.start, run.end) for run in styled_spans("**b** `c` ~~d~~") if TextStyle.MARK in run.style]
    assert marks == [(0, 2), (3, 5), (6, 7), (8, 9), (10, 12), (13, 15)]


def links(text: str) -> list[tuple[str, str]]:
    return [(text[run.start : run.end], run.href) for run in styled_spans(text) if run.href]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://e.org/a_(b), or not", [("https://e.org/a_(b)", "https://e.org/a_(b)")]),
        ("(https://e.org)", [("https://e.org", "https://e.org")]),
        ("**https://e.org/**", [("https://e.org/", "https://e.org/")]),
        ("https://e.org/a_b_c?x=*y*", [("https://e.org/a_b_c?x=*y", "https://e.org/a_b_c?x=*y")]),
        ("[here](https://e.org/x)", [("here", "https://e.org/x"), ("e.org", "https://e.org/x")]),
        ("[**f**](https://e.org)", [("**f**", "https://e.org"), ("e.org", "https://e.org")]),
        ("[https://bank.org](https://e.org)", [("e.org", "https://e.org")]),
        ("[www.bank.org](https://e.org)", [("e.org", "https://e.org")]),
        ("`https://e.org`", []),
        ("[a](javascript:alert) ftp://e.org file:///etc", []),
        ("[a](https://u@e.org)", []),
        ("https://bank.org\\@e.org", []),
    ],
)
def test_targets_of_links(text: str, expected: list[tuple[str, str]]) -> None:
    assert links(text) == expected


def test_the_host_of_a_titled_link_is_highlighted() -> None:
    text = "[here](https://e.org/x)"
    assert [text[run.start : run.end] for run in styled_spans(text) if TextStyle.HOST in run.style] == [
        "e.org"
    ]


@given(ANY_LINE)
def test_every_character_is_accounted_for_once(line: str) -> None:
    end = 0
    rebuilt = ""
    for run in styled_spans(line):
        assert run.start >= end
        assert run.end > run.start
        assert run.style or run.href
        assert not run.href or (
            run.href.isascii() and run.href.isprintable() and not {" ", ";"} & set(run.href)
        )
        rebuilt += line[end : run.start] + line[run.start : run.end]
        end = run.end
    assert rebuilt + line[end:] == line
    assert end <= len(line)


@given(ANY_LINE)
def test_the_fast_check_has_no_false_negatives(line: str) -> None:
    assert has_markup(line) or not list(markup._parse(line))


@pytest.mark.parametrize("name", HOSTILE)
def test_cost_is_linear_in_the_length_of_the_text(name: str) -> None:
    """Steps are lines of Python run, and characters are seen by patterns that cannot go back."""

    def text_of(count: int) -> str:
        if not HOSTILE[name]:
            return " ".join("`" * length for length in range(1, int((2 * count) ** 0.5)))[:count]
        return (HOSTILE[name] * count)[:count]

    half = steps(lambda: styled_spans(text_of(5_000)))
    whole = steps(lambda: styled_spans(text_of(10_000)))
    assert whole <= 2.2 * half + 500
    assert whole <= 40 * 10_000


def steps(work: Callable[[], object]) -> int:
    """Lines of the parser that `work` runs."""
    files = {markup.__file__, link_rules.__file__}
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in files:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_patterns_do_not_backtrack() -> None:
    """Each repetition is possessive, bounded, or of one class that what follows cannot begin with."""
    assert "++" in link_rules.URL_SOURCE
    assert "*)" not in markup._TOKEN.pattern.replace("*+)", "")


def test_a_very_long_text_has_no_markup() -> None:
    assert not has_markup("*a* " * MAX_CHARS)
    assert styled_spans("*a* " * MAX_CHARS) == ()
    assert blocks_of("```\n" * MAX_CHARS) == []


@pytest.mark.parametrize("pattern", ["**`_", "*_", "` ", "*a* ", "[a](http://b.org) "])
def test_the_spans_of_a_line_are_bounded(pattern: str) -> None:
    line = (pattern * MAX_CHARS)[:MAX_CHARS]
    spans = styled_spans(line)
    assert 0 < len(spans) <= 2 * SPANS_MAX
    assert steps(lambda: styled_spans.__wrapped__(line)) <= 40 * SPANS_MAX + 12 * MAX_CHARS


# Blocks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```python\nx\n```", [CodeBlock(0, 2, "python")]),
        ("look:\n```\nx\n```\nand\n``` c++ \ny", [CodeBlock(1, 3, ""), CodeBlock(5, 7, "c++")]),
        ("````\n```\n````", [CodeBlock(0, 2, "")]),
        ("```", [CodeBlock(0, 1, "")]),
        ("```one line```", []),
        ("no ``` here\n", []),
        ("```a\n```b\n``` ", [CodeBlock(0, 2, "a")]),
        ("    ```\nx", []),
    ],
)
def test_blocks_of_code(text: str, expected: list[CodeBlock]) -> None:
    assert blocks_of(text) == expected


@given(st.lists(ANY_LINE | st.sampled_from(["```", "````", "```py", "", " ```"]), max_size=12).map("\n".join))
def test_blocks_never_overlap(text: str) -> None:
    end = -1
    for block in blocks_of(text):
        assert end < block.first < block.end <= text.count("\n") + 1
        end = block.end


def test_a_title_that_imitates_another_host_is_not_a_link() -> None:
    for title, opens in (("paypal.com", False), ("evil.example", True), ("README.md", True)):
        text = f"[{title}](https://evil.example/x)"
        assert any(TextStyle.LINK in run.style for run in styled_spans(text)) == opens
