"""The notes in the ring of a room: what they change in it, and how other dialects see them.

Invariants: the ring contains each post as it is after the newest note about it. The former text of an edited
post, and the text of a deleted one, are in no frame. Notes are rare, so what depends on them is derived from
the frames when it is needed.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from broadcast_tui.core.notes import Entry, Note
from broadcast_tui.core.post import Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import events
from broadcast_tui.core.protocol.codec import decode_event, frame_extent, framed
from broadcast_tui.core.protocol.dialects import Dialect, translate
from broadcast_tui.core.protocol.entries import event_of, message_of
from broadcast_tui.core.ring import RingBuffer


class NoteMark(NamedTuple):
    """A note or deleted post in the ring: what other dialects need besides its frame."""

    re: int
    """Seq of the post that the note is about; 0 for a deleted post."""
    has_text: bool
    """Whether the frame contains the text of that post."""
    sender: str
    """Sender of that post; empty if it is no longer stored."""


class EncodedEntry(NamedTuple):
    """An entry of the log as the frame that is sent to connections."""

    seq: int
    data: bytes
    mark: NoteMark | None = None
    """Set for a note or deleted post."""

    @classmethod
    def of(cls, entry: Entry) -> EncodedEntry:
        return cls(entry.position.seq, framed(event_of(entry)), _mark_of(entry))


class RingNotes:
    """The notes and deleted posts in a ring, by seq."""

    def __init__(self) -> None:
        self._marks: dict[int, NoteMark] = {}
        self._texts: dict[int, int] = {}
        """For posts that were edited, the seq of the note with their text."""
        self._changed: dict[int, Post] = {}
        """Posts changed during a backfill, which may have read them before."""

    def clear(self) -> None:
        """Remove all, as the ring does."""
        self._marks.clear()
        self._texts.clear()

    def append(self, note: Note, ring: RingBuffer[bytes], *, keep: bool) -> None:
        """Add the newest note of a ring, and update the frames of earlier entries.

        Args:
            keep: Whether a backfill is in progress, whose entries have to be updated, too.
        """
        seq = note.position.seq
        if len(self._marks) > 2 * len(ring):
            self._drop_before(ring.first_seq)
        self._marks[seq] = mark = _note_mark(note)
        post = note.post
        if post is None:
            return
        if keep:
            self._changed[note.re] = post
        is_deleted = post.state.deleted is not None
        if ring.first_seq <= note.re < seq:
            data = framed(message_of(post))
            ring.replace(note.re, data, len(data))
            if is_deleted:
                self._marks[note.re] = _deleted_mark(post)
        if mark.has_text or is_deleted:
            self._strip(self._texts.pop(note.re, 0), ring)
        if mark.has_text:
            self._texts[note.re] = seq

    def prepend(self, older: list[EncodedEntry]) -> list[bytes]:
        """Add the entries of a backfill in ascending order, and return their current frames."""
        frames = []
        for entry in reversed(older):  # the newest note about a post keeps the text
            data, mark = entry.data, entry.mark
            if (post := self._changed.get(entry.seq)) is not None:
                data, mark = framed(message_of(post)), _mark_of(post)
            elif mark is not None and mark.has_text:
                if mark.re in self._changed or mark.re in self._texts:
                    data, mark = _without_state(data), mark._replace(has_text=False)
                else:
                    self._texts[mark.re] = entry.seq
            if mark is not None:
                self._marks[entry.seq] = mark
            frames.append(data)
        return frames[::-1]

    def backfilled(self) -> None:
        """End of a backfill."""
        self._changed.clear()

    def has_any(self, first_seq: int, last_seq: int) -> bool:
        """Whether there is a note or deleted post in a range of seqs."""
        return bool(self._marks) and any(seq in self._marks for seq in range(first_seq, last_seq + 1))

    def translate(self, frames: list[bytes], first_seq: int, dialect: Dialect) -> None:
        """Replace the frames of notes and deleted posts with those of a dialect, perhaps empty."""
        for number, data in enumerate(frames):
            mark = self._marks.get(first_seq + number)
            if mark is not None:
                event = translate(_event_in(data), dialect, mark.sender)
                frames[number] = framed(event) if event is not None else b""

    def _strip(self, seq: int, ring: RingBuffer[bytes]) -> None:
        """Remove the text from an earlier note, whose state is obsolete."""
        data = ring.get(seq)
        if data is not None and seq in self._marks:
            stripped = _without_state(data)
            ring.replace(seq, stripped, len(stripped))
            self._marks[seq] = self._marks[seq]._replace(has_text=False)

    def _drop_before(self, first_seq: int) -> None:
        """Remove what has left the ring."""
        self._marks = {seq: mark for seq, mark in self._marks.items() if seq >= first_seq}
        self._texts = {re: seq for re, seq in self._texts.items() if seq >= first_seq}


def _mark_of(entry: Entry) -> NoteMark | None:
    if isinstance(entry, Note):
        return _note_mark(entry)
    return _deleted_mark(entry) if entry.state.deleted is not None else None


def _note_mark(note: Note) -> NoteMark:
    has_text = note.kind is NoteKind.EDIT and note.post is not None and bool(note.post.text)
    return NoteMark(note.re, has_text, note.post.sender if note.post is not None else "")


def _deleted_mark(post: Post) -> NoteMark:
    return NoteMark(0, has_text=False, sender=post.sender)


def _event_in(data: bytes) -> events.Message | events.Note:
    """The event in a frame of the ring."""
    start, end = frame_extent(data, 0)
    event = decode_event(data[start:end])
    assert isinstance(event, events.Message | events.Note)
    return event


def _without_state(data: bytes) -> bytes:
    """The frame of a note without the state of its post."""
    event = _event_in(data)
    assert isinstance(event, events.Note)
    return framed(msgspec.structs.replace(event, now=None))
