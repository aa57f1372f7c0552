"""A dialog with an input and a list of what matches it: the base of the room switcher and the reactions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from broadcast_tui.tui.screens.login import NameInput
from broadcast_tui.tui.widgets.dialog import Dialog, DialogList, DialogScreen


class FilterListScreen(DialogScreen[str]):
    """Dismissed with the value of the chosen entry, or with None by Esc.

    Args:
        kind: Beginning of the ids of its widgets.
        title: Title of the dialog.
        placeholder: Shown in the empty input.
        hints: Hints about keys.
        no_match: Shown if the list is empty.
    """

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (14, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss", "Close", show=False),
        Binding("up,ctrl+p,shift+tab", "move(-1)", "Up", show=False),
        Binding("down,ctrl+n,tab", "move(1)", "Down", show=False),
    ]

    def __init__(
        self, kind: str, *, title: str, placeholder: str, hints: Sequence[str], no_match: str
    ) -> None:
        super().__init__()
        self._kind = kind
        self._placeholder = placeholder
        self._title = title
        self._hints = tuple(hints)
        self._no_match = no_match
        self._values: list[str] = []
        self._typed_early: list[events.Key] | None = []
        """Keys typed before the input was mounted; None afterwards."""

    @abstractmethod
    def matching(self, typed: str) -> Sequence[tuple[str, Content]]:
        """The entries for a typed text, each with its value and how it is shown."""

    def compose(self) -> ComposeResult:
        with Dialog(self._title, self._hints, id=self._kind, classes="filter-list"):
            typed = NameInput(placeholder=self._placeholder, classes="dialog-field")
            typed.cursor_blink = False
            yield typed
            yield DialogList(id=f"{self._kind}-rows", focusable=False, classes="filter-rows")
            yield Static(Content(self._no_match), classes="dialog-note")

    def on_mount(self) -> None:
        typed = self.query_one(Input)
        typed.focus()
        self.offer_again()
        early, self._typed_early = self._typed_early or [], None
        for event in early:
            typed.post_message(event)

    def take_key(self, event: events.Key) -> None:
        """Type a key into the input, even before that is mounted."""
        key = events.Key(event.key, event.character)
        if self._typed_early is None:
            self.query_one(Input).post_message(key)
        else:
            self._typed_early.append(key)

    def on_key(self, event: events.Key) -> None:
        if self._typed_early is not None:
            event.prevent_default().stop()
            self.take_key(event)

    def offer_again(self) -> None:
        """Show the entries for the typed text."""
        self._offer(self.query_one(Input).value)

    @on(Input.Changed)
    def offer_matching(self, event: Input.Changed) -> None:
        self._offer(event.value)

    @on(Input.Submitted)
    def choose(self, event: Input.Submitted) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.dismiss(self._values[at])

    @on(OptionList.OptionSelected)
    def choose_clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._values[event.option_index])

    def action_move(self, step: int) -> None:
        rows = self.query_one(OptionList)
        if step > 0:
            rows.action_cursor_down()
        else:
            rows.action_cursor_up()

    def _offer(self, typed: str) -> None:
        entries = self.matching(typed.strip())
        self._values = [value for value, _ in entries]
        rows = self.query_one(OptionList)
        rows.clear_options()
        rows.add_options(Option(content) for _, content in entries)
        rows.highlighted = 0 if entries else None
        self.query_one(".dialog-note", Static).display = not entries
