"""The question before a post of many lines: nothing of it is lost, and Enter by itself sends nothing."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class LongPostAnswer(Enum):
    EDIT = "edit"
    SEND = "send"
    DROP = "drop"


class LongPostScreen(ModalScreen[LongPostAnswer]):
    """Dismissed with what is to become of a post of `lines` lines; Esc is EDIT."""

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (14, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "answer('edit')", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(id="long-post"):
            yield Static(Content(f"Send {self._lines:,} lines as one post?"), id="long-post-question")
            with Horizontal(id="long-post-answers"):
                # The first one has the focus: Enter, pressed twice by accident, sends nothing.
                yield Button("Edit", id="edit", compact=True)
                yield Button("Send", id="send", compact=True)
                yield Button("Drop", id="drop", compact=True)
            yield Static(Content("← → choose, Enter does it"), id="long-post-keys")

    @on(Button.Pressed)
    def take_answer(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_answer(event.button.id or "edit")

    def action_answer(self, answer: str) -> None:
        self.dismiss(LongPostAnswer(answer))
