"""Reading on a screen of rooms: picking, finding, copying, the search at the server and the text alone.

What is done with the log ends when another room is shown; the keys then belong to the input again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, getters, on
from textual.binding import BindingType
from textual.geometry import Offset
from textual.message import Message
from textual.widget import Widget

from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.transcript.layout import PresenceShown
from broadcast_tui.tui.model.transcript.selection import Excerpt
from broadcast_tui.tui.screens.bare_view import BareView
from broadcast_tui.tui.screens.inspect import InspectScreen
from broadcast_tui.tui.screens.search import SearchController
from broadcast_tui.tui.screens.unread import UnreadScreen
from broadcast_tui.tui.widgets.conversation import Conversation

_UPWARDS = ("page_up", "scroll_up", "scroll_home")


class ReadingScreen(UnreadScreen):
    """A screen of rooms whose log is that of a `Conversation`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("log.page-up", "scroll_log('page_up')"),
        bind("log.page-down", "scroll_log('page_down')"),
        bind("log.line-up", "scroll_log('scroll_up')"),
        bind("log.line-down", "scroll_log('scroll_down')"),
        bind("log.go-top", "scroll_log('scroll_home')"),
        bind("log.go-bottom", "go_bottom"),
        bind("log.go-unread", "go_unread"),
        bind("log.previous-mention", "go_mention(True)"),
        bind("log.next-mention", "go_mention(False)"),
        bind("log.unfold-post", "unfold_post"),
        bind("log.show-presence", "show_presence"),
        bind("log.pick-post", "pick_post"),
        bind("log.find-text", "find_text"),
        bind("log.show-bare", "toggle_bare"),
        bind("log.toggle-mouse", "toggle_mouse"),
    ]

    reading = getters.query_one("#reading", Conversation)

    @dataclass
    class MouseAsked(Message):
        """The mouse is to be reported to us (`hold`) or left to the terminal."""

        hold: bool

    @dataclass
    class PresenceChosen(Message):
        """The user chose which lines of comings and goings are shown."""

        choice: PresenceShown

    def on_mount(self) -> None:
        log = self.reading.log_view
        log.folding.show_presence(self._state.presence)
        self._bare = BareView(self, log, lambda hold: self.post_message(self.MouseAsked(hold)))
        self._searcher = SearchController(self.app, self._client, self._state, self.reading.start_picking)

    def refresh_rooms(self) -> bool:
        changed = super().refresh_rooms()
        if changed and self.reading.end():
            self.composer.focus()
        return changed

    def open_search(self, query: str) -> None:
        """Search all of the shown room's history at the server."""
        self._searcher.open(query)

    def follow_search(self) -> None:
        """The state has changed: a search at the server may go on."""
        self._searcher.follow()

    def follow_log(self) -> None:
        """Go to the newest line; of those there were, none may be left to be selected."""
        self.clear_selection()
        self.log_view.follow()

    def copy_selected(self) -> bool:
        """Copy what is selected, wherever; false if nothing is."""
        selected = self.reading.log_view.highlights.selected()
        if text := self.composer.selected_text or ("" if selected else self.get_selected_text()):
            selected = Excerpt(text, 0, False)
        if selected:
            self.reading.copy(selected)
        return bool(selected)

    async def on_key(self, event: events.Key) -> None:
        """Typing anywhere goes into the input, and so do the keys that edit."""
        if event.is_printable and event.character:
            event.stop()
            self._leave_bare()
            self.composer.focus()
            self.composer.insert(event.character)
        elif not self.composer.has_focus and await self.composer.do_edit(event.key):
            event.stop()
            self._leave_bare()
            self.composer.focus()

    def on_paste(self, event: events.Paste) -> None:
        """So does a paste."""
        if not self.composer.has_focus:
            event.stop()
            self._leave_bare()
            self.composer.focus()
            self.composer.post_message(events.Paste(event.text))

    def action_scroll_log(self, how: str) -> None:
        transcript = self._state.rooms.shown.transcript
        if transcript.has_cleared and self.log_view.scroll_y <= 0 and how in _UPWARDS:
            transcript.bring_back()
            self.log_view.follow()
        getattr(self.log_view, f"action_{how}")()

    def action_go_bottom(self) -> None:
        """Of what Esc ends, the nearest: a selection, the bare text, the place that is read."""
        if self.selections:
            self.clear_selection()
        elif self._bare.is_on:
            self._leave_bare()
        else:
            super().action_go_bottom()

    def action_unfold_post(self) -> None:
        if not self.log_view.folding.unfold_next():
            self.notify_now("No long post in view", 2)

    def action_show_presence(self) -> None:
        shown = self.log_view.folding.show_next_presence()
        self.post_message(self.PresenceChosen(shown))
        self.notify_now(f"Join and leave lines: {shown.value}", 2)

    def action_pick_post(self) -> None:
        if not self._bare.is_on and not self.reading.start_picking():
            self.notify("There is no post to pick yet", severity="warning", timeout=4, markup=False)

    def action_find_text(self) -> None:
        self._leave_bare()
        self.reading.start_finding()

    def action_toggle_mouse(self) -> None:
        self.notify_now(self._bare.toggle_mouse(), 4)

    def action_toggle_bare(self) -> None:
        if self._bare.is_on:
            self._leave_bare()
        else:
            self._bare.enter()

    def _leave_bare(self) -> None:
        if self._bare.is_on:
            self._bare.leave()
            self.call_after_refresh(self.composer.focus)

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """What the mouse is over; a drag that began in the log never leaves it, nor what it selects."""
        state = self._select_state
        if self._selecting and state is not None and state.start.content_widget is self.log_view:
            x, y = self.reading.log_view.highlights.nearest_cell(x, y)
        return super().get_widget_and_offset_at(x, y)

    @on(Conversation.Ended)
    def back_to_input(self) -> None:
        self.composer.focus()

    @on(Conversation.InspectAsked)
    def inspect(self, event: Conversation.InspectAsked) -> None:
        zone = self.log_view.transcript.zone
        self.app.push_screen(InspectScreen(event.line, event.post_id, zone))

    @on(Conversation.ServerAsked)
    def search_server(self, event: Conversation.ServerAsked) -> None:
        self.composer.focus()
        self.open_search(event.query)

    @on(Conversation.AnswerAsked)
    def answer(self, event: Conversation.AnswerAsked) -> None:
        start = f"{event.name}: "
        if not self.composer.text.startswith(start):
            self.composer.insert(start, (0, 0))
        self.composer.move_cursor(self.composer.document.end)
        self.composer.focus()
