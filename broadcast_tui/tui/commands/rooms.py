"""Commands about rooms: join, leave, switch, list, topic and notification level."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_never

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.names import check_room
from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.model.notifications import NotifyLevel


class RoomCommands(CommandHandler):
    """Handlers of commands about rooms."""

    def join(self, typed: str) -> bool:
        """Join a room, or rejoin the one left last, and switch to it."""
        state = self._state
        if not typed and not state.rooms.left:
            return self.fail("Specify a room: /join #room")
        try:
            room = (self._direct(typed) or check_room(typed)) if typed else next(reversed(state.rooms.left))
        except RequestError as error:
            return self.fail(error.text)
        if room not in state.rooms.joined:
            state.rooms.enter(room)
            self._client.join(room)
        self._context.show_room(room)
        return True

    def part(self, typed: str) -> bool:
        """Leave a room.

        A single word is a room. The first of several words is a room only if it starts with `#` or names a
        joined room; otherwise all of them are the reason.
        """
        state = self._state
        first, _, reason = typed.partition(" ")
        if self._direct(typed):
            first, reason = typed, ""
        elif reason and not first.startswith("#") and first.casefold() not in state.rooms.joined:
            first, reason = "", typed
        try:
            room = (self._direct(first) or check_room(first)) if first else state.rooms.shown_name
        except RequestError as error:
            return self.fail(error.text)
        if room not in state.rooms.joined:
            return self.fail(f"You are not in #{room}.")
        if len(state.rooms.joined) == 1:
            return self.fail("This is your only room. /join another one first, or /quit.")
        self._client.leave(room, reason.strip())
        left = state.rooms.get(room)
        state.rooms.part(room, datetime.now(UTC))
        if left.is_direct:
            return self.print(f"Closed {left.label} until the next message. /join opens it again.")
        return self.print(f"You left {left.label}. /join to return.")

    def buffer(self, typed: str) -> bool:
        place = self._context.servers.find_room(typed.removeprefix("#").casefold())
        if place is None:
            return self.fail(f"You are not in a room that matches '{typed}'. /join enters a room.")
        self._context.show_place(place)
        return True

    def _direct(self, typed: str) -> str:
        """The room of the direct messages with a person, written `@name`; empty if there is none."""
        room = self._state.rooms.direct_with(typed[1:]) if typed.startswith("@") else None
        return room.name if room is not None else ""

    def list(self, _argument: str) -> bool:
        room = self._state.rooms.shown
        if not self._state.is_online:
            return self.fail("You are offline. Try again when you are connected.")
        self._state.requests.list_ref = self._client.list_rooms()
        room.who_ref = self._client.list_members(room.name)
        return True

    def topic(self, text: str) -> bool:
        room = self._state.rooms.shown
        if text:
            self._client.set_topic(room.name, "" if text == "-" else text)
            return True
        if not room.topic:
            return self.print(f"{room.label} has no topic. Set one with /topic <text>")
        when = f" on {room.topic_at.astimezone():%d %B at %H:%M}" if room.topic_at else ""
        setter = f", set by {room.topic_by}{when}" if room.topic_by else ""
        return self.print(f"Topic of {room.label}: {room.topic}{setter}")

    def notify(self, typed: str) -> bool:
        word = typed.casefold()
        if not word:
            return self.print(level_line(self._state.rooms.shown.label, self._state.rooms.shown.level))
        if word == "test":
            self._context.test_notification()
            return True
        if word not in set(NotifyLevel):
            return self.fail(f"Invalid notification level: '{typed}'. Use off, mentions, all or test.")
        return self._set_level(NotifyLevel(word))

    def mute(self, _argument: str) -> bool:
        return self._set_level(NotifyLevel.OFF)

    def unmute(self, _argument: str) -> bool:
        return self._set_level(NotifyLevel.MENTIONS)

    def _set_level(self, level: NotifyLevel) -> bool:
        room = self._state.rooms.shown_name
        self._state.rooms.set_level(room, level)
        self._context.save_notify_level(room, level)
        return self.print(level_line(self._state.rooms.shown.label, level))


def level_line(label: str, level: NotifyLevel) -> str:
    """The line that describes the notification level of a room."""
    match level:
        case NotifyLevel.OFF:
            return f"{label} is muted. Mentions are still counted."
        case NotifyLevel.MENTIONS:
            return f"{label} notifies you of mentions."
        case NotifyLevel.ALL:
            return f"{label} notifies you of every post."
        case _:
            assert_never(level)
