"""Shows a transcript: only the rows on the screen are ever wrapped, drawn or kept.

Where the log stands is a place, a row of a line, or the end, which it then follows. Row numbers are
made from it, never the other way round, unless the user scrolls. So lines that arrive, are put above
or are trimmed, and a change of width, leave what is read where it is.

Textual's virtual size and scroll position are set behind the back of their watchers, which would lay
out the whole screen and draw a second frame for each line (measured: 12 ms instead of 3).

This widget must have neither border nor padding: what it draws goes to the compositor as it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar
from weakref import WeakKeyDictionary

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.strip import Strip
from textual.widget import Widget

from broadcast_tui.tui.model.colour import palette
from broadcast_tui.tui.model.columns import Columns
from broadcast_tui.tui.model.row_index import Place, RowIndex
from broadcast_tui.tui.model.transcript import Transcript
from broadcast_tui.tui.widgets.line_strips import LinePainter, LogStyles

FRAME_S = 0.05
"""Least time between two looks at a transcript that changes all the time."""
SLICE_S = 0.004
"""How long measuring may hold up everything else."""
SLICE_PAUSE_S = 0.008
_LINES_KEPT_DRAWN = 256


@dataclass(slots=True)
class _Stand:
    """Where a transcript that is not shown was left. `place` None: at the end."""

    place: Place | None
    seen_count: int


class MessageLog(ScrollView, can_focus=True):
    """The lines of a room, following the newest unless scrolled up."""

    DEFAULT_CSS = """
    MessageLog {
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        scrollbar-color: $foreground 20%;
        scrollbar-color-hover: $foreground 40%;
        scrollbar-color-active: $foreground 60%;
        & > .message-log--time { color: $foreground 60%; }
        & > .message-log--rule { color: $foreground 25%; }
        & > .message-log--system { color: $foreground 60%; }
        & > .message-log--error { color: $text-error; }
        & > .message-log--day { color: $foreground 45%; }
        & > .message-log--own { text-style: bold; }
        & > .message-log--pending { color: $foreground 60%; text-style: italic; }
        & > .message-log--mention { background: $warning 15%; }
        & > .message-log--mention-mark { color: $text-warning; text-style: bold; }
        & > .message-log--badge { background: $primary; color: $background; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "message-log--time",
        "message-log--rule",
        "message-log--system",
        "message-log--error",
        "message-log--day",
        "message-log--own",
        "message-log--pending",
        "message-log--mention",
        "message-log--mention-mark",
        "message-log--badge",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", "Line up", show=False),
        Binding("down", "scroll_down", "Line down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_home", "Oldest", show=False),
        Binding("end", "scroll_end", "Newest", show=False),
    ]
    ALLOW_SELECT = False

    class UnseenChanged(Message):
        """`count` posts have arrived below, while the log stood further up."""

        def __init__(self, log: MessageLog, count: int) -> None:
            super().__init__()
            self.log = log
            self.count = count

        @property
        def control(self) -> MessageLog:
            return self.log

    class TopReached(Message):
        """The user went to the oldest line: older ones may be fetched. Once for each reach of it."""

        def __init__(self, log: MessageLog) -> None:
            super().__init__()
            self.log = log

        @property
        def control(self) -> MessageLog:
            return self.log

    def __init__(
        self,
        transcript: Transcript | None = None,
        *,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._transcript = transcript or Transcript()
        self._index = RowIndex(self._transcript, Columns.of_width(0))
        self._place: Place | None = None
        self._seen_count = self._transcript.arrived_count
        self._unseen = 0
        self._top_told = False
        self._stands: WeakKeyDictionary[Transcript, _Stand] = WeakKeyDictionary()
        self._strips: dict[int, list[Strip]] = {}
        """Drawn lines by their id, the ones drawn first going first."""
        self._drawn_ids = (0, 0)
        """First and settled id of the transcript that `_strips` belong to."""
        self._painter: LinePainter | None = None
        self._badge_style = Style()
        self._measuring = False
        self._moving = False
        self._known_size: tuple[Size, Size, Size] | None = None
        self._thumb: tuple[int, ...] = ()
        self._due: asyncio.TimerHandle | None = None
        self._synced_at = -FRAME_S

    # What others call

    @property
    def transcript(self) -> Transcript:
        return self._transcript

    @property
    def unseen(self) -> int:
        """Posts of others that arrived while the log was scrolled up."""
        return self._unseen

    @property
    def is_following(self) -> bool:
        """Whether the newest line is, and stays, in view."""
        return self._place is None

    def show(self, transcript: Transcript) -> None:
        """Show another transcript, where it was left, or else its end."""
        if transcript is self._transcript:
            return
        self._stands[self._transcript] = _Stand(self._place, self._seen_count)
        stand = self._stands.pop(transcript, None) or _Stand(None, transcript.arrived_count)
        self._transcript = transcript
        self._place, self._seen_count = stand.place, stand.seen_count
        self._index = RowIndex(transcript, self._index.columns)
        self._top_told = False
        self._painter = None
        self._strips.clear()
        self._sync()
        self.refresh()

    def refresh_lines(self, y_start: int = 0, line_count: int = 1) -> None:
        """The transcript has changed: look at it again, once a frame however often this is called.

        What changed is found out; both arguments are there because a ScrollView has them.
        """
        if self._due is None and self.is_attached:
            wait_s = max(0.0, self._synced_at + FRAME_S - monotonic())
            self._due = asyncio.get_running_loop().call_later(wait_s, self.call_next, self._sync)

    def follow(self) -> None:
        """Go to the newest line and stay with it."""
        self._place = None
        self._settle()
        self._count_unseen()
        self.refresh()

    # Following the transcript

    def _sync(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._synced_at = monotonic()
        transcript = self._transcript
        first_id, settled_id = self._drawn_ids
        all_settled = settled_id == transcript.settled_id and not transcript.pending_count
        was_below = self._last_id_in_view() < settled_id
        if first_id != transcript.first_id:
            self._strips.clear()
            was_below = False
        else:
            for line_id in [line_id for line_id in self._strips if line_id >= settled_id]:
                del self._strips[line_id]
        self._drawn_ids = (transcript.first_id, transcript.settled_id)
        if self._place is not None and self.scroll_y >= self.max_scroll_y and not all_settled:
            self._place = None
        self._index.update()
        self._settle()
        self._count_unseen()
        if self._place is None or not was_below:
            self.refresh()

    def _last_id_in_view(self) -> int:
        place = self._index.line_at(round(self.scroll_y) + self.container_size.height - 1)
        return self._transcript.settled_id if place is None else place.line_id

    def _count_unseen(self) -> None:
        if self._place is None:
            self._seen_count = self._transcript.arrived_count
        unseen = self._transcript.arrived_count - self._seen_count
        if unseen != self._unseen:
            self._unseen = unseen
            self.post_message(self.UnseenChanged(self, unseen))
            height = self.container_size.height
            self.refresh(Region(0, height - 1, self.container_size.width, 1))

    # Where the log stands

    def _settle(self) -> None:
        """Put the scroll position where the place is, all around it measured."""
        index, height = self._index, self.container_size.height
        if height <= 0:
            return
        if self._place is None:
            index.measure_end(2 * height)
            row = index.total
        else:
            index.measure_around(self._place, 2 * height)
            row = index.row_of(self._place)
        self.set_reactive(Widget.virtual_size, Size(index.columns.width, index.total))
        row = max(0, min(row, index.total - height))
        if row != round(self.scroll_y):
            self.set_reactive(Widget.scroll_y, row)
            self.set_reactive(Widget.scroll_target_y, row)
        self._move_thumb()
        if not index.is_exact:
            self._measure_later()

    def _go_to(self, row: float) -> None:
        """Scroll, at the user's wish, so that `row` is on top."""
        row = min(max(row, 0.0), self.max_scroll_y)
        if row != self.scroll_y:
            self.scroll_target_y = self.scroll_y = row
        if row <= 0:
            self._tell_top()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self._moving:
            return
        row = round(new_value)
        self._place = None if row >= self.max_scroll_y else self._index.settle(row)
        self._settle()
        self._count_unseen()
        if row <= 0:
            self._tell_top()
        else:
            self._top_told = False
        if round(old_value) != row:
            self.refresh()

    def _tell_top(self) -> None:
        if not self._top_told:
            self._top_told = True
            self.post_message(self.TopReached(self))

    def _measure_later(self) -> None:
        if not self._measuring:
            self._measuring = True
            self.set_timer(SLICE_PAUSE_S, self._measure_slice)

    def _measure_slice(self) -> None:
        """Measure for a while what is not in view; nothing in view moves by it."""
        self._measuring = False
        until = monotonic() + SLICE_S
        self._index.measure_some(lambda: monotonic() >= until)
        self._settle()

    def _move_thumb(self) -> None:
        """Redraw the scrollbar, a third of the cost of a frame, only if its thumb looks different."""
        if not (self.show_vertical_scrollbar and self.styles.scrollbar_size_vertical):
            return
        height, total = self.container_size.height, self._index.total
        eighths = 8 * height / max(1, total)
        thumb = (height, int(self.scroll_y * eighths), int(min(height, total) * eighths))
        if thumb != self._thumb:
            self._thumb = thumb
            bar = self.vertical_scrollbar
            bar.window_virtual_size = total
            bar.window_size = height
            bar.position = self.scroll_y

    # Size and style

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        # Every layout of the screen, which a key in an input can cause, asks this of each widget.
        known = (size, container_size, self.size)
        if known == self._known_size:
            return False
        self._known_size = known
        self._moving = True
        try:
            resized = super()._size_updated(size, virtual_size, container_size, layout)
        finally:
            self._moving = False
        columns = Columns.of_width(max(0, self.container_size.width - self.scrollbar_size_vertical))
        if columns != self._index.columns:
            self._index.resize(columns)
            self._painter = None
            self._strips.clear()
        self._thumb = ()
        self._settle()
        return resized

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return container.height

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter = None
        self._strips.clear()

    def on_unmount(self) -> None:
        if self._due is not None:
            self._due.cancel()

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        painter = self._painter or self._make_painter()
        width = painter.columns.width
        top = round(self.scroll_y)
        rows = [self._row(painter, top + y) for y in range(crop.y, crop.bottom)]
        last = self.container_size.height - 1
        if self._unseen and crop.y <= last < crop.bottom:
            badge = f" ↓ {self._unseen:,} new "
            rows[last - crop.y] = painter.with_badge(rows[last - crop.y], badge, self._badge_style)
        if crop.x > 0 or crop.right < width:
            rows = [row.crop(crop.x, crop.right) for row in rows]
        return rows

    def render_line(self, y: int) -> Strip:
        return self.render_lines(Region(0, y, self.container_size.width, 1))[0]

    def _row(self, painter: LinePainter, y: int) -> Strip:
        place = self._index.line_at(y)
        if place is None:
            return painter.blank
        rows = self._strips.get(place.line_id)
        if rows is None:
            line = self._transcript.line(place.line_id)
            if line is None:
                return painter.blank
            rows = painter.paint(line, self._transcript.line(place.line_id - 1))
            while len(self._strips) >= _LINES_KEPT_DRAWN:
                del self._strips[next(iter(self._strips))]
            self._strips[place.line_id] = rows
        return rows[place.row] if place.row < len(rows) else painter.blank

    def _make_painter(self) -> LinePainter:
        def style(part: str) -> Style:
            return self.get_component_rich_style(f"message-log--{part}")

        text = self.rich_style
        background = self.background_colors[1]
        own = style("own")
        styles = LogStyles(
            text=text,
            time=style("time"),
            rule=style("rule"),
            system=style("system"),
            error=style("error"),
            day=style("day"),
            own=own,
            pending=style("pending"),
            mention=style("mention"),
            mention_mark=style("mention-mark"),
            names=tuple(text + Style(color=colour) for colour in palette(background.rgb)),
            link=Style(underline=True),
        )
        self._badge_style = style("badge")
        filters = self.get_line_filters()
        self._painter = LinePainter(self._index.columns, styles, self._transcript.zone, filters, background)
        return self._painter

    # Keys and mouse

    def action_scroll_up(self) -> None:
        self._go_to(round(self.scroll_y) - 1)

    def action_scroll_down(self) -> None:
        self._go_to(round(self.scroll_y) + 1)

    def action_page_up(self) -> None:
        self._go_to(round(self.scroll_y) - max(1, self.container_size.height - 1))

    def action_page_down(self) -> None:
        self._go_to(round(self.scroll_y) + max(1, self.container_size.height - 1))

    def action_scroll_home(self) -> None:
        self._go_to(0)

    def action_scroll_end(self) -> None:
        self.follow()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        if self.scroll_y <= 0:
            self._tell_top()

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

    def on_click(self, event: events.Click) -> None:
        """A click on `↓ 12 new` goes there."""
        last = self.container_size.height - 1
        if self._unseen and event.y == last and event.x >= self._index.columns.width - 12:
            event.stop()
            self.follow()
