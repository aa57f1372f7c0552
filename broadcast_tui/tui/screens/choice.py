"""A dialog with a question and a few answers: `ChoiceScreen(question, choices)`."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import ClassVar

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.widgets.dialog import Dialog, DialogList, DialogScreen

HINTS = ("↑↓ Choose", "Enter OK", "Esc Back")
LETTERS_AFTER_S = 0.5
"""Time in which nobody reads a dialog and presses one of its letters on purpose."""


class Choice(msgspec.Struct, frozen=True):
    """One answer. `value` is the result of the screen; the letter `key`, if any, selects it at once."""

    key: str
    text: str
    value: str
    initial: str = ""
    """Another letter that selects it at once; not displayed."""


def numbered_choices(texts: Sequence[str]) -> list[Choice]:
    """Choices with digits for the first nine. A first letter that only one text has selects it too."""
    initials = [text[:1].casefold() for text in texts]
    return [
        Choice(
            str(number) if number < 10 else "",
            text,
            text,
            initial if initial.isalpha() and initials.count(initial) == 1 else "",
        )
        for number, (text, initial) in enumerate(zip(texts, initials, strict=True), 1)
    ]


class ChoiceScreen(DialogScreen[str]):
    """Dismissed with the value of the selected answer, or with "" by Esc.

    Args:
        question: One sentence.
        choices: At least one answer; the first is highlighted.
        title: Title of the dialog.
        letters_after_s: Time during which letters are ignored: for dialogs that open while the user may
            still be typing, and where a letter that was meant for the composer would do harm.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss('')", "Back", show=False),
        Binding("j,tab,right", "next", "Down", show=False),
        Binding("k,shift+tab,left", "previous", "Up", show=False),
    ]
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (12, "-tall")]  # noqa: RUF012

    def __init__(
        self,
        question: str,
        choices: Sequence[Choice],
        *,
        title: str = "Question",
        letters_after_s: float = 0.0,
    ) -> None:
        super().__init__()
        self._title = visible_line(title)
        self._letters_from = monotonic() + letters_after_s
        self._question = visible_line(question)
        self._choices = tuple(choices)

    def compose(self) -> ComposeResult:
        with Dialog(self._title, HINTS, id="choice"):
            yield Static(Content(self._question), id="choice-question")
            yield DialogList(*map(_option, self._choices), id="choice-answers")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_key(self, event: events.Key) -> None:
        letter = (event.character or "").casefold()
        for choice in self._choices:
            if letter and letter in (choice.key, choice.initial):
                event.stop()
                if monotonic() >= self._letters_from:
                    self.dismiss(choice.value)
                return

    @on(OptionList.OptionSelected)
    def select(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id or "")

    def action_next(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_previous(self) -> None:
        self.query_one(OptionList).action_cursor_up()


def _option(choice: Choice) -> Option:
    key = (f"{choice.key} ", "bold") if choice.key else ""
    return Option(Content.assemble(key, visible_line(choice.text)), choice.value)
