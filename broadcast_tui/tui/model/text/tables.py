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

from broadcast_tui.tui.model.text.wrapping import cells_of

COLUMNS_MAX = 20
ROWS_MAX = 100
CELLS_MAX = 300
"""Larger and wider tables are not laid out."""

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

    @property
    def width(self) -> int:
        """Cells of a row, with two between columns."""
        return sum(self.widths) + 2 * (len(self.widths) - 1)

    def cell_text(self, column: int, cell: Cell | None, line: str) -> tuple[str, str, str]:
        """Blanks before a cell, its text, and blanks after it; dashes for None."""
        if cell is None:
            return "", "─" * self.widths[column], ""
        text = line[cell.start : cell.end]
        blanks = " " * (self.widths[column] - cells_of(text))
        return (blanks, text, "") if self.right[column] else ("", text, blanks)


def table_at(lines: Sequence[str], first: int) -> Table | None:
    """The table whose head is line `first`; None if there is none."""
    if first + 1 >= len(lines) or "|" not in lines[first] or "|" not in lines[first + 1]:
        return None
    if len(lines[first + 1]) > CELLS_MAX or not _RULE.fullmatch(lines[first + 1]):
        return None
    dashes = [lines[first + 1][cell.start : cell.end] for cell in _cells(lines[first + 1])]
    heads = _cells(lines[first])
    count = len(dashes)
    if count != len(heads) or not 1 < count <= COLUMNS_MAX:
        return None
    rows = [TableRow(first, heads, is_head=True), TableRow(first + 1, (None,) * count)]
    for number in range(first + 2, min(len(lines), first + ROWS_MAX)):
        if "|" not in lines[number] or len(lines[number]) > CELLS_MAX:
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
    if sum(widths) > CELLS_MAX:
        return None
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
