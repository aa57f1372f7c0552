"""Computes the smallest output that brings a terminal from what it shows to what it should show.

Textual 8.2 writes each row that changed in full, and when the log scrolls by one row, all its rows change. A
slow line (SSH over a mobile network, a serial console) shows that late, and keys wait behind it. So
`ScreenDiff` models the terminal: `put` sets what the screen should show, `changes` returns the output that
leads there. The calls need not alternate. While the terminal is not ready, frames are only put, and the next
`changes` leads directly to the last of them, so that no frame is late.

A diff takes three steps. First, if most of the changed rows were on the screen already, at another height,
the terminal moves them itself: with a scroll region and delete or insert line, which the Linux console
supports too, unlike CSI S and T. Then each remaining row is compared cell by cell. Changed cells that are
close together are written as one span, because a jump costs more bytes than a few unchanged cells. Finally
a span is written in runs of one style, and long blanks are erased instead of written. `SpanOrder` decides
which comes first.

Terminals disagree on how many cells an emoji sequence or a flag covers. So the cells after such a cluster
are written again after an absolute cursor move, and the rest of the row is in the right columns even if the
terminal draws the cluster wider or narrower.

The pen stays as the last frame left it: the next one often needs the same colors, and to set two of 24 bits
takes more bytes than the echo of a key. So code that leaves the screen to others has to reset the pen.

Invariants: autowrap is off, and between frames the pen is not within a link. A cell whose style is unknown
never counts as up to date.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from operator import ne
from typing import NamedTuple

from broadcast_tui.tui.terminal.cell_writer import CellWriter
from broadcast_tui.tui.terminal.cells import FILL, UNKNOWN, GlyphTable, Row
from broadcast_tui.tui.terminal.span_order import Span, SpanOrder

GAP = 8
"""Most unchanged cells between changed ones that are written again instead of jumped over."""
SCROLL_ROWS_MIN = 3
SCROLL_COST = 40
"""Fewest cells that scrolling must save, because its sequences cost as many bytes."""
_DIFFERENT = re.compile(b"\1(?:\0{0,%d}\1)*" % GAP)
_BREAK = 2


class _Shift(NamedTuple):
    """A move of the rows from `top` to `bottom` up by `by` rows, or down if it is negative.

    Only the cells from column `left` to before `right` move.
    """

    by: int
    top: int
    bottom: int
    left: int
    right: int


class ScreenDiff:
    """The screen of a terminal: what it shows and what it should show.

    Args:
        width: Width in cells.
        height: Height in rows.
        glyphs: Table that the rows are interned in.
        erases_colored: Whether the terminal erases with the background of the pen (terminfo: bce).
    """

    def __init__(self, width: int, height: int, glyphs: GlyphTable, *, erases_colored: bool = True) -> None:
        self.width = width
        self.height = height
        self._glyphs = glyphs
        self._erases_colored = erases_colored
        self.has_margins = False
        """Whether the terminal can move rows within left and right margins (DECLRMM)."""
        self._unknown_row = Row.unknown(width)
        self._target = [self._unknown_row] * height
        self._shown = [self._unknown_row] * height
        self._pen = UNKNOWN
        self._cursor = (-1, -1)
        self._areas: Counter[tuple[int, int]] = Counter()
        """Number of cells put since the last search for moved rows, by their start and end column."""

    def put(self, y: int, x: int, piece: Row) -> None:
        """Set the cells of row `y` from column `x` on to `piece`; cells beyond the edges are cut off."""
        if not (0 <= y < self.height and 0 <= x < self.width and piece.text):
            return
        text, styles = piece.cut(self.width - x) if x + len(piece.text) > self.width else piece
        end = x + len(text)
        self._areas[x, end] += end - x
        row = self._target[y]
        before, after = row.text[:x], row.text[end:]
        if row.text[x] == FILL:
            before = before[:-1] + " "
        if after[:1] == FILL:
            after = " " + after[1:]
        self._target[y] = Row(before + text + after, row.styles[:x] + styles + row.styles[end:])

    def invalidate(self) -> None:
        """Mark everything that the terminal shows, and its pen, as unknown."""
        self._shown = [self._unknown_row] * self.height
        self._pen = UNKNOWN

    @property
    def changed_rows(self) -> list[int]:
        """Numbers of the rows that are not up to date, from the top."""
        return [y for y in range(self.height) if self._shown[y] != self._target[y]]

    def changes(self, cursor: tuple[int, int], only: Iterable[int] | None = None) -> str:
        """Return the output that brings the screen up to date; empty if it is.

        Args:
            cursor: Column and row of the cursor afterwards.
            only: Rows to update, without moving any; None for all.
        """
        writer = CellWriter(self._glyphs, self.width, self._pen, erases_colored=self._erases_colored)
        rows = self.changed_rows
        if only is None:
            if len(rows) >= SCROLL_ROWS_MIN and self._scroll(rows, writer):
                rows = self.changed_rows
            self._areas.clear()
        else:
            rows = [y for y in rows if y in only]
        spans = [Span(y, *span) for y in rows for span in self._spans(self._shown[y], self._target[y])]
        SpanOrder(self._shown, self._target, self._glyphs).write(spans, writer)
        for y in rows:
            self._shown[y] = self._target[y]
        if writer.has_written or cursor != self._cursor:
            self._cursor = cursor
            writer.finish_at(*cursor)
            self._pen = writer.pen
        return writer.text

    def _spans(self, old: Row, new: Row) -> list[tuple[int, int]]:
        """The spans to write, as (start, end) columns, which never cut a wide character in two."""
        if old is self._unknown_row and UNKNOWN not in new.styles:
            return [(0, self.width)]
        text_bits = int.from_bytes(bytes(map(ne, old.text, new.text)), "little")
        style_bits = int.from_bytes(bytes(map(ne, old.styles, new.styles)), "little")
        differs = (text_bits | style_bits).to_bytes(self.width, "little")
        recolored = style_bits & ~text_bits
        if recolored or UNKNOWN in new.styles:
            differs = self._without_invisible(old, new, differs, recolored.to_bytes(self.width, "little"))
        spans = [found.span() for found in _DIFFERENT.finditer(differs)]
        if self._glyphs.has_clusters(new.text):
            spans = self._with_overdrawn(spans, new)
        return [(start, end + (new.text[end : end + 1] == FILL)) for start, end in spans]

    def _with_overdrawn(self, spans: list[tuple[int, int]], new: Row) -> list[tuple[int, int]]:
        """Extend `spans` by the cells that a terminal can draw a cluster over, to write them again.

        Cells of unknown style end a span, because their content cannot be written.
        """
        joined: list[tuple[int, int]] = []
        for start, end in spans:
            if joined and start < joined[-1][1]:
                start, end = joined[-1][0], max(end, joined.pop()[1])
            unknown = new.styles.find(UNKNOWN, end)
            edge = self.width if unknown < 0 else unknown
            while (limit := min(edge, start + self._glyphs.max_width(new.text[start:end]))) > end:
                end = limit
            joined.append((start, end))
        return joined

    def _without_invisible(self, old: Row, new: Row, differs: bytes, recolored: bytes) -> bytes:
        """`differs` without blanks that look the same in both styles, and with a break at unknown cells."""
        blank = self._glyphs.blank
        visible = bytearray(differs)
        x = recolored.find(1)
        while x >= 0:
            if new.text[x] == " " and blank(old.styles[x]) == blank(new.styles[x]):
                visible[x] = 0
            x = recolored.find(1, x + 1)
        x = new.styles.find(UNKNOWN)
        while x >= 0:
            visible[x] = _BREAK
            x = new.styles.find(UNKNOWN, x + 1)
        return bytes(visible)

    # Rows that moved

    def _scroll(self, changed: list[int], writer: CellWriter) -> bool:
        """Move rows if that saves enough output; returns whether it did."""
        shift = self._find_shift(changed)
        if shift is None or any(UNKNOWN in row.styles for row in self._target[shift.top : shift.bottom + 1]):
            return False
        shift = self._extended(shift, changed)
        shown, target = self._shown[shift.top : shift.bottom + 1], self._target[shift.top : shift.bottom + 1]
        moved = [self._moved_row(shift, y) for y in range(shift.top, shift.bottom + 1)]
        if _cost(moved, target) + SCROLL_COST > _cost(shown, target):
            return False
        self._shown[shift.top : shift.bottom + 1] = moved
        columns = None if (shift.left, shift.right) == (0, self.width) else (shift.left, shift.right)
        writer.scroll(shift.by, shift.top, shift.bottom, columns)
        return True

    def _moved_row(self, shift: _Shift, y: int) -> Row:
        """What the terminal shows in row `y` after it has moved the rows of `shift`."""
        beside = self._shown[y]
        length = shift.right - shift.left
        if shift.top <= y + shift.by <= shift.bottom:
            text, styles = self._shown[y + shift.by]
            text, styles = text[shift.left : shift.right], styles[shift.left : shift.right]
        else:
            text, styles = Row.unknown(length)
        return Row(
            beside.text[: shift.left] + text + beside.text[shift.right :],
            beside.styles[: shift.left] + styles + beside.styles[shift.right :],
        )

    def _extended(self, shift: _Shift, changed: list[int]) -> _Shift:
        """`shift` with more rows at the end that rows move to, while that saves output.

        The row in which content ends up differs where something is drawn over it, such as the sender of a
        post whose beginning is above the view.
        """
        while True:
            if shift.by > 0:
                y, wider = shift.top - 1, shift._replace(top=shift.top - 1)
            else:
                y, wider = shift.bottom + 1, shift._replace(bottom=shift.bottom + 1)
            if not changed[0] <= y <= changed[-1] or UNKNOWN in self._target[y].styles:
                return shift
            target = [self._target[y]]
            if _cost([self._moved_row(wider, y)], target) >= _cost([self._shown[y]], target):
                return shift
            shift = wider

    def _find_shift(self, changed: list[int]) -> _Shift | None:
        """Find how far most of the changed rows have moved, and which rows to move.

        Returns None if no row moved. Compares only the columns in which most cells were put, because a
        widget beside them has not moved. Each changed row votes for the distance to the rows that showed
        its content before; rows with common content, such as blank ones, do not vote.
        """
        if not self._areas:
            return None
        first, last = changed[0], changed[-1]
        start, end = max(self._areas, key=self._areas.__getitem__)
        previous: dict[str, list[int]] = {}
        current: dict[int, str] = {}
        for y in range(first, last + 1):
            shown, target = self._shown[y], self._target[y]
            previous.setdefault(shown.text[start:end] + shown.styles[start:end], []).append(y)
            current[y] = target.text[start:end] + target.styles[start:end]
        votes = Counter(
            at - y
            for y in changed
            for at in previous.get(current[y], ())
            if len(previous[current[y]]) <= 3 and at != y
        )
        if not votes:
            return None
        by = votes.most_common(1)[0][0]
        moved = [y for y in range(first, last + 1) if y + by in previous.get(current[y], ())]
        top, bottom = min(moved[0], moved[0] + by), max(moved[-1], moved[-1] + by)
        if not self.has_margins or not self._can_cut(start, end, top, bottom):
            start, end = 0, self.width
        return _Shift(by, top, bottom, start, end)

    def _can_cut(self, start: int, end: int, top: int, bottom: int) -> bool:
        """Whether the terminal can move the columns from `start` to before `end` of these rows.

        Margins need two columns, and must not cut a wide character in two.
        """
        rows = self._shown[max(0, top - 1) : bottom + 2]
        return end - start > 1 and not any(
            row.text[start] == FILL or row.text[end : end + 1] == FILL for row in rows
        )


def _cost(shown: list[Row], target: list[Row]) -> int:
    """Approximate number of cells to write to get from `shown` to `target`."""
    cost = 0
    for old, new in zip(shown, target, strict=True):
        if old == new:
            continue
        if old.styles[:1] == UNKNOWN:
            cost += len(new.text) - new.text.count(" ")
        else:
            cost += max(sum(map(ne, old.text, new.text)), sum(map(ne, old.styles, new.styles)))
    return cost
