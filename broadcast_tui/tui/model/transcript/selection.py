"""Text copied from a transcript: as written, without gutters and row breaks.

A part of one post is copied without its sender. Several lines are copied with their senders.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import NamedTuple

import msgspec

from broadcast_tui.core.lazy_pattern import lazy_pattern
from broadcast_tui.tui.model.text.links import find_urls
from broadcast_tui.tui.model.text.shown_text import shown_text
from broadcast_tui.tui.model.text.tables import CELLS_MAX
from broadcast_tui.tui.model.text.wrapping import Span
from broadcast_tui.tui.model.transcript.chunks import POSTS, Line, LineKind
from broadcast_tui.tui.model.transcript.layout import VisibilityOptions
from broadcast_tui.tui.model.transcript.row_text import whole_clusters
from broadcast_tui.tui.model.transcript.transcript import Transcript

_WORD = lazy_pattern(r"[\w'’-]+")


class TextPosition(NamedTuple):
    """A position in a line: an offset into the written text, at most its length."""

    line_id: int
    offset: int


class Excerpt(msgspec.Struct, frozen=True):
    """A non-empty text to copy.

    `posts` is the number of posts it covers; `whole` is false if one of them is covered in part.
    """

    text: str
    posts: int
    whole: bool

    @property
    def amount(self) -> str:
        """The amount for messages: `3 posts`, `12 characters`."""
        if self.posts > 1 or (self.posts == 1 and self.whole):
            return "1 post" if self.posts == 1 else f"{self.posts:,} posts"
        return "1 character" if len(self.text) == 1 else f"{len(self.text):,} characters"


def excerpt(
    transcript: Transcript,
    start: TextPosition | None,
    end: TextPosition | None,
    visibility: VisibilityOptions | None = None,
) -> Excerpt | None:
    """The text from `start` to before `end`; None means the top or the end.

    PRESENCE lines are copied as displayed; folded posts in full.
    """
    if start and end and end < start:
        start, end = end, start
    visibility = VisibilityOptions() if visibility is None else visibility
    shown = (visibility.shown_line(line) for line in _lines(transcript, start, end))
    lines = [line for line in shown if line is not None]
    parts = [(line, *_selected_span(line, start, end)) for line in lines]
    if len(parts) > 1 and parts[-1][1] == parts[-1][2]:
        # The end is before the first character of its line: exclude that line.
        del parts[-1]
    texts = [line.text[first:last].strip("\n") for line, first, last in parts]
    if not any(texts):
        return None
    posts = [(line, last - first == len(line.text)) for line, first, last in parts if line.kind in POSTS]
    whole = all(is_whole for _, is_whole in posts)
    if len(parts) > 1:
        texts = [named(line, text) for (line, _, _), text in zip(parts, texts, strict=True)]
    return Excerpt("\n".join(texts), len(posts), whole)


def whole_post(line: Line) -> Excerpt:
    """All of a post."""
    return Excerpt(line.text, 1, True)


def stamped_post(line: Line, zone: tzinfo | None) -> Excerpt:
    """All of a post, with its time in `zone` (None: here) and its sender before it."""
    at = datetime.fromtimestamp(line.at, zone)
    return Excerpt(f"{at:%Y-%m-%d %H:%M} {named(line, line.text)}", 1, True)


def named(line: Line, text: str) -> str:
    """`text` of `line`, with who or what it comes from before it."""
    match line.kind:
        case LineKind.POST | LineKind.DELETED:
            return f"{line.sender}: {text}"
        case LineKind.ACTION:
            return f"* {line.sender} {text}"
        case _:
            return f"-- {text}"


def word_at(text: str, index: int) -> Span:
    """The span of the URL, word or character at `index`; empty past the end."""
    for start, end in (*find_urls(text), *(match.span() for match in _WORD.finditer(text))):
        if start <= index < end:
            return start, end
    return whole_clusters(text, index, min(index + 1, len(text)))


def _selected_span(line: Line, start: TextPosition | None, end: TextPosition | None) -> Span:
    """The whole clusters of `line` between the two, with all markers if all that is shown is in between."""
    first, last = whole_clusters(line.text, *_span(line, start, end))
    if line.kind not in POSTS or first >= last:
        return first, last
    return shown_text(line.text, tables_within=CELLS_MAX).whole(first, last)


def _lines(transcript: Transcript, start: TextPosition | None, end: TextPosition | None) -> Iterator[Line]:
    first = start.line_id if start else transcript.first_id
    for chunk in transcript.chunks:
        if chunk.first_id + len(chunk) <= first:
            continue
        for i in range(max(0, first - chunk.first_id), len(chunk)):
            if end and chunk.first_id + i > end.line_id:
                return
            yield chunk.line(i)


def _span(line: Line, start: TextPosition | None, end: TextPosition | None) -> Span:
    """The span of `line` between the two, as indices into its text."""
    length = len(line.text)
    first = min(max(0, start.offset), length) if start and start.line_id == line.id else 0
    last = min(max(0, end.offset), length) if end and end.line_id == line.id else length
    return first, last
