"""Shows a transcript: only the rows on the screen are ever wrapped, drawn or kept.

However often a transcript changes, it is looked at once a frame, at most 20 times a second. Drawn
lines are handed to the compositor as they are, so a row that has scrolled is not drawn again.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import ClassVar
from weakref import WeakKeyDictionary

import msgspec
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from broadcast_tui.tui.keymap import key_in_force
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.layout import PresenceShown, RowLayout, VisibilityOptions
from broadcast_tui.tui.model.transcript.navigation import mention_beside
from broadcast_tui.tui.model.transcript.row_index import RowAnchor, RowIndex
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.widgets.anchored_scroll_view import AnchoredScrollView
from broadcast_tui.tui.widgets.line_renderer import LineRenderer
from broadcast_tui.tui.widgets.log_styles import LOG_CSS, PARTS, log_styles, name_colors


class FoldingView(AnchoredScrollView):
    # For who derives from it

    def forget_rows(self) -> None:
        """Rows that are drawn and kept are to be drawn anew."""

    # What is shown

    @property
    def transcript(self) -> Transcript:
        return self.index.transcript

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
        self.show_presence(self.index.showing.presence.next())
        return self.index.showing.presence

    def show_presence(self, choice: PresenceShown) -> None:
        """Show these of the lines that say who came and went."""
        self.index.showing.presence = choice
        self._recount(None)

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
        self.forget_rows()
        self.place = place
        self.settle()
        if self.scroll_y >= self.max_scroll_y:
            self.place = None
            self.settle()
        self.refresh()
        self.place_changed()

    def fold_row(self, line_id: int) -> int:
        """Which row of a line says how much of it is folded; -1: none."""
        line = self.transcript.line(line_id)
        if line is None or line.kind > LineKind.ACTION:
            return -1
        folded = self.index.showing.folds(line_id)
        return self.index.columns.lay(line.kind, line.sender, line.text, folded=folded).fold_row

    def line_above(self, line_id: int) -> Line | None:
        """The nearest line above that is shown."""
        showing = self.index.showing
        above = self.transcript.line(line_id - 1)
        while above is not None and showing.shown_line(above) is None:
            above = self.transcript.line(above.id - 1)
        return above


FRAME_S = 0.05
"""Least time between two looks at a transcript that changes all the time."""


FLOOD_FRAME_S = 0.1
"""The same while each look finds more new lines than the screen has rows: nobody can read them."""


UNFOLD_ID = "log.unfold-post"
"""Of the key that shows long posts in full."""


LINES_KEPT_DRAWN = 256
"""A few screens: strips are what the garbage collector has most to do with."""


UNREAD_TITLE = "new"


class _ScrollState(msgspec.Struct, frozen=True):
    """Where a transcript that is not shown was left. `place` None: at the end."""

    place: RowAnchor | None
    seen_count: int


class MessageLog(FoldingView):
    """The lines of a room, following the newest unless scrolled up. Knows nothing but transcripts."""

    DEFAULT_CSS = LOG_CSS
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

    class EndChanged(Message):
        """The log went to its end, which it then follows, or left it."""

        def __init__(self, log: MessageLog, at_end: bool) -> None:
            super().__init__()
            self.log = log
            self.at_end = at_end

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
        super().__init__(RowIndex(transcript, RowLayout.of_width(0)), name=name, id=id, classes=classes)
        # Links are opened by the terminal; Textual would draw all rows anew under a moving mouse.
        self.set_reactive(Widget.auto_links, False)
        self._seen_count = transcript.arrived_count
        self._unseen = 0
        self._stands: WeakKeyDictionary[Transcript, _ScrollState] = WeakKeyDictionary()
        self._unfolded: WeakKeyDictionary[Transcript, set[int]] = WeakKeyDictionary()
        self._painter: LineRenderer | None = None
        self._badge_style = self._unread_style = Style()
        self._drawn_rule_id = transcript.rule_id
        self._was_at_end = True
        self._mention_gone_to: tuple[int, tuple[RowAnchor | None, int]] | None = None
        """The mention that was gone to last, and where the log then stood."""
        self._strips: dict[int, list[Strip]] = {}
        """Drawn lines by their id, those drawn first going first."""
        self._drawn_ids = (transcript.first_id, transcript.settled_id)
        """What the transcript had when it was looked at last: its first line, one past its last."""
        self._rewritten_count = transcript.rewritten_count
        self._synced_at = -FRAME_S
        self._frame_s = FRAME_S
        self._due: asyncio.TimerHandle | None = None

    @property
    def unseen(self) -> int:
        """Posts of others that arrived while the log was scrolled up."""
        return self._unseen

    def show(self, transcript: Transcript, unseen: int = 0) -> None:
        """Show another transcript, where it was left; where that is the end, at the unread line.

        `unseen` posts at its end are new, if it was never shown before.
        """
        if transcript is self.transcript:
            self.refresh_lines()
            return
        self._stands[self.transcript] = _ScrollState(self.place, self._seen_count)
        stand = self._stands.pop(transcript, None) or _ScrollState(None, transcript.arrived_count - unseen)
        self.place, self._seen_count = stand.place, stand.seen_count
        self._unfolded[self.transcript] = self.index.showing.unfolded
        showing = VisibilityOptions(self.index.showing.presence, self._unfolded.setdefault(transcript, set()))
        self.index = RowIndex(transcript, self.index.columns, showing)
        self._drawn_ids = (transcript.first_id, transcript.settled_id)
        self._rewritten_count = transcript.rewritten_count
        self._mention_gone_to = None
        self._forget_drawn()
        self.settle()
        if self.place is None:
            self.start_at_rule(transcript.arrived_count - self._seen_count)
        self._count_unseen()
        self.refresh()

    def start_at_rule(self, unseen: int) -> None:
        """Go to the unread line, with `unseen` new posts below it, if it is not in view nor passed."""
        self._sync()
        rule_id, height = self.transcript.rule_id, self.container_size.height
        if rule_id is None or rule_id < self.transcript.first_id or height <= 0:
            return
        if self.place is not None and self.place.line_id >= rule_id:
            return
        top = round(self.scroll_y)
        if not top <= self.index.row_of(RowAnchor(rule_id, 0)) < top + height:
            self.open_at(rule_id, unseen)

    def open_at(self, line_id: int, unseen: int) -> None:
        """Go to a line, with `unseen` new posts below it."""
        self.go_to_line(line_id)
        self._seen_count = self.transcript.arrived_count - unseen
        self._count_unseen()

    def go_to_line(self, line_id: int, rows_above: int = 0) -> None:
        """Put a line on top, or below `rows_above` rows, as far as the lines below it reach."""
        self._sync()
        place = RowAnchor(line_id, 0)
        self.index.measure_around(place, 2 * self.container_size.height)
        self.settle()
        self._go_to(max(0, self.index.row_of(place) - rows_above))

    def go_to_mention(self, *, back: bool) -> bool | None:
        """Go to the mention before or after the one gone to last, else above or below the top row.

        Returns whether there was none that way, so that it is the last or the first one; None: there is none.
        """
        self._sync()
        top = self.index.settle(round(self.scroll_y))
        line_id = self.transcript.settled_id if top is None else top.line_id
        if self._mention_gone_to is not None and self._mention_gone_to[1] == self._standing():
            line_id = self._mention_gone_to[0]
        mention = mention_beside(self.transcript, line_id, back=back)
        if mention is None:
            return None
        self.go_to_line(mention.line_id, self.container_size.height // 3)
        self._mention_gone_to = (mention.line_id, self._standing())
        return mention.wrapped

    def _standing(self) -> tuple[RowAnchor | None, int]:
        """Where the log stands; at the end that changes with each line."""
        return self.place, self.transcript.settled_id if self.place is None else 0

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

    def action_scroll_home(self) -> None:
        self._sync()
        super().action_scroll_home()

    def action_scroll_end(self) -> None:
        self.follow()

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
        if self._drawn_rule_id != transcript.rule_id:
            for ruled_id in (self._drawn_rule_id, transcript.rule_id):
                if ruled_id is not None:
                    self._strips.pop(ruled_id, None)
            self._drawn_rule_id = transcript.rule_id
            self.refresh()
        was_at_end = self.scroll_y >= self.max_scroll_y
        below_top = None
        if self.place is not None and transcript.first_id < first_id:
            below_top = self.index.line_at(self.index.row_of(self.place) + 1)
        self.index.update()
        if below_top is not None:
            # Older posts of the same day replace a day line on top: its id goes to the last of them, which
            # may have many rows. So the row below the top is the anchor.
            self.index.measure_around(below_top, 1)
            self.place = self.index.settle(self.index.row_of(below_top) - 1)
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
        if self.is_following != self._was_at_end:
            self._was_at_end = self.is_following
            self.post_message(self.EndChanged(self, self.is_following))
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
        if place is not None and self.index.text_row(place) == self.fold_row(place.line_id) >= 0:
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

    def forget_rows(self) -> None:
        self._strips.clear()

    def _forget_drawn(self) -> None:
        self._painter = None
        self._strips.clear()

    def _badge(self) -> str:
        return f" ↓ {self._unseen:,} new "

    def _row(self, painter: LineRenderer, y: int) -> Strip:
        place = self.index.line_at(y)
        if place is None:
            return painter.blank
        text_row = self.index.text_row(place)
        if text_row < 0:
            return painter.titled_rule(self._unread_title(), self._unread_style)
        rows = self._strips.get(place.line_id)
        if rows is None:
            line = self.transcript.line(place.line_id)
            if line is None:
                return painter.blank
            while len(self._strips) >= LINES_KEPT_DRAWN:
                del self._strips[next(iter(self._strips))]
            is_ruled = place.line_id == self.index.rule_id
            rows = painter.paint(line, None if is_ruled else self.line_above(place.line_id))
            self._strips[place.line_id] = rows
        return rows[text_row] if text_row < len(rows) else painter.blank

    def _unread_title(self) -> str:
        above = self.transcript.unheld_count
        return f"{above:,} older unread above" if above else UNREAD_TITLE

    def _make_painter(self) -> LineRenderer:
        background = self.background_colors[1]
        parts = {part: self.get_component_rich_style(f"message-log--{part}") for part in PARTS}
        styles = log_styles(self.rich_style, parts, background, name_colors(self))
        self._badge_style = parts["badge"]
        self._unread_style = parts["unread"]
        self._painter = LineRenderer(
            self.index.columns,
            styles,
            self.transcript.zone,
            self.get_line_filters(),
            background,
            self.index.showing,
            key_in_force(self.app, UNFOLD_ID),
        )
        return self._painter
