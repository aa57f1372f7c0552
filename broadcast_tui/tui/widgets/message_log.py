"""Shows a transcript: only the rows on the screen are ever wrapped, drawn or kept.

However often a transcript changes, it is looked at once a frame, at most 20 times a second. Drawn
lines are handed to the compositor as they are, so a row that has scrolled is not drawn again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar
from weakref import WeakKeyDictionary

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from broadcast_tui.tui.keymap import first_key, shown_key
from broadcast_tui.tui.model.columns import Columns
from broadcast_tui.tui.model.row_index import Place, RowIndex
from broadcast_tui.tui.model.showing import PresenceShown, Showing
from broadcast_tui.tui.model.transcript import Line, LineKind, Transcript
from broadcast_tui.tui.widgets.line_strips import LinePainter
from broadcast_tui.tui.widgets.log_styles import PARTS, log_styles
from broadcast_tui.tui.widgets.placed_view import PlacedView

FRAME_S = 0.05
"""Least time between two looks at a transcript that changes all the time."""
FLOOD_FRAME_S = 0.1
"""The same while each look finds more new lines than the screen has rows: nobody can read them."""
UNFOLD_ID = "log.unfold-post"
"""Of the key that shows long posts in full."""
LINES_KEPT_DRAWN = 256
"""A few screens: strips are what the garbage collector has most to do with."""


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where a transcript that is not shown was left. `place` None: at the end."""

    place: Place | None
    seen_count: int


class MessageLog(PlacedView):
    """The lines of a room, following the newest unless scrolled up. Knows nothing but transcripts."""

    DEFAULT_CSS = """
    MessageLog {
        background: $background;
        color: $foreground;
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
        & > .message-log--code { background: $foreground 10%; }
        & > .message-log--block { background: $foreground 6%; }
        & > .message-log--marks { color: $foreground 60%; }
        & > .message-log--comment { color: $foreground 80%; }
        & > .message-log--fold { color: $foreground 60%; text-style: italic; }
        & > .message-log--badge { background: $primary; color: auto; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"message-log--{part}" for part in PARTS}
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
        transcript = Transcript() if transcript is None else transcript
        super().__init__(RowIndex(transcript, Columns.of_width(0)), name=name, id=id, classes=classes)
        # Links are opened by the terminal; Textual would draw all rows anew under a moving mouse.
        self.set_reactive(Widget.auto_links, False)
        self._seen_count = transcript.arrived_count
        self._unseen = 0
        self._stands: WeakKeyDictionary[Transcript, _Stand] = WeakKeyDictionary()
        self._unfolded: WeakKeyDictionary[Transcript, set[int]] = WeakKeyDictionary()
        self._painter: LinePainter | None = None
        self._badge_style = Style()
        self._strips: dict[int, list[Strip]] = {}
        """Drawn lines by their id, those drawn first going first."""
        self._drawn_ids = (transcript.first_id, transcript.settled_id)
        """What the transcript had when it was looked at last: its first line, one past its last."""
        self._rewritten_count = transcript.rewritten_count
        self._synced_at = -FRAME_S
        self._frame_s = FRAME_S
        self._due: asyncio.TimerHandle | None = None

    @property
    def transcript(self) -> Transcript:
        return self.index.transcript

    @property
    def unseen(self) -> int:
        """Posts of others that arrived while the log was scrolled up."""
        return self._unseen

    def show(self, transcript: Transcript) -> None:
        """Show another transcript, where it was left, or else its end."""
        if transcript is self.transcript:
            self.refresh_lines()
            return
        self._stands[self.transcript] = _Stand(self.place, self._seen_count)
        stand = self._stands.pop(transcript, None) or _Stand(None, transcript.arrived_count)
        self.place, self._seen_count = stand.place, stand.seen_count
        self._unfolded[self.transcript] = self.index.showing.unfolded
        showing = Showing(self.index.showing.presence, self._unfolded.setdefault(transcript, set()))
        self.index = RowIndex(transcript, self.index.columns, showing)
        self._drawn_ids = (transcript.first_id, transcript.settled_id)
        self._rewritten_count = transcript.rewritten_count
        self._forget_drawn()
        self.settle()
        self._count_unseen()
        self.refresh()

    def refresh_lines(self, y_start: int = 0, line_count: int = 1) -> None:
        """The transcript has changed: look at it again, once a frame however often this is called.

        What changed is found out; the arguments are there only because a ScrollView has them.
        """
        if self._due is None and self.is_attached:
            wait_s = max(0.0, self._synced_at + self._frame_s - monotonic())
            self._due = asyncio.get_running_loop().call_later(wait_s, self.call_next, self._sync)

    def follow(self) -> None:
        """Go to the newest line and stay with it."""
        self.place = None
        self._sync()
        self.refresh()

    def action_scroll_end(self) -> None:
        self.follow()

    # What is shown

    def unfold_next(self) -> bool:
        """Show the lowest folded post in view in full, or else fold all in view; false if none is long."""
        top, height = round(self.scroll_y), self.container_size.height
        places = filter(None, (self.index.line_at(top + y) for y in range(height)))
        in_view = dict.fromkeys(place.line_id for place in places)
        long_ids = [line_id for line_id in in_view if self._is_long(line_id)]
        unfolded = self.index.showing.unfolded
        folded = [line_id for line_id in long_ids if line_id not in unfolded]
        self._toggle_folds(folded[-1:] or long_ids)
        return bool(long_ids)

    def unfold(self, line_id: int) -> None:
        """Show a post in full."""
        if line_id not in self.index.showing.unfolded:
            self._toggle_folds([line_id])

    def show_next_presence(self) -> PresenceShown:
        """Show more or fewer of the lines that say who came and went; returns which."""
        showing = self.index.showing
        showing.presence = showing.presence.next()
        self._recount(None)
        return showing.presence

    def _is_long(self, line_id: int) -> bool:
        line = self.transcript.line(line_id)
        if line is None or line.kind > LineKind.ACTION:
            return False
        return self.index.columns.lay(line.kind, line.sender, line.text).is_long

    def _toggle_folds(self, line_ids: list[int]) -> None:
        for line_id in line_ids:
            self.index.showing.toggle(line_id)
            self._recount(line_id)

    def _recount(self, line_id: int | None) -> None:
        """Other rows are shown, of a line or of all (None): what is on top of the view stays there."""
        place = self.place
        if place is None and line_id is not None and self.index.total > self.container_size.height:
            place = self.index.line_at(round(self.scroll_y))
        self.index.recount(line_id)
        self._strips.clear()
        self.place = place
        self.settle()
        if self.scroll_y >= self.max_scroll_y:
            self.place = None
            self.settle()
        self.refresh()
        self.place_changed()

    # Keeping up with the transcript

    def _sync(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._synced_at = monotonic()
        transcript, height = self.transcript, self.container_size.height
        first_id, settled_id = self._drawn_ids
        self._frame_s = FLOOD_FRAME_S if transcript.settled_id - settled_id > height > 0 else FRAME_S
        rewritten = self._rewritten_count != transcript.rewritten_count
        self._rewritten_count = transcript.rewritten_count
        is_in_view = rewritten or first_id != transcript.first_id or self._last_id_in_view() >= settled_id
        if rewritten or first_id != transcript.first_id:
            self._strips.clear()
        else:
            for line_id in [line_id for line_id in self._strips if line_id >= settled_id]:
                del self._strips[line_id]
        self._drawn_ids = (transcript.first_id, transcript.settled_id)
        was_at_end = self.scroll_y >= self.max_scroll_y
        self.index.update()
        if height > 0 and (self.index.total <= height or (is_in_view and was_at_end)):
            self.place = None
        self.settle()
        self._count_unseen()
        if is_in_view or self.place is None:
            self.refresh()

    def _last_id_in_view(self) -> int:
        place = self.index.line_at(round(self.scroll_y) + self.container_size.height - 1)
        return self._drawn_ids[1] if place is None else place.line_id

    def _count_unseen(self) -> None:
        if self.place is None:
            self._seen_count = self.transcript.arrived_count
        unseen = self.transcript.arrived_count - self._seen_count
        if unseen != self._unseen:
            self._unseen = unseen
            self.post_message(self.UnseenChanged(self, unseen))
            width, height = self.container_size
            self.refresh(Region(0, max(0, height - 1), width, 1))

    def place_changed(self) -> None:
        self._count_unseen()

    def top_reached(self) -> None:
        self.post_message(self.TopReached(self))

    def columns_changed(self) -> None:
        self._forget_drawn()
        self._sync()

    def on_unmount(self) -> None:
        if self._due is not None:
            self._due.cancel()

    def on_click(self, event: events.Click) -> None:
        """A click on `↓ 12 new` goes there; one on `… 37 more lines` shows them."""
        last = self.container_size.height - 1
        place = self.index.line_at(round(self.scroll_y) + event.y)
        if place is not None and place.row == self._fold_row(place.line_id):
            event.stop()
            self.unfold(place.line_id)
        elif (
            self._unseen and event.y == last and event.x >= self.index.columns.width - len(self._badge()) - 1
        ):
            event.stop()
            self.follow()

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        painter = self._painter or self._make_painter()
        width = painter.columns.width
        top = round(self.scroll_y)
        rows = [self._row(painter, top + y) for y in range(crop.y, crop.bottom)]
        last = self.container_size.height - 1
        if self._unseen and crop.y <= last < crop.bottom:
            row = rows[last - crop.y]
            rows[last - crop.y] = painter.with_badge(row, self._badge(), self._badge_style)
        if crop.x > 0 or crop.right < width:
            rows = [row.crop(crop.x, crop.right) for row in rows]
        return rows

    def render_line(self, y: int) -> Strip:
        return self.render_lines(Region(0, y, self.container_size.width, 1))[0]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._forget_drawn()

    def _forget_drawn(self) -> None:
        self._painter = None
        self._strips.clear()

    def _fold_row(self, line_id: int) -> int:
        """Which row of a line says how much of it is folded; -1: none."""
        line = self.transcript.line(line_id)
        if line is None or line.kind > LineKind.ACTION:
            return -1
        folded = self.index.showing.folds(line_id)
        return self.index.columns.lay(line.kind, line.sender, line.text, folded=folded).fold_row

    def _badge(self) -> str:
        return f" ↓ {self._unseen:,} new "

    def _row(self, painter: LinePainter, y: int) -> Strip:
        place = self.index.line_at(y)
        if place is None:
            return painter.blank
        rows = self._strips.get(place.line_id)
        if rows is None:
            line = self.transcript.line(place.line_id)
            if line is None:
                return painter.blank
            while len(self._strips) >= LINES_KEPT_DRAWN:
                del self._strips[next(iter(self._strips))]
            rows = painter.paint(line, self._line_above(place.line_id))
            self._strips[place.line_id] = rows
        return rows[place.row] if place.row < len(rows) else painter.blank

    def _line_above(self, line_id: int) -> Line | None:
        """The nearest line above that is shown."""
        showing = self.index.showing
        above = self.transcript.line(line_id - 1)
        while above is not None and showing.shown_line(above) is None:
            above = self.transcript.line(above.id - 1)
        return above

    def _unfold_key(self) -> str:
        """The key that shows long posts in full, as people write it; the user may have chosen another."""
        bindings = (active.binding for active in self.screen.active_bindings.values())
        keys = (binding.key for binding in bindings if binding.id == UNFOLD_ID)
        return shown_key(next(keys, first_key(UNFOLD_ID)))

    def _make_painter(self) -> LinePainter:
        background = self.background_colors[1]
        parts = {part: self.get_component_rich_style(f"message-log--{part}") for part in PARTS}
        styles = log_styles(self.rich_style, parts, background)
        self._badge_style = parts["badge"]
        self._painter = LinePainter(
            self.index.columns,
            styles,
            self.transcript.zone,
            self.get_line_filters(),
            background,
            self.index.showing,
            self._unfold_key(),
        )
        return self._painter
