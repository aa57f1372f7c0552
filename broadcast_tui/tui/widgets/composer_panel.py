"""The input with what belongs to it: the lists above it, the questions before sending, the editor.

A post goes up as `Composer.Submitted` only when it fits, and was meant; until then its text stays.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import TextArea

from broadcast_tui.tui.model.input.completion import CompletionContext
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.input.post_size import CONFIRM_ABOVE_LINES, excess, lines_to_confirm
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.choice import LongPostAnswer, LongPostScreen
from broadcast_tui.tui.terminal.editor import EditorError, edit
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.suggestion_list import SuggestionList
from broadcast_tui.tui.widgets.toast import show_warning


class ComposerPanel(Vertical):
    """A composer for the room that `state` shows; its id is `composer`.

    `head` stands on top of it, and lists come above that.
    """

    DEFAULT_CSS = "ComposerPanel { height: auto; }"

    def __init__(
        self, state: AppState, people: Callable[[], CompletionContext], past: InputHistory, head: Widget
    ) -> None:
        super().__init__()
        self._state = state
        self._offers = SuggestionList()
        self._head = head
        self.composer = Composer(people, past, hold=self._hold, id="composer")

    def compose(self) -> ComposeResult:
        yield self._offers
        yield self._head
        yield self.composer

    def on_mount(self) -> None:
        self.screen.screen_layout_refresh_signal.subscribe(self, lambda _: self._fit_offers())

    def _hold(self, text: str) -> bool:
        """Whether `text` stays: it does not fit, or is so long that it may be an accident."""
        if too_long := excess(text, self._state.message_bytes):
            show_warning(self, f"Not sent: this is {too_long} for one post.")
        elif lines := lines_to_confirm(text):
            self._ask(text, lines)
        else:
            return False
        return True

    @work(exclusive=True, group="question")
    async def _ask(self, text: str, lines: int) -> None:
        match await self.app.push_screen_wait(LongPostScreen(lines)):
            case LongPostAnswer.SEND:
                self.composer.submit(text)
            case LongPostAnswer.DROP:
                self.composer.stash()

    @on(Composer.Pasted)
    def tell_pasted(self, event: Composer.Pasted) -> None:
        if event.kept:
            show_warning(self, f"Paste shortened to {event.kept:,} characters")
        elif event.lines > CONFIRM_ABOVE_LINES:
            show_warning(self, f"Pasted {event.lines:,} lines. Press Enter to review and send.")

    @on(TextArea.Changed)
    def measure(self) -> None:
        self._state.draft_excess = excess(self.composer.text, self._state.message_bytes)

    @on(Composer.OffersChanged)
    def show_offers(self, event: Composer.OffersChanged) -> None:
        self._offers.show(event.offers, self.region.y)

    def _fit_offers(self) -> None:
        """The terminal has another size, or the input more rows."""
        if self.region.y != self._offers.above:
            self._offers.show(self._offers.offers, self.region.y)

    @on(SuggestionList.Chosen)
    def pick_offer(self, event: SuggestionList.Chosen) -> None:
        self.composer.pick(event.index)

    @on(Composer.EditorAsked)
    @work(exclusive=True)
    async def open_editor(self) -> None:
        before = self.composer.text
        try:
            text = await edit(self.app, before)
        except EditorError as failed:
            show_warning(self, str(failed))
            return
        if text != before:
            self.composer.take_edited(text)
