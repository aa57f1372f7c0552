"""Shows and hides the lists of rooms and people beside the log, as settings and keys say."""

from __future__ import annotations

from collections.abc import Callable

from textual.screen import Screen

from broadcast_tui.tui.model.settings import Settings

LISTS = ("people", "rooms")
"""The lists. Their ids are the names of their settings too."""


class SideLists:
    """Sets the classes of `screen` that its style sheet uses.

    Args:
        screen: The screen with the lists.
        settings: Whether they are shown: `on`, `off`, or `auto` if there is room.
        changed: Called after a change of any setting.
    """

    def __init__(self, screen: Screen[None], settings: Settings, changed: Callable[[], None]) -> None:
        self._screen = screen
        self._settings = settings
        self._changed = changed
        self._stop_watching = settings.watch(self._apply)
        for name in LISTS:
            self._set(name, settings[name])

    def toggle(self, name: str) -> None:
        """Show a list if it is hidden, and hide it otherwise, until its setting changes."""
        self._set(name, "off" if self._screen.query_one(f"#{name}").display else "on")

    def _apply(self, name: str) -> None:
        if not self._screen.is_attached:
            self._stop_watching()
            return
        if name in LISTS:
            self._set(name, self._settings[name])
        self._changed()

    def _set(self, name: str, value: str) -> None:
        self._screen.set_class(value == "on", f"-{name}-on")
        self._screen.set_class(value == "off", f"-{name}-off")
