"""A scroll view positioned by an anchor: a row of a line, or the end.

Textual scrolls by row number. A row number is a poor position for a chat log: it changes when older
lines are prepended or trimmed, when a post above is folded, and when a new width wraps the lines
differently. So the view stores the anchor, which names a line, and derives the row number from it each
time the rows change. The reverse, a row number that becomes an anchor, happens only when the user scrolls.
Without an anchor the view follows the end.

Deriving the row number requires the heights of the lines above. The index measures the lines near the
view at once and estimates the others. A timer then measures those in slices of `SLICE_S`, so a long log
never delays a key press. Estimates that turn out wrong change row numbers, but not the anchor, so nothing
on the screen moves.

Virtual size and scroll position are set with `set_reactive`, which skips Textual's watchers. The watchers
lay out the whole screen and draw a second frame for each new line (measured: 12 ms instead of 3 ms). The
view therefore updates its scrollbar itself, in `_update_scrollbar`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from time import monotonic

from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar, ScrollDown, ScrollTo, ScrollUp
from textual.widget import Widget

from broadcast_tui.tui.model.transcript.layout import NAME_MIN, RowLayout
from broadcast_tui.tui.model.transcript.row_index import RowAnchor, RowIndex
from broadcast_tui.tui.widgets.log_scrollbar import log_scrollbar

SLICE_S = 0.004
"""Longest time to measure lines without a pause."""
SLICE_PAUSE_S = 0.008
"""Pause between two slices, for everything else."""
BUSY_PAUSE_S = 0.2
"""The same while there is no time to measure."""
CHROME_ROWS = 6
"""About the rows of a terminal that are not those of the log."""


class AnchoredScrollView(ScrollView, can_focus=True):
    """Scrolls over the rows of a `RowIndex`. It has no border and no padding; subclasses render the rows."""

    DEFAULT_CSS = """
    AnchoredScrollView {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
    }
    """

    vertical_scrollbar = property(log_scrollbar)

    def __init__(
        self,
        index: RowIndex,
        *,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.index = index
        self.top_anchor: RowAnchor | None = None
        """The row at the top of the view. None: the view is at the end and follows it."""
        self.make_layout: Callable[[int, int, int], RowLayout] = RowLayout.of_width
        """The layout of rows for a width in cells, the longest name in cells and the height in rows."""
        self.can_measure: Callable[[], bool] = lambda: True
        """Whether there is time now to measure lines outside the view."""
        self.name_cells = NAME_MIN
        """Cells of the longest name that has been in view."""
        self._at_top = False
        self._measuring = False
        self._resizing = False
        self._known_size: tuple[Size, Size, Size] | None = None
        self._thumb: tuple[int, ...] = ()

    # Hooks for subclasses

    def anchor_changed(self) -> None:
        """Called when the view was scrolled; `top_anchor` is the new position."""

    def top_reached(self) -> None:
        """Called when the user scrolls to the first row or tries to go above it, once per visit."""

    def columns_changed(self) -> None:
        """Called when a new width has replaced `index.columns`."""

    # Position

    @property
    def is_following(self) -> bool:
        """Whether the newest line is in view and stays there."""
        return self.top_anchor is None

    def scroll_to_anchor(self) -> None:
        """Measure the lines around the anchor and scroll to its current row."""
        index, height = self.index, self.container_size.height
        if height <= 0:
            return
        if self.top_anchor is None:
            index.measure_end(2 * height)
            row = index.total
        else:
            index.measure_around(self.top_anchor, 2 * height)
            row = index.row_of(self.top_anchor)
        row = max(0, min(row, index.total - height))
        self.set_reactive(Widget.virtual_size, Size(index.columns.width, index.total))
        if row != round(self.scroll_y):
            self.set_reactive(Widget.scroll_y, row)
            self.set_reactive(Widget.scroll_target_y, row)
        if row > 0:
            self._at_top = False
        self._update_scrollbar()
        if not index.is_exact and not self._measuring:
            self._measuring = True
            self.set_timer(SLICE_PAUSE_S, self._measure_slice)

    def scroll_to_row(self, row: float) -> None:
        """Scroll so that `row` is at the top, as a user does; a negative row counts as a try to go above."""
        target = min(max(row, 0.0), self.max_scroll_y)
        if target != self.scroll_y:
            self.scroll_target_y = self.scroll_y = target
        elif row < 0:
            self._reach_top()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self._resizing:
            return
        row = round(new_value)
        self.top_anchor = None if row >= self.max_scroll_y else self.index.measure_anchor(row)
        self.scroll_to_anchor()
        if round(old_value) != row:
            self.refresh()
        self.anchor_changed()
        if row <= 0:
            self._reach_top()

    def _reach_top(self) -> None:
        if not self._at_top:
            self._at_top = True
            self.top_reached()

    def _measure_slice(self) -> None:
        """Measure lines outside the view for `SLICE_S`; nothing in view moves."""
        if not self.can_measure():
            self.set_timer(BUSY_PAUSE_S, self._measure_slice)
            return
        self._measuring = False
        until = monotonic() + SLICE_S
        self.index.measure_some(lambda: monotonic() >= until)
        self.scroll_to_anchor()

    def _update_scrollbar(self) -> None:
        """Redraw the scrollbar only if its thumb has changed: this is nearly half the cost of a frame."""
        if not (self.show_vertical_scrollbar and self.styles.scrollbar_size_vertical):
            return
        height, total = self.container_size.height, self.index.total
        # The same arithmetic as in Textual, down to rounding.
        cells = max(1, height / (max(1, total) / height))
        start = int((height - cells) * (self.scroll_y / max(1, total - height)) * 8)
        thumb = (height, start, ceil(cells * 8))
        bar = self.vertical_scrollbar
        # Always set these, without watchers: a layout of the screen sets some of them and draws the bar.
        bar.set_reactive(ScrollBar.window_virtual_size, total)
        bar.set_reactive(ScrollBar.window_size, height)
        bar.set_reactive(ScrollBar.position, self.scroll_y)
        if thumb != self._thumb:
            self._thumb = thumb
            bar.refresh()

    # Size

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        # Each layout of the screen calls this on every widget, even after a key press in the composer.
        known = (size, container_size, self.size)
        if known == self._known_size:
            return False
        self._known_size = known
        self._resizing = True
        try:
            resized = super()._size_updated(size, virtual_size, container_size, layout)
        finally:
            self._resizing = False
        self.fit_columns()
        self._thumb = ()
        self.scroll_to_anchor()
        return resized

    def fit_columns(self, name_cells: int = 0) -> None:
        """Lay out the rows again if width, height or the longest name require it.

        The column of names is widened to `name_cells`, up to a limit; it never gets narrower.
        """
        self.name_cells = max(self.name_cells, name_cells)
        if self._known_size is None:
            return
        width = max(0, self.container_size.width - self.scrollbar_size_vertical)
        # The height of the terminal: that of the log changes with each line in the composer.
        columns = self.make_layout(width, self.name_cells, max(1, self.app.size.height - CHROME_ROWS))
        if columns != self.index.columns:
            self.index.resize(columns)
            self.columns_changed()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return container.height

    # Keys and mouse. Nothing is animated: each intermediate frame is expensive over a slow connection.

    def action_scroll_up(self) -> None:
        self.scroll_to_row(round(self.scroll_y) - 1)

    def action_scroll_down(self) -> None:
        self.scroll_to_row(round(self.scroll_y) + 1)

    def action_page_up(self) -> None:
        self.scroll_to_row(round(self.scroll_y) - max(1, self.container_size.height - 1))

    def action_page_down(self) -> None:
        self.scroll_to_row(round(self.scroll_y) + max(1, self.container_size.height - 1))

    def action_scroll_home(self) -> None:
        self.scroll_to_row(-1)

    def action_scroll_end(self) -> None:
        self.scroll_to_row(self.max_scroll_y)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        if self.scroll_y <= 0:
            self._reach_top()

    def on_scroll_up(self, event: ScrollUp) -> None:
        event.prevent_default().stop()
        self.action_page_up()

    def on_scroll_down(self, event: ScrollDown) -> None:
        event.prevent_default().stop()
        self.action_page_down()

    def on_scroll_to(self, event: ScrollTo) -> None:
        event.prevent_default().stop()
        if event.y is not None:
            self.scroll_to_row(event.y)
