"""Where posts are written: completed by Tab, handed over by Enter, pasted into; it never sends by itself.

Enter posts `Composer.Submitted`; whoever handles it takes what was submitted with `take_submitted` and
answers with `remember`, or with `reject` if the text must be corrected.
A paste is put in whole, cleaned, and waits for Enter like everything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import EditHistory

from broadcast_tui.core.text import visible
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.input.completion import Completer, CompletionContext, hint
from broadcast_tui.tui.model.input.history import HistorySearch, InputHistory
from broadcast_tui.tui.model.input.suggestions import Suggestions
from broadcast_tui.tui.widgets.key_dispatch import forward_to_focus, forward_to_screen, run_binding
from broadcast_tui.tui.widgets.readline_area import ReadlineArea, location

_UNDO = (50, 2.0, 100)
"""Steps of undo that are kept, and the seconds and characters that make up one; TextArea's own."""


SEARCH_KEYS = {
    "find-older": "edit_search('older')",
    "find-newer": "edit_search('newer')",
    "take-found": "take_found",
    "rub-out": "edit_search('delete_last')",
    "clear-query": "edit_search('clear')",
    "go-back": "leave_search",
}
"""What the keys of a search do; there are none while nothing is searched."""


@dataclass
class Draft:
    """What was being written in a room that is not shown."""

    text: str
    cursor: tuple[int, int]
    edits: EditHistory

    @classmethod
    def of(cls, text: str) -> Draft:
        return cls(text, location(text, len(text)), EditHistory(*_UNDO))


PASTE_MAX = 100_000
"""Characters of one paste that are kept; more than any server takes in one post."""


_UNDRAWABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def clean_paste(text: str) -> str:
    """`text` as it may stand in an input: LF line ends, no controls, no invisible or turning characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return visible(_UNDRAWABLE.sub("", text)[:PASTE_MAX])


class Composer(ReadlineArea):
    """The input. `people` is asked for whom and what Tab may complete to, `past` is what Up walks.

    `hold` is asked at Enter whether a text is to stay; it says why, and may `submit` the text later.
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
        # A search has its keys first; without one they are those of the rows below.
        *(bind(f"search.{key}", action) for key, action in SEARCH_KEYS.items()),
        bind("composer.move-up", "move_up"),
        bind("composer.move-down", "move_down"),
        bind("composer.recall-older", "recall(-1)"),
        bind("composer.recall-newer", "recall(1)"),
        bind("composer.search-history", "search_history"),
        bind("composer.insert-last-word", "insert_last_word"),
        # Of the line editor, but a search has these keys too.
        bind("composer.delete-left", "delete_left"),
        bind("composer.cut-line-start", "cut_to('line-start')"),
        bind("composer.cut-blank-word", "cut_to('blank')"),
        bind("composer.send-post", "send_post"),
        bind("composer.complete-word", "complete"),
        bind("composer.complete-back", "complete(True)"),
        bind("composer.close-list", "close_list"),
        bind("composer.open-editor", "open_editor"),
    ]

    @dataclass
    class Submitted(Message):
        """`text`, which is not blank, is to be taken with `take_submitted`."""

        text: str

    @dataclass
    class Pasted(Message):
        """A paste of `lines` lines was put in; of one that was too long only `kept` characters (else 0)."""

        lines: int
        kept: int

    @dataclass
    class OffersChanged(Message):
        """`offers` is what to show above the input now; None for nothing."""

        offers: Suggestions | None

    class EditorAsked(Message):
        """The text is to be written in an editor; `put` is the answer."""

    def __init__(
        self,
        people: Callable[[], CompletionContext],
        past: InputHistory | None = None,
        *,
        hold: Callable[[str], bool] = lambda text: False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.past = InputHistory() if past is None else past
        self.search: HistorySearch | None = None
        self.drafts: dict[str, Draft] = {}
        """What was being written in rooms that are not shown."""
        self.key_count = 0
        """Keys that came here."""
        self._restored = ""
        self._last_word: tuple[str, int, int, int] | None = None
        """Text and cursor after a last word was put in, where it begins, and how far back it was."""
        self._people = people
        self._hold = hold
        self._submitted: list[str] = []
        self._completer = Completer()
        self._offers: Suggestions | None = None
        self._closed_at: str | None = None
        """The text at which the list was closed; it stays closed until that changes."""

    def set_hint(self, text: str) -> None:
        """Show `text` (safe to draw) while the input is empty."""
        self.placeholder = Content(text)

    def give_back(self, text: str, room: str | None = None) -> bool:
        """Put `text` in again, in its room (None: this one); if something is written there, Up finds it.

        Returns whether it stands in the input of that room.
        """
        clean, elsewhere = clean_paste(text), room is not None and room != self.past.room
        being_written = self.drafts.get(room or "", Draft.of("")).text if elsewhere else self.text
        if being_written.strip():
            self.past.add_unsent(clean, room)
            return False
        if elsewhere:
            self.drafts[room or ""] = Draft.of(clean)
        else:
            self.put(clean)
        return True

    def reject(self, text: str) -> None:
        """What was submitted cannot be done: it stands in the input again, before what was typed since."""
        self.put(text + self.text)

    def submit(self, text: str) -> None:
        """Hand over `text`, with which the input begins, so that what is typed next is of the next post."""
        rest = self.text.removeprefix(text)
        self.put(rest if rest.strip() else "")
        self._submitted.append(text)
        self.post_message(self.Submitted(text))

    def take_submitted(self) -> list[str]:
        """What was submitted and not taken yet, in order."""
        taken, self._submitted = self._submitted, []
        return taken

    def take_edited(self, text: str) -> None:
        """The text was written elsewhere; undo brings back what stood here."""
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
            self.show_offers()
        elif text and (result := self._replace_via_keyboard(text, *self.selection)):
            self.history.checkpoint()
            self.move_cursor(result.end_location)
            kept = PASTE_MAX if len(text) >= PASTE_MAX else 0
            self.post_message(self.Pasted(text.rstrip("\n").count("\n") + 1, kept))

    def action_send_post(self) -> None:
        """Hand the text over, unless it is held back; then it stays as it is."""
        if (text := self.text.rstrip()) and not self._hold(text):
            self.submit(text)

    def action_open_editor(self) -> None:
        self.post_message(self.EditorAsked())

    # -- what was typed before

    @property
    def is_restored(self) -> bool:
        """Whether nothing was typed since this room was entered."""
        return self.text == self._restored

    def enter_room(self, room: str) -> None:
        """Write to `room` from now on: its draft is shown, that of the room before is kept.

        What was submitted must have been taken before.
        """
        before = self.past.room
        if room == before:
            return
        self.drafts[before] = Draft(self.text, self.cursor_location, self.history)
        self.past.enter(room)
        if self.search is not None:
            self.action_leave_search()
        draft = self.drafts.pop(room, None) or Draft.of("")
        self._restored = draft.text
        # Loading a text forgets the edits of what is there: not those of the draft that was put away.
        self.history = EditHistory(*_UNDO)
        self.load_text(draft.text)
        self.history = draft.edits
        self.move_cursor(draft.cursor)

    def remember(self, text: str) -> None:
        """What was submitted has been done: Up brings it back."""
        self.past.add(text)

    def stash(self) -> None:
        """Empty the input; Up brings the text back."""
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
                self.show_offers()
                return
            bound = self._bindings.key_to_bindings.get(event.key, [])
            if not any(row.id and row.id.startswith("search.") for row in bound):
                self.action_take_found()
        if not event.is_printable:
            await run_binding(self, event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.search is not None or action not in ("edit_search", "take_found", "leave_search")

    def action_move_up(self) -> None:
        """The line above, or on the first row what was sent before."""
        if self.get_cursor_up_location() != self.cursor_location and self.navigator_row() > 0:
            self.action_cursor_up()
        elif (older := self.past.older(self.text)) is not None:
            self.put(older)

    def action_move_down(self) -> None:
        """The line below, or on the last row what was sent after, at last the draft."""
        if self.navigator_row() < self.wrapped_document.height - 1:
            self.action_cursor_down()
        elif (newer := self.past.newer(self.text)) is not None:
            self.put(newer)

    def action_recall(self, step: int) -> None:
        """What was sent before (-1) or after (1), in whatever room."""
        walk = self.past.older if step < 0 else self.past.newer
        if (found := walk(self.text, everywhere=True)) is not None:
            self.put(found)

    def action_insert_last_word(self) -> None:
        """Put in the last word that was sent; right after that, the one sent before it instead."""
        back, start = 0, self.offset_of_cursor
        if self._last_word is not None and self._last_word[:2] == (self.text, start):
            _, _, start, back = self._last_word
        words = [entry.text.split()[-1] for entry in self.past.entries if entry.room == self.past.room]
        if back < len(words):
            self.move_cursor(location(self.text, start), select=back > 0)
            self._replace_via_keyboard(words[-1 - back], *self.selection)
            self._last_word = (self.text, self.offset_of_cursor, start, back + 1)

    def action_search_history(self) -> None:
        self.search = HistorySearch(self.past.entries)
        self.add_class("-searching")
        self.refresh_bindings()
        self.show_offers()

    def action_edit_search(self, method: str) -> None:
        """Call a method of the search, then show its result."""
        assert self.search is not None, "the keys of a search are bound only during one"
        getattr(self.search, method)()
        self.show_offers()

    def action_take_found(self) -> None:
        """End the search with what it found in the input, not sent."""
        found = self.search.found if self.search is not None else None
        self.action_leave_search()
        if found is not None:
            self.put(found)

    def action_leave_search(self) -> None:
        """End the search; the input is as it was."""
        self.search = None
        self.remove_class("-searching")
        self.refresh_bindings()
        self.show_offers()

    # -- what is offered

    def action_complete(self, back: bool = False) -> None:
        completed = self._completer.step(self.text, self.offset_of_cursor, self._people(), back=back)
        if completed is not None:
            self.put(*completed)
        self._closed_at = None
        self.show_offers()

    def pick(self, index: int) -> None:
        """Row `index` of what is offered was chosen."""
        if self.search is not None:
            self.search.choose(index)
            self.action_take_found()
            return
        completed = self._completer.pick(self.text, self.offset_of_cursor, self._people(), index)
        if completed is not None:
            self.put(*completed)

    def action_close_list(self) -> None:
        # What was typed right before may not have been answered yet.
        self.show_offers()
        if self._offers is None:
            raise SkipAction
        self._closed_at = self.text
        self.show_offers()

    @on(TextArea.Changed)
    @on(TextArea.SelectionChanged)
    def show_offers(self) -> None:
        """Say what is offered, if that is not what was offered before."""
        text = self.text
        if self._closed_at is not None and self._closed_at != text:
            self._closed_at = None
        offers: Suggestions | None = None
        if self.search is not None:
            offers = self.search.offers()
        elif self._closed_at is None and text:
            cursor = self.offset_of_cursor
            offers = self._completer.offers(text, cursor) or hint(text, cursor, self._people)
        if offers != self._offers:
            self._offers = offers
            self.post_message(self.OffersChanged(offers))
