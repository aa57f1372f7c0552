"""The text of a post as it is shown: Markdown without its markers, quotes, tables and code blocks.

    **bold** `code`            the characters between the markers, with a style
    [label](https://host/…)    `label host`, unless the label imitates another address
    ```python                  the code without fences, and the language of the block
    > quoted                   a bar instead of `> `
    | a | b |                  columns padded to one width, the widest ones cut if the table is too wide

Everything else is unchanged. A `ShownText` consists of *pieces*, runs of characters that are copied from the
written text, and of characters that are only shown, such as the padding of a table. Both texts have the
pieces in the same order, so each index of one has an index of the other: selecting, searching and copying
refer to the written text, layout and drawing to the shown one.

The text of one line is never wider than it was written. So a line that fits as written needs no layout.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from broadcast_tui.tui.model.text.markup import (
    MAX_CHARS,
    CodeBlock,
    StyledSpan,
    TextStyle,
    blocks_of,
    styled_spans,
)
from broadcast_tui.tui.model.text.tables import Table, table_at
from broadcast_tui.tui.model.text.wrapping import Span, cells_of


class Piece(NamedTuple):
    """`length` characters at `shown` in the shown text, copied from `written` in the written one."""

    shown: int
    written: int
    length: int


class ShownText:
    """A written text as shown; immutable.

    Args:
        written: The written text.
        text: The shown text.
        pieces: The copied characters, ascending; None: all of them are.
        spans: Styled spans by line of the shown text, relative to the line.
        blocks: Code blocks in lines of the shown text: `first` is the first line of code.
        quotes: Cells of the bar before each quoted line, by line of the shown text.
        table_lines: Lines of tables, which are never wrapped.
    """

    __slots__ = ("_shown", "_written", "blocks", "length", "pieces", "quotes", "spans", "table_lines", "text")

    def __init__(
        self,
        written: str,
        text: str,
        pieces: Sequence[Piece] | None = None,
        spans: dict[int, tuple[StyledSpan, ...]] | None = None,
        blocks: Sequence[CodeBlock] = (),
        quotes: dict[int, int] | None = None,
        table_lines: frozenset[int] = frozenset(),
    ) -> None:
        self.text = text
        self.length = len(written)
        """Length of the written text."""
        self.pieces = (Piece(0, 0, len(text)),) if pieces is None else tuple(pieces)
        self.spans = MappingProxyType(spans or {})
        self.blocks = tuple(blocks)
        self.quotes = MappingProxyType(quotes or {})
        self.table_lines = table_lines
        self._shown = [piece.shown for piece in self.pieces]
        self._written = [piece.written for piece in self.pieces]

    def written_at(self, index: int) -> int:
        """The written index of the character shown at `index`; the written length at the end."""
        if index >= len(self.text):
            return self.length
        piece = self.pieces[max(0, bisect_right(self._shown, index) - 1)]
        return piece.written + min(max(0, index - piece.shown), piece.length)

    def shown_at(self, index: int) -> int:
        """The shown index of the character written at `index`; of the next one shown if it is hidden."""
        number = bisect_right(self._written, index) - 1
        if number < 0:
            return self._shown[0] if self._shown else 0
        piece = self.pieces[number]
        if index < piece.written + piece.length:
            return piece.shown + index - piece.written
        return self._shown[number + 1] if number + 1 < len(self._shown) else len(self.text)

    def whole(self, start: int, end: int) -> Span:
        """A span of the written text; all of it if all shown characters are in the span."""
        if not self.pieces:
            return start, end
        last = self.pieces[-1]
        if start <= self.pieces[0].written and end >= last.written + last.length:
            return 0, self.length
        return start, end


class _Builder:
    """Collects the shown text line by line."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.pieces: list[Piece] = []
        self.spans: dict[int, tuple[StyledSpan, ...]] = {}
        self.blocks: list[CodeBlock] = []
        self.quotes: dict[int, int] = {}
        self.table_lines: set[int] = set()
        self.lines = 0
        """Lines begun so far."""
        self._length = 0
        self._line_start = 0
        self._is_begun = False
        """Whether the next line has been begun by a line break that is only shown."""

    def begin_line(self, written: int) -> None:
        """Begin a line that begins at `written` in the written text."""
        if self.lines and not self._is_begun:
            self.copy("\n", written - 1)
        self._is_begun = False
        self.lines += 1
        self._line_start = self._length

    def leave_line(self) -> None:
        """Add an empty line that is only shown, at the beginning."""
        self.lines += 1
        self.insert("\n")
        self._is_begun = True

    def copy(self, text: str, written: int) -> None:
        """Add characters that are at `written` in the written text."""
        if not text:
            return
        last = self.pieces[-1] if self.pieces else None
        if last and last.shown + last.length == self._length and last.written + last.length == written:
            self.pieces[-1] = last._replace(length=last.length + len(text))
        else:
            self.pieces.append(Piece(self._length, written, len(text)))
        self.insert(text)

    def insert(self, text: str) -> None:
        """Add characters that are only shown."""
        self.parts.append(text)
        self._length += len(text)

    def copy_styled(self, line: str, written: int, skip: int = 0) -> None:
        """Add a line from its character `skip` on, without its markers."""
        spans: list[StyledSpan] = []
        at = skip
        hidden_link = False
        for span in styled_spans(line):
            if span.end <= skip:
                continue
            self.copy(line[at : span.start], written + at)
            at = span.end
            if TextStyle.HIDDEN in span.style:
                hidden_link = True
                continue
            if TextStyle.HOST in span.style and hidden_link:
                self.insert(" ")
            hidden_link = False
            begun = self._length - self._line_start
            text = line[max(span.start, skip) : span.end]
            self.copy(text, written + span.end - len(text))
            spans.append(StyledSpan(begun, begun + len(text), span.style, span.href))
        self.copy(line[at:], written + at)
        if spans:
            self.spans[self.lines - 1] = tuple(spans)

    def add_table(self, table: Table, lines: Sequence[str], offsets: Sequence[int]) -> None:
        """Add a table, whose rows refer to `lines`."""
        for row in table.rows:
            self.begin_line(offsets[row.line])
            spans: list[StyledSpan] = []
            for column, cell in enumerate(row.cells):
                self.insert("  " if column else "")
                before, text, after = table.cell_text(column, cell, lines[row.line])
                self.insert(before)
                begun = self._length - self._line_start
                style = TextStyle.MARK if cell is None else TextStyle.BOLD
                if row.is_head or cell is None:
                    spans.append(StyledSpan(begun, begun + len(text), style, ""))
                if cell is None:
                    self.insert(text)
                else:
                    self.copy(text, offsets[row.line] + cell.start)
                self.insert(after)
            self.table_lines.add(self.lines - 1)
            if spans:
                self.spans[self.lines - 1] = tuple(span for span in spans if span.start < span.end)

    def built(self, written: str) -> ShownText:
        return ShownText(
            written,
            "".join(self.parts),
            self.pieces,
            self.spans,
            self.blocks,
            self.quotes,
            frozenset(self.table_lines),
        )


@lru_cache(maxsize=512)
def shown_text(
    written: str, *, quotes: bool = True, tables_within: int = 0, tables_below_label: bool = False
) -> ShownText:
    """`written` as shown.

    Args:
        written: The text of a post.
        quotes: Whether there is room for bars beside quoted lines.
        tables_within: Cells that a table may take; if it has too many columns for that, it is shown as
            written.
        tables_below_label: Whether a table in the first line begins on a line of its own, as there is a label
            before the text.
    """
    if not _may_change(written):
        return ShownText(written, written)
    lines = written.split("\n")
    offsets = _offsets(lines)
    starts = {block.first: block for block in blocks_of(written)}
    builder = _Builder()
    number = 0
    while number < len(lines):
        block = starts.get(number)
        if block is not None and block.end > block.first + 1:
            _add_block(builder, block, lines, offsets)
            number = block.end + 1
            continue
        if block is not None:
            # An empty block: its fences are all there is to show.
            for line in range(number, min(block.end + 1, len(lines))):
                builder.begin_line(offsets[line])
                builder.copy(lines[line], offsets[line])
            number = block.end + 1
            continue
        found = table_at(lines, number) if tables_within else None
        table = None if found is None else found.fitted(tables_within)
        if table is not None:
            if tables_below_label and not builder.lines:
                builder.leave_line()
            builder.add_table(table, lines, offsets)
            number += len(table.rows)
            continue
        builder.begin_line(offsets[number])
        skip = _quote_marker(lines[number]) if quotes else 0
        if skip:
            builder.quotes[builder.lines - 1] = skip
        builder.copy_styled(lines[number], offsets[number], skip=skip)
        number += 1
    return builder.built(written)


def is_shown_as_written(written: str) -> bool:
    """Whether the shown text has the same characters, perhaps with styles.

    Cheap. May be false for such a text.
    """
    if len(written) > MAX_CHARS:
        return True
    return not (
        "*" in written
        or "_" in written
        or "~" in written
        or "`" in written
        or "\\" in written
        or "](" in written
        or written.startswith(">")
        or ("\n" in written and ("\n>" in written or "|" in written))
    )


@lru_cache(maxsize=256)
def source_text(written: str, *, has_blocks: bool = True) -> ShownText:
    """`written` as it is, markers dimmed; `has_blocks`: whether there may be blocks of code."""
    spans: dict[int, tuple[StyledSpan, ...]] = {}
    blocks = blocks_of(written) if has_blocks else []
    code = {line for block in blocks for line in range(block.first, block.end + 1)}
    if len(written) <= MAX_CHARS:
        for number, line in enumerate(written.split("\n")):
            found = () if number in code else styled_spans(line)
            if found:
                spans[number] = found
    blocks = [CodeBlock(block.first + 1, block.end, block.language) for block in blocks]
    return ShownText(written, written, None, spans, blocks)


def _add_block(builder: _Builder, block: CodeBlock, lines: Sequence[str], offsets: Sequence[int]) -> None:
    first = builder.lines
    for line in range(block.first + 1, block.end):
        builder.begin_line(offsets[line])
        builder.copy(lines[line], offsets[line])
    builder.blocks.append(CodeBlock(first, builder.lines, block.language))


def _may_change(text: str) -> bool:
    """Whether `text` may be shown in another way than it was written; cheap."""
    return len(text) <= MAX_CHARS and ("://" in text or not is_shown_as_written(text))


def _offsets(lines: Sequence[str]) -> list[int]:
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    return offsets


def _quote_marker(line: str) -> int:
    """Length of the marker of a quoted line.

    It is 0 if the line is not quoted, empty without its marker, or joined to it by an invisible character.
    """
    if not line.startswith(">"):
        return 0
    marker = 2 if line.startswith("> ") else 1
    text = line[marker:]
    return marker if text.strip() and marker + cells_of(text) == cells_of(line) else 0
