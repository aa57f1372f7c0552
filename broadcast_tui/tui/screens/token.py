"""The token dialog. The input is hidden; the token is saved only if the user chooses so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Input, Static

from broadcast_tui.client.security import TrustError, normalize_token
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.screens.login import NameInput
from broadcast_tui.tui.widgets.dialog import Dialog, DialogScreen


@dataclass(frozen=True, slots=True)
class TokenGiven:
    """A token, and whether to save it once the server has accepted it."""

    token: str = field(repr=False)
    save: bool


class Checkbox(Static, can_focus=True):
    """A one-row checkbox that works without colors. Enter submits the dialog, as in a form."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "toggle_value", show=False)]
    value: reactive[bool] = reactive(False)

    def __init__(self, label: str, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._label = label

    def render(self) -> Content:
        return Content(f"[{'x' if self.value else ' '}] {self._label}")

    def on_click(self) -> None:
        self.action_toggle_value()

    def action_toggle_value(self) -> None:
        self.value = not self.value


class TokenScreen(DialogScreen[TokenGiven]):
    """Dismissed with a token, or with None by Esc. `reason` is the server's reason to require one."""

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (16, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("app.interrupt", "app.quit"),
        Binding("escape", "dismiss", "Close", show=False),
        Binding("enter", "connect", show=False),
        # With priority, so that the next key, however soon it comes, goes to the newly focused widget.
        Binding("up,shift+tab", "app.focus_previous", show=False, priority=True),
        Binding("down,tab", "app.focus_next", show=False, priority=True),
    ]

    def __init__(self, place: str, reason: str) -> None:
        super().__init__()
        self._place = visible_line(place)
        self._reason = visible_line(reason)

    def compose(self) -> ComposeResult:
        with Dialog("Token", ("Tab, Space Save", "Enter Connect", "Esc Close"), id="token"):
            yield Static(Content(self._place), id="token-place", classes="dialog-note")
            text = NameInput(
                password=True,
                placeholder="bt_…",
                id="token-text",
                classes="dialog-field",
                select_on_focus=False,
            )
            text.cursor_blink = False
            yield text
            yield Static(Content(self._reason), id="token-reason", classes="dialog-note", markup=False)
            yield Checkbox("Save token", id="token-keep")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def action_connect(self) -> None:
        try:
            token = normalize_token(self.query_one(Input).value)
        except TrustError as error:
            self._show_error(str(error))
            return
        if not token:
            self._show_error("Enter a token.")
            return
        self.dismiss(TokenGiven(token, self.query_one(Checkbox).value))

    def _show_error(self, text: str) -> None:
        reason = self.query_one("#token-reason", Static)
        reason.set_class(True, "-bad")
        reason.update(Content(text))
