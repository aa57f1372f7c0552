"""The input for posts and commands, with completion, history and a draft per room.

Enter posts `Composer.Submitted`. The handler gets the texts with `take_submitted` and answers each with
`remember`, or with `reject` if the text must be corrected. A paste never sends anything: it is cleaned,
inserted, and waits for Enter.

Its drafts, and the reply or edit that is being written, are in `Composer.drafts`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

import msgspec
from textual import events, on
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea

from broadcast_tui.core.lazy_pattern import lazy_pattern
from broadcast_tui.core.text import visible
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.input.completion import Completer, CompletionContext, hint
from broadcast_tui.tui.model.input.compose_mode import ComposeMode
from broadcast_tui.tui.model.input.history import HistorySearch, InputHistory
from broadcast_tui.tui.model.input.post_size import is_post
from broadcast_tui.tui.model.input.suggestions import Suggestions
from broadcast_tui.tui.terminal.echo import echoing
from broadcast_tui.tui.widgets.drafts import Drafts
from broadcast_tui.tui.widgets.key_dispatch import forward_to_focus, forward_to_screen, run_binding
from broadcast_tui.tui.widgets.readline_area import ReadlineArea, location

SEARCH_KEYS = {
    "find-older": "edit_search('older')",
    "find-newer": "edit_search('newer')",
    "take-found": "take_found",
    "rub-out": "edit_search('delete_last')",
    "clear-query": "edit_search('clear')",
    "go-back": "leave_search",
}
"""Actions of the key bindings that exist only during a history search."""


class Submission(msgspec.Struct, frozen=True):
    """A submitted text; with a `mode`, a reply or an edit."""

    text: str
    mode: ComposeMode | None = None


PASTE_MAX = 100_000
"""Most characters of one paste; more than any server accepts in one post."""


_UNSAFE_CHARACTERS = lazy_pattern(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def clean_paste(text: str) -> str:
    """`text` made safe to draw: LF line ends, without control, invisible and bidirectional characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return visible(_UNSAFE_CHARACTERS.sub("", text)[:PASTE_MAX])


class Composer(ReadlineArea):
    """The input. During a history search (`search` is not None) letters go to the search.

    Args:
        context: Returns the names, rooms and files that Tab can complete.
        past: The input history.
        hold: Called at Enter; true keeps the text in the input. The callee tells the user why, and may call
            `submit` later.
        newest: Returns the edit that Up on an empty input begins; None if there is nothing to edit.
    """

    DEFAULT_CSS = """
    Composer {
        height: auto;
        max-height: 8;
        border: none;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
        &:focus { border: none; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # First the keys of a search. Without a search, the same keys belong to the bindings below.
        *(bind(f"search.{key}", action) for key, action in SEARCH_KEYS.items()),
        bind("composer.move-up", "move_up"),
        bind("composer.move-down", "move_down"),
        bind("composer.recall-older", "recall(-1)"),
        bind("composer.recall-newer", "recall(1)"),
        bind("composer.search-history", "search_history"),
        bind("composer.insert-last-word", "insert_last_word"),
        # From ReadlineArea; repeated because a search uses these keys too.
        bind("composer.delete-left", "delete_left"),
        bind("composer.cut-line-start", "cut_to('line-start')"),
        bind("composer.cut-blank-word", "cut_to('blank')"),
        bind("composer.send-post", "send_post"),
        bind("composer.complete-word", "complete"),
        bind("composer.complete-back", "complete(True)"),
        bind("composer.close-list", "close_list"),
        bind("composer.open-editor", "open_editor"),
    ]

    class Submitted(Message):
        """`text`, which is not blank, was submitted; see `take_submitted`."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Pasted(Message):
        """A paste of `lines` lines was inserted. If it was shortened, `kept` is its new length, else 0."""

        def __init__(self, lines: int, kept: int) -> None:
            super().__init__()
            self.lines = lines
            self.kept = kept

    class SuggestionsChanged(Message):
        """The suggestions to show above the input; None: none."""

        def __init__(self, suggestions: Suggestions | None) -> None:
            super().__init__()
            self.suggestions = suggestions

    class EditorRequested(Message):
        """The user wants to edit the text in an external editor; see `take_edited`."""

    def __init__(
        self,
        context: Callable[[], CompletionContext],
        past: InputHistory | None = None,
        *,
        hold: Callable[[str], bool] = lambda text: False,
        newest: Callable[[], ComposeMode | None] = lambda: None,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.past = InputHistory() if past is None else past
        self.search: HistorySearch | None = None
        self.on_empty_key: Callable[[str], Awaitable[bool]] | None = None
        """Called with each key while the input is empty; true if the key was handled."""
        self.drafts = Drafts(self, self.past)
        self.key_count = 0
        """Number of keys received."""
        self._last_word: tuple[str, int, int, int] | None = None
        """Text and cursor after the last insertion, its offset, and how many words back it was."""
        self._completion_context = context
        self._hold = hold
        self._newest = newest
        self._submitted: list[Submission] = []
        self._completer = Completer()
        self._suggestions: Suggestions | None = None
        self._closed_at: str | None = None
        """The text at which the list was closed; it stays closed until the text changes."""

    def set_hint(self, text: str) -> None:
        """Show `text`, which must be safe to draw, while the input is empty."""
        self.placeholder = Content(text)

    def give_back(self, text: str, room: str | None = None, mode: ComposeMode | None = None) -> bool:
        """Restore a text that was not sent in the input of `room` (None: the current room).

        If that input has other text, `text` only goes to the history. Returns whether it was restored.
        """
        return self.drafts.give_back(clean_paste(text), room, mode)

    def reject(self, submission: Submission) -> None:
        """Return a submitted text to the input, before anything typed since."""
        if submission.mode is not None:
            self.drafts.begin(submission.mode, submission.text)
        else:
            self.put(submission.text + self.text)

    def submit(self, text: str) -> None:
        """Submit `text`, the beginning of the input; anything after it stays for the next post."""
        rest = self.text.removeprefix(text)
        mode = self.drafts.mode if self.drafts.mode is not None and is_post(text) else None
        if mode is not None:
            self.drafts.end()
        if mode is None or rest.strip():
            self.put(rest if rest.strip() else "")
        self._submitted.append(Submission(text, mode))
        self.post_message(self.Submitted(text))

    def take_submitted(self) -> list[Submission]:
        """Remove and return the texts submitted since the last call, in order."""
        taken, self._submitted = self._submitted, []
        return taken

    def take_edited(self, text: str) -> None:
        """Replace the text by that of an external editor; undo restores the text before."""
        clean = clean_paste(text)
        self.put(clean)
        if len(clean) >= PASTE_MAX:
            self.post_message(self.Pasted(clean.count("\n") + 1, PASTE_MAX))

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = clean_paste(event.text)
        if self.search is not None:
            self.search.type(text.partition("\n")[0])
            self.update_suggestions()
        elif text and (result := self._replace_via_keyboard(text, *self.selection)):
            self.history.checkpoint()
            self.move_cursor(result.end_location)
            kept = PASTE_MAX if len(text) >= PASTE_MAX else 0
            self.post_message(self.Pasted(text.rstrip("\n").count("\n") + 1, kept))

    def action_send_post(self) -> None:
        """Submit the text unless `hold` keeps it."""
        if (text := self.text.rstrip()) and not self._hold(text):
            self.submit(text)

    def action_open_editor(self) -> None:
        self.post_message(self.EditorRequested())

    # History and drafts

    def enter_room(self, room: str) -> None:
        """Switch to the draft of `room`; the current text becomes the draft of the room before.

        Call `take_submitted` first.
        """
        if room == self.past.room:
            return
        if self.search is not None:
            self.action_leave_search()
        self.drafts.enter_room(room)

    def remember(self, text: str) -> None:
        """Add a submitted text to the history."""
        self.past.add(text)

    def stash(self) -> None:
        """Clear the input; the text goes to the history. Cancels a reply or an edit."""
        if self.drafts.mode is not None:
            self.drafts.cancel()
            return
        self.past.add_unsent(self.text.rstrip())
        self.past.end_browsing()
        self.put("")

    async def _on_key(self, event: events.Key) -> None:
        self.key_count += 1
        if forward_to_screen(self, event) or forward_to_focus(self, event):
            return
        if self.search is not None:
            if event.is_printable and event.character:
                event.prevent_default().stop()
                self.search.type(event.character)
                self.update_suggestions()
                return
            bound = self._bindings.key_to_bindings.get(event.key, [])
            if not any(row.id and row.id.startswith("search.") for row in bound):
                self.action_take_found()
        elif not self.text and self.on_empty_key is not None and await self.on_empty_key(event.key):
            event.prevent_default().stop()
            return
        with echoing(self):
            if event.is_printable:
                await super()._on_key(event)
            else:
                await run_binding(self, event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.search is not None or action not in ("edit_search", "take_found", "leave_search")

    def action_move_up(self) -> None:
        """Choose in the list of completions, or move up one line.

        On the first row, edit the newest own post, or show the previous input.
        """
        if self._has_choice:
            self.action_complete(back=True)
            return
        if self.get_cursor_up_location() != self.cursor_location and self.navigator_row() > 0:
            self.action_cursor_up()
            return
        if not self.text and self.drafts.mode is None and (newest := self._newest()) is not None:
            self.drafts.begin(newest)
            return
        if self.drafts.is_untouched_edit:
            self.drafts.cancel()
        if (older := self.past.older(self.text)) is not None:
            self.put(older)

    def action_move_down(self) -> None:
        """Choose in the list of completions, or move down one line.

        On the last row, show the next input, at last the draft.
        """
        if self._has_choice:
            self.action_complete()
        elif self.navigator_row() < self.wrapped_document.height - 1:
            self.action_cursor_down()
        elif self.drafts.is_untouched_edit:
            self.drafts.cancel()
        elif (newer := self.past.newer(self.text)) is not None:
            self.put(newer)

    def action_recall(self, step: int) -> None:
        """Show the previous (-1) or next (1) input of any room."""
        walk = self.past.older if step < 0 else self.past.newer
        if (found := walk(self.text, everywhere=True)) is not None:
            self.put(found)

    def action_insert_last_word(self) -> None:
        """Insert the last word sent; right after that, replace it by the last word of the input before."""
        back, start = 0, self.offset_of_cursor
        if self._last_word is not None and self._last_word[:2] == (self.text, start):
            _, _, start, back = self._last_word
        words = [entry.text.split()[-1] for entry in self.past.entries if self.past.is_here(entry)]
        if back < len(words):
            self.move_cursor(location(self.text, start), select=back > 0)
            self._replace_via_keyboard(words[-1 - back], *self.selection)
            self._last_word = (self.text, self.offset_of_cursor, start, back + 1)

    def action_search_history(self) -> None:
        self.search = HistorySearch(self.past.entries)
        self.add_class("-searching")
        self.refresh_bindings()
        self.update_suggestions()

    def action_edit_search(self, method: str) -> None:
        """Call a method of the search, then show its result."""
        assert self.search is not None, "the keys of a search are bound only during one"
        getattr(self.search, method)()
        self.update_suggestions()

    def action_take_found(self) -> None:
        """End the search and put its match into the input."""
        found = self.search.found if self.search is not None else None
        self.action_leave_search()
        if found is not None:
            self.put(found)

    def action_leave_search(self) -> None:
        """End the search; the input does not change."""
        self.search = None
        self.remove_class("-searching")
        self.refresh_bindings()
        self.update_suggestions()

    # Completion

    def action_complete(self, back: bool = False) -> None:
        completed = self._completer.step(
            self.text, self.offset_of_cursor, self._completion_context(), back=back
        )
        if completed is not None:
            self.put(*completed)
        self._closed_at = None
        self.update_suggestions()

    @property
    def _has_choice(self) -> bool:
        """Whether several completions are listed, for a text that is being typed."""
        self.update_suggestions()  # the text may have changed since
        listed = self._suggestions
        is_list = self.search is None and listed is not None and len(listed.rows) > 1
        return is_list and not self.past.is_browsing

    def pick(self, index: int) -> None:
        """Accept suggestion `index`."""
        if self.search is not None:
            self.search.choose(index)
            self.action_take_found()
            return
        completed = self._completer.pick(self.text, self.offset_of_cursor, self._completion_context(), index)
        if completed is not None:
            self.put(*completed)

    def action_close_list(self) -> None:
        # The text may have changed without an update of the list yet.
        self.update_suggestions()
        if self._suggestions is None:
            if self.drafts.mode is None:
                raise SkipAction
            self.drafts.cancel()
            return
        self._closed_at = self.text
        self.update_suggestions()

    @on(TextArea.Changed)
    @on(TextArea.SelectionChanged)
    def update_suggestions(self) -> None:
        """Post `SuggestionsChanged` if the suggestions have changed."""
        text = self.text
        if self._closed_at is not None and self._closed_at != text:
            self._closed_at = None
        suggestions: Suggestions | None = None
        if self.search is not None:
            suggestions = self.search.offers()
        elif self._closed_at is None and text:
            cursor = self.offset_of_cursor
            suggestions = self._completer.offers(text, cursor) or hint(text, cursor, self._completion_context)
        if suggestions != self._suggestions:
            self._suggestions = suggestions
            self.post_message(self.SuggestionsChanged(suggestions))
