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

from broadcast_tui.core.text import visible
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.completion import Completer, People, hint
from broadcast_tui.tui.model.input_history import InputHistory
from broadcast_tui.tui.model.offers import Offers
from broadcast_tui.tui.widgets.recalling_editor import SEARCH_KEYS, Draft, RecallingEditor

PASTE_MAX = 100_000
"""Characters of one paste that are kept; more than any server takes in one post."""

_UNDRAWABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def clean_paste(text: str) -> str:
    """`text` as it may stand in an input: LF line ends, no controls, no invisible or turning characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return visible(_UNDRAWABLE.sub("", text)[:PASTE_MAX])


class Composer(RecallingEditor):
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
        # A search has these keys too, and has them first.
        bind("search.take-found", SEARCH_KEYS["take-found"]),
        bind("search.go-back", SEARCH_KEYS["go-back"]),
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

        offers: Offers | None

    class EditorAsked(Message):
        """The text is to be written in an editor; `put` is the answer."""

    def __init__(
        self,
        people: Callable[[], People],
        past: InputHistory | None = None,
        *,
        hold: Callable[[str], bool] = lambda text: False,
        id: str | None = None,
    ) -> None:
        super().__init__(InputHistory() if past is None else past, id=id)
        self._people = people
        self._hold = hold
        self._submitted: list[str] = []
        self._completer = Completer()
        self._offers: Offers | None = None
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
            self.past.set_aside(clean, room)
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
    def offer(self) -> None:
        self.show_offers()

    def show_offers(self) -> None:
        """Say what is offered, if that is not what was offered before."""
        text = self.text
        if self._closed_at is not None and self._closed_at != text:
            self._closed_at = None
        offers: Offers | None = None
        if self.search is not None:
            offers = self.search.offers()
        elif self._closed_at is None and text:
            cursor = self.offset_of_cursor
            offers = self._completer.offers(text, cursor) or hint(text, cursor, self._people)
        if offers != self._offers:
            self._offers = offers
            self.post_message(self.OffersChanged(offers))
