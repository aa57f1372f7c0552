"""The dialog that asks for a token: what is typed is hidden, and kept only if that is wished."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from broadcast_tui.client.security import TrustError, normalize_token
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.screens.login import NameInput


@dataclass(frozen=True, slots=True)
class TokenGiven:
    """What was typed, and whether it is to be kept once it has worked."""

    token: str = field(repr=False)
    keep: bool


class Tick(Static, can_focus=True):
    """A line that is on or off, with or without colors; Enter is left to the dialog, as in a form."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "flip", show=False)]
    value: reactive[bool] = reactive(False)

    def __init__(self, label: str, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._label = label

    def render(self) -> Content:
        return Content(f"[{'x' if self.value else ' '}] {self._label}")

    def on_click(self) -> None:
        self.action_flip()

    def action_flip(self) -> None:
        self.value = not self.value


class TokenScreen(ModalScreen[TokenGiven]):
    """Dismissed with a token, or with None by Esc. `reason` is why the server wants one."""

    DEFAULT_CSS = """
    TokenScreen { align: center middle; background: $background 60%; }
    #token { width: 54; max-width: 100%; height: auto; max-height: 100%; padding: 1 3; background: $surface; }
    #token-title { text-style: bold; color: $text-primary; }
    #token-place { color: $text-muted; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #token-text { border: none; height: 1; padding: 0 1; background: $boost; }
    #token-reason { color: $text-muted; padding: 0 1; margin-bottom: 1; min-height: 1; }
    #token-reason.-bad { color: $text-error; }
    #token-keep { padding: 0 1; margin-bottom: 1; }
    #token-keep:focus { background: $boost; text-style: bold; }
    #token-keys { color: $text-muted; }
    TokenScreen.-short #token { padding: 0 1; }
    TokenScreen.-short #token-place, TokenScreen.-short #token-reason { margin: 0; }
    TokenScreen.-short #token-keep { margin: 0; }
    """
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (16, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("app.interrupt", "app.quit"),
        Binding("escape", "dismiss", "Close", show=False),
        Binding("enter", "connect", show=False),
        # With priority the next key, however soon it comes, goes to what has the focus then.
        Binding("up,shift+tab", "app.focus_previous", show=False, priority=True),
        Binding("down,tab", "app.focus_next", show=False, priority=True),
    ]

    def __init__(self, place: str, reason: str) -> None:
        super().__init__()
        self._place = visible_line(place)
        self._reason = visible_line(reason)

    def compose(self) -> ComposeResult:
        with Vertical(id="token"):
            yield Static(Content("Token"), id="token-title")
            yield Static(Content(self._place), id="token-place")
            text = NameInput(password=True, placeholder="bt_…", id="token-text", select_on_focus=False)
            text.cursor_blink = False
            yield text
            yield Static(Content(self._reason), id="token-reason", markup=False)
            yield Tick("Keep it for next time", id="token-keep")
            yield Static(Content("Enter connects, Tab and Space keep, Esc closes"), id="token-keys")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def action_connect(self) -> None:
        try:
            token = normalize_token(self.query_one(Input).value)
        except TrustError as error:
            self._complain(str(error))
            return
        if not token:
            self._complain("Paste the token you were given.")
            return
        self.dismiss(TokenGiven(token, self.query_one(Tick).value))

    def _complain(self, text: str) -> None:
        reason = self.query_one("#token-reason", Static)
        reason.set_class(True, "-bad")
        reason.update(Content(text))
