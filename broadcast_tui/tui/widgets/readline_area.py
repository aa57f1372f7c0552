"""A text area with the key bindings of readline: moves, kill ring, transpose, undo.

Enter, Tab, Up and Down have no binding here; subclasses define them.
"""

from __future__ import annotations

from typing import ClassVar

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Location

from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.input.kill_ring import KillRing, Where, kill_span


class ReadlineArea(TextArea, inherit_bindings=False):
    """An editor for one or more lines. Offsets are indices into `text`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("composer.insert-newline", "insert_newline"),
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
        bind("composer.delete-left", "delete_left"),
        bind("composer.delete-right", "delete_right_unless_empty"),
        bind("composer.cut-blank-word", "cut_to('blank')"),
        bind("composer.cut-word-left", "cut_to('word-left')"),
        bind("composer.cut-word-right", "cut_to('word-right')"),
        bind("composer.cut-line-start", "cut_to('line-start')"),
        bind("composer.cut-line-end", "cut_to('line-end')"),
        bind("composer.paste-cut", "yank"),
        bind("composer.paste-older-cut", "yank_pop"),
        bind("composer.paste-copied", "paste"),
        bind("composer.swap-characters", "swap_characters"),
        bind("composer.undo-edit", "undo"),
        bind("composer.redo-edit", "redo"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, highlight_cursor_line=False, compact=True, tab_behavior="focus")
        self._kill_ring = KillRing()
        self._after_cut: tuple[str, int] | None = None
        self._after_yank: tuple[str, int, int] | None = None
        """Text and cursor right after a yank, and the offset where the yanked text begins."""
        self.cursor_blink = False
        self.match_cursor_bracket = False

    async def run_edit_key(self, key: str) -> bool:
        """Run the editing action of `key`, wherever the focus is; false if it has none."""
        for binding in self._bindings.key_to_bindings.get(key, ()):
            if binding.id in _EDITING and await self.app.run_action(binding.action, self):
                return True
        return False

    @property
    def offset_of_cursor(self) -> int:
        """The cursor position as an index into `text`."""
        row, column = self.cursor_location
        return sum(len(line) + 1 for line in self.document.lines[:row]) + column

    def put(self, text: str, offset: int | None = None) -> None:
        """Replace the whole text as one undo step; the cursor goes to `offset` or the end."""
        self.history.checkpoint()
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.document.end if offset is None else location(text, offset))

    def render_line(self, y: int) -> Strip:
        # TextArea raises when it wraps its placeholder at width 0.
        return super().render_line(y) if self.size.width > 0 else Strip([])

    def navigator_row(self) -> int:
        """The visual row of the cursor, from 0."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def get_cursor_word_left_location(self) -> Location:
        """The start of the word before the cursor, as for cuts; TextArea stops at punctuation too."""
        start, _ = kill_span(self.text, self.offset_of_cursor, "word-left")
        return location(self.text, start)

    def get_cursor_word_right_location(self) -> Location:
        """The end of the word after the cursor, as for cuts."""
        _, end = kill_span(self.text, self.offset_of_cursor, "word-right")
        return location(self.text, end)

    def action_insert_newline(self) -> None:
        self._replace_via_keyboard("\n", *self.selection)

    def action_move_line_end(self) -> None:
        if not self.text:
            raise SkipAction
        self.action_cursor_line_end()

    def action_delete_right_unless_empty(self) -> None:
        if not self.text:
            raise SkipAction
        self.action_delete_right()

    def action_cut_to(self, where: Where) -> None:
        """Cut from the cursor to `where`; consecutive cuts form one entry of the kill ring, as in a shell."""
        if not self.text:
            raise SkipAction
        text, cursor = self.text, self.offset_of_cursor
        start, end = kill_span(text, cursor, where)
        if start == end:
            return
        self._kill_ring.kill(
            text[start:end], append=self._after_cut == (text, cursor), backwards=start < cursor
        )
        self._delete_via_keyboard(location(text, start), location(text, end))
        self._after_cut = (self.text, self.offset_of_cursor)

    def action_yank(self) -> None:
        """Insert the last cut text."""
        self._insert_cut(self._kill_ring.yank(), min(self._selected_offsets()))

    def action_yank_pop(self) -> None:
        """Right after a yank, replace the yanked text by the entry before it."""
        if self._after_yank is None or self._after_yank[:2] != (self.text, self.offset_of_cursor):
            raise SkipAction
        start = self._after_yank[2]
        self.move_cursor(location(self.text, start), select=True)
        self._insert_cut(self._kill_ring.yank_pop(), start)

    def _insert_cut(self, cut: str, start: int) -> None:
        if cut:
            self._replace_via_keyboard(cut, *self.selection)
            self._after_yank = (self.text, self.offset_of_cursor, start)

    def _selected_offsets(self) -> tuple[int, int]:
        lengths = [len(line) + 1 for line in self.document.lines]
        start, end = (sum(lengths[:row]) + column for row, column in self.selection)
        return start, end

    def action_swap_characters(self) -> None:
        """Swap the characters around the cursor, or at the end of a line the two before it."""
        row, column = self.cursor_location
        line = self.document.get_line(row)
        at = min(column, len(line) - 1)
        if at < 1:
            return
        self.replace(line[at] + line[at - 1], (row, at - 1), (row, at + 1), maintain_selection_offset=False)
        self.move_cursor((row, at + 1))


_EDITING = frozenset(binding.id for binding in ReadlineArea.BINDINGS if isinstance(binding, Binding))


def location(text: str, offset: int) -> tuple[int, int]:
    """The row and column of the index `offset` of `text`."""
    before = text[:offset]
    return before.count("\n"), offset - (before.rfind("\n") + 1)
