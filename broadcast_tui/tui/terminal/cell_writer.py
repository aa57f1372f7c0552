"""Writes cells to a terminal with as few bytes as possible.

A style of 24-bit colors takes up to 40 bytes and an absolute cursor move 8, more than the text of many spans.
So the pen is only changed in what differs, a blank only needs the right background, and the cursor moves
relatively where that is shorter.
"""

from __future__ import annotations

import re
from itertools import groupby

from broadcast_tui.tui.terminal.cells import FILL, GlyphTable, Row

ERASED_MIN = 6
"""Fewest adjacent blanks at the end of a span that are erased instead of written."""
ERASED_WITHIN_MIN = 12
"""The same for blanks that are followed by other cells, which the cursor has to be moved to."""
_BLANKS = re.compile(f"( {{{ERASED_WITHIN_MIN},}}| {{{ERASED_MIN},}}$)")
_UNKNOWN = (-1, -1)


class CellWriter:
    """Collects the output for one frame. The pen is plain at first, and the position of the cursor unknown.

    Args:
        glyphs: Table that the rows are interned in.
        width: Width of the screen in cells.
        erases_colored: Whether the terminal erases with the background of the pen (terminfo: bce).
    """

    def __init__(self, glyphs: GlyphTable, width: int, *, erases_colored: bool) -> None:
        self._glyphs = glyphs
        self._width = width
        self._erases_colored = erases_colored
        self._parts: list[str] = []
        self._pen = glyphs.plain
        self._at = _UNKNOWN

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
        column = f";{left + 1}" if left else ""
        home = f"\x1b[{top + 1}{column}H" if top or left else ""
        count = abs(by) if abs(by) > 1 else ""
        scroll = f"\x1b[{top + 1};{bottom + 1}r{home}\x1b[{count}{'M' if by > 0 else 'L'}\x1b[r"
        if columns is not None:
            scroll = f"\x1b[?69h\x1b[{left + 1};{right}s{scroll}\x1b[?69l"
        self._parts.append(scroll)
        self._at = _UNKNOWN

    def finish_at(self, x: int, y: int) -> None:
        """Reset the pen and leave the cursor at column `x` of row `y`."""
        self._use_pen(self._glyphs.plain)
        self._move(x, y)

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
        if self._at == (x, y):
            return
        at_x, at_y = self._at
        column = f";{x + 1}" if x else ""
        moves = [f"\x1b[{y + 1}{column}H"]
        if at_y == y:
            moves.append(f"\x1b[{x + 1}G")
            if x > at_x:
                moves.append(f"\x1b[{x - at_x if x - at_x > 1 else ''}C")
        elif at_x == x and y > at_y:
            moves.append(f"\x1b[{y - at_y if y - at_y > 1 else ''}B")
        self._parts.append(min(moves, key=len))
        self._at = (x, y)

    def _write_run(self, x: int, y: int, text: str, style: str, *, is_last: bool) -> None:
        """Write adjacent cells of one style, the first of them in column `x`."""
        self._use_pen(style if text.strip(" ") else self._glyphs.blank_pen(self._pen, style))
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
        self._at = (end, y) if end < self._width else _UNKNOWN
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
        if blank.attributes or blank.link or blank.background != self._glyphs.style(self._pen).background:
            return False
        return self._erases_colored or not blank.background

    def _use_pen(self, style: str) -> None:
        if self._pen != style:
            self._parts.append(self._glyphs.change(self._pen, style))
            self._pen = style
