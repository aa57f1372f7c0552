"""Tables in a post: rows of cells between `|`, the second row of dashes.

| region  | errors |         a colon at an end of the dashes aligns the column to that side
|---------|-------:|
| eu-west | 0.01 % |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from broadcast_tui.tui.model.text.wrapping import cells_of, clip

COLUMNS_MAX = 20
ROWS_MAX = 100
LINE_MAX = 2_000
"""Larger tables, and those with longer lines, are not laid out."""

CELLS_MAX = 300
"""Widest table, in cells; in a wider one, cells are cut."""

COLUMN_MIN = 5
"""Narrowest column with cells that are cut. A table with too many columns for that is not laid out."""

ELLIPSIS = "…"

_BAR = re.compile(r"\\.|\|")
_RULE = re.compile(r" {0,3}\|?(?: *:?-+:? *\|)*(?: *:?-+:? *)\|?\s*")


class Cell(NamedTuple):
    """The characters of a line from `start` to before `end`, without the blanks around them."""

    start: int
    end: int


class TableRow(NamedTuple):
    """One line: a cell for each column, None in the row of dashes."""

    line: int
    cells: tuple[Cell | None, ...]
    is_head: bool = False


class Table(NamedTuple):
    """A table. `right` says for each column whether it is aligned to the right."""

    rows: tuple[TableRow, ...]
    widths: tuple[int, ...]
    right: tuple[bool, ...]

    def cell_text(self, column: int, cell: Cell | None, line: str) -> tuple[str, str, str]:
        """What is shown before the text of a cell, its text, and what is shown after it; dashes for None.

        The end of a text that is wider than the column is replaced by an ellipsis.
        """
        width = self.widths[column]
        if cell is None:
            return "", "─" * width, ""
        text = line[cell.start : cell.end]
        shown = clip(text, width)
        blanks = " " * (width - cells_of(shown))
        if shown != text:
            return "", shown.removesuffix(ELLIPSIS), f"{ELLIPSIS}{blanks}"
        return (blanks, text, "") if self.right[column] else ("", text, blanks)

    def fitted(self, width: int) -> Table | None:
        """The table within `width` cells, the widest columns narrowed; None if there are too many columns."""
        count = len(self.widths)
        room = min(width, CELLS_MAX) - 2 * (count - 1)
        if sum(self.widths) <= room:
            return self
        if room < count * COLUMN_MIN:
            return None
        for left, narrowest in zip(range(count, 0, -1), sorted(self.widths), strict=True):
            share, spare = divmod(room, left)
            if narrowest > share:
                break
            room -= narrowest
        widths = []
        for wanted in self.widths:
            extra = wanted > share and spare > 0
            spare -= extra
            widths.append(min(wanted, share + extra))
        return self._replace(widths=tuple(widths))


def table_at(lines: Sequence[str], first: int) -> Table | None:
    """The table whose head is line `first`; None if there is none."""
    if first + 1 >= len(lines) or "|" not in lines[first] or "|" not in lines[first + 1]:
        return None
    if len(lines[first + 1]) > LINE_MAX or not _RULE.fullmatch(lines[first + 1]):
        return None
    dashes = [lines[first + 1][cell.start : cell.end] for cell in _cells(lines[first + 1])]
    heads = _cells(lines[first])
    count = len(dashes)
    if count != len(heads) or not 1 < count <= COLUMNS_MAX:
        return None
    rows = [TableRow(first, heads, is_head=True), TableRow(first + 1, (None,) * count)]
    for number in range(first + 2, min(len(lines), first + ROWS_MAX)):
        if "|" not in lines[number] or len(lines[number]) > LINE_MAX:
            break
        cells = _cells(lines[number])
        if len(cells) != count:
            break
        rows.append(TableRow(number, cells))
    widths = [3] * count
    for row in rows:
        for column, cell in enumerate(row.cells):
            if cell is not None:
                widths[column] = max(widths[column], cells_of(lines[row.line][cell.start : cell.end]))
    right = tuple(text.endswith(":") and not text.startswith(":") for text in dashes)
    return Table(tuple(rows), tuple(widths), right)


def _cells(line: str) -> tuple[Cell, ...]:
    """The cells of a line; a `|` after a backslash does not end one."""
    stripped = line.strip()
    start = len(line) - len(line.lstrip())
    end = start + len(stripped)
    if stripped.startswith("|"):
        start += 1
    if stripped.endswith("|") and not stripped.endswith("\\|") and end - 1 > start:
        end -= 1
    bars = [match.start() for match in _BAR.finditer(line, start, end) if match[0] == "|"]
    cells: list[Cell] = []
    for left, right in pairwise([start - 1, *bars, end]):
        text = line[left + 1 : right]
        first = left + 1 + len(text) - len(text.lstrip())
        cells.append(Cell(first, max(first, left + 1 + len(text.rstrip()))))
    return tuple(cells)
