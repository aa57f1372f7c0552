"""A scroll view that stands at a place, a row of a line, or at the end, which it then follows.

Row numbers are made from the place, never the other way round, unless the user scrolls. So lines that
arrive, are put above or are trimmed, and a change of width, leave what is read where it is.

Textual's virtual size and scroll position are set behind the back of their watchers, which would lay
out the whole screen and draw a second frame for each line that arrives (measured: 12 ms, not 3).
"""

from __future__ import annotations

from math import ceil
from time import monotonic

from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar, ScrollDown, ScrollTo, ScrollUp
from textual.widget import Widget

from broadcast_tui.tui.model.transcript.layout import RowLayout
from broadcast_tui.tui.model.transcript.row_index import RowAnchor, RowIndex

SLICE_S = 0.004
"""How long measuring may hold up everything else."""
SLICE_PAUSE_S = 0.008


class AnchoredScrollView(ScrollView, can_focus=True):
    """Scrolls over a `RowIndex`. Has no border and no padding; drawing is left to who derives from it."""

    DEFAULT_CSS = """
    AnchoredScrollView {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
    }
    """

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
        self.place: RowAnchor | None = None
        """What is on top; None: the end is at the bottom, and stays there."""
        self._at_top = False
        self._measuring = False
        self._resizing = False
        self._known_size: tuple[Size, Size, Size] | None = None
        self._thumb: tuple[int, ...] = ()

    # For who derives from it

    def place_changed(self) -> None:
        """The user has scrolled; `place` is where to."""

    def top_reached(self) -> None:
        """The user has come to the first row, or wants to go above it. Once until it is left."""

    def columns_changed(self) -> None:
        """The width has changed; rows are those of `index.columns` now."""

    def columns_of(self, width: int) -> RowLayout:
        """How rows of `width` cells are split."""
        return RowLayout.of_width(width)

    # Where the view stands

    @property
    def is_following(self) -> bool:
        """Whether the newest line is, and stays, in view."""
        return self.place is None

    def settle(self) -> None:
        """Scroll to where the place is now, all around it measured."""
        index, height = self.index, self.container_size.height
        if height <= 0:
            return
        if self.place is None:
            index.measure_end(2 * height)
            row = index.total
        else:
            index.measure_around(self.place, 2 * height)
            row = index.row_of(self.place)
        row = max(0, min(row, index.total - height))
        self.set_reactive(Widget.virtual_size, Size(index.columns.width, index.total))
        if row != round(self.scroll_y):
            self.set_reactive(Widget.scroll_y, row)
            self.set_reactive(Widget.scroll_target_y, row)
        if row > 0:
            self._at_top = False
        self._move_thumb()
        if not index.is_exact:
            self._measure_later()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self._resizing:
            return
        row = round(new_value)
        self.place = None if row >= self.max_scroll_y else self.index.settle(row)
        self.settle()
        if round(old_value) != row:
            self.refresh()
        self.place_changed()
        if row <= 0:
            self._reach_top()

    def _go_to(self, row: float) -> None:
        """Scroll, at the user's wish, so that `row` is on top."""
        target = min(max(row, 0.0), self.max_scroll_y)
        if target != self.scroll_y:
            self.scroll_target_y = self.scroll_y = target
        elif row < 0:
            self._reach_top()

    def _reach_top(self) -> None:
        if not self._at_top:
            self._at_top = True
            self.top_reached()

    def _measure_later(self) -> None:
        if not self._measuring:
            self._measuring = True
            self.set_timer(SLICE_PAUSE_S, self._measure_slice)

    def _measure_slice(self) -> None:
        """Measure for a while what is not in view; nothing in view moves by it."""
        self._measuring = False
        until = monotonic() + SLICE_S
        self.index.measure_some(lambda: monotonic() >= until)
        self.settle()

    def _move_thumb(self) -> None:
        """Redraw the scrollbar, nearly half the cost of a frame, only if its thumb looks different."""
        if not (self.show_vertical_scrollbar and self.styles.scrollbar_size_vertical):
            return
        height, total = self.container_size.height, self.index.total
        # Reckoned as Textual reckons, to the last bit.
        cells = max(1, height / (max(1, total) / height))
        start = int((height - cells) * (self.scroll_y / max(1, total - height)) * 8)
        thumb = (height, start, ceil(cells * 8))
        bar = self.vertical_scrollbar
        # Always, and in silence: a layout of the screen tells the bar some of it, and draws it then.
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
        # Every layout of the screen, which a key in an input can cause, asks this of each widget.
        known = (size, container_size, self.size)
        if known == self._known_size:
            return False
        self._known_size = known
        self._resizing = True
        try:
            resized = super()._size_updated(size, virtual_size, container_size, layout)
        finally:
            self._resizing = False
        columns = self.columns_of(max(0, self.container_size.width - self.scrollbar_size_vertical))
        if columns != self.index.columns:
            self.index.resize(columns)
            self.columns_changed()
        self._thumb = ()
        self.settle()
        return resized

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return container.height

    # Keys and mouse; nothing is animated: a frame for each row between costs most where it hurts most

    def action_scroll_up(self) -> None:
        self._go_to(round(self.scroll_y) - 1)

    def action_scroll_down(self) -> None:
        self._go_to(round(self.scroll_y) + 1)

    def action_page_up(self) -> None:
        self._go_to(round(self.scroll_y) - max(1, self.container_size.height - 1))

    def action_page_down(self) -> None:
        self._go_to(round(self.scroll_y) + max(1, self.container_size.height - 1))

    def action_scroll_home(self) -> None:
        self._go_to(-1)

    def action_scroll_end(self) -> None:
        self._go_to(self.max_scroll_y)

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
            self._go_to(event.y)
