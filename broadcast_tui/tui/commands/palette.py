"""Entries of the command palette: the slash commands, and actions that have no command."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.screen import Screen

from broadcast_tui.tui.commands.registry import Argument, available_commands
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.palette import choose_theme

if TYPE_CHECKING:
    from broadcast_tui.tui.app import ChatApp


def palette_commands(app: ChatApp, screen: Screen[None]) -> Iterator[SystemCommand]:
    """Yield the entries of the palette opened over `screen`."""
    yield SystemCommand("Theme", "Choose a color theme", partial(choose_theme, app))
    for name in sorted(app.available_themes):
        choose = partial(setattr, app, "theme", name)
        yield SystemCommand(f"Theme {name}", "Use these colors", choose, discover=False)
    about = "Time format, lists, notifications and more"
    yield SystemCommand("Settings", about, app.action_open_settings)
    yield SystemCommand("Keys and commands", "Show the help page", app.action_show_help)
    if not app.is_kiosk:
        yield SystemCommand("Screenshot", "Save the screen as an SVG image", app.deliver_screenshot)
    if not isinstance(screen, ChatScreen):
        return
    yield SystemCommand("People", "Show or hide the member list", lambda: screen.action_toggle_list("people"))
    yield SystemCommand("Rooms", "Show or hide the room list", lambda: screen.action_toggle_list("rooms"))
    yield SystemCommand("Go to room", "Find a room by part of its name", screen.action_switch_room)
    for command in available_commands(kiosk=app.is_kiosk):
        typed = f"/{command.name}"
        if command.argument is Argument.REQUIRED:
            yield SystemCommand(command.usage, command.help, lambda typed=typed: screen.fill(f"{typed} "))
        else:
            yield SystemCommand(command.usage, command.help, lambda typed=typed: screen.submit(typed))
