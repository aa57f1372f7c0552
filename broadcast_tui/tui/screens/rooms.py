"""Going from room to room on one screen: list, keys, switcher, and a draft for each.

What was submitted in a room is done before another one is shown, however fast the keys come.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from textual import getters, on
from textual.message import Message
from textual.screen import Screen

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.rooms import neighbour, numbered
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.switcher import SwitcherScreen, choices_of
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.room_list import RoomList, Row


class RoomsScreen(Screen[None]):
    """A screen with a `RoomList`, a `MessageLog` and a `Composer`, which are those of the shown room."""

    rooms = getters.query_one("#rooms", RoomList)
    log_view = getters.query_one("#log", MessageLog)
    composer = getters.query_one("#composer", Composer)

    @dataclass
    class RoomsChanged(Message):
        """We are in `rooms`, in the order joined, and `shown` is on the screen."""

        rooms: tuple[str, ...]
        shown: str

    def __init__(self, client: ClientRequests, state: AppState) -> None:
        super().__init__()
        self._client = client
        self._state = state
        self._drawn_room = ""
        self._told_rooms: tuple[tuple[str, ...], str] = ((), "")

    # -- for who derives from it

    @abstractmethod
    def submit(self, text: str) -> bool:
        """Do what `text` says in the shown room; false if that cannot be done."""

    @abstractmethod
    def refresh_views(self, *, people: bool = False) -> None:
        """Show the state as it is now."""

    def notify_now(
        self, text: str, timeout_s: float, severity: Literal["information", "warning"] = "information"
    ) -> None:
        """Tell of what was just asked for, instead of all notices there are."""
        self.app.clear_notifications()
        # Textual 8.2 takes away the toasts but not what held them: later ones would be pushed off the screen.
        self.query("ToastHolder").remove()
        self.notify(visible_line(text), severity=severity, timeout=timeout_s, markup=False)

    def refresh_rooms(self) -> bool:
        """Let list, log and input be as the state says; whether they are of another room now."""
        state, view = self._state, self._state.rooms.shown
        is_other = state.rooms.shown_name != self._drawn_room
        if is_other:
            self.composer.enter_room(state.rooms.shown_name)
            self._drawn_room = state.rooms.shown_name
            self.composer.set_hint(f"Message #{visible_line(view.name)}")
            self.log_view.show(view.transcript, view.unread)
            state.rooms.unseen = self.log_view.unseen
            if not view.reading.begins_above:
                state.rooms.set_at_end(self.log_view.is_following)
        # What is seen by going there is no longer counted in the list.
        self.rooms.show([Row.of(other, other is view) for other in state.rooms.joined.values()])
        self.set_class(len(state.rooms.joined) > 1, "-several")
        now_rooms = (tuple(state.rooms.joined), state.rooms.shown_name)
        if now_rooms != self._told_rooms:
            self._told_rooms = now_rooms
            self.post_message(self.RoomsChanged(*now_rooms))
        return is_other

    def finish_submitted(self) -> None:
        """Do what was submitted and not done yet, in the room where it was written."""
        for text in self.composer.take_submitted():
            if self.submit(text):
                self.composer.remember(text)
            else:
                self.composer.reject(text)

    # -- going there

    def show_room(self, room: str) -> None:
        """Put a room that we are in on the screen."""
        self.finish_submitted()
        if room in self._state.rooms.joined:
            self._state.rooms.show(room, datetime.now(UTC))
        self.refresh_views()

    @on(RoomList.RoomChosen)
    def show_chosen_room(self, event: RoomList.RoomChosen) -> None:
        self.action_go_to_room(event.number)

    def action_step_room(self, step: int) -> None:
        self.finish_submitted()
        self.show_room(neighbour(list(self._state.rooms.joined), self._state.rooms.shown_name, step))

    def action_go_to_room(self, number: int) -> None:
        self.finish_submitted()
        if (room := numbered(list(self._state.rooms.joined), number)) is not None:
            self.show_room(room)

    def action_go_to_last(self) -> None:
        self.finish_submitted()
        self.show_room(self._state.rooms.previous)

    def action_go_to_urgent(self) -> None:
        self.finish_submitted()
        if not self._state.rooms.show_urgent(datetime.now(UTC)):
            self.notify_now("Nothing is unread in your other rooms", 3)
        self.refresh_views()

    def action_switch_room(self) -> None:
        """Offer all rooms that are known, and ask the server for those that are not."""
        if self._state.connection.state is ConnectionState.ONLINE:
            self._client.list_rooms()
        self.app.push_screen(SwitcherScreen(choices_of(self._state)), self._go_to_typed)

    def offer_known_rooms(self) -> None:
        """The server has listed its rooms: a switcher that is open can offer them."""
        if isinstance(self.app.screen, SwitcherScreen):
            self.app.screen.set_choices(choices_of(self._state))

    def _go_to_typed(self, room: str | None) -> None:
        if room:
            self.submit(f"/join {room}")

    def action_toggle_rooms(self) -> None:
        """Show the rooms where width or number hides them, and the other way round."""
        hide = bool(self.rooms.display)
        self.set_class(hide, "-rooms-off")
        self.set_class(not hide, "-rooms-on")
