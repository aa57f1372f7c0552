"""The text alone on the screen, and the mouse left to the terminal, so that it can select what it shows."""

from __future__ import annotations

from collections.abc import Callable

from textual.screen import Screen

from broadcast_tui.tui.keymap import key_in_force
from broadcast_tui.tui.widgets.message_log import MessageLog

BARE = "-bare"


class BareView:
    """What `screen` shows of itself: all, or `log` alone. `hold_mouse` takes the mouse or leaves it."""

    def __init__(self, screen: Screen[None], log: MessageLog, hold_mouse: Callable[[bool], object]) -> None:
        self._screen = screen
        self._log = log
        self._hold_mouse = hold_mouse
        self._holds_mouse = True
        """Whether the user wants the mouse to be ours, while all is shown."""

    @property
    def is_on(self) -> bool:
        return self._screen.has_class(BARE)

    def enter(self) -> None:
        self._screen.add_class(BARE)
        self._log.set_bare(True)
        self._hold_mouse(False)
        self._screen.set_focus(None)

    def leave(self) -> None:
        self._screen.remove_class(BARE)
        self._log.set_bare(False)
        self._hold_mouse(self._holds_mouse)

    def toggle_mouse(self) -> str:
        """Leave the mouse to the terminal, or take it back; returns what to tell of it."""
        self._holds_mouse = not self._holds_mouse
        self._hold_mouse(self._holds_mouse and not self.is_on)
        if self._holds_mouse:
            return "The mouse is ours again"
        key = key_in_force(self._screen.app, "log.toggle-mouse")
        return f"The mouse is the terminal's; {key} takes it back"
