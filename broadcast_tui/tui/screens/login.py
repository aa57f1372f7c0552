"""The name dialog. It validates while you type, and is shown again if the server rejects the name."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.keymap import active_key, bind
from broadcast_tui.tui.widgets.dialog import Dialog, DialogScreen
from broadcast_tui.tui.widgets.key_dispatch import run_binding

HINT = "Other people will see this name. /nick changes it later."


class NameInput(Input):
    """A one-line input that makes pasted text safe to draw."""

    # Textual 8.2 binds these to delete to the right, unlike shells and the composer.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+backspace,ctrl+backspace", "delete_left_word", show=False)
    ]

    async def _on_key(self, event: events.Key) -> None:
        if not event.is_printable:
            await run_binding(self, event)

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        line = (
            "".join(char for char in event.text if char.isprintable() or char == "\n").strip().split("\n")[0]
        )
        self.replace(visible_line(line), *self.selection)


class LoginScreen(DialogScreen[str]):
    """Dismissed with a valid name. `reason` is why the last name was rejected."""

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (14, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [bind("app.interrupt", "app.quit")]

    def __init__(self, place: str, name: str = "", reason: str = "") -> None:
        super().__init__()
        self._place = visible_line(place)
        self._suggested = visible_line(name)
        self._reason = visible_line(reason)

    def compose(self) -> ComposeResult:
        hints = ("Enter Join", f"{active_key(self.app, 'app.quit-chat')} Quit")
        with Dialog("broadcast-tui", hints, id="login"):
            yield Static(Content(self._place), id="login-place", classes="dialog-note")
            yield Static(Content("Your name"), id="login-label")
            # Typing replaces a suggested name, and extends one that the server has rejected.
            select = bool(self._suggested and not self._reason)
            name = NameInput(
                self._suggested,
                placeholder="Your name",
                id="login-name",
                classes="dialog-field",
                select_on_focus=select,
            )
            name.cursor_blink = False
            yield name
            yield Static(id="login-reason", classes="dialog-note", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        if self._reason:
            self._show_reason(self._reason, "-bad")
        else:
            self._check(self._suggested)

    @on(Input.Changed)
    def validate(self, event: Input.Changed) -> None:
        if event.value != self._suggested:
            self._reason = ""
        if not self._reason:
            self._check(event.value)

    @on(Input.Submitted)
    def accept_name(self, event: Input.Submitted) -> None:
        if self._check(event.value, submitted=True):
            self.dismiss(check_name(event.value))

    def _check(self, name: str, *, submitted: bool = False) -> bool:
        """Show why `name` is invalid, if it is; an empty name is an error only if `submitted`."""
        if not name and not submitted and not self._suggested:
            self._show_reason(HINT, "-hint")
            return False
        try:
            check_name(name)
        except InvalidNameError as error:
            self._show_reason(error.text, "-bad")
            return False
        self._show_reason(HINT, "-hint")
        return True

    def _show_reason(self, text: str, kind: str) -> None:
        self.query_one("#login-name").set_class(kind == "-bad", "-invalid")
        reason = self.query_one("#login-reason", Static)
        reason.set_classes(f"dialog-note {kind}")
        reason.update(Content(visible_line(text)))
