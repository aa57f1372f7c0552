"""A message log whose text can be selected by mouse, and whose posts can be picked and marked.

What is selected is characters of lines, never cells of the screen: it stays the same when the log scrolls,
is wrapped anew, grows or is trimmed. Marks are put over rows when they are handed out; drawn lines are
kept without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Offset, Region
from textual.selection import Selection
from textual.strip import Strip

from broadcast_tui.tui.model.text.wrapping import cells_of, clusters, is_single
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.find import Pattern
from broadcast_tui.tui.model.transcript.layout import RowLayout
from broadcast_tui.tui.model.transcript.navigation import line_of, post_from, post_id_of, post_near
from broadcast_tui.tui.model.transcript.row_index import RowAnchor
from broadcast_tui.tui.model.transcript.row_text import RowText
from broadcast_tui.tui.model.transcript.selection import Excerpt, TextPosition, excerpt, word_at
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.widgets.line_renderer import LineRenderer, RowStrip
from broadcast_tui.tui.widgets.message_log import MessageLog

PICK_MARK = "▶"
_ANY_ROW = 2**31
"""More rows than a line has: stands for its last one."""
_MARKS = ("selected", "picked", "pick-mark", "found", "found-here")


class LogHighlights(MessageLog, can_focus=False):
    """Tells nobody what is selected or picked: whoever wants to know asks."""

    DEFAULT_CSS = """
    LogHighlights {
        & > .message-log--selected { background: $screen-selection-background; color: $foreground; }
        & > .message-log--picked { background: $primary 30%; }
        & > .message-log--pick-mark { background: $primary 30%; color: $text-primary; text-style: bold; }
        & > .message-log--found { background: $warning 35%; text-style: underline; }
        & > .message-log--found-here { background: $warning; color: auto; text-style: bold underline; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"message-log--{mark}" for mark in _MARKS}
    ALLOW_SELECT = True

    def __init__(self, transcript: Transcript | None = None, *, id: str | None = None) -> None:
        super().__init__(transcript, id=id)
        self._is_bare = False
        self._picked: int | None = None
        self._picked_post = ""
        """Id of the post that is picked; empty if it has none yet."""
        self._laid_count = self.transcript.laid_count
        self._pattern: Pattern | None = None
        self._row_texts: dict[int, RowText] = {}
        """Of lines with marks, while rows are handed out; so is the next."""
        self._found: dict[int, list[tuple[int, int, str]]] = {}

    @property
    def is_bare(self) -> bool:
        """Whether nothing but text is shown, for the terminal to select from."""
        return self._is_bare

    @is_bare.setter
    def is_bare(self, bare: bool) -> None:
        self._is_bare = bare
        self._known_size = None
        self.refresh(layout=True)

    def columns_of(self, width: int) -> RowLayout:
        return RowLayout.bare(width) if self._is_bare else super().columns_of(width)

    # What is picked and marked

    @property
    def picked(self) -> int | None:
        """Id of the line that is picked."""
        return self._picked

    @property
    def picked_line(self) -> Line | None:
        return None if self._picked is None else self.transcript.line(self._picked)

    def pick(self, line_id: int | None) -> None:
        """Mark this line alone, and bring it into view, unfolded; None: mark none."""
        self._picked = line_id
        if line_id is not None:
            self._picked_post = post_id_of(self.transcript, line_id)
            if self._is_long(line_id):
                self.unfold(line_id)
            self.bring_into_view(line_id)
        self.refresh()

    def on_resize(self) -> None:
        """A row less, such as that of a bar that was opened, must not hide what is picked."""
        if self._picked is not None:
            self.call_after_refresh(self._show_picked)

    def _show_picked(self) -> None:
        if self._picked is not None:
            self.bring_into_view(self._picked, least=True)

    def keep_picked(self) -> None:
        """Lines may have got other ids: let the same post be picked still, and nothing be selected."""
        if self._laid_count == self.transcript.laid_count:
            return
        self._laid_count = self.transcript.laid_count
        if self._picked is not None:
            self._picked = line_of(self.transcript, self._picked_post) if self._picked_post else None
        if self.text_selection is not None:
            self.screen.clear_selection()

    def mark(self, pattern: Pattern | None) -> None:
        """Mark what `pattern` finds, wherever it is in view; None: mark nothing."""
        self._pattern = pattern
        self.refresh()

    def newest_in_view(self) -> int | None:
        """The last post in view, or else the next one above or below."""
        return post_near(self.transcript, self.last_line_in_view())

    def last_line_in_view(self) -> int:
        """Id of the line at the bottom."""
        place = self.index.line_at(round(self.scroll_y) + self.container_size.height - 1)
        return self.transcript.settled_id - 1 if place is None else place.line_id

    def post_a_page_from(self, line_id: int, step: int) -> int | None:
        """The post about a page above (`step` -1) or below (1) a line."""
        row = self.index.row_of(RowAnchor(line_id, 0)) + step * max(1, self.container_size.height - 2)
        place = self.index.settle(row)
        if place is None:
            return None
        beyond = post_from(self.transcript, place.line_id, step)
        return post_from(self.transcript, place.line_id, -step) if beyond is None else beyond

    def bring_into_view(self, line_id: int, *, least: bool = False) -> None:
        """Scroll, if the line is not wholly in view, so that it is: its first row a third from the top.

        With `least`, scroll no more than it takes. Of a line that is taller than the view, what was found in
        it comes there.
        """
        height = self.container_size.height
        self.index.update()
        self.index.measure_around(RowAnchor(line_id, 0), 2 * height)
        first, last = (self.index.row_of(RowAnchor(line_id, row)) for row in (0, _ANY_ROW))
        top = round(self.scroll_y)
        if height <= 0 or top <= first <= last < top + height:
            return
        if last - first < height:
            room = height - (last - first + 1)
            above = min(height // 3, room) if not least else 0 if first < top else room
            self.go_to(self.index.settle(first - above))
        else:
            self.go_to(self.index.settle(first + max(0, self._row_found(line_id) - height // 3)))

    def _row_found(self, line_id: int) -> int:
        """The row of a line that shows the first of what is found in it; 0 if nothing is."""
        line = self._shown_line(line_id)
        found = self._pattern.search(line.text) if self._pattern and line else None
        return self._text_of(line).row_of(found.start()) if line and found else 0

    def _shown_line(self, line_id: int) -> Line | None:
        """A line as it is shown; None if it is not."""
        line = self.transcript.line(line_id)
        return None if line is None else self.index.showing.shown_line(line)

    def _text_of(self, line: Line) -> RowText:
        return RowText(line, self.index.columns, folded=self.index.showing.folds(line.id))

    def go_to(self, place: RowAnchor | None) -> None:
        """Stand at `place`; None: follow the newest line."""
        if place is None:
            self.follow()
            return
        self.place = place
        self.settle()
        if self.scroll_y >= self.max_scroll_y:
            self.place = None
        self.refresh()
        self.place_changed()

    def show(self, transcript: Transcript, unseen: int = 0) -> None:
        if transcript is not self.transcript and self.is_attached:
            self._picked = self._pattern = None
            self._laid_count = transcript.laid_count
            self.screen.clear_selection()
        super().show(transcript, unseen)

    def _sync(self) -> None:
        self.keep_picked()
        super()._sync()

    # Selecting

    def selected(self) -> Excerpt | None:
        """What is selected in the log."""
        selection = self.text_selection
        if selection is None:
            return None
        start, end = (None if offset is None else TextPosition(offset.y, offset.x) for offset in selection)
        return excerpt(self.transcript, start, end, self.index.showing)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        selected = self.selected()
        return None if selected is None else (selected.text, "\n")

    def held_in_text(self, x: int, y: int) -> tuple[int, int]:
        """The cell of the log nearest to one of the screen: a drag that leaves the log stays at its edge."""
        region = self.region
        right = region.x + max(0, self.index.columns.width - 1)
        return min(max(x, region.x), right), min(max(y, region.y), max(region.y, region.bottom - 1))

    def on_click(self, event: events.Click) -> None:
        """Two clicks select a word, three a post."""
        if event.chain not in (2, 3):
            return
        event.prevent_default()
        event.stop()
        spot = self.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)[1]
        line = None if spot is None else self._shown_line(spot.y)
        if spot is None or line is None:
            return
        start, end = word_at(line.text, spot.x) if event.chain == 2 else (0, len(line.text))
        self.screen.selections = {self: Selection(Offset(start, line.id), Offset(end, line.id))}

    def render_line(self, y: int) -> Strip:
        """A row for Textual to see what the mouse is over: cell by cell, with index and line id."""
        row = super().render_line(y)
        place = self.index.line_at(round(self.scroll_y) + y)
        last_id = self.transcript.settled_id - 1
        line = self._shown_line(last_id if place is None else place.line_id)
        if line is None:
            return row
        text_row = None if place is None else self.index.text_row(place)
        return _with_offsets(row, self._cell_indices(line, text_row), line.id)

    def _cell_indices(self, line: Line, row: int | None) -> tuple[list[int], int]:
        """For each cell of a row from the left the index it stands for, and that for all cells further right.

        `row` None: a row below all lines, which stands for the end of the last one.
        """
        length = len(line.text)
        if row is None:
            return [], length
        columns = self.index.columns
        if row < 0:
            # The unread line stands for what is above the post.
            return [-1] * columns.width, -1
        if line.kind is LineKind.DAY:
            return [-1] * (columns.width // 2), length
        text = self._text_of(line)
        if row >= len(text.rows):
            return [], length
        return [text.before(row)] * columns.gutter + text.cell_indices(row), text.end(row)

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        self._row_texts.clear()
        self._found.clear()
        return super().render_lines(crop)

    def _row(self, painter: LineRenderer, y: int) -> Strip:
        row = super()._row(painter, y)
        selection = self.text_selection
        if selection is None and self._picked is None and self._pattern is None:
            return row
        place = self.index.line_at(y)
        line = None if place is None else self._shown_line(place.line_id)
        text_row = -1 if place is None else self.index.text_row(place)
        if line is None or text_row < 0:
            return row
        if line.id == self._picked:
            row = self._with_pick(painter, row, text_row)
        spans = self._found_in(line)
        if selection is not None and (span := selection.get_span(line.id)) is not None:
            start, end = span
            spans.append((max(0, start), len(line.text) if end < 0 else end, "selected"))
        return self._with_spans(painter, row, text_row, line, spans) if spans else row

    def _found_in(self, line: Line) -> list[tuple[int, int, str]]:
        if self._pattern is None or line.kind not in (LineKind.POST, LineKind.ACTION):
            return []
        if line.id not in self._found:
            mark = "found-here" if line.id == self._picked else "found"
            self._found[line.id] = [(*match.span(), mark) for match in self._pattern.finditer(line.text)]
        return self._found[line.id].copy()

    def _with_pick(self, painter: LineRenderer, row: Strip, row_number: int) -> Strip:
        """`row` of the picked line: on another background, the first one with a mark that needs no color."""
        background = Style(bgcolor=self._mark_style("picked").bgcolor)
        row = self._restyled(row, 0, painter.columns.width, background)
        if row_number > 0 or painter.columns.gutter == 0:
            return row
        # Where the gutter begins with the time, the mark goes into the blank after it.
        at = 0 if painter.columns.margin or not painter.columns.time else painter.columns.time - 1
        return self._restyled(row, at, at + 1, self._mark_style("pick-mark"), PICK_MARK)

    def _with_spans(
        self,
        painter: LineRenderer,
        row: Strip,
        text_row: int,
        line: Line,
        spans: Sequence[tuple[int, int, str]],
    ) -> Strip:
        columns = painter.columns
        if line.kind is LineKind.DAY:
            if any(start < end for start, end, _ in spans):
                return self._restyled(row, 0, columns.width, self._mark_style("selected"))
            return row
        text = self._row_texts.get(line.id)
        if text is None:
            text = self._row_texts[line.id] = self._text_of(line)
        if text_row >= len(text.rows):
            return row
        # A long post may have thousands of matches, of which a row has a few.
        begun, ended = text.written_at(text.rows[text_row][0]), text.end(text_row)
        for start, end, mark in spans:
            cells = text.cells(text_row, start, end) if start < ended and end > begun else None
            if cells is not None:
                first, last = (columns.gutter + cell for cell in cells)
                row = self._restyled(row, first, last, self._mark_style(mark))
        return row

    def _mark_style(self, mark: str) -> Style:
        return self.get_component_rich_style(f"message-log--{mark}")

    def _restyled(self, row: Strip, start: int, end: int, style: Style, instead: str = "") -> Strip:
        """`row` with `style` over its cells from `start` to before `end`, maybe with others `instead`."""
        before, middle, after = _cut(row, start, end)
        if instead:
            middle = [Segment(instead)]
        middle = list(Segment.apply_style(middle, post_style=style))
        for line_filter in self.get_line_filters():
            middle = line_filter.apply(middle, self.background_colors[1])
        return RowStrip([*before, *middle, *after], row.cell_length)


def _cut(row: Strip, start: int, end: int) -> tuple[list[Segment], list[Segment], list[Segment]]:
    """What `row` has before cell `start`, from there to before `end`, and after; no cluster is cut."""
    parts: tuple[list[Segment], list[Segment], list[Segment]] = ([], [], [])
    x = 0
    for text, style, _ in row:
        for piece, cells in _pieces(text, (start - x, end - x)):
            part = parts[0] if x < start else parts[1] if x < end else parts[2]
            part.append(Segment(piece, style))
            x += cells
    return parts


def _pieces(text: str, cuts: Sequence[int]) -> list[tuple[str, int]]:
    """`text` in pieces, with their cells, parted at those of `cuts` (cells, rising) that lie in it."""
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
    """`row` in segments that Textual can look up: one a cell as far as there are indices, then the rest.

    A wide character is two blanks here: nobody sees them, and each half leads to all of it.
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
    # What is beyond has no place of its own: Textual takes the end of the segment before it.
    segments.append(Segment("", Style.from_meta({"offset": (rest, line_id)})))
    return RowStrip([*segments, *beyond], row.cell_length)
