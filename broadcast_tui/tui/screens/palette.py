"""The command palette, and the list of themes, which is one too."""

from __future__ import annotations

from textual import on
from textual.app import App
from textual.command import CommandPalette
from textual.message import Message
from textual.theme import ThemeProvider
from textual.timer import Timer, TimerCallback
from textual.widgets import Input, OptionList

from broadcast_tui.tui.widgets.dialog import DialogScreen


class Palette(CommandPalette, DialogScreen[None]):
    """Textual's palette. It runs one command, even if Enter is pressed twice before it has closed.

    Its timers end with it: Textual 8.2 looks for the widgets of the closed palette to say that nothing
    matches, and does not find them.
    """

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def ignore_after_end(self, event: Message) -> None:
        """Do not handle a choice after the palette was dismissed."""
        if not self.is_active:
            event.prevent_default().stop()

    def set_timer(
        self,
        delay: float,
        callback: TimerCallback | None = None,
        *,
        name: str | None = None,
        pause: bool = False,
    ) -> Timer:
        def call_unless_closed() -> object:
            return callback() if callback is not None and self.is_active else None

        return super().set_timer(delay, call_unless_closed, name=name, pause=pause)


def choose_theme(app: App[None]) -> None:
    """Open the list of themes."""
    app.push_screen(Palette((ThemeProvider,), placeholder="Search for themes…"))
