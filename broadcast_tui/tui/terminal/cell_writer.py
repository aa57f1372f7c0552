"""Writes cells to a terminal with as few bytes as possible.

A style of 24-bit colors takes up to 40 bytes and an absolute cursor move 8, more than the text of many spans.
So the pen is only changed in what differs, a blank only needs the right background, and the cursor moves
relatively where that is shorter. All terminals since the VT100 know the moves by one cell or one row:
carriage return, backspace, IND and RI.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby

from broadcast_tui.tui.terminal.cells import FILL, GlyphTable, Row

ERASED_MIN = 6
"""Fewest adjacent blanks at the end of a span that are erased instead of written."""
ERASED_WITHIN_MIN = 12
"""The same for blanks that are followed by other cells, which the cursor has to be moved to."""
INDEX, REVERSE_INDEX = "\x1bD", "\x1bM"
"""Move the cursor to the next row and the previous one."""
_BLANKS = re.compile(f"( {{{ERASED_WITHIN_MIN},}}| {{{ERASED_MIN},}}$)")
_UNKNOWN_PLACE = (-1, -1)
_MOVES_CACHED = 4_096


class CellWriter:
    """Collects the output for one frame. The position of the cursor is unknown at first.

    Args:
        glyphs: Table that the rows are interned in.
        width: Width of the screen in cells.
        pen: The interned style of the terminal's pen, or `UNKNOWN`.
        erases_colored: Whether the terminal erases with the background of the pen (terminfo: bce).
    """

    def __init__(self, glyphs: GlyphTable, width: int, pen: str, *, erases_colored: bool) -> None:
        self._glyphs = glyphs
        self._width = width
        self.pen = pen
        """The interned style of the terminal's pen after the output so far."""
        self._erases_colored = erases_colored
        self._parts: list[str] = []
        self._at = _UNKNOWN_PLACE

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def has_written(self) -> bool:
        return bool(self._parts)

    def scroll(self, by: int, top: int, bottom: int, columns: tuple[int, int] | None = None) -> None:
        """Move the rows from `top` to `bottom` up by `by` rows, or down if it is negative.

        Args:
            by: Number of rows.
            top: First row of the region.
            bottom: Last row of the region.
            columns: First column to move, and the one after the last; None for whole rows. Requires left and
                right margins (DECLRMM).
        """
        left, right = columns or (0, self._width)
        # Setting a margin moves the cursor to the top left corner of the screen. From there, it has to move
        # into the region: outside of it, rows are not moved.
        home = (0, 0)
        into_region = _move_sequence(home, (left, top))
        count = abs(by) if abs(by) > 1 else ""
        region = f"\x1b[{top + 1 if top else ''};{bottom + 1}r"
        scroll = f"{region}{into_region}\x1b[{count}{'M' if by > 0 else 'L'}"
        if columns is not None:
            scroll = f"\x1b[?69h\x1b[{left + 1};{right}s{scroll}\x1b[?69l"
        self._parts.append(f"{scroll}\x1b[r")
        # Not every emulator moves the cursor there again.
        self._at = home if (left, top) == home else _UNKNOWN_PLACE

    def finish_at(self, x: int, y: int) -> None:
        """End the link of the pen, and leave the cursor at column `x` of row `y`."""
        self._use_pen(self._glyphs.unlinked(self.pen))
        self._move(x, y)

    def cost(self, y: int, x: int, style: str, *, is_blank: bool) -> int:
        """Characters that lead to column `x` of row `y` and to the pen for cells of `style`."""
        pen = self._glyphs.blank_pen(self.pen, style) if is_blank else style
        change = len(self._glyphs.change(self.pen, pen)) if pen != self.pen else 0
        return change + len(_move_sequence(self._at, (x, y)))

    def write(self, y: int, start: int, end: int, row: Row) -> None:
        """Write the cells of row `y` from `start` to before `end`."""
        self._move(start, y)
        x = start
        for style, run in groupby(row.styles[start:end]):
            length = len(list(run))
            self._write_run(x, y, row.text[x : x + length], style, is_last=x + length == end)
            x += length

    def _move(self, x: int, y: int) -> None:
        """Move the cursor, unless it is there."""
        if self._at != (x, y):
            self._parts.append(_move_sequence(self._at, (x, y)))
            self._at = (x, y)

    def _write_run(self, x: int, y: int, text: str, style: str, *, is_last: bool) -> None:
        """Write adjacent cells of one style, the first of them in column `x`."""
        self._use_pen(style if text.strip(" ") else self._glyphs.blank_pen(self.pen, style))
        if len(text) < ERASED_MIN or not self._can_erase(style):
            self._write_cells(x, y, text)
            return
        for piece in filter(None, _BLANKS.split(text)):
            ends_here = x + len(piece) >= self._width
            if piece.strip(" ") or len(piece) < (ERASED_MIN if is_last or ends_here else ERASED_WITHIN_MIN):
                self._write_cells(x, y, piece)
            else:
                self._move(x, y)
                self._parts.append("\x1b[K" if ends_here else f"\x1b[{len(piece)}X")
            x += len(piece)

    def _write_cells(self, x: int, y: int, text: str) -> None:
        self._move(x, y)
        end = x + len(text)
        # At the right edge, some terminals keep the cursor in the last column, and some beyond it.
        self._at = (end, y) if end < self._width else _UNKNOWN_PLACE
        if text.isascii() and FILL not in text:
            self._parts.append(text)
            return
        for at, cell in enumerate(text):
            if cell == FILL:
                continue
            wide = text[at + 1 : at + 2] == FILL
            if self._glyphs.has_certain_width(cell, wide):
                self._parts.append(cell)
                continue
            # If the terminal draws it narrower, a blank remains; if wider, the next cell overwrites it.
            width = 2 if wide else 1
            column = x + at + 1
            cluster = self._glyphs.cluster(cell)
            self._parts.append(f"{' ' * width}\x1b[{column}G{cluster}")
            if column + width <= self._width:
                self._parts.append(f"\x1b[{column + width}G")

    def _can_erase(self, style: str) -> bool:
        """Whether a cell erased with the current pen looks like a blank in `style`."""
        blank = self._glyphs.style(self._glyphs.blank(style))
        # The pen of reversed text has another background than it shows.
        if blank.attributes or blank.link or blank.background != self._glyphs.style(self.pen).background:
            return False
        return self._erases_colored or not blank.background

    def _use_pen(self, style: str) -> None:
        if self.pen != style:
            self._parts.append(self._glyphs.change(self.pen, style))
            self.pen = style


@lru_cache(_MOVES_CACHED)
def _move_sequence(start: tuple[int, int], end: tuple[int, int]) -> str:
    """The shortest sequence that moves the cursor from `start` to `end`, both a column and a row."""
    if start == end:
        return ""
    x, y = end
    column = f";{x + 1}" if x else ""
    absolute = f"\x1b[{y + 1 if y else ''}{column}H"
    if start == _UNKNOWN_PLACE:
        return absolute
    return min(absolute, _vertical(y - start[1]) + _horizontal(start[0], x), key=len)


def _vertical(by: int) -> str:
    """The shortest sequence that moves the cursor down by `by` rows, or up if it is negative."""
    if abs(by) <= 1:
        return {0: "", 1: INDEX, -1: REVERSE_INDEX}[by]
    return f"\x1b[{by}B" if by > 0 else f"\x1b[{-by}A"


def _horizontal(start: int, end: int) -> str:
    """The shortest sequence that moves the cursor from column `start` to `end` of its row."""
    by = end - start
    if by == 0:
        return ""
    if end == 0:
        return "\r"
    moves = [f"\x1b[{end + 1}G"]
    if by > 0:
        moves.append(f"\x1b[{by if by > 1 else ''}C")
    else:
        moves += [f"\x1b[{-by}D", "\b" * -by]
    return min(moves, key=len)
