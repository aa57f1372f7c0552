"""The composer with the suggestion list above it, the checks before sending, and the external editor.

`Composer.Submitted` is posted only for a text that fits into one post and that the user has confirmed if it
is long. Until then the text stays in the composer.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static, TextArea

from broadcast_tui.tui.commands.registry import NOT_AVAILABLE
from broadcast_tui.tui.keymap import active_key
from broadcast_tui.tui.model.input.completion import CompletionContext
from broadcast_tui.tui.model.input.compose_mode import ComposeKind, ComposeMode
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.input.post_size import CONFIRM_ABOVE_LINES, excess, is_post, lines_to_confirm
from broadcast_tui.tui.model.input.suggestions import Suggestions
from broadcast_tui.tui.model.post_target import newest_own_target
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.choice import LETTERS_AFTER_S, Choice, ChoiceScreen
from broadcast_tui.tui.terminal.editor import EditorError, edit
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.drafts import Drafts
from broadcast_tui.tui.widgets.suggestion_list import SuggestionList
from broadcast_tui.tui.widgets.toast import show_warning


class ComposerPanel(Vertical):
    """The composer `#composer` of the displayed room.

    Args:
        state: Has the size limit of a post.
        context: What can be completed; see `Composer`.
        past: The input history.
        head: The widget above the composer, if any; suggestions are displayed above it.
        room: Returns the room whose newest own post Up edits; by default the displayed one.
        read_only: Why no post can be sent; empty if posts can be sent.
    """

    DEFAULT_CSS = """
    ComposerPanel {
        height: auto;
        #compose-mode {
            display: none;
            height: 1;
            padding: 0 1;
            background: $surface;
            color: $text-accent;
            text-wrap: nowrap;
            text-overflow: ellipsis;
            &.-set { display: block; }
        }
    }
    """

    def __init__(
        self,
        state: AppState,
        context: Callable[[], CompletionContext],
        past: InputHistory,
        head: Widget | None = None,
        *,
        room: Callable[[], RoomModel] | None = None,
        read_only: str = "",
    ) -> None:
        super().__init__()
        self.on_list_moved: Callable[[int | None], None] = lambda top: None
        """Called with the row of the screen at which the list of suggestions begins; None: it is hidden."""
        self._read_only = read_only
        self._room = room or (lambda: state.rooms.shown)
        self._state = state
        self._suggestions = SuggestionList()
        self._head = head
        self._mode = Static(id="compose-mode", markup=False)
        self.composer = Composer(context, past, hold=self._hold, newest=self._newest, id="composer")

    def compose(self) -> ComposeResult:
        yield self._suggestions
        if self._head is not None:
            yield self._head
        yield self._mode
        yield self.composer

    def on_mount(self) -> None:
        self.composer.drafts.restore()
        self.screen.screen_layout_refresh_signal.subscribe(self, lambda _: self._fit_suggestions())

    def _newest(self) -> ComposeMode | None:
        """An edit of the newest own post."""
        target = newest_own_target(self._room())
        return None if target is None else ComposeMode(ComposeKind.EDIT, target)

    @on(Drafts.ModeChanged)
    def show_mode(self) -> None:
        """Show what the composer is doing, and how to cancel it."""
        mode = self.composer.drafts.mode
        self._mode.set_class(mode is not None, "-set")
        if mode is not None:
            key = active_key(self.app, "composer.close-list")
            self._mode.update(Content(f"{mode.label} · {key} cancels"))

    def _hold(self, text: str) -> bool:
        """Whether to keep `text`: it is too large, or so long that it may be an accident."""
        if self._read_only and is_post(text):
            show_warning(self, self._read_only)
        elif too_long := excess(text, self._state.message_bytes):
            show_warning(self, f"Not sent: this is {too_long} for one post.")
        elif lines := lines_to_confirm(text):
            self._ask(text, lines)
        else:
            return False
        return True

    @work(exclusive=True, group="question")
    async def _ask(self, text: str, lines: int) -> None:
        choices = Choice("e", "Edit", ""), Choice("s", "Send", "send"), Choice("d", "Discard", "discard")
        question = f"Send {lines:,} lines as one post?"
        # A letter typed too early must not send the post.
        dialog = ChoiceScreen(question, choices, title="Long post", letters_after_s=LETTERS_AFTER_S)
        match await self.app.push_screen_wait(dialog):
            case "send":
                self.composer.submit(text)
            case "discard":
                self.composer.stash()

    @on(Composer.Pasted)
    def report_paste(self, event: Composer.Pasted) -> None:
        if event.kept:
            show_warning(self, f"Paste shortened to {event.kept:,} characters")
        elif event.lines > CONFIRM_ABOVE_LINES:
            show_warning(self, f"Pasted {event.lines:,} lines. Press Enter to review and send.")

    @on(TextArea.Changed)
    def measure(self) -> None:
        self._state.draft_excess = excess(self.composer.text, self._state.message_bytes)

    @on(Composer.SuggestionsChanged)
    def show_suggestions(self, event: Composer.SuggestionsChanged) -> None:
        self._show_suggestions(event.suggestions)

    def _fit_suggestions(self) -> None:
        """Use the rows available after the terminal or the composer has changed its size."""
        if self.region.y != self._suggestions.above:
            self._show_suggestions(self._suggestions.suggestions)

    def _show_suggestions(self, suggestions: Suggestions | None) -> None:
        before = self._suggestions.top
        self._suggestions.show(suggestions, self.region.y)
        if self._suggestions.top != before:
            self.on_list_moved(self._suggestions.top)

    @on(SuggestionList.Chosen)
    def accept_suggestion(self, event: SuggestionList.Chosen) -> None:
        self.composer.pick(event.index)

    @on(Composer.EditorRequested)
    @work(exclusive=True)
    async def open_editor(self) -> None:
        if self._state.is_kiosk:
            show_warning(self, NOT_AVAILABLE)
            return
        before = self.composer.text
        try:
            text = await edit(self.app, before)
        except EditorError as failed:
            show_warning(self, str(failed))
            return
        if text != before:
            self.composer.take_edited(text)
