"""A line editor that knows what was typed before: walked, searched, and a draft for each room."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.document._history import EditHistory

from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.history_search import HistorySearch
from broadcast_tui.tui.model.input_history import InputHistory
from broadcast_tui.tui.widgets.line_editor import LineEditor, location
from broadcast_tui.tui.widgets.typed_order import act_now, hand_over, pass_on

_UNDO = (50, 2.0, 100)
"""Steps of undo that are kept, and the seconds and characters that make up one; TextArea's own."""

SEARCH_KEYS = {
    "find-older": "find_older",
    "find-newer": "find_newer",
    "take-found": "take_found",
    "rub-out": "rub_out",
    "clear-query": "clear_query",
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


class RecallingEditor(LineEditor):
    """Editing with a memory, `past`. While `search` is not None, letters go into it and the text stays."""

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
    ]

    def __init__(self, past: InputHistory, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.past = past
        self.search: HistorySearch | None = None
        self.drafts: dict[str, Draft] = {}
        """What was being written in rooms that are not shown."""
        self.key_count = 0
        """Keys that came here."""
        self._restored = ""
        self._last_word: tuple[str, int, int, int] | None = None
        """Text and cursor after a last word was put in, where it begins, and how far back it was."""

    @abstractmethod
    def show_offers(self) -> None:
        """The search has changed, began or ended: show what it found, if it goes on."""

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
        self.past.set_aside(self.text.rstrip())
        self.past.end_walk()
        self.put("")

    async def _on_key(self, event: events.Key) -> None:
        self.key_count += 1
        if hand_over(self, event) or pass_on(self, event):
            return
        if self.search is not None:
            if event.is_printable and event.character:
                event.prevent_default().stop()
                self.search.type(event.character)
                self.show_offers()
                return
            if not any(row.id and row.id.startswith("search.") for row in self._bound_to(event.key)):
                self.action_take_found()
        if not event.is_printable:
            await act_now(self, event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.search is not None or action not in SEARCH_KEYS.values()

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

    def action_find_older(self) -> None:
        self._searching().older()
        self.show_offers()

    def action_find_newer(self) -> None:
        self._searching().newer()
        self.show_offers()

    def action_rub_out(self) -> None:
        self._searching().rub_out()
        self.show_offers()

    def action_clear_query(self) -> None:
        self._searching().clear()
        self.show_offers()

    def action_take_found(self) -> None:
        """End the search with what it found in the input, not sent."""
        found = self._searching().found
        self.action_leave_search()
        if found is not None:
            self.put(found)

    def action_leave_search(self) -> None:
        """End the search; the input is as it was."""
        self.search = None
        self.remove_class("-searching")
        self.refresh_bindings()
        self.show_offers()

    def _searching(self) -> HistorySearch:
        assert self.search is not None, "its keys are bound while there is one"
        return self.search

    def _bound_to(self, key: str) -> list[Binding]:
        return self._bindings.key_to_bindings.get(key, [])
