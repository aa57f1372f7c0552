"""Carrying out slash commands: each verb has its method, here or with those it is about."""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import assert_never

from broadcast_tui.client.requests import ChatClient
from broadcast_tui.tui.commands.connection import ConnectionCommands
from broadcast_tui.tui.commands.context import CommandContext, CommandHandler
from broadcast_tui.tui.commands.moderation import moderate
from broadcast_tui.tui.commands.parser import help_lines
from broadcast_tui.tui.commands.people import PeopleCommands
from broadcast_tui.tui.commands.registry import Command, Verb
from broadcast_tui.tui.commands.rooms import RoomCommands
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.export import Snapshot, format_of, lines_of

SHRUG = r"¯\_(ツ)_/¯"
_ELSEWHERE = frozenset((Verb.JOIN, Verb.PART, Verb.BUFFER, Verb.SEARCH, Verb.CONNECT, Verb.QUIT))
"""What these do is seen in another place than the end of this room's log."""


class CommandDispatcher(CommandHandler):
    """All commands, given on the screen that is the `desk`."""

    def __init__(self, client: ChatClient, state: AppState, desk: CommandContext) -> None:
        super().__init__(client, state, desk)
        self._rooms = RoomCommands(client, state, desk)
        self._people = PeopleCommands(client, state, desk)
        self._server = ConnectionCommands(client, state, desk)

    def carry_out(self, command: Command, argument: str) -> bool:
        """Do `command`; false if it could not be done, which the user has been told.

        What it says comes at the end of the log, be it now or once the server has answered: go there.
        """
        done = self._do(command, argument)
        if done and command.verb not in _ELSEWHERE:
            self._desk.follow_log()
        return done

    def _do(self, command: Command, argument: str) -> bool:
        match command.verb:
            case Verb.JOIN | Verb.PART | Verb.BUFFER | Verb.LIST | Verb.TOPIC:
                return self._rooms.carry_out(command.verb, argument)
            case Verb.NOTIFY | Verb.MUTE | Verb.UNMUTE:
                return self._rooms.carry_out(command.verb, argument)
            case Verb.WHO | Verb.WHOIS | Verb.NICK | Verb.AWAY | Verb.BACK | Verb.IGNORE | Verb.UNIGNORE:
                return self._people.carry_out(command.verb, argument)
            case Verb.PING | Verb.CONNECT | Verb.RECONNECT | Verb.DISCONNECT:
                return self._server.carry_out(command.verb, argument)
            case Verb.BANS:
                self._client.bans()
                return True
            case Verb.KICK | Verb.BAN | Verb.UNBAN | Verb.MUTE_USER | Verb.UNMUTE_USER:
                moderate(self._client, command.verb, argument, self._state.shown.people() or ())
                return True
            case Verb.ME:
                return self._me(argument)
            case Verb.SHRUG:
                return self._shrug(argument)
            case Verb.SEARCH:
                return self._search(argument)
            case Verb.CLEAR:
                return self._clear()
            case Verb.EXPORT:
                return self._export(argument)
            case Verb.THEME:
                return self._theme(argument)
            case Verb.HELP:
                return self.tell(*help_lines(argument, self._state.help_key))
            case Verb.QUIT:
                return self._quit(argument)
            case _:
                assert_never(command.verb)

    def _me(self, action: str) -> bool:
        self._desk.say(f"/me {action}")
        return True

    def _shrug(self, text: str) -> bool:
        self._desk.say(f"{text} {SHRUG}".strip())
        return True

    def _search(self, words: str) -> bool:
        self._desk.open_search(words)
        return True

    def _clear(self) -> bool:
        self._state.shown.transcript.clear()
        self._desk.refresh_views()
        return True

    def _export(self, file: str) -> bool:
        path = Path(os.path.expanduser(file))
        if path.exists():
            return self.refuse(f"{path} is there already; choose another name.")
        if not path.parent.is_dir():
            return self.refuse(f"There is no directory {path.parent}.")
        held = self._state.shown.transcript.held()
        self._desk.run_in_thread(partial(write_export, path, held, self._state.room))
        return True

    def _theme(self, name: str) -> bool:
        looks = self._desk.looks
        themes = sorted(looks.available_themes)
        if not themes:
            return self.refuse("A plain chat has no colours.")
        if not name:
            return self.tell(f"You have {looks.theme}. There are: {', '.join(themes)}")
        if name not in themes:
            close = get_close_matches(name.casefold(), themes, n=1)
            offer = f" Did you mean {close[0]}?" if close else " /theme lists them."
            return self.refuse(f"There is no theme {name}.{offer}")
        looks.theme = name
        return True

    def _quit(self, reason: str) -> bool:
        self._desk.ask_to_leave(reason)
        return True


def write_export(path: Path, snapshot: Snapshot, room: str) -> str:
    """Write a room's lines to a new file for the user alone; returns what to say of it."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            count = 0
            for line in lines_of(snapshot, format_of(path.suffix), room):
                file.write(line + "\n")
                count += 1
    except OSError as error:
        return f"{path} could not be written: {error.strerror or error}"
    return f"Wrote {count:,} line{'s' * (count != 1)} to {path}"
