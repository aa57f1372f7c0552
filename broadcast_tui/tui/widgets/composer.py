"""Where posts are written: several lines, history, completion, drafts by room; it never sends by itself.

Enter posts `Composer.Submitted`; whoever handles it answers with `remember`, or with `reject` if the text
must be corrected.
A paste is put in whole, cleaned, and waits for Enter like everything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.document._history import EditHistory
from textual.message import Message
from textual.widgets import TextArea

from broadcast_tui.core.text import visible
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.completion import Completer, People, hint
from broadcast_tui.tui.model.history_search import HistorySearch
from broadcast_tui.tui.model.input_history import InputHistory
from broadcast_tui.tui.model.offers import Offers
from broadcast_tui.tui.widgets.line_editor import LineEditor, location
from broadcast_tui.tui.widgets.typed_order import act_now

PASTE_MAX = 100_000
"""Characters of one paste that are kept; more than any server takes in one post."""

_UNDRAWABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def clean_paste(text: str) -> str:
    """`text` as it may stand in an input: LF line ends, no controls, no invisible or turning characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return visible(_UNDRAWABLE.sub("", text)[:PASTE_MAX])


@dataclass
class _Draft:
    """What was being written in a room that is not shown."""

    text: str
    cursor: tuple[int, int]
    edits: EditHistory


class Composer(LineEditor):
    """The input. `people` is asked for whom and what Tab may complete to, `past` is what Up walks."""

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
        bind("search.find-older", "find_older"),
        bind("search.find-newer", "find_newer"),
        bind("search.take-found", "take_found"),
        bind("search.rub-out", "rub_out"),
        bind("search.clear-query", "clear_query"),
        bind("search.go-back", "leave_search"),
        bind("composer.send-post", "send_post"),
        bind("composer.complete-word", "complete"),
        bind("composer.complete-back", "complete(True)"),
        bind("composer.close-list", "close_list"),
        bind("composer.move-up", "move_up"),
        bind("composer.move-down", "move_down"),
        bind("composer.recall-older", "recall(-1)"),
        bind("composer.recall-newer", "recall(1)"),
        bind("composer.search-history", "search_history"),
        bind("composer.insert-last-word", "insert_last_word"),
        bind("composer.open-editor", "open_editor"),
        # Of the line editor, but a search has these keys too.
        bind("composer.delete-left", "delete_left"),
        bind("composer.cut-line-start", "cut_to('line-start')"),
        bind("composer.cut-blank-word", "cut_to('blank')"),
    ]

    @dataclass
    class Submitted(Message):
        """Enter was pressed in `room` on `text`, which is not blank; `sure` if that was asked."""

        text: str
        room: str
        sure: bool = False

    @dataclass
    class Pasted(Message):
        """A paste of `lines` lines was put in; of one that was too long only `kept` characters (else 0)."""

        lines: int
        kept: int

    @dataclass
    class OffersChanged(Message):
        """`offers` is what to show above the input now; None for nothing."""

        offers: Offers | None

    class EditorAsked(Message):
        """The text is to be written in an editor; `put` is the answer."""

    def __init__(
        self, people: Callable[[], People], past: InputHistory | None = None, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._people = people
        self._past = InputHistory() if past is None else past
        self._completer = Completer()
        self._search: HistorySearch | None = None
        self._offers: Offers | None = None
        self._closed_at: str | None = None
        """The text at which the list was closed; it stays closed until that changes."""
        self._drafts: dict[str, _Draft] = {}
        self._last_word: tuple[str, int, int, int] | None = None
        """Text and cursor after a last word was put in, where it begins, and how far back it was."""

    def set_hint(self, text: str) -> None:
        """Show `text` (safe to draw) while the input is empty."""
        self.placeholder = Content(text)

    def enter_room(self, room: str) -> None:
        """Write to `room` from now on: its draft is shown, that of the room before is kept."""
        before = self._past.room
        if room == before:
            return
        self._drafts[before] = _Draft(self.text, self.cursor_location, self.history)
        self._past.enter(room)
        self._search = None
        draft = self._drafts.pop(room, None) or _Draft("", (0, 0), EditHistory(50, 2.0, 100))
        self.history = EditHistory(50, 2.0, 100)
        self.load_text(draft.text)
        self.history = draft.edits
        self.move_cursor(draft.cursor)

    def remember(self, text: str) -> None:
        """What was submitted has been done: Up brings it back."""
        self._past.add(text)

    def give_back(self, text: str, room: str | None = None) -> bool:
        """Put `text` in again; if something is being written, or it is of another room, Up finds it.

        Returns whether it stands in the input.
        """
        if (room is not None and room != self._past.room) or self.text.strip():
            self._past.set_aside(text, room)
            return False
        self.put(clean_paste(text))
        return True

    def reject(self, text: str) -> None:
        """What was submitted cannot be done: it stands in the input again, before what was typed since."""
        self.put(text + self.text)

    def stash(self) -> None:
        """Empty the input; Up brings the text back."""
        self._past.set_aside(self.text.rstrip())
        self._past.end_walk()
        self.put("")

    def take_out(self, text: str) -> None:
        """`text`, with which the input begins, was dealt with; Up finds it, what came after it stays."""
        self._past.set_aside(text)
        self._past.end_walk()
        self.put(self.text.removeprefix(text))

    def take_edited(self, text: str) -> None:
        """The text was written elsewhere; undo brings back what stood here."""
        clean = clean_paste(text)
        self.put(clean)
        if len(clean) >= PASTE_MAX:
            self.post_message(self.Pasted(clean.count("\n") + 1, PASTE_MAX))

    async def _on_key(self, event: events.Key) -> None:
        if self._search is not None:
            if event.is_printable and event.character:
                event.prevent_default().stop()
                self._search.type(event.character)
                self._show_offers()
                return
            if not any(row.id and row.id.startswith("search.") for row in self._bound_to(event.key)):
                self.action_take_found()
        if not event.is_printable:
            await act_now(self, event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = clean_paste(event.text)
        if self._search is not None:
            self._search.type(text.partition("\n")[0])
            self._show_offers()
        elif text and (result := self._replace_via_keyboard(text, *self.selection)):
            self.history.checkpoint()
            self.move_cursor(result.end_location)
            kept = PASTE_MAX if len(text) >= PASTE_MAX else 0
            self.post_message(self.Pasted(text.rstrip("\n").count("\n") + 1, kept))

    def action_send_post(self) -> None:
        """Hand the text over and be empty at once, so that letters typed next are those of the next post."""
        if text := self.text.rstrip():
            self.put("")
            self.post_message(self.Submitted(text, self._past.room))

    def action_open_editor(self) -> None:
        self.post_message(self.EditorAsked())

    # -- what is offered

    def action_complete(self, back: bool = False) -> None:
        completed = self._completer.step(self.text, self.offset_of_cursor, self._people(), back=back)
        if completed is not None:
            self.put(*completed)
        self._closed_at = None
        self._show_offers()

    def pick(self, index: int) -> None:
        """Row `index` of what is offered was chosen."""
        if self._search is not None:
            self._search.choose(index)
            self.action_take_found()
            return
        completed = self._completer.pick(self.text, self.offset_of_cursor, self._people(), index)
        if completed is not None:
            self.put(*completed)

    def action_close_list(self) -> None:
        # What was typed right before may not have been answered yet.
        self._show_offers()
        if self._offers is None:
            raise SkipAction
        self._closed_at = self.text
        self._show_offers()

    @on(TextArea.Changed)
    @on(TextArea.SelectionChanged)
    def offer(self) -> None:
        self._show_offers()

    def _show_offers(self) -> None:
        """Say what is offered, if that is not what was offered before."""
        text = self.text
        if self._closed_at is not None and self._closed_at != text:
            self._closed_at = None
        offers: Offers | None = None
        if self._search is not None:
            offers = self._search.offers()
        elif self._closed_at is None and text:
            cursor = self.offset_of_cursor
            offers = self._completer.offers(text, cursor) or hint(text, cursor, self._people())
        if offers != self._offers:
            self._offers = offers
            self.post_message(self.OffersChanged(offers))

    # -- what was typed before

    def action_move_up(self) -> None:
        """The line above, or on the first row what was sent before."""
        if self.get_cursor_up_location() != self.cursor_location and self.navigator_row() > 0:
            self.action_cursor_up()
        elif (older := self._past.older(self.text)) is not None:
            self.put(older)

    def action_move_down(self) -> None:
        """The line below, or on the last row what was sent after, at last the draft."""
        if self.navigator_row() < self.wrapped_document.height - 1:
            self.action_cursor_down()
        elif (newer := self._past.newer(self.text)) is not None:
            self.put(newer)

    def action_recall(self, step: int) -> None:
        """What was sent before (-1) or after (1), in whatever room."""
        walk = self._past.older if step < 0 else self._past.newer
        if (found := walk(self.text, everywhere=True)) is not None:
            self.put(found)

    def action_insert_last_word(self) -> None:
        """Put in the last word that was sent; right after that, the one sent before it instead."""
        back, start = 0, self.offset_of_cursor
        if self._last_word is not None and self._last_word[:2] == (self.text, start):
            _, _, start, back = self._last_word
        words = [entry.text.split()[-1] for entry in self._past.entries if entry.room == self._past.room]
        if back < len(words):
            self.move_cursor(location(self.text, start), select=back > 0)
            self._replace_via_keyboard(words[-1 - back], *self.selection)
            self._last_word = (self.text, self.offset_of_cursor, start, back + 1)

    def action_search_history(self) -> None:
        self._search = HistorySearch(self._past.entries)
        self.add_class("-searching")
        self._show_offers()

    def action_find_older(self) -> None:
        self._searching().older()
        self._show_offers()

    def action_find_newer(self) -> None:
        self._searching().newer()
        self._show_offers()

    def action_rub_out(self) -> None:
        self._searching().rub_out()
        self._show_offers()

    def action_clear_query(self) -> None:
        self._searching().clear()
        self._show_offers()

    def action_take_found(self) -> None:
        """End the search with what it found in the input, not sent."""
        found = self._searching().found
        self.action_leave_search()
        if found is not None:
            self.put(found)

    def action_leave_search(self) -> None:
        """End the search; the input is as it was."""
        self._searching()
        self._search = None
        self.remove_class("-searching")
        self._show_offers()

    def _searching(self) -> HistorySearch:
        """The search; without one the key is for somebody else."""
        if self._search is None:
            raise SkipAction
        return self._search

    def _bound_to(self, key: str) -> list[Binding]:
        return self._bindings.key_to_bindings.get(key, [])
