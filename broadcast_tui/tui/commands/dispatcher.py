"""Runs slash commands: finds the handler method that a row of the table names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.tui.commands.connection import ConnectionCommands
from broadcast_tui.tui.commands.context import CommandContext, CommandHandler
from broadcast_tui.tui.commands.directs import DirectCommands
from broadcast_tui.tui.commands.exports import ExportCommands
from broadcast_tui.tui.commands.general import GeneralCommands
from broadcast_tui.tui.commands.moderation import ModerationCommands
from broadcast_tui.tui.commands.people import PeopleCommands
from broadcast_tui.tui.commands.posts import PostCommands
from broadcast_tui.tui.commands.registry import Command, available_commands
from broadcast_tui.tui.commands.replay import ReplayCommands
from broadcast_tui.tui.commands.rooms import RoomCommands
from broadcast_tui.tui.commands.settings import SettingsCommands
from broadcast_tui.tui.model.state import AppState

HANDLERS: Mapping[str, type[CommandHandler]] = {
    "connection": ConnectionCommands,
    "directs": DirectCommands,
    "exports": ExportCommands,
    "general": GeneralCommands,
    "moderation": ModerationCommands,
    "people": PeopleCommands,
    "posts": PostCommands,
    "replay": ReplayCommands,
    "rooms": RoomCommands,
    "settings": SettingsCommands,
}
"""Handler classes by the first part of `Command.handler`."""


class CommandDispatcher:
    """Runs the available commands for one `context`. All handler names are resolved at construction."""

    def __init__(self, client: ClientRequests, state: AppState, context: CommandContext) -> None:
        handlers = {name: handler(client, state, context) for name, handler in HANDLERS.items()}
        self._handlers = tuple(handlers.values())
        self._context = context
        self._methods: dict[str, Callable[[str], bool]] = {}
        for command in available_commands(kiosk=state.is_kiosk):
            handler, _, method = command.handler.partition(".")
            self._methods[command.name] = getattr(handlers[handler], method)

    def execute(self, command: Command, argument: str) -> bool:
        """Run `command`. Returns false if it failed; its handler has shown the error.

        Output appears at the end of the log, at once or when the server replies, so the log scrolls there.
        """
        succeeded = self._methods[command.name](argument)
        if succeeded and command.follows_log:
            self._context.follow_log()
        return succeeded

    def follow(self) -> None:
        """After updates: continue the commands that need several answers of the server."""
        for handler in self._handlers:
            handler.follow()
