"""Carrying out slash commands: one small method a command, chosen by its verb.

Each method says whether it did what was asked; if not, it has said why, and what was typed stays.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol, assert_never

from broadcast_tui.client.contract import ChatClient
from broadcast_tui.core.errors import NameRefused
from broadcast_tui.core.names import check_name
from broadcast_tui.tui.model.notices import Level
from broadcast_tui.tui.model.slash import Command, Verb, help_lines
from broadcast_tui.tui.model.state import AppState


class Desk(Protocol):
    """What commands need of the screen on which they were given."""

    def say(self, text: str) -> None:
        """Send a post to the shown room."""
        ...

    def warn(self, text: str) -> None:
        """Say why something cannot be done."""
        ...

    def refresh_views(self, *, people: bool = False) -> None:
        """Show the state as it is now."""
        ...

    def keep_level(self, room: str, level: Level) -> None:
        """Remember for the next run what notices are wanted of a room."""
        ...

    def try_notice(self) -> None:
        """Send a notice to see whether the terminal shows it."""
        ...

    def ask_to_leave(self) -> None:
        """Leave the chat."""
        ...


class Orders:
    """Does commands with `client` and `state` for the screen that is its `desk`."""

    def __init__(self, client: ChatClient, state: AppState, desk: Desk) -> None:
        self._client = client
        self._state = state
        self._desk = desk

    def carry_out(self, command: Command, argument: str) -> bool:
        """Do `command`; false if it could not be done, which the user has been told."""
        match command.verb:
            case Verb.HELP:
                return self._tell(*help_lines(argument))
            case Verb.ME:
                return self._me(argument)
            case Verb.NICK:
                return self._nick(argument)
            case Verb.WHO:
                return self._who()
            case Verb.CLEAR:
                return self._clear()
            case Verb.NOTIFY:
                return self._notify(argument)
            case Verb.MUTE:
                return self._set_level(Level.OFF)
            case Verb.UNMUTE:
                return self._set_level(Level.MENTIONS)
            case Verb.QUIT:
                return self._quit()
            case _:
                assert_never(command.verb)

    def _me(self, action: str) -> bool:
        self._desk.say(f"/me {action}")
        return True

    def _nick(self, name: str) -> bool:
        try:
            self._client.rename(check_name(name))
        except NameRefused as refused:
            return self._refuse(refused.text)
        return True

    def _who(self) -> bool:
        view = self._state.shown
        view.who_ref = self._client.list_members(view.name)
        return True

    def _clear(self) -> bool:
        self._state.shown.transcript.clear()
        self._desk.refresh_views()
        return True

    def _notify(self, word: str) -> bool:
        wanted = word.casefold()
        if not wanted:
            return self._tell(level_line(self._state.room, self._state.shown.level))
        if wanted == "test":
            self._desk.try_notice()
            return True
        if wanted not in set(Level):
            return self._refuse(f"/notify takes off, mentions, all or test, not {word}.")
        return self._set_level(Level(wanted))

    def _set_level(self, level: Level) -> bool:
        room = self._state.room
        self._state.shown.level = level
        self._desk.keep_level(room, level)
        return self._tell(level_line(room, level))

    def _quit(self) -> bool:
        self._desk.ask_to_leave()
        return True

    def _tell(self, *lines: str) -> bool:
        """Put lines of our own into the shown room."""
        self._state.tell("\n".join(lines), datetime.now(UTC))
        self._desk.refresh_views()
        return True

    def _refuse(self, reason: str) -> bool:
        self._desk.warn(reason)
        return False


def level_line(room: str, level: Level) -> str:
    """What is told of in a room, in words."""
    match level:
        case Level.OFF:
            return f"#{room} is muted: it never rings, only mentions count."
        case Level.MENTIONS:
            return f"#{room} rings for mentions of you when you look away."
        case Level.ALL:
            return f"#{room} rings for every post when you look away."
        case _:
            assert_never(level)
