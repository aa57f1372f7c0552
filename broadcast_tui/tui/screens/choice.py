"""A question with a few answers, each with a key of its own: `ChoiceScreen(question, answers)`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import ClassVar

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from broadcast_tui.core.text import visible_line


class Choice(msgspec.Struct, frozen=True):
    """One answer: `key`, a letter, chooses it at once; `value` is what the screen is dismissed with."""

    key: str
    text: str
    value: str


class ChoiceScreen(ModalScreen[str]):
    """Dismissed with the value of the answer chosen, or with "" by Esc. Enter takes the marked one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss('')", "Back", show=False),
        Binding("j,tab", "next", "Down", show=False),
        Binding("k,shift+tab", "previous", "Up", show=False),
    ]
    DEFAULT_CSS = """
    ChoiceScreen { align: center middle; background: $background 60%; }
    ChoiceScreen > #choice {
        width: 56;
        max-width: 100%;
        height: auto;
        max-height: 100%;
        padding: 1 2;
        background: $surface;
    }
    ChoiceScreen #choice-question { margin-bottom: 1; }
    ChoiceScreen #choice-answers {
        height: auto;
        max-height: 8;
        border: none;
        padding: 0;
        background: $surface;
    }
    ChoiceScreen.-short > #choice { padding: 0 1; }
    ChoiceScreen.-short #choice-question { margin: 0; }
    """
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (12, "-tall")]  # noqa: RUF012

    def __init__(self, question: str, choices: Sequence[Choice]) -> None:
        """`choices` are at least one; the first is marked at the start."""
        super().__init__()
        self._question = visible_line(question)
        self._choices = tuple(choices)

    def compose(self) -> ComposeResult:
        with Vertical(id="choice"):
            yield Static(Content(self._question), id="choice-question")
            yield OptionList(*map(_option, self._choices), id="choice-answers", markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_key(self, event: events.Key) -> None:
        for choice in self._choices:
            if event.character and event.character.casefold() == choice.key:
                event.stop()
                self.dismiss(choice.value)
                return

    @on(OptionList.OptionSelected)
    def take(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id or "")

    def action_next(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_previous(self) -> None:
        self.query_one(OptionList).action_cursor_up()


def _option(choice: Choice) -> Option:
    return Option(Content.assemble((f" {choice.key} ", "bold"), visible_line(choice.text)), choice.value)


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
