"""A widget that displays a transcript. Only the rows on the screen are wrapped and rendered.

However often the transcript changes, the widget looks at it once per frame, at most 20 times a second. In a
flood it looks less often, and measures lines outside the view afterwards.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import ClassVar
from weakref import WeakKeyDictionary

import msgspec
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from broadcast_tui.tui.keymap import active_key
from broadcast_tui.tui.model.text.name_links import room_at
from broadcast_tui.tui.model.transcript.chunks import POSTS
from broadcast_tui.tui.model.transcript.layout import NAME_MAX, RowLayout, VisibilityOptions, longest_of
from broadcast_tui.tui.model.transcript.navigation import quoted_line
from broadcast_tui.tui.model.transcript.row_index import RowAnchor, RowIndex
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.widgets.anchored_scroll_view import AnchoredScrollView
from broadcast_tui.tui.widgets.line_renderer import LineRenderer
from broadcast_tui.tui.widgets.log_edges import LogEdges
from broadcast_tui.tui.widgets.log_folding import LogFolding
from broadcast_tui.tui.widgets.log_highlights import LogHighlights
from broadcast_tui.tui.widgets.log_navigator import LogNavigator
from broadcast_tui.tui.widgets.log_prefetch import LogPrefetch
from broadcast_tui.tui.widgets.log_rows import LogRows
from broadcast_tui.tui.widgets.log_styles import LOG_CSS, PARTS, LogStyles, log_styles, name_colors

FRAME_S = 0.05
"""Shortest time between two looks at the transcript."""


FLOOD_FRAME_S = 0.2
"""The same in a flood, while each look finds more new lines than the view has rows: nobody can read them."""


FLOOD_END_S = 0.03
"""Time without a change after which a flood has ended, so that its last lines need not wait."""


UNFOLD_ID = "log.unfold-post"
"""Id of the key binding that unfolds long posts."""


class _ScrollState(msgspec.Struct, frozen=True):
    """The position in a transcript that is not displayed. `anchor` None: at the end."""

    anchor: RowAnchor | None
    seen_count: int


class _LogMessage(Message):
    """A message of `log`, which is its control for selectors of `on`."""

    def __init__(self, log: MessageLog) -> None:
        super().__init__()
        self.log = log

    @property
    def control(self) -> MessageLog:
        return self.log


class MessageLog(AnchoredScrollView, can_focus=False):
    """The lines of a room. The log follows the newest line unless it is scrolled up.

    It knows only transcripts, not rooms. Its parts are public: `folding` folds long posts, `navigator`
    scrolls to lines, `highlights` are the selection, the picked post and the matches of a search, `edges`
    says where the view is.
    """

    DEFAULT_CSS = LOG_CSS
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"message-log--{part}" for part in PARTS}

    class UnseenChanged(_LogMessage):
        """The number of unseen posts has changed to `count`."""

        def __init__(self, log: MessageLog, count: int) -> None:
            super().__init__(log)
            self.count = count

    class EndChanged(_LogMessage):
        """The log has reached its end, which it follows from now on, or has left it."""

        def __init__(self, log: MessageLog, at_end: bool) -> None:
            super().__init__(log)
            self.at_end = at_end

    class RoomClicked(_LogMessage):
        """The user has clicked a link to `room`."""

        def __init__(self, log: MessageLog, room: str) -> None:
            super().__init__(log)
            self.room = room

    class TopReached(_LogMessage):
        """The user has reached the oldest line, so older ones may be fetched. Sent once per visit."""

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
        self.name_cells = longest_of(transcript.senders)
        # The terminal opens links. Textual would redraw all rows under a moving mouse.
        self.set_reactive(Widget.auto_links, False)
        self.rows = LogRows(self._make_renderer)
        self._styles: LogStyles | None = None
        self.folding = LogFolding(self, self.rows.clear)
        self.navigator = LogNavigator(self, self.sync)
        self.highlights = LogHighlights(self)
        self._prefetch = LogPrefetch(self, self.rows)
        self.edges = LogEdges(self, lambda: self.unseen)
        self.unseen = 0
        """Posts of others that arrived while the log was scrolled up."""
        self._seen_count = transcript.received_count
        self._scroll_states: WeakKeyDictionary[Transcript, _ScrollState] = WeakKeyDictionary()
        self._unfolded: WeakKeyDictionary[Transcript, set[int]] = WeakKeyDictionary()
        self._drawn_rule_id = transcript.unread_line_id
        self._was_at_end = True
        self._known_ids = (transcript.first_id, transcript.next_id)
        """The transcript's first line and one past its last line, as of the last `sync`."""
        self._rewritten_count = transcript.rewritten_count
        self._synced_at = -FRAME_S
        self._is_flooded = False
        """Whether the last `sync` found more new lines than the view has rows."""
        self.can_measure = lambda: not self._is_flooded or monotonic() > self._synced_at + 2 * FLOOD_FRAME_S
        self._sync_timer: asyncio.TimerHandle | None = None

    @property
    def transcript(self) -> Transcript:
        return self.index.transcript

    def show(self, transcript: Transcript, unseen: int = 0) -> None:
        """Show another transcript at its last position or, if that was the end, at the unread line.

        The last `unseen` posts are new if the transcript was never shown before.
        """
        if transcript is self.transcript:
            self.refresh_lines()
            return
        if self.is_attached:
            self.highlights.reset(transcript)
        self._scroll_states[self.transcript] = _ScrollState(self.top_anchor, self._seen_count)
        state = self._scroll_states.pop(transcript, None)
        state = state or _ScrollState(None, transcript.received_count - unseen)
        self.top_anchor, self._seen_count = state.anchor, state.seen_count
        self._unfolded[self.transcript] = self.index.visibility.unfolded
        showing = VisibilityOptions(
            self.index.visibility.presence,
            self._unfolded.setdefault(transcript, set()),
            self.index.visibility.reactions,
            self.index.visibility.folding,
        )
        self.index = RowIndex(transcript, self.index.columns, showing)
        self._known_ids = (transcript.first_id, transcript.next_id)
        self._rewritten_count = transcript.rewritten_count
        self.navigator.reset()
        self.rows.reset()
        self.name_cells = longest_of(transcript.senders)
        self.fit_columns()
        self.scroll_to_anchor()
        if self.top_anchor is None:
            self.start_at_unread_line(transcript.received_count - self._seen_count)
        self._update_unseen()
        self.refresh()

    def start_at_unread_line(self, unseen: int) -> None:
        """Go to the unread line, with `unseen` new posts below it, unless it is in or above the view."""
        if self.navigator.go_to_unread_line():
            self._set_unseen(unseen)

    def start_at(self, line_id: int, unseen: int) -> None:
        """Go to a line, with `unseen` new posts below it."""
        self.navigator.go_to_line(line_id)
        self._set_unseen(unseen)

    def follow(self) -> None:
        """Go to the newest line and follow the end."""
        self.navigator.go_to(None)

    def pick(self, line_id: int | None) -> None:
        """Highlight one post, unfold it and bring it into view; None: highlight none."""
        self.highlights.pick(line_id)
        if line_id is not None:
            if self.index.is_long(line_id):
                self.folding.unfold(line_id)
            self._show_picked(least=False)

    def set_bare(self, bare: bool) -> None:
        """Show text without gutter, for the terminal's own selection, or the usual layout."""
        self.make_layout = RowLayout.bare if bare else self.folding.layout
        self._known_size = None
        self.refresh(layout=True)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        selected = self.highlights.selected()
        return None if selected is None else (selected.text, "\n")

    # Changes of the transcript

    def refresh_lines(self, y_start: int = 0, line_count: int = 1) -> None:
        """Schedule a `sync`, one per frame however often this is called.

        The arguments exist only because `ScrollView.refresh_lines` has them; `sync` finds the changes.
        """
        if not self.is_attached or (self._sync_timer is not None and not self._is_flooded):
            return
        wait_s = max(0.0, self._synced_at + FRAME_S - monotonic())
        if self._is_flooded:
            wait_s = min(max(wait_s, FLOOD_END_S), max(0.0, self._synced_at + FLOOD_FRAME_S - monotonic()))
        if self._sync_timer is not None:
            self._sync_timer.cancel()
        self._sync_timer = asyncio.get_running_loop().call_later(wait_s, self.call_next, self.sync)

    def sync(self) -> None:
        """Show the transcript as it is now."""
        self.highlights.follow_renumbering()
        if self.name_cells < NAME_MAX:
            self.fit_columns(longest_of(self.transcript.senders))
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None
        self._synced_at = monotonic()
        transcript, height = self.transcript, self.container_size.height
        first_id, next_id = self._known_ids
        self._is_flooded = transcript.next_id - next_id > height > 0
        rewritten = self._rewritten_count != transcript.rewritten_count
        self._rewritten_count = transcript.rewritten_count
        last_anchor = self.index.anchor_at(round(self.scroll_y) + height - 1)
        is_in_view = (
            rewritten
            or first_id != transcript.first_id
            or last_anchor is None
            or last_anchor.line_id >= next_id
        )
        if rewritten or first_id != transcript.first_id:
            self.rows.clear()
        else:
            self.rows.drop_from(next_id)
        self._known_ids = (transcript.first_id, transcript.next_id)
        if self._drawn_rule_id != transcript.unread_line_id:
            self.rows.drop((self._drawn_rule_id, transcript.unread_line_id))
            self._drawn_rule_id = transcript.unread_line_id
            self.refresh()
        was_at_end = self.scroll_y >= self.max_scroll_y
        below_top = None
        if self.top_anchor is not None and transcript.first_id < first_id:
            below_top = self.index.anchor_at(self.index.row_of(self.top_anchor) + 1)
        self.index.update()
        if below_top is not None:
            # Older posts of the same day replace a day line at the top: its id becomes that of the last of
            # them, which may have many rows. So the row below the top is used as the anchor.
            self.index.measure_around(below_top, 1)
            self.top_anchor = self.index.measure_anchor(self.index.row_of(below_top) - 1)
        if height > 0 and (self.index.total <= height or (is_in_view and was_at_end)):
            self.top_anchor = None
        self.scroll_to_anchor()
        self._update_unseen()
        if is_in_view or self.top_anchor is None:
            self.refresh()

    def _set_unseen(self, unseen: int) -> None:
        self._seen_count = self.transcript.received_count - unseen
        self._update_unseen()

    def _update_unseen(self) -> None:
        if self.is_following != self._was_at_end:
            self._was_at_end = self.is_following
            self.refresh()
            self.post_message(self.EndChanged(self, self.is_following))
        if self.top_anchor is None:
            self._seen_count = self.transcript.received_count
        unseen = self.transcript.received_count - self._seen_count
        if unseen != self.unseen:
            self.unseen = unseen
            self.post_message(self.UnseenChanged(self, unseen))
            width, height = self.container_size
            self.refresh(Region(0, max(0, height - 1), width, 1))

    # Scrolling

    def anchor_changed(self) -> None:
        self._update_unseen()
        self._prefetch.start()

    def top_reached(self) -> None:
        self.post_message(self.TopReached(self))

    def columns_changed(self) -> None:
        self.rows.reset()
        self.sync()

    def action_scroll_home(self) -> None:
        self.sync()
        super().action_scroll_home()

    def action_scroll_end(self) -> None:
        self.follow()

    # Events

    def on_resize(self) -> None:
        """Keep the picked post in view when a bar takes a row."""
        if self.highlights.picked is not None:
            self.call_after_refresh(self._show_picked, least=True)

    def _show_picked(self, *, least: bool) -> None:
        picked = self.highlights.picked
        if picked is not None:
            match_row = self.highlights.row_of_match(picked)
            self.navigator.bring_into_view(picked, match_row=match_row, least=least)

    def on_click(self, event: events.Click) -> None:
        """Two clicks select a word, three a post. One on `↓ 12 new`, `… 3 more lines` or `#room` shows it."""
        if event.chain in (2, 3):
            # Textual would select the whole log.
            event.prevent_default().stop()
            offset = self.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)[1]
            if offset is not None:
                self.highlights.select_at(offset, word=event.chain == 2)
                self.screen.post_message(events.TextSelected())
            return
        anchor = self.index.anchor_at(round(self.scroll_y) + event.y)
        if anchor is not None and self.index.text_row(anchor) == self.index.fold_row(anchor.line_id) >= 0:
            event.stop()
            self.folding.unfold(anchor.line_id)
        elif self.edges.is_badge(event.x, event.y):
            event.stop()
            self.follow()
        elif room := _clicked_room(self, event):
            event.stop()
            self.post_message(self.RoomClicked(self, room))

    def on_unmount(self) -> None:
        if self._sync_timer is not None:
            self._sync_timer.cancel()

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        renderer = self.rows.renderer
        width = renderer.columns.width
        top = round(self.scroll_y)
        self.highlights.begin()
        rows = [self.rows.strip(self.index, top + y) for y in range(crop.y, crop.bottom)]
        if crop.y == 0 and rows:
            rows[0] = self.edges.with_head(rows[0], renderer)
        rows = [self.highlights.apply(row, top + y) for y, row in enumerate(rows, crop.y)]
        self.edges.draw(rows, crop, renderer)
        if renderer.longest_name > self.name_cells:
            self.call_next(self.fit_columns, renderer.longest_name)
        if crop.x > 0 or crop.right < width:
            rows = [row.crop(crop.x, crop.right) for row in rows]
        return rows

    def render_line(self, y: int) -> Strip:
        """A row with offsets: Textual calls this to find the text under the mouse."""
        row = self.render_lines(Region(0, y, self.container_size.width, 1))[0]
        return self.highlights.with_offsets(row, round(self.scroll_y) + y)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = None
        self.rows.reset()

    def _make_renderer(self) -> LineRenderer:
        background = self.background_colors[1]
        if self._styles is None:
            parts = {part: self.get_component_rich_style(f"message-log--{part}") for part in PARTS}
            self._styles = log_styles(self.rich_style, parts, background, name_colors(self))
        return LineRenderer(
            self.index.columns,
            self._styles,
            self.transcript.zone,
            self.get_line_filters(),
            background,
            self.index.visibility,
            active_key(self.app, UNFOLD_ID),
            partial(quoted_line, self.transcript),
            self.rows.own_name,
            self.transcript.hues,
            self.rows.is_room,
        )


def _clicked_room(log: MessageLog, event: events.Click) -> str:
    """The room of the link `#room` that was clicked; empty if there is none."""
    offset = log.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)[1]
    line = None if offset is None else log.index.shown_line(offset.y)
    if offset is None or line is None or line.kind not in POSTS:
        return ""
    room = room_at(line.text, offset.x)
    return room if log.rows.is_room(room) else ""
