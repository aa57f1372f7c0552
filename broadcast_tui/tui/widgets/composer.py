"""Where posts are written: several lines, readline's keys, history, completion; it never sends by itself.

Enter posts `Composer.Submitted`; whoever handles it answers with `remember`, or with `reject` if the text
must be corrected.
A paste is put in whole, cleaned, and waits for Enter like everything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from broadcast_tui.core.text import visible
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.completion import Completer, People
from broadcast_tui.tui.model.input_history import InputHistory
from broadcast_tui.tui.widgets.typed_order import act_now, pass_on

PASTE_MAX = 100_000
"""Characters of one paste that are kept; more than any server takes in one post."""

_UNDRAWABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def clean_paste(text: str) -> str:
    """`text` as it may stand in an input: LF line ends, no controls, no invisible or turning characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return visible(_UNDRAWABLE.sub("", text)[:PASTE_MAX])


class Composer(TextArea, inherit_bindings=False):
    """The input. `people` is asked for whom Tab may complete to."""

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
        bind("composer.send-post", "send_post"),
        bind("composer.insert-newline", "insert_newline"),
        bind("composer.complete-word", "complete"),
        bind("composer.complete-back", "complete(True)"),
        bind("composer.move-up", "move_up"),
        bind("composer.move-down", "move_down"),
        bind("composer.move-left", "cursor_left"),
        bind("composer.move-right", "cursor_right"),
        bind("composer.move-word-left", "cursor_word_left"),
        bind("composer.move-word-right", "cursor_word_right"),
        bind("composer.move-line-start", "cursor_line_start"),
        bind("composer.move-line-end", "move_line_end"),
        bind("composer.select-left", "cursor_left(True)"),
        bind("composer.select-right", "cursor_right(True)"),
        bind("composer.select-word-left", "cursor_word_left(True)"),
        bind("composer.select-word-right", "cursor_word_right(True)"),
        bind("composer.select-line-start", "cursor_line_start(True)"),
        bind("composer.select-line-end", "cursor_line_end(True)"),
        bind("composer.select-all", "select_all"),
        bind("composer.delete-left", "delete_left"),
        bind("composer.delete-right", "delete_right_unless_empty"),
        bind("composer.cut-blank-word", "cut_to('blank')"),
        bind("composer.cut-word-left", "cut_to('word-left')"),
        bind("composer.cut-word-right", "cut_to('word-right')"),
        bind("composer.cut-line-start", "cut_to('line-start')"),
        bind("composer.cut-line-end", "cut_to('line-end')"),
        bind("composer.paste-cut", "paste_cut"),
        bind("composer.paste-copied", "paste"),
        bind("composer.swap-characters", "swap_characters"),
        bind("composer.undo-edit", "undo"),
        bind("composer.redo-edit", "redo"),
    ]

    @dataclass
    class Submitted(Message):
        """Enter was pressed on `text`, which is not blank."""

        text: str

    @dataclass
    class PasteCut(Message):
        """A paste was too long; only `kept` characters of it are in the input."""

        kept: int

    def __init__(self, people: Callable[[], People], *, id: str | None = None) -> None:
        super().__init__(id=id, highlight_cursor_line=False, compact=True, tab_behavior="focus")
        self._people = people
        self._completer = Completer()
        self._past = InputHistory()
        self._cut = ""
        self._after_cut: tuple[str, int] | None = None
        self.cursor_blink = False
        self.match_cursor_bracket = False

    def set_hint(self, text: str) -> None:
        """Show `text` (safe to draw) while the input is empty."""
        self.placeholder = Content(text)

    def remember(self, text: str) -> None:
        """What was submitted has been done: Up brings it back."""
        self._past.add(text)

    def give_back(self, text: str) -> bool:
        """Put `text` in again, unless something is being written; false if so."""
        if self.text.strip():
            return False
        self._put(clean_paste(text))
        return True

    def reject(self, text: str) -> None:
        """What was submitted cannot be done: it stands in the input again, before what was typed since."""
        self._put(text + self.text)

    def stash(self) -> None:
        """Empty the input; Up brings the text back."""
        self._past.add(self.text.rstrip())
        self._put("")

    @property
    def offset_of_cursor(self) -> int:
        """The cursor's place as an index into `text`."""
        row, column = self.cursor_location
        return sum(len(line) + 1 for line in self.document.lines[:row]) + column

    def _put(self, text: str, offset: int | None = None) -> None:
        """Replace everything by `text`, as one step that undo takes back; cursor at `offset` or the end."""
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.document.end if offset is None else _location(text, offset))

    def render_line(self, y: int) -> Strip:
        # TextArea fails to wrap its placeholder into no width at all.
        return super().render_line(y) if self.size.width > 0 else Strip([])

    async def _on_key(self, event: events.Key) -> None:
        if not pass_on(self, event) and not event.is_printable:
            await act_now(self, event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = clean_paste(event.text)
        if len(text) >= PASTE_MAX:
            self.post_message(self.PasteCut(PASTE_MAX))
        if text and (result := self._replace_via_keyboard(text, *self.selection)):
            self.history.checkpoint()
            self.move_cursor(result.end_location)

    def action_send_post(self) -> None:
        """Hand the text over and be empty at once, so that letters typed next are those of the next post."""
        if text := self.text.rstrip():
            self._put("")
            self.post_message(self.Submitted(text))

    def action_insert_newline(self) -> None:
        self._replace_via_keyboard("\n", *self.selection)

    def action_complete(self, back: bool = False) -> None:
        completed = self._completer.step(self.text, self.offset_of_cursor, self._people(), back=back)
        if completed is not None:
            self._put(*completed)

    def action_move_up(self) -> None:
        """The line above, or on the first row what was sent before."""
        if self.get_cursor_up_location() != self.cursor_location and self.navigator_row() > 0:
            self.action_cursor_up()
        elif (older := self._past.older(self.text)) is not None:
            self._put(older)

    def action_move_down(self) -> None:
        """The line below, or on the last row what was sent after, at last the draft."""
        if self.navigator_row() < self.wrapped_document.height - 1:
            self.action_cursor_down()
        elif (newer := self._past.newer(self.text)) is not None:
            self._put(newer)

    def navigator_row(self) -> int:
        """The row of the cursor as wrapped, from 0."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def action_move_line_end(self) -> None:
        if not self.text:
            raise SkipAction
        self.action_cursor_line_end()

    def action_delete_right_unless_empty(self) -> None:
        if not self.text:
            raise SkipAction
        self.action_delete_right()

    def action_cut_to(self, where: str) -> None:
        """Cut from the cursor to `where`; cuts in a row are kept together, as in a shell."""
        if not self.text:
            raise SkipAction
        start, end = self._cut_span(where)
        text, before = self.text, (self.text, self.offset_of_cursor)
        if start == end:
            return
        piece = text[start:end]
        if before != self._after_cut:
            self._cut = piece
        else:
            self._cut = self._cut + piece if start == before[1] else piece + self._cut
        self._delete_via_keyboard(_location(text, start), _location(text, end))
        self._after_cut = (self.text, self.offset_of_cursor)

    def _cut_span(self, where: str) -> tuple[int, int]:
        text, cursor = self.text, self.offset_of_cursor
        line_start = text.rfind("\n", 0, cursor) + 1
        line_end = text.find("\n", cursor)
        line_end = len(text) if line_end < 0 else line_end
        match where:
            case "blank":
                return len(re.sub(r"\S*\s*\Z", "", text[:cursor])), cursor
            case "word-left":
                return len(re.sub(r"\w*\W*\Z", "", text[:cursor])), cursor
            case "word-right":
                found = re.match(r"\W*\w*", text[cursor:])
                return cursor, cursor + (found.end() if found else 0)
            case "line-start":
                return (line_start, cursor) if line_start < cursor else (max(0, cursor - 1), cursor)
            case _:
                return cursor, line_end if line_end > cursor else min(len(text), cursor + 1)

    def action_paste_cut(self) -> None:
        if self._cut:
            self._replace_via_keyboard(self._cut, *self.selection)

    def action_swap_characters(self) -> None:
        """Swap the characters on both sides of the cursor, at the end of a line the two before it."""
        row, column = self.cursor_location
        line = self.document.get_line(row)
        at = min(column, len(line) - 1)
        if at < 1:
            return
        self.replace(line[at] + line[at - 1], (row, at - 1), (row, at + 1), maintain_selection_offset=False)
        self.move_cursor((row, at + 1))


def _location(text: str, offset: int) -> tuple[int, int]:
    """The row and column of index `offset` of `text`."""
    before = text[:offset]
    return before.count("\n"), offset - (before.rfind("\n") + 1)
