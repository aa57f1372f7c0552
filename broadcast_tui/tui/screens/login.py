"""The dialog that asks for a name: it says at once why one is refused, and comes back if it is taken."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.keymap import bind, key_in_force
from broadcast_tui.tui.widgets.key_dispatch import run_binding

HINT = "How the others will see you"


class NameInput(Input):
    """An input of one line whose pastes are cleaned before they are drawn."""

    # Textual 8.2 deletes to the right with these, against every shell and the room's own input.
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


class LoginScreen(ModalScreen[str]):
    """Dismissed with a name that follows the rules. `reason` is why the last one was refused."""

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (14, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [bind("app.interrupt", "app.quit")]

    def __init__(self, place: str, name: str = "", reason: str = "") -> None:
        super().__init__()
        self._place = visible_line(place)
        self._asked = visible_line(name)
        self._reason = visible_line(reason)

    def compose(self) -> ComposeResult:
        with Vertical(id="login"):
            yield Static(Content("broadcast-tui"), id="login-title")
            yield Static(Content(self._place), id="login-place")
            name = NameInput(self._asked, placeholder="Your name", id="login-name", select_on_focus=False)
            name.cursor_blink = False
            yield name
            yield Static(id="login-reason", markup=False)
            leave = key_in_force(self.app, "app.quit-chat")
            yield Static(Content(f"Enter joins, {leave} leaves"), id="login-keys")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        if self._reason:
            self._say(self._reason, "-bad")
        else:
            self._judge(self._asked)

    @on(Input.Changed)
    def judge_name(self, event: Input.Changed) -> None:
        if event.value != self._asked:
            self._reason = ""
        if not self._reason:
            self._judge(event.value)

    @on(Input.Submitted)
    def take_name(self, event: Input.Submitted) -> None:
        if self._judge(event.value, touched=True):
            self.dismiss(check_name(event.value))

    def _judge(self, name: str, *, touched: bool = False) -> bool:
        """Say what is wrong with `name`, if anything; an empty one is only wrong once it is `touched`."""
        if not name and not touched and not self._asked:
            self._say(HINT, "-hint")
            return False
        try:
            check_name(name)
        except InvalidNameError as refused:
            self._say(refused.text, "-bad")
            return False
        self._say(HINT, "-hint")
        return True

    def _say(self, text: str, kind: str) -> None:
        reason = self.query_one("#login-reason", Static)
        reason.set_classes(kind)
        reason.update(Content(visible_line(text)))
