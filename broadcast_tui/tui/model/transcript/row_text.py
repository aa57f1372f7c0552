"""Maps between the characters of a line and the cells of its rows.

There are two kinds of index: into the *written* text (`Line.text`), which is the same at every width, and
into the *shown* text of the text column, which has a label and indents at some widths.
"""

from __future__ import annotations

from broadcast_tui.tui.model.text.wrapping import Span, cells_of, clusters, is_single
from broadcast_tui.tui.model.transcript.chunks import Line
from broadcast_tui.tui.model.transcript.layout import RowLayout


class RowText:
    """The text column of one line at one width; not for day lines."""

    def __init__(self, line: Line, columns: RowLayout, *, folded: bool = False) -> None:
        laid = columns.lay(line.kind, line.sender, line.text, folded=folded, details=line.details)
        self._laid = laid
        self._label = laid.label
        self._indent = laid.indent
        self._end = laid.text_end
        self.shown = laid.text
        self.rows: list[Span] = laid.rows
        """Span of `shown` in each row; empty for rows that show nothing of it."""

    def written_at(self, index: int) -> int:
        """The written index of the character shown at `index`; that of the first one before the text, the
        length of the written text after it."""
        body = self.shown[self._label : max(self._label, min(index, self._end))]
        lines, last = body.count("\n"), len(body) - body.rfind("\n") - 1
        within = len(body) - lines * self._indent + (max(0, self._indent - last) if lines else 0)
        return self._laid.shown.written_at(within)

    def shown_at(self, index: int) -> int:
        """The shown index of the character written at `index`, or of the next one if it is hidden."""
        within = self._laid.shown.shown_at(index)
        return self._label + within + self._laid.shown.text.count("\n", 0, within) * self._indent

    def row_of(self, index: int) -> int:
        """The row that shows the written index, or the last row before it if it is folded or dropped."""
        at = self.shown_at(index)
        return next((row for row, (_, end) in enumerate(self.rows) if end > at), len(self.rows) - 1)

    def cells(self, row: int, start: int, end: int) -> Span | None:
        """The cells in which `row` shows the written span from `start` to `end`; None if it does not."""
        first, last = self.rows[row]
        text = self.shown[first:last]
        start, end = max(0, self.shown_at(start) - first), min(len(text), self.shown_at(end) - first)
        if start >= end:
            return None
        start, end = whole_clusters(text, start, end)
        inset = self._laid.inset(row)
        left, right = cells_of(text[:start]) + inset, cells_of(text[:end]) + inset
        return (left, right) if left < right else None

    def cell_indices(self, row: int) -> list[int]:
        """The written index for each cell of `row`; cells of a cluster have that of its first character."""
        first, last = self.rows[row]
        text = self.shown[first:last]
        bar = [self.written_at(first)] * self._laid.inset(row)
        if is_single(text):
            return bar + [self.written_at(index) for index in range(first, last)]
        indices = [self.written_at(first + start) for start, _, cells in clusters(text) for _ in range(cells)]
        return bar + indices

    def before(self, row: int) -> int:
        """The written index to use to the left of `row`."""
        first = self.rows[row][0]
        index = self.written_at(first)
        if first <= self._label:
            return -1
        return index - 1 if self.shown[first - 1].isspace() else index

    def end(self, row: int) -> int:
        """The written index after the last character of `row`."""
        return self.written_at(self.rows[row][1])


def whole_clusters(text: str, start: int, end: int) -> Span:
    """The span, extended to whole grapheme clusters."""
    if start >= end or is_single(text[max(0, start - 1) : end + 1]):
        return start, max(start, end)
    for first, last, _ in clusters(text):
        if first < start < last:
            start = first
        if first < end < last:
            end = last
    return start, end
