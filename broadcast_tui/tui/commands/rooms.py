"""Commands about rooms: entering, leaving, going from one to another, what they are about, when they ring."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, assert_never

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.names import check_room
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.commands.registry import Verb
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.rooms import chosen

RoomVerb = Literal[
    Verb.JOIN, Verb.PART, Verb.BUFFER, Verb.LIST, Verb.TOPIC, Verb.NOTIFY, Verb.MUTE, Verb.UNMUTE
]


class RoomCommands(CommandHandler):
    def carry_out(self, verb: RoomVerb, argument: str) -> bool:
        match verb:
            case Verb.JOIN:
                return self.join(argument)
            case Verb.PART:
                return self._part(argument)
            case Verb.BUFFER:
                return self._buffer(argument)
            case Verb.LIST:
                return self._list()
            case Verb.TOPIC:
                return self._topic(argument)
            case Verb.NOTIFY:
                return self._notify(argument)
            case Verb.MUTE:
                return self._set_level(NotifyLevel.OFF)
            case Verb.UNMUTE:
                return self._set_level(NotifyLevel.MENTIONS)
            case _:
                assert_never(verb)

    def join(self, typed: str) -> bool:
        """Enter a room, or come back to the one left last, and show it."""
        state = self._state
        if not typed and not state.left:
            return self.refuse("Say which room: /join #room. You have left none to come back to.")
        try:
            room = check_room(typed or next(reversed(state.left)))
        except RequestError as refused:
            return self.refuse(refused.text)
        if room not in state.rooms:
            state.enter(room)
            self._client.join(room)
        self._desk.show_room(room)
        return True

    def _part(self, typed: str) -> bool:
        """A single word is a room; of several, the first only if it looks like one, or is one of ours."""
        state = self._state
        first, _, reason = typed.partition(" ")
        if reason and not first.startswith("#") and first.casefold() not in state.rooms:
            first, reason = "", typed
        try:
            room = check_room(first) if first else state.room
        except RequestError as refused:
            return self.refuse(refused.text)
        if room not in state.rooms:
            return self.refuse(f"You are not in #{room}.")
        if len(state.rooms) == 1:
            return self.refuse("This is your only room: /join another one first, or /quit.")
        self._client.leave(room, reason.strip())
        state.part(room, datetime.now(UTC))
        return self.tell(f"You left #{room}. /join brings you back.")

    def _buffer(self, typed: str) -> bool:
        room = chosen(typed.removeprefix("#").casefold(), list(self._state.rooms))
        if room is None:
            return self.refuse(f"None of your rooms is {typed}; /join enters one.")
        self._desk.show_room(room)
        return True

    def _list(self) -> bool:
        view = self._state.shown
        if self._state.connection.state is not ConnectionState.ONLINE:
            return self.refuse("You are not connected; ask again when online.")
        self._state.asked.list_ref = self._client.list_rooms()
        view.who_ref = self._client.list_members(view.name)
        return True

    def _topic(self, text: str) -> bool:
        view = self._state.shown
        if text:
            self._client.set_topic(view.name, "" if text == "-" else text)
            return True
        if not view.topic:
            return self.tell(f"#{view.name} has no topic. /topic and a text sets one.")
        when = f" on {view.topic_at.astimezone():%d %B at %H:%M}" if view.topic_at else ""
        who = f", set by {view.topic_by}{when}" if view.topic_by else ""
        return self.tell(f"Topic of #{view.name}: {view.topic}{who}")

    def _notify(self, word: str) -> bool:
        wanted = word.casefold()
        if not wanted:
            return self.tell(level_line(self._state.room, self._state.shown.level))
        if wanted == "test":
            self._desk.try_notice()
            return True
        if wanted not in set(NotifyLevel):
            return self.refuse(f"/notify takes off, mentions, all or test, not {word}.")
        return self._set_level(NotifyLevel(wanted))

    def _set_level(self, level: NotifyLevel) -> bool:
        room = self._state.room
        self._state.shown.level = level
        self._desk.keep_level(room, level)
        return self.tell(level_line(room, level))


def level_line(room: str, level: NotifyLevel) -> str:
    """What is told of in a room, in words."""
    match level:
        case NotifyLevel.OFF:
            return f"#{room} is muted: it never rings, only mentions count."
        case NotifyLevel.MENTIONS:
            return f"#{room} rings for mentions of you when you look away."
        case NotifyLevel.ALL:
            return f"#{room} rings for every post when you look away."
        case _:
            assert_never(level)
