"""The highlights of a log: selected text, the picked post and the matches of a search.

All of them refer to lines and characters, never to cells of the screen. So they stay valid when the log
scrolls, wraps at another width, grows or is trimmed. They are applied to rows at the moment these are
handed to Textual; cached rows have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from broadcast_tui.tui.model.text.wrapping import cells_of, clusters, is_single
from broadcast_tui.tui.model.transcript.chunks import POSTS, Line, LineKind
from broadcast_tui.tui.model.transcript.find import Pattern
from broadcast_tui.tui.model.transcript.navigation import line_of, post_id_of
from broadcast_tui.tui.model.transcript.row_text import RowText
from broadcast_tui.tui.model.transcript.selection import Excerpt, TextPosition, excerpt, word_at
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.terminal.row_strip import RowStrip
from broadcast_tui.tui.widgets.anchored_scroll_view import AnchoredScrollView

PICK_MARK = "▶"


class LogHighlights:
    """The highlights of `view`, which has the component classes `message-log--*` of `log_styles`."""

    def __init__(self, view: AnchoredScrollView) -> None:
        self._view = view
        self._picked: int | None = None
        self._picked_post = ""
        """Id of the picked post; empty if it has none yet."""
        self._laid_count = view.index.transcript.rebuild_count
        self._pattern: Pattern | None = None
        self._row_texts: dict[int, RowText] = {}
        """Texts of highlighted lines, valid for one call of `render_lines`; so are `_matches`."""
        self._matches: dict[int, list[tuple[int, int, str]]] = {}

    @property
    def picked(self) -> int | None:
        """Id of the picked line."""
        return self._picked

    @property
    def picked_line(self) -> Line | None:
        return None if self._picked is None else self._view.index.transcript.line(self._picked)

    @property
    def pattern(self) -> Pattern | None:
        """What to highlight wherever it occurs; None: nothing."""
        return self._pattern

    @pattern.setter
    def pattern(self, pattern: Pattern | None) -> None:
        self._pattern = pattern
        self._view.refresh()

    def pick(self, line_id: int | None) -> None:
        """Highlight one line; None: no line."""
        self._picked = line_id
        if line_id is not None:
            self._picked_post = post_id_of(self._view.index.transcript, line_id)
        self._view.refresh()

    def reset(self, transcript: Transcript) -> None:
        """Remove all highlights: the view is about to show another transcript."""
        self._picked = self._pattern = None
        self._laid_count = transcript.rebuild_count
        self._view.screen.clear_selection()

    def follow_renumbering(self) -> None:
        """After lines have been renumbered, keep the same post picked and drop the selection."""
        transcript = self._view.index.transcript
        if self._laid_count == transcript.rebuild_count:
            return
        self._laid_count = transcript.rebuild_count
        if self._picked is not None:
            self._picked = line_of(transcript, self._picked_post) if self._picked_post else None
        if self._view.text_selection is not None:
            self._view.screen.clear_selection()

    def row_of_match(self, line_id: int) -> int:
        """The row of a line with its first match; 0 without a match."""
        line = self._view.index.shown_line(line_id)
        match = self._pattern.search(line.text) if self._pattern and line else None
        return self._text_of(line).row_of(match.start()) if line and match else 0

    # Selection

    def selected(self) -> Excerpt | None:
        """The selected text."""
        selection = self._view.text_selection
        if selection is None:
            return None
        start, end = (None if offset is None else TextPosition(offset.y, offset.x) for offset in selection)
        return excerpt(self._view.index.transcript, start, end, self._view.index.visibility)

    def select_at(self, offset: Offset, *, word: bool) -> None:
        """Select the word at an offset (index, line id), or the whole post."""
        line = self._view.index.shown_line(offset.y)
        if line is None:
            return
        start, end = word_at(line.text, offset.x) if word else (0, len(line.text))
        span = Selection(Offset(start, line.id), Offset(end, line.id))
        self._view.screen.selections = {self._view: span}

    def nearest_cell(self, x: int, y: int) -> tuple[int, int]:
        """The text cell of the log nearest to a cell of the screen, for drags that leave the log."""
        region = self._view.region
        right = region.x + max(0, self._view.index.columns.width - 1)
        return min(max(x, region.x), right), min(max(y, region.y), max(region.y, region.bottom - 1))

    def with_offsets(self, row: Strip, y: int) -> Strip:
        """Row `y` of the index with the index and line id of each cell, for Textual's selection."""
        index = self._view.index
        anchor = index.anchor_at(y)
        last_id = index.transcript.next_id - 1
        line = index.shown_line(last_id if anchor is None else anchor.line_id)
        if line is None:
            return row
        text_row = None if anchor is None else index.text_row(anchor)
        return _with_offsets(row, self._cell_indices(line, text_row), line.id)

    def _text_of(self, line: Line) -> RowText:
        index = self._view.index
        return RowText(line, index.columns, folded=index.visibility.folds(line.id))

    def _cell_indices(self, line: Line, row: int | None) -> tuple[list[int], int]:
        """The index that each cell of a row stands for, from the left, and that of all cells further right.

        `row` None: a row below all lines, which stands for the end of the last one.
        """
        length = len(line.text)
        if row is None:
            return [], length
        columns = self._view.index.columns
        if row < 0:
            # The unread line stands for the text above the post.
            return [-1] * columns.width, -1
        if line.kind is LineKind.DAY:
            return [-1] * (columns.width // 2), length
        text = self._text_of(line)
        if row >= len(text.rows):
            return [], length
        return [text.before(row)] * columns.gutter + text.cell_indices(row), text.end(row)

    # Drawing

    def begin(self) -> None:
        """Drop what the last call of `render_lines` has cached."""
        self._row_texts.clear()
        self._matches.clear()

    def apply(self, row: Strip, y: int) -> Strip:
        """Row `y` of the index with its highlights."""
        selection = self._view.text_selection
        if selection is None and self._picked is None and self._pattern is None:
            return row
        index = self._view.index
        anchor = index.anchor_at(y)
        line = None if anchor is None else index.shown_line(anchor.line_id)
        text_row = -1 if anchor is None else index.text_row(anchor)
        if line is None or text_row < 0:
            return row
        if line.id == self._picked:
            row = self._with_pick(row, text_row)
        spans = self._matches_in(line)
        if selection is not None and (span := selection.get_span(line.id)) is not None:
            start, end = span
            spans.append((max(0, start), len(line.text) if end < 0 else end, "selected"))
        return self._with_spans(row, text_row, line, spans) if spans else row

    def _matches_in(self, line: Line) -> list[tuple[int, int, str]]:
        if self._pattern is None or line.kind not in POSTS:
            return []
        if line.id not in self._matches:
            part = "found-here" if line.id == self._picked else "found"
            self._matches[line.id] = [(*match.span(), part) for match in self._pattern.finditer(line.text)]
        return self._matches[line.id].copy()

    def _with_pick(self, row: Strip, row_number: int) -> Strip:
        """`row` of the picked line with another background; the first row has a mark that needs no color."""
        columns = self._view.index.columns
        background = Style(bgcolor=self._style("picked").bgcolor)
        row = self._restyled(row, 0, columns.width, background)
        if row_number > 0 or columns.gutter == 0:
            return row
        # Where the gutter begins with the time, the mark goes into the blank after it.
        at = 0 if columns.margin or not columns.time else columns.time - 1
        return self._restyled(row, at, at + 1, self._style("pick-mark"), PICK_MARK)

    def _with_spans(
        self, row: Strip, text_row: int, line: Line, spans: Sequence[tuple[int, int, str]]
    ) -> Strip:
        columns = self._view.index.columns
        if line.kind is LineKind.DAY:
            if any(start < end for start, end, _ in spans):
                return self._restyled(row, 0, columns.width, self._style("selected"))
            return row
        text = self._row_texts.get(line.id)
        if text is None:
            text = self._row_texts[line.id] = self._text_of(line)
        if text_row >= len(text.rows):
            return row
        # A long post may have thousands of matches, of which a row has a few.
        begun, ended = text.written_at(text.rows[text_row][0]), text.end(text_row)
        for start, end, part in spans:
            cells = text.cells(text_row, start, end) if start < ended and end > begun else None
            if cells is not None:
                first, last = (columns.gutter + cell for cell in cells)
                row = self._restyled(row, first, last, self._style(part))
        return row

    def _style(self, part: str) -> Style:
        return self._view.get_component_rich_style(f"message-log--{part}")

    def _restyled(self, row: Strip, start: int, end: int, style: Style, instead: str = "") -> Strip:
        """`row` with `style` over its cells from `start` to before `end`, or with the text `instead`."""
        before, middle, after = _cut(row, start, end)
        if instead:
            middle = [Segment(instead)]
        middle = list(Segment.apply_style(middle, post_style=style))
        for line_filter in self._view.get_line_filters():
            middle = line_filter.apply(middle, self._view.background_colors[1])
        return RowStrip([*before, *middle, *after], row.cell_length)


def _cut(row: Strip, start: int, end: int) -> tuple[list[Segment], list[Segment], list[Segment]]:
    """The segments of `row` before cell `start`, up to before `end`, and after; no cluster is cut."""
    parts: tuple[list[Segment], list[Segment], list[Segment]] = ([], [], [])
    x = 0
    for text, style, _ in row:
        for piece, cells in _pieces(text, (start - x, end - x)):
            part = parts[0] if x < start else parts[1] if x < end else parts[2]
            part.append(Segment(piece, style))
            x += cells
    return parts


def _pieces(text: str, cuts: Sequence[int]) -> list[tuple[str, int]]:
    """`text` split at those of `cuts` (cells, ascending) that are inside it; pieces with their widths."""
    length = cells_of(text)
    bounds = [0, *(cut for cut in cuts if 0 < cut < length), length]
    if is_single(text):
        return [(text[start:end], end - start) for start, end in pairwise(bounds)]
    pieces: list[tuple[str, int]] = []
    begun = x = 0
    cell = 0
    for _, end, cells in clusters(text):
        x += cells
        if x in bounds[1:] and x > cell:
            pieces.append((text[begun:end], x - cell))
            begun, cell = end, x
    return [*pieces, (text[begun:], length - cell)] if begun < len(text) else pieces


def _with_offsets(row: Strip, indices: tuple[list[int], int], line_id: int) -> Strip:
    """`row` in segments with offsets for Textual: one per cell as far as there are indices, then the rest.

    A wide character becomes two blanks, which are never displayed, so that each half selects all of it.
    """
    cells, rest = indices
    filled, _, beyond = _cut(row, len(cells), len(cells))
    segments: list[Segment] = []
    for text, style, _ in filled:
        for start, end, width in clusters(text):
            for _ in range(width):
                offset = Style.from_meta({"offset": (cells[len(segments)], line_id)})
                piece = text[start:end] if width == 1 else " "
                segments.append(Segment(piece, offset if style is None else style + offset))
    # Cells beyond have no offset of their own: Textual uses the end of the segment before them.
    segments.append(Segment("", Style.from_meta({"offset": (rest, line_id)})))
    return RowStrip([*segments, *beyond], row.cell_length)
