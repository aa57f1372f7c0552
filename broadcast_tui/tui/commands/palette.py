"""What the command palette offers: the slash commands, and what has no command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.screen import Screen

from broadcast_tui.tui.commands.registry import COMMANDS, Argument
from broadcast_tui.tui.screens.chat import ChatScreen

if TYPE_CHECKING:
    from broadcast_tui.tui.app import ChatApp


def offered(app: ChatApp, screen: Screen[None]) -> Iterator[SystemCommand]:
    """The rows of the palette that is opened over `screen`."""
    yield SystemCommand("Theme", "Choose other colours", app.action_change_theme)
    yield SystemCommand("Keys and commands", "Show the help page", app.action_show_help)
    yield SystemCommand("Screenshot", "Save the screen as an SVG picture", app.deliver_screenshot)
    if not isinstance(screen, ChatScreen):
        return
    yield SystemCommand("People", "Show or hide who is here", screen.action_toggle_people)
    yield SystemCommand("Rooms", "Show or hide your rooms", screen.action_toggle_rooms)
    yield SystemCommand("Go to room", "By some of its letters", screen.action_switch_room)
    for command in COMMANDS:
        typed = f"/{command.name}"
        if command.argument is Argument.REQUIRED:
            yield SystemCommand(command.usage, command.help, lambda typed=typed: screen.fill(f"{typed} "))
        else:
            yield SystemCommand(command.usage, command.help, lambda typed=typed: screen.submit(typed))
