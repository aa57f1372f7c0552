"""What to write to a terminal so that it shows what it should: only what differs from what it shows.

`put` says what a screen should show, `changes` what to write for it. They need not alternate: whoever
cannot write just now asks later, and gets what leads to the latest state.

Invariants: the pen is plain and autowrap off before and after each write; a cell of unknown look is
never taken for what it should be; rows that moved together are moved by the terminal (with the scroll
region and delete or insert line, which unlike CSI S and T the Linux console knows too).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from operator import ne

from broadcast_tui.tui.terminal.cells import FILL, UNKNOWN, GlyphTable, Row

GAP = 8
"""Unchanged cells between changed ones that are written anew rather than jumped over."""
ERASED_MIN = 12
"""Blanks in a row that are erased rather than written."""
SCROLL_ROWS_MIN = 3
SCROLL_COST = 40
"""Cells that a scroll must save to be worth its sequences."""
_DIFFERENT = re.compile(b"\1(?:\0{0,%d}\1)*" % GAP)
_BREAK = 2
_BLANKS = re.compile(f"( {{{ERASED_MIN},}})")


class ScreenDiff:
    """The screen of a terminal, as it should be and as it is.

    Args:
        erases_colored: Whether the terminal erases with the background of the pen (bce).
    """

    def __init__(self, width: int, height: int, glyphs: GlyphTable, *, erases_colored: bool = True) -> None:
        self.width = width
        self.height = height
        self._glyphs = glyphs
        self._erases_colored = erases_colored
        self._wanted = [Row.unknown(width)] * height
        self._shown = [Row.unknown(width)] * height
        self._cursor = (-1, -1)
        self._areas: Counter[tuple[int, int]] = Counter()
        """Cells put since the last look for rows that moved, by the columns they stand in."""

    def put(self, y: int, x: int, piece: Row) -> None:
        """Let `piece` stand in row `y` from column `x` on; what is beyond the edges is cut off."""
        if not (0 <= y < self.height and 0 <= x < self.width and piece.text):
            return
        text, looks = piece.cut(self.width - x) if x + len(piece.text) > self.width else piece
        end = x + len(text)
        self._areas[x, end] += end - x
        row = self._wanted[y]
        before, after = row.text[:x], row.text[end:]
        if row.text[x] == FILL:
            before = before[:-1] + " "
        if after[:1] == FILL:
            after = " " + after[1:]
        self._wanted[y] = Row(before + text + after, row.looks[:x] + looks + row.looks[end:])

    def invalidate(self) -> None:
        """Nothing is known any more of what the terminal shows."""
        self._shown = [Row.unknown(self.width)] * self.height

    @property
    def changed_rows(self) -> list[int]:
        """Rows that are not as they should be, from the top."""
        return [y for y in range(self.height) if self._shown[y] != self._wanted[y]]

    def changes(self, cursor: tuple[int, int], only: Iterable[int] | None = None) -> str:
        """What to write, empty if nothing: afterwards all is as it should be.

        Args:
            cursor: Column and row where the cursor is to stand.
            only: Rows to be brought up to date; the others are left as they are.
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
            for start, end in self._spans(self._shown[y], self._wanted[y]):
                writer.write(y, start, end, self._wanted[y])
            self._shown[y] = self._wanted[y]
        if writer.has_written or cursor != self._cursor:
            self._cursor = cursor
            writer.rest_at(*cursor)
        return writer.text

    def _spans(self, old: Row, new: Row) -> list[tuple[int, int]]:
        """Columns from the first to before the second must be written; no character is cut in two."""
        texts = int.from_bytes(bytes(map(ne, old.text, new.text)), "little")
        looks = int.from_bytes(bytes(map(ne, old.looks, new.looks)), "little")
        differs = (texts | looks).to_bytes(self.width, "little")
        recolored = looks & ~texts
        if recolored or UNKNOWN in new.looks:
            differs = self._without_unseen(old, new, differs, recolored.to_bytes(self.width, "little"))
        spans = [found.span() for found in _DIFFERENT.finditer(differs)]
        if self._glyphs.has_clusters(new.text):
            spans = self._with_reach(spans, new)
        return [(start, end + (new.text[end : end + 1] == FILL)) for start, end in spans]

    def _with_reach(self, spans: list[tuple[int, int]], new: Row) -> list[tuple[int, int]]:
        """`spans` with all that a terminal may draw a cluster over; it is written again after that.

        What stands in cells of unknown look cannot be written again.
        """
        joined: list[tuple[int, int]] = []
        for start, end in spans:
            if joined and start < joined[-1][1]:
                start, end = joined[-1][0], max(end, joined.pop()[1])
            unknown = new.looks.find(UNKNOWN, end)
            edge = self.width if unknown < 0 else unknown
            while (reach := min(edge, start + self._glyphs.reach(new.text[start:end]))) > end:
                end = reach
            joined.append((start, end))
        return joined

    def _without_unseen(self, old: Row, new: Row, differs: bytes, recolored: bytes) -> bytes:
        """`differs` without blanks that look as before, and with a break where anything may stand."""
        blank = self._glyphs.blank
        seen = bytearray(differs)
        x = recolored.find(1)
        while x >= 0:
            if new.text[x] == " " and blank(old.looks[x]) == blank(new.looks[x]):
                seen[x] = 0
            x = recolored.find(1, x + 1)
        x = new.looks.find(UNKNOWN)
        while x >= 0:
            seen[x] = _BREAK
            x = new.looks.find(UNKNOWN, x + 1)
        return bytes(seen)

    # Rows that moved

    def _scroll(self, changed: list[int], writer: _Writer) -> bool:
        """Move rows, if that leaves enough less to write; true if so."""
        shift = self._shift(changed)
        if shift is None:
            return False
        by, top, bottom = shift
        shown, wanted = self._shown[top : bottom + 1], self._wanted[top : bottom + 1]
        fresh = [Row.unknown(self.width)] * min(abs(by), len(shown))
        moved = [*shown[by:], *fresh] if by > 0 else [*fresh, *shown[:by]]
        if any(UNKNOWN in row.looks for row in wanted):
            return False
        if _cost(moved, wanted) + SCROLL_COST > _cost(shown, wanted):
            return False
        self._shown[top : bottom + 1] = moved
        writer.scroll(by, top, bottom)
        return True

    def _shift(self, changed: list[int]) -> tuple[int, int, int] | None:
        """By how many rows most of what is new on the screen stands higher than it did, and the first
        and last row to be moved; None if nothing moved. Looks only at the columns in which most was put:
        what is beside them may have stayed."""
        if not self._areas:
            return None
        first, last = changed[0], changed[-1]
        start, end = max(self._areas, key=self._areas.__getitem__)
        was: dict[str, list[int]] = {}
        now: dict[int, str] = {}
        for y in range(first, last + 1):
            shown, wanted = self._shown[y], self._wanted[y]
            was.setdefault(shown.text[start:end] + shown.looks[start:end], []).append(y)
            now[y] = wanted.text[start:end] + wanted.looks[start:end]
        votes = Counter(
            at - y for y in changed for at in was.get(now[y], ()) if len(was[now[y]]) <= 3 and at != y
        )
        if not votes:
            return None
        by = votes.most_common(1)[0][0]
        moved = [y for y in range(first, last + 1) if y + by in was.get(now[y], ())]
        return by, min(moved[0], moved[0] + by), max(moved[-1], moved[-1] + by)


class _Writer:
    """Collects what is to be written, knowing the pen and, mostly, where the cursor stands."""

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
        """Move the rows from `top` to `bottom` up by `by`, or down if that is negative."""
        order = f"\x1b[{by}M" if by > 0 else f"\x1b[{-by}L"
        home = f"\x1b[{top + 1}H" if top else ""
        self._parts.append(f"\x1b[{top + 1};{bottom + 1}r{home}{order}\x1b[r")

    def rest_at(self, x: int, y: int) -> None:
        """Put the pen down and leave the cursor at column `x` of row `y`."""
        self._parts.append(self._put_down() + f"\x1b[{y + 1};{x + 1}H")

    def write(self, y: int, start: int, end: int, row: Row) -> None:
        """Write the cells from `start` to before `end`."""
        self._move(y, start)
        x = start
        for look, run in groupby(row.looks[start:end]):
            length = len(list(run))
            self._write_run(x, row.text[x : x + length], look)
            x += length
        self._at = (y, x) if x < self._width else (-1, -1)

    def _move(self, y: int, x: int) -> None:
        if self._at[0] == y:
            if self._at[1] != x:
                self._parts.append(f"\x1b[{x + 1}G")
        else:
            self._parts.append(f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H")
        self._at = (y, x)

    def _write_run(self, x: int, text: str, look: str) -> None:
        """Write neighbouring cells of one look, the first of them in column `x`."""
        glyphs = self._glyphs
        is_blank = not text.strip(" ")
        if not (is_blank and glyphs.blank(look) == glyphs.blank(self._pen)):
            self._parts.append(self._change(look))
        if len(text) < ERASED_MIN or not self._may_erase(look):
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
            if self._glyphs.is_agreed(cell, wide):
                self._parts.append(cell)
                continue
            # Where the terminal takes it to be narrower, a blank is left; wider, it is written over.
            width = 2 if wide else 1
            column = x + at + 1
            cluster = self._glyphs.cluster(cell)
            self._parts.append(f"{' ' * width}\x1b[{column}G{cluster}")
            if column + width <= self._width:
                self._parts.append(f"\x1b[{column + width}G")

    def _may_erase(self, look: str) -> bool:
        """Whether an erased cell looks like a blank of `look`."""
        blank = self._glyphs.look(self._glyphs.blank(look))
        return not (blank.attributes or blank.link) and (self._erases_colored or not blank.background)

    def _change(self, look: str) -> str:
        pen, self._pen = self._pen, look
        return "" if pen == look else self._glyphs.change(pen, look)

    def _put_down(self) -> str:
        if self._pen == self._glyphs.plain:
            return ""
        link = "\x1b]8;;\x1b\\" if self._glyphs.look(self._pen).link else ""
        return f"{link}\x1b[0m"


def _cost(shown: list[Row], wanted: list[Row]) -> int:
    """About how many cells must be written."""
    cost = 0
    for was, now in zip(shown, wanted, strict=True):
        if was == now:
            continue
        if was.looks[:1] == UNKNOWN:
            cost += len(now.text) - now.text.count(" ")
        else:
            cost += max(sum(map(ne, was.text, now.text)), sum(map(ne, was.looks, now.looks)))
    return cost
