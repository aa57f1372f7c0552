"""The settings screen: one row per setting; changes apply at once."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.settings import SETTINGS, Setting, Settings
from broadcast_tui.tui.widgets.dialog import Dialog, DialogList, DialogScreen

LABEL_CELLS = max(len(setting.label) for setting in SETTINGS)


class SettingsScreen(DialogScreen[None]):
    """Shows and changes `settings`. Closed by Esc, q or the key that opened it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("app.open-settings", "dismiss"),
        Binding("escape,q,ctrl+c", "dismiss", "Close", show=False),
        Binding("right,l,space", "step(1)", "Next value", show=False),
        Binding("left,h", "step(-1)", "Previous value", show=False),
        Binding("down,j,tab", "move('cursor_down')", "Down", show=False),
        Binding("up,k,shift+tab", "move('cursor_up')", "Up", show=False),
    ]

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (18, "-tall")]  # noqa: RUF012

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def compose(self) -> ComposeResult:
        with Dialog("Settings", ("↑↓ Choose", "←→ Change", "Esc Close"), id="settings"):
            yield DialogList(
                *(Option(self._row(setting), setting.name) for setting in SETTINGS), id="settings-rows"
            )
            yield Static(id="settings-about", classes="dialog-note", markup=False)

    def on_mount(self) -> None:
        self.query_one(DialogList).focus()
        self._stop_watching = self._settings.watch(lambda _: self._show())
        self._show()

    def on_unmount(self) -> None:
        self._stop_watching()

    @property
    def _chosen(self) -> Setting:
        return SETTINGS[self.query_one(DialogList).highlighted or 0]

    def _row(self, setting: Setting) -> Content:
        mark = " *" if self._settings.note(setting.name) else ""
        return Content(f"{setting.label:{LABEL_CELLS}}  {self._settings[setting.name]}{mark}")

    def _show(self) -> None:
        listed = self.query_one(DialogList)
        for index, setting in enumerate(SETTINGS):
            listed.replace_option_prompt_at_index(index, self._row(setting))
        self._explain()

    def _explain(self) -> None:
        """Say what the highlighted setting is about, and whether it is fixed."""
        setting = self._chosen
        note = self._settings.note(setting.name)
        text = f"* {note}" if note else f"{setting.help}."
        self.query_one("#settings-about", Static).update(Content(text))

    @on(OptionList.OptionHighlighted)
    def explain(self) -> None:
        self._explain()

    @on(OptionList.OptionSelected)
    def change(self) -> None:
        """Enter, or a click."""
        self.action_step(1)

    def action_step(self, step: int) -> None:
        self._settings.step(self._chosen.name, step)

    def action_move(self, how: str) -> None:
        getattr(self.query_one(DialogList), f"action_{how}")()
