"""Markdown in a post: bold, italic, strikethrough, code, links, code blocks.

Spans refer to the text as written. Markers are spans of their own, so a view can dim them or leave them out
(`shown_text`).

    **bold**  *italic*  _italic_  ~~struck~~  `code`  [text](https://…)  https://…  \\* is not markup
    ```python                          a code block, up to a line of as many backticks, or the end

A marker opens after a space or punctuation and closes before one: `snake_case`, 2*3*4 and *.py are unchanged.
So is a shrug, although a backslash before punctuation escapes it elsewhere.
Only code blocks extend over several lines. Parsing is linear in the text: each character belongs to one
token, and the last opening position of each kind of marker is remembered.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import IntFlag
from functools import lru_cache
from itertools import groupby, islice
from typing import NamedTuple

from broadcast_tui.core.lazy_pattern import lazy_pattern
from broadcast_tui.tui.model.text.links import TITLED_SOURCE, URL_SOURCE, is_spoofed, target_of, trimmed_end

MAX_CHARS = 20_000
"""Longer texts are not parsed."""
SPANS_MAX = 1_000
"""Maximum number of spans parsed in one line, so that a line of markers does not take far longer to draw."""
_LINK_SHIFT = 8


class TextStyle(IntFlag):
    """Styles of characters, which can be combined."""

    BOLD = 1
    ITALIC = 2
    STRUCK = 4
    CODE = 8
    LINK = 16
    MARK = 32
    """A marker, drawn dimmer than what it marks."""
    HOST = 64
    """The real host of a link."""
    HIDDEN = 128
    """With MARK: not needed to understand the text, so `shown_text` leaves it out."""


_STYLES = tuple(map(TextStyle, range(2 * TextStyle.HIDDEN)))
"""All combinations; to combine two flags takes as long as to parse a short line."""
_HIDDEN_MARK = TextStyle.MARK | TextStyle.HIDDEN


class StyledSpan(NamedTuple):
    """The style of the characters from `start` to before `end`, and the URL they open (may be empty)."""

    start: int
    end: int
    style: TextStyle
    href: str


class CodeBlock(NamedTuple):
    """A code block, in lines of the text: `first` is the opening fence, the code ends before `end`.

    Line `end` is the closing fence, unless the text ends first.
    """

    first: int
    end: int
    language: str


_Span = tuple[int, int]

_SIGNS = lazy_pattern(r"[*_~`]|://|\\[!-/:-@\[-`{-~]")
_FENCE = lazy_pattern(r" {0,3}(`{3,})([^`]*)")
_TICKS = lazy_pattern(r"\\.|(`+)")
_TOKEN = lazy_pattern(
    r"¯\\_\(ツ\)_/¯"
    r"|\\(?P<escaped>[!-/:-@\[-`{-~])"
    rf"|{TITLED_SOURCE}"
    rf"|(?P<url>(?<![A-Za-z0-9]){URL_SOURCE})"
    r"|(?P<sign>\*+|_+|~+)"
)
_KINDS = {
    "*": TextStyle.ITALIC,
    "**": TextStyle.BOLD,
    "***": TextStyle.BOLD | TextStyle.ITALIC,
    "_": TextStyle.ITALIC,
    "~~": TextStyle.STRUCK,
}


def has_markup(text: str) -> bool:
    """Whether `text` may contain markup; cheap."""
    return _SIGNS.search(text) is not None and len(text) <= MAX_CHARS


def blocks_of(text: str) -> list[CodeBlock]:
    """The code blocks in `text`, from the top; they do not overlap."""
    if "```" not in text or len(text) > MAX_CHARS:
        return []
    blocks: list[CodeBlock] = []
    opened: tuple[int, int, str] | None = None
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if opened is None:
            if opening := _FENCE.fullmatch(line):
                opened = (number, len(opening[1]), opening[2].strip())
        elif (fence := line.strip()) and not fence.strip("`") and len(fence) >= opened[1]:
            blocks.append(CodeBlock(opened[0], number, opened[2]))
            opened = None
    if opened is not None:
        blocks.append(CodeBlock(opened[0], len(lines), opened[2]))
    return blocks


@lru_cache(maxsize=512)
def styled_spans(line: str) -> tuple[StyledSpan, ...]:
    """The styled spans of one line, ascending, without overlap."""
    if not has_markup(line):
        return ()
    styles = [0] * len(line)
    hrefs = [""]
    for start, end, style, href in islice(_parse(line), SPANS_MAX):
        if href and href != hrefs[-1]:
            hrefs.append(href)
        added = int(style) | ((len(hrefs) - 1) << _LINK_SHIFT if href else 0)
        for i in range(start, end):
            styles[i] |= added
    spans: list[StyledSpan] = []
    start = 0
    for value, same in groupby(styles):
        end = start + len(list(same))
        if value:
            style = _STYLES[value & ((1 << _LINK_SHIFT) - 1)]
            spans.append(StyledSpan(start, end, style, hrefs[value >> _LINK_SHIFT]))
        start = end
    return tuple(spans)


def _parse(line: str) -> Iterator[StyledSpan]:
    """Yield styled spans that may overlap, but not with the same style."""
    codes: list[_Span] = []
    for start, end, ticks in _code_spans(line):
        codes.append((start, end))
        yield StyledSpan(start, end, TextStyle.CODE, "")
        yield StyledSpan(start, start + ticks, _HIDDEN_MARK, "")
        yield StyledSpan(end - ticks, end, _HIDDEN_MARK, "")
    starts = [start for start, _ in codes]
    opened: dict[str, _Span] = {}
    at = 0
    while token := _TOKEN.search(line, at):
        start, at = token.span()
        code = _span_at(codes, starts, start)
        if code is not None:
            at = code[1]
        elif token["sign"]:
            yield from _handle_marker(line, start, at, opened)
        elif token["url"]:
            at = start + trimmed_end(token["url"])
            yield from _url_link(line, start, at)
        elif token["target"]:
            if _cuts(codes, starts, start, token.end("text")):
                at = start + 1
            else:
                yield from _titled_link(token)
        elif token["escaped"]:
            yield StyledSpan(start, start + 1, _HIDDEN_MARK, "")


def _handle_marker(line: str, start: int, end: int, opened: dict[str, _Span]) -> Iterator[StyledSpan]:
    """Close the style opened by the same marker, or remember that it opens one."""
    sign = line[start:end]
    if sign not in _KINDS:
        return
    before = line[start - 1] if start else " "
    after = line[end] if end < len(line) else " "
    first = opened.get(sign)
    if first is not None and not before.isspace() and not after.isalnum() and first[1] < start:
        yield StyledSpan(first[0], first[1], _HIDDEN_MARK, "")
        yield StyledSpan(first[1], start, _KINDS[sign], "")
        yield StyledSpan(start, end, _HIDDEN_MARK, "")
        for other in [other for other, span in opened.items() if span[0] >= first[0]]:
            del opened[other]
    elif not after.isspace() and not before.isalnum():
        opened[sign] = (start, end)


def _url_link(line: str, start: int, end: int) -> Iterator[StyledSpan]:
    target = target_of(line[start:end])
    if target is not None and target.href:
        yield StyledSpan(start, end, TextStyle.LINK, target.href)


def _titled_link(token: re.Match[str]) -> Iterator[StyledSpan]:
    """`[text](url)`: the text becomes a link unless it is a URL or imitates a host."""
    url = token["target"]
    target = target_of(url)
    if target is None or not target.href:
        return
    shift = token.start("target")
    text = token["text"]
    is_address = "://" in text or "www." in text.lower() or is_spoofed(text, target.host)
    mark = TextStyle.MARK
    if text.strip() and not is_address:
        yield StyledSpan(token.start("text"), token.end("text"), TextStyle.LINK, target.href)
        mark = _HIDDEN_MARK
    yield StyledSpan(token.start(), token.start("text"), mark, "")
    yield StyledSpan(token.end("text"), shift + target.start, mark, "")
    yield StyledSpan(shift + target.start, shift + target.end, TextStyle.HOST, target.href)
    yield StyledSpan(shift + target.end, token.end(), mark, "")


def _code_spans(line: str) -> list[tuple[int, int, int]]:
    """Start, end and number of backticks of each code span."""
    ticks = [match.span(1) for match in _TICKS.finditer(line) if match[1]] if "`" in line else []
    following: dict[int, int] = {}
    closers: list[int | None] = []
    for number in range(len(ticks) - 1, -1, -1):
        length = ticks[number][1] - ticks[number][0]
        closers.append(following.get(length))
        following[length] = number
    closers.reverse()
    spans: list[tuple[int, int, int]] = []
    number = 0
    while number < len(ticks):
        closer = closers[number]
        if closer is None:
            number += 1
        else:
            start, opening_end = ticks[number]
            spans.append((start, ticks[closer][1], opening_end - start))
            number = closer + 1
    return spans


def _span_at(spans: Sequence[_Span], starts: Sequence[int], at: int) -> _Span | None:
    """The span that contains `at`."""
    number = bisect_right(starts, at) - 1
    return spans[number] if number >= 0 and at < spans[number][1] else None


def _cuts(spans: Sequence[_Span], starts: Sequence[int], start: int, end: int) -> bool:
    """Whether `end` is inside a span that starts after `start`."""
    span = _span_at(spans, starts, end)
    return span is not None and span[0] > start
