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
a span is written in runs of one style, and long blanks are erased instead of written.

Terminals disagree on how many cells an emoji sequence or a flag covers. So the cells after such a cluster
are written again after an absolute cursor move, and the rest of the row is in the right columns even if the
terminal draws the cluster wider or narrower.

Invariants: before and after each write, the pen is plain and autowrap is off. A cell whose style is unknown
never counts as up to date.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from operator import ne

from broadcast_tui.tui.terminal.cells import FILL, UNKNOWN, GlyphTable, Row

GAP = 8
"""Most unchanged cells between changed ones that are written again instead of jumped over."""
ERASED_MIN = 12
"""Fewest adjacent blanks that are erased instead of written."""
SCROLL_ROWS_MIN = 3
SCROLL_COST = 40
"""Fewest cells that scrolling must save, because its sequences cost as many bytes."""
_DIFFERENT = re.compile(b"\1(?:\0{0,%d}\1)*" % GAP)
_BREAK = 2
_BLANKS = re.compile(f"( {{{ERASED_MIN},}})")


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
        self._target = [Row.unknown(width)] * height
        self._shown = [Row.unknown(width)] * height
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
        """Mark everything that the terminal shows as unknown."""
        self._shown = [Row.unknown(self.width)] * self.height

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
        writer = _Writer(self._glyphs, self.width, self._erases_colored)
        rows = self.changed_rows
        if only is None:
            if len(rows) >= SCROLL_ROWS_MIN and self._scroll(rows, writer):
                rows = self.changed_rows
            self._areas.clear()
        else:
            rows = [y for y in rows if y in only]
        for y in rows:
            for start, end in self._spans(self._shown[y], self._target[y]):
                writer.write(y, start, end, self._target[y])
            self._shown[y] = self._target[y]
        if writer.has_written or cursor != self._cursor:
            self._cursor = cursor
            writer.finish_at(*cursor)
        return writer.text

    def _spans(self, old: Row, new: Row) -> list[tuple[int, int]]:
        """The spans to write, as (start, end) columns, which never cut a wide character in two."""
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

    def _scroll(self, changed: list[int], writer: _Writer) -> bool:
        """Move rows if that saves enough output; returns whether it did."""
        shift = self._find_shift(changed)
        if shift is None:
            return False
        by, top, bottom = shift
        shown, target = self._shown[top : bottom + 1], self._target[top : bottom + 1]
        blank = [Row.unknown(self.width)] * min(abs(by), len(shown))
        moved = [*shown[by:], *blank] if by > 0 else [*blank, *shown[:by]]
        if any(UNKNOWN in row.styles for row in target):
            return False
        if _cost(moved, target) + SCROLL_COST > _cost(shown, target):
            return False
        self._shown[top : bottom + 1] = moved
        writer.scroll(by, top, bottom)
        return True

    def _find_shift(self, changed: list[int]) -> tuple[int, int, int] | None:
        """Find how far most of the changed rows have moved up, and the first and last row to move.

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
        return by, min(moved[0], moved[0] + by), max(moved[-1], moved[-1] + by)


class _Writer:
    """Collects output and tracks the pen and the cursor; a position of (-1, -1) is unknown."""

    def __init__(self, glyphs: GlyphTable, width: int, erases_colored: bool) -> None:
        self._glyphs = glyphs
        self._width = width
        self._erases_colored = erases_colored
        self._parts: list[str] = []
        self._pen = glyphs.plain
        self._at = (-1, -1)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def has_written(self) -> bool:
        return bool(self._parts)

    def scroll(self, by: int, top: int, bottom: int) -> None:
        """Move the rows from `top` to `bottom` up by `by` rows, or down if it is negative."""
        move = f"\x1b[{by}M" if by > 0 else f"\x1b[{-by}L"
        home = f"\x1b[{top + 1}H" if top else ""
        self._parts.append(f"\x1b[{top + 1};{bottom + 1}r{home}{move}\x1b[r")

    def finish_at(self, x: int, y: int) -> None:
        """Reset the pen and leave the cursor at column `x` of row `y`."""
        self._parts.append(self._reset_pen() + f"\x1b[{y + 1};{x + 1}H")

    def write(self, y: int, start: int, end: int, row: Row) -> None:
        """Write the cells of row `y` from `start` to before `end`."""
        self._move(y, start)
        x = start
        for style, run in groupby(row.styles[start:end]):
            length = len(list(run))
            self._write_run(x, row.text[x : x + length], style)
            x += length
        self._at = (y, x) if x < self._width else (-1, -1)

    def _move(self, y: int, x: int) -> None:
        if self._at[0] == y:
            if self._at[1] != x:
                self._parts.append(f"\x1b[{x + 1}G")
        else:
            self._parts.append(f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H")
        self._at = (y, x)

    def _write_run(self, x: int, text: str, style: str) -> None:
        """Write adjacent cells of one style, the first of them in column `x`."""
        glyphs = self._glyphs
        is_blank = not text.strip(" ")
        if not (is_blank and glyphs.blank(style) == glyphs.blank(self._pen)):
            self._parts.append(self._change_pen(style))
        if len(text) < ERASED_MIN or not self._can_erase(style):
            self._write_cells(x, text)
            return
        for piece in filter(None, _BLANKS.split(text)):
            if len(piece) < ERASED_MIN or piece.strip(" "):
                self._write_cells(x, piece)
            elif x + len(piece) >= self._width:
                self._parts.append("\x1b[K")
            else:
                self._parts.append(f"\x1b[{len(piece)}X\x1b[{x + len(piece) + 1}G")
            x += len(piece)

    def _write_cells(self, x: int, text: str) -> None:
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
        """Whether an erased cell looks like a blank in `style`."""
        blank = self._glyphs.style(self._glyphs.blank(style))
        return not (blank.attributes or blank.link) and (self._erases_colored or not blank.background)

    def _change_pen(self, style: str) -> str:
        pen, self._pen = self._pen, style
        return "" if pen == style else self._glyphs.change(pen, style)

    def _reset_pen(self) -> str:
        if self._pen == self._glyphs.plain:
            return ""
        link = "\x1b]8;;\x1b\\" if self._glyphs.style(self._pen).link else ""
        return f"{link}\x1b[0m"


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
