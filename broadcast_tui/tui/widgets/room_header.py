"""The row above the log: room, topic, number of pinned posts and of people."""

from __future__ import annotations

from collections.abc import Callable

from textual.content import Content
from textual.widget import Widget

from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.room_bars import header_text


class RoomHeader(Widget):
    """One row about a room; it has the class `-set` if there is a topic or a pinned post.

    Args:
        counts_people: Whether to show the number of people; asked each time the row is drawn.
    """

    def __init__(self, counts_people: Callable[[], bool], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._counts_people = counts_people
        self._shown = ("", "", 0, 0)
        """Label of the room, topic, number of pinned posts, and of people."""

    def show(self, room: RoomModel) -> None:
        """Show a room; cheap if nothing has changed."""
        topic = room.topic
        if room.is_direct and not topic:
            topic = f"Only you and {room.other} can read this" if room.other else "Private"
        shown = (room.label, topic, room.notes.pin_count, room.online)
        if shown != self._shown:
            self._shown = shown
            self.set_class(bool(topic or room.notes.pin_count), "-set")
            self.refresh()

    def render(self) -> Content:
        room, topic, pin_count, online = self._shown
        online = online if self._counts_people() else 0
        return Content(header_text(room, topic, pin_count, online, self.content_size.width))
