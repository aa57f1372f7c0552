"""Maps between the rows of the log and the lines of a transcript, at one width.

Wrapping all lines of a long transcript takes seconds, so rows are counted lazily, chunk by chunk. The rows of
a chunk are exact, or stale: counted at another width, or never. Stale chunks have an estimated total: their
lines, plus the rows beyond one a line, scaled by the width. Before a part of the log is drawn, the chunks
around it are measured; the rest is measured in slices while the app is idle. A resize thus costs the same for
100,000 lines as for 1,000.

Estimates move all rows below them when they become exact. A row number is therefore valid only until the next
measurement; a scroll position is kept as a `RowAnchor`, a row of a line. Lines that are not visible take no
row. The unread line is the first row of the line below it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from broadcast_tui.tui.model.transcript.chunks import Chunk, Line, LineKind
from broadcast_tui.tui.model.transcript.layout import RowLayout, VisibilityOptions
from broadcast_tui.tui.model.transcript.transcript import Transcript


class RowAnchor(NamedTuple):
    """Row `row` of line `line_id`. Unlike a row number, it stays valid when rows above change."""

    line_id: int
    row: int


class _Block:
    """Row counts of one chunk."""

    __slots__ = ("_starts", "chunk", "columns", "rows", "rule", "total", "visibility")

    def __init__(self, chunk: Chunk, visibility: VisibilityOptions) -> None:
        self.chunk = chunk
        self.visibility = visibility
        self.columns: RowLayout | None = None
        """The layout that `rows` were counted for; None: never, and `total` is an estimate."""
        self.rows = array("I")
        self.total = len(chunk)
        self.rule = -1
        """Index of the line below the unread line; -1 if there is none."""
        self._starts: list[int] | None = None

    def measure(self, columns: RowLayout) -> None:
        self.rows = array("I", columns.count_rows(self.chunk, 0, self.visibility))
        if self.rule >= 0:
            self.rows[self.rule] += 1
        self.columns = columns
        self.total = sum(self.rows)
        self._starts = None

    def grow(self, columns: RowLayout) -> None:
        """Count the lines added to the chunk."""
        if self.columns is columns:
            added = columns.count_rows(self.chunk, len(self.rows), self.visibility)
            self.rows.extend(added)
            self.total += sum(added)
            self._starts = None
        else:
            self.total = max(self.total, len(self.chunk))

    def put_rule(self, unread_line_id: int | None) -> None:
        """Add or remove the row of the unread line."""
        at = -1 if unread_line_id is None else unread_line_id - self.chunk.first_id
        at = at if 0 <= at < len(self.chunk) else -1
        if at != self.rule:
            for i, more in (self.rule, -1), (at, 1):
                if 0 <= i < len(self.rows):
                    self.rows[i] += more
                    self.total += more
            self.rule = at
            self._starts = None

    def rescale(self, columns: RowLayout) -> None:
        """Estimate the total at another width: the rows beyond one for each line are scaled by the width."""
        if self.columns is not None and self.columns is not columns:
            lines = len(self.chunk)
            self.total = lines + max(0, self.total - lines) * self.columns.text // columns.text
            self.columns = None

    def starts(self) -> list[int]:
        """First row of each line, relative to the block, which must be exact."""
        if self._starts is None:
            self._starts = list(accumulate(self.rows, initial=0))[:-1]
        return self._starts


class RowIndex:
    """Rows of one transcript at one width, numbered from the top. Call `update` after each change."""

    def __init__(
        self, transcript: Transcript, columns: RowLayout, visibility: VisibilityOptions | None = None
    ) -> None:
        self.transcript = transcript
        self.columns = columns
        self.visibility = VisibilityOptions() if visibility is None else visibility
        self._blocks: list[_Block] = []
        self._starts: list[int] = [0]
        """First row of each block, followed by the total."""
        self._version = -1
        self.unread_line_id: int | None = None
        """The line whose first row is the unread line."""
        self.update()

    @property
    def total(self) -> int:
        """Number of rows; exact if `is_exact`."""
        return self._starts[-1]

    @property
    def is_exact(self) -> bool:
        return all(block.columns is self.columns for block in self._blocks)

    def update(self) -> None:
        """Apply changes of the transcript."""
        if (self.transcript.version, self.transcript.unread_line_id) == (self._version, self.unread_line_id):
            return
        self._version, self.unread_line_id = self.transcript.version, self.transcript.unread_line_id
        chunks = self.transcript.chunks
        known = {id(block.chunk): block for block in self._blocks}
        self._blocks = [known.get(id(chunk)) or self._new_block(chunk) for chunk in chunks]
        for block in self._blocks:
            if len(block.rows) != len(block.chunk):
                block.grow(self.columns)
            block.put_rule(self.unread_line_id)
        self._sum_up()

    def _new_block(self, chunk: Chunk) -> _Block:
        """The block of a chunk; measured at once if it replaces a measured one.

        An estimate would move the scrollbar each time a post changes.
        """
        block = _Block(chunk, self.visibility)
        former = self._blocks[self._block_of(chunk.first_id)] if self._blocks else None
        if former and former.chunk.first_id == chunk.first_id and former.columns is self.columns:
            block.measure(self.columns)
        return block

    def resize(self, columns: RowLayout) -> None:
        """Change the width; all blocks become stale."""
        self.columns = columns
        for block in self._blocks:
            block.rescale(columns)
        self._sum_up()

    def recount(self, line_id: int | None = None) -> None:
        """Count again after a change of visibility: one line, or all (None)."""
        if line_id is None:
            for block in self._blocks:
                block.columns = None
        elif self._blocks:
            self._blocks[self._block_of(line_id)].measure(self.columns)
        self._sum_up()

    def anchor_at(self, row: int) -> RowAnchor | None:
        """The anchor of `row`, whose surroundings must have been measured; None below the last line."""
        if not 0 <= row < self.total:
            return None
        at = bisect_right(self._starts, row) - 1
        block = self._blocks[at]
        if block.columns is not self.columns:
            return None
        starts = block.starts()
        i = bisect_right(starts, row - self._starts[at]) - 1
        return RowAnchor(block.chunk.first_id + i, row - self._starts[at] - starts[i])

    def text_row(self, anchor: RowAnchor) -> int:
        """Index of an anchor among the rows of its line's text; -1 for the unread line."""
        return anchor.row - (anchor.line_id == self.unread_line_id)

    def measure_anchor(self, row: int) -> RowAnchor | None:
        """The anchor at or near `row`, which may be an estimate: its chunk is measured first."""
        while self.total > 0:
            row = min(max(row, 0), self.total - 1)
            at = bisect_right(self._starts, row) - 1
            block = self._blocks[at]
            if block.columns is self.columns:
                return self.anchor_at(row)
            share = (row - self._starts[at]) / block.total
            block.measure(self.columns)
            self._sum_up()
            row = self._starts[at] + max(0, min(int(share * block.total), block.total - 1))
        return None

    def row_of(self, anchor: RowAnchor) -> int:
        """The current row of an anchor; if its line is no longer stored, the nearest row."""
        if not self._blocks or anchor.line_id < self._blocks[0].chunk.first_id:
            return 0
        at = self._block_of(anchor.line_id)
        block = self._blocks[at]
        if block.columns is not self.columns:
            block.measure(self.columns)
            self._sum_up()
        i = anchor.line_id - block.chunk.first_id
        if i >= len(block.chunk):
            return max(0, self.total - 1)
        return self._starts[at] + block.starts()[i] + max(0, min(anchor.row, block.rows[i] - 1))

    def measure_around(self, anchor: RowAnchor, rows: int) -> None:
        """Measure the rows up to `rows` above and below an anchor."""
        if not self._blocks:
            return
        at = self._block_of(anchor.line_id)
        # The anchor may be anywhere in its block, so all rows of the block are added. The block is measured
        # first, because the estimate may be too low: then the block alone would use up `rows`.
        self._measure(self._blocks[at : at + 1], 1)
        rows += self._blocks[at].total
        self._measure(self._blocks[at:], rows)
        self._measure(reversed_from(self._blocks, at), rows)

    def measure_end(self, rows: int) -> None:
        """Measure the last `rows` rows."""
        self._measure(reversed_from(self._blocks, len(self._blocks) - 1), rows)

    def measure_some(self, enough: Callable[[], bool]) -> bool:
        """Measure more chunks, the last first, until `enough()`; returns whether all are exact."""
        for block in reversed(self._blocks):
            if block.columns is not self.columns:
                block.measure(self.columns)
                if enough():
                    break
        self._sum_up()
        return self.is_exact

    # -- single lines

    def shown_line(self, line_id: int) -> Line | None:
        """The line as displayed; None if it is not visible or not stored."""
        line = self.transcript.line(line_id)
        return None if line is None else self.visibility.shown_line(line)

    def line_above(self, line_id: int) -> Line | None:
        """The nearest visible line above a line."""
        above = self.transcript.line(line_id - 1)
        while above is not None and self.visibility.shown_line(above) is None:
            above = self.transcript.line(above.id - 1)
        return above

    def is_long(self, line_id: int) -> bool:
        """Whether a line is a post that can be folded."""
        line = self.transcript.line(line_id)
        if line is None or line.kind > LineKind.ACTION:
            return False
        return self.columns.lay(line.kind, line.sender, line.text, details=line.details).is_long

    def fold_row(self, line_id: int) -> int:
        """The row of a line that says how many rows are folded; -1 if it is not folded."""
        line = self.transcript.line(line_id)
        if line is None or line.kind > LineKind.ACTION:
            return -1
        folded = self.visibility.folds(line_id)
        laid = self.columns.lay(line.kind, line.sender, line.text, folded=folded, details=line.details)
        return laid.fold_row

    def _block_of(self, line_id: int) -> int:
        return max(0, bisect_right(self._blocks, line_id, key=attrgetter("chunk.first_id")) - 1)

    def _measure(self, blocks: list[_Block], rows: int) -> None:
        changed = False
        for block in blocks:
            if rows <= 0:
                break
            if block.columns is not self.columns:
                block.measure(self.columns)
                changed = True
            rows -= block.total
        if changed:
            self._sum_up()

    def _sum_up(self) -> None:
        self._starts = list(accumulate((block.total for block in self._blocks), initial=0))


def reversed_from(blocks: list[_Block], at: int) -> list[_Block]:
    """`blocks` from index `at` up to the first."""
    return blocks[at::-1] if at >= 0 else []
