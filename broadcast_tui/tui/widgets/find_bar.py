"""The find bar: one row with an input for the text to find and the number of matches."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.transcript.layout import WIDE_FROM
from broadcast_tui.tui.widgets.key_dispatch import forward_to_focus, forward_to_screen, run_binding


class FindInput(Input, inherit_bindings=False):
    """A one-line input. A paste of several lines is made safe to draw and inserted as one line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        binding
        for binding in Input.BINDINGS
        if isinstance(binding, Binding) and binding.key not in ("enter", "ctrl+f")
    ]

    async def _on_key(self, event: events.Key) -> None:
        if forward_to_screen(self, event) or forward_to_focus(self, event):
            return
        if not event.is_printable:
            await run_binding(self, event)

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self.insert_text_at_cursor(visible_line(event.text).strip())


class FindBar(Horizontal):
    """The input of a search in the log. The handler of its messages answers with `show_count`."""

    DEFAULT_CSS = """
    FindBar {
        display: none;
        height: 1;
        padding: 0 1;
        background: $panel;
        & > #find-label { width: 6; color: $text-muted; }
        & > #find-text { width: 1fr; border: none; height: 1; padding: 0; background: $boost; }
        & > #find-count { width: auto; min-width: 2; padding: 0 0 0 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("find.step-older", "step(True)"),
        bind("find.step-newer", "step(False)"),
        bind("find.stay-here", "stay"),
        bind("find.go-back", "go_back"),
    ]

    class Changed(Message):
        """The text to find is `query` now; it may be empty."""

        def __init__(self, query: str) -> None:
            super().__init__()
            self.query = query

    class Stepped(Message):
        """The user requests the next match of `query`, an `older` or a newer one."""

        def __init__(self, query: str, older: bool) -> None:
            super().__init__()
            self.query = query
            self.older = older

    class Ended(Message):
        """The search for `query` is over: `stay` at the match, or go back to the start."""

        def __init__(self, query: str, stay: bool) -> None:
            super().__init__()
            self.query = query
            self.stay = stay

    class Blurred(Message):
        """`bar` has lost the focus to another widget during a search."""

        def __init__(self, bar: FindBar) -> None:
            super().__init__()
            self.bar = bar

    def on_mount(self) -> None:
        # The first screen does not wait for widgets that it does not show.
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        """Add the widgets of the bar."""
        if not self.children:
            text = FindInput(id="find-text", compact=True, select_on_focus=False)
            text.set_reactive(Input.cursor_blink, False)
            label = Static("Find", id="find-label", markup=False)
            self.mount(label, text, Static("", id="find-count", markup=False))

    @property
    def text(self) -> Input:
        return self.query_one("#find-text", Input)

    def open(self) -> None:
        """Show the bar without text and focus it."""
        self._fill()
        self.display = True
        self.text.value = ""
        self.show_count("")
        self.screen.set_focus(self.text, scroll_visible=False)

    def close(self) -> None:
        self.display = False

    def show_count(self, count: str) -> None:
        """Show the progress, such as `3/17`. On a narrow screen the part after ` · ` is left out."""
        if self.screen.size.width < WIDE_FROM:
            count = count.partition(" · ")[0]
        # None is left when the app ends during a search.
        for label in self.query("#find-count").results(Static):
            if str(label.content) != count:
                label.update(Content(count))

    def on_descendant_blur(self) -> None:
        # When the terminal loses the focus, no widget has it; the bar gets it back afterwards.
        if self.display and self.screen.focused not in (None, self.text):
            self.post_message(self.Blurred(self))

    @on(Input.Changed)
    def query_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Changed(event.value))

    def action_step(self, older: bool) -> None:
        self.post_message(self.Stepped(self.text.value, older))

    def action_stay(self) -> None:
        self.post_message(self.Ended(self.text.value, True))

    def action_go_back(self) -> None:
        self.post_message(self.Ended(self.text.value, False))
