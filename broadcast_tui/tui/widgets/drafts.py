"""The drafts of an input: one for each room, and the one that a reply or an edit has set aside."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from textual.message import Message
from textual.widgets.text_area import EditHistory

from broadcast_tui.tui.model.input.compose_mode import ComposeKind, ComposeMode
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.widgets.readline_area import ReadlineArea, location

_UNDO = (50, 2.0, 100)
"""Undo steps, and the seconds and characters of one step: the defaults of TextArea."""


class Draft(msgspec.Struct):
    """Unsent text that is not displayed."""

    text: str
    cursor: tuple[int, int]
    edits: EditHistory
    mode: ComposeMode | None = None
    before: Draft | None = None
    """The draft that was set aside for `mode`."""

    @classmethod
    def of(cls, text: str, mode: ComposeMode | None = None) -> Draft:
        return cls(text, location(text, len(text)), EditHistory(*_UNDO), mode)

    @property
    def is_ordinary(self) -> bool:
        """Whether it can be the draft of its room in the next run: a post, or a reply without one before."""
        is_reply = self.mode is not None and self.mode.kind is ComposeKind.REPLY
        return self.mode is None or (is_reply and (self.before is None or not self.before.text.strip()))


class Drafts:
    """The drafts of `area`, whose history is `past`.

    While a reply or an edit is written (`mode` is not None), the draft from before is set aside. It comes
    back at the end.
    """

    class ModeChanged(Message):
        """`mode` has changed."""

    def __init__(self, area: ReadlineArea, past: InputHistory) -> None:
        self._area = area
        self._past = past
        self._elsewhere = {room: Draft.of(text) for room, text in past.saved_drafts.items()}
        """Drafts of the rooms that are not displayed."""
        self._restored = ""
        self._before: Draft | None = None
        """The draft that was set aside for `mode`."""
        self.mode: ComposeMode | None = None
        """The reply or edit that is being written; None for a new post."""

    @property
    def is_restored(self) -> bool:
        """Whether the text is still the draft that entering the room restored."""
        return self._area.text == self._restored

    @property
    def is_untouched_edit(self) -> bool:
        """Whether an edit was begun and nothing was typed yet."""
        mode = self.mode
        return mode is not None and mode.kind is ComposeKind.EDIT and self._area.text == mode.initial_text

    def restore(self) -> None:
        """Show the draft that an earlier run has left in the current room."""
        if (draft := self._elsewhere.pop(self._past.room, None)) is not None:
            self._restored = draft.text
            self._show(draft)

    def texts(self) -> dict[str, str]:
        """The unsent texts by room, without edits.

        A reply becomes an ordinary draft, because its post may be gone in the next run, unless it has set
        another draft aside.
        """
        texts = {room: self._text(room, draft) for room, draft in self._all()}
        return {room: text for room, text in texts.items() if text}

    def finish(self) -> dict[str, str]:
        """The unsent texts by room, at the end of the chat. Those that have no room go to the history."""
        for room, draft in self._all():
            text, mode = draft.text.rstrip(), draft.mode
            if mode is not None and not draft.is_ordinary and text != mode.initial_text:
                self._past.store(text, room)
        return self.texts()

    def _all(self) -> Iterator[tuple[str, Draft]]:
        """The rooms and their drafts."""
        yield from {**self._elsewhere, self._past.room: self._current()}.items()

    def _text(self, room: str, draft: Draft) -> str:
        if draft.is_ordinary:
            return self._past.unsent(room, draft.text).rstrip()
        return "" if draft.before is None else draft.before.text.rstrip()

    def enter_room(self, room: str) -> None:
        """Show the draft of `room`; the current text becomes the draft of the room before."""
        self._elsewhere[self._past.room] = self._current()
        self._past.enter(room)
        draft = self._elsewhere.pop(room, None) or Draft.of("")
        self._restored = draft.text
        self._show(draft)

    def give_back(self, text: str, room: str | None, mode: ComposeMode | None) -> bool:
        """Make a text, for a reply or an edit with `mode`, the draft of `room` (None: the current room).

        If there is another draft, `text` only goes to the history. Returns whether it was restored.
        """
        elsewhere = room is not None and room != self._past.room
        draft = self._elsewhere.get(room or "", Draft.of("")) if elsewhere else self._current()
        if draft.text.strip() or (mode is not None and draft.mode is not None):
            self._past.add_unsent(text, room)
            return False
        if elsewhere:
            self._elsewhere[room or ""] = Draft.of(text, mode or draft.mode)
        elif mode is not None:
            self.begin(mode, text)
        else:
            self._area.put(text)
        return True

    def begin(self, mode: ComposeMode, text: str | None = None) -> None:
        """Write a reply or an edit, with `text` or the text that it begins with."""
        before = self._before if self.mode is not None else self._current()
        if text is None and self.mode is not None and self.mode.kind is mode.kind is ComposeKind.REPLY:
            text = self._area.text  # the same reply, to another post
        self._show(Draft.of(mode.initial_text if text is None else text, mode))
        self._before = before

    def cancel(self) -> None:
        """Stop writing a reply or an edit; its text goes to the history."""
        if self.mode is not None:
            if self._area.text.rstrip() != self.mode.initial_text:
                self._past.add_unsent(self._area.text.rstrip())
            self.end()

    def end(self) -> None:
        """Return to the draft from before the reply or edit."""
        self._show(self._before or Draft.of(""))

    def _current(self) -> Draft:
        area = self._area
        return Draft(area.text, area.cursor_location, area.history, self.mode, self._before)

    def _show(self, draft: Draft) -> None:
        area = self._area
        # load_text clears the undo history; replace it first, because the draft refers to it.
        area.history = EditHistory(*_UNDO)
        area.load_text(draft.text)
        area.history = draft.edits
        area.move_cursor(draft.cursor)
        self._before = draft.before
        if draft.mode != self.mode:
            self.mode = draft.mode
            area.post_message(self.ModeChanged())
