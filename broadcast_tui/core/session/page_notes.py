"""Notes that arrive while a page of posts is being read.

The server reads a page and then sends it. A note that is written in between reaches the client before the
page, whose posts do not include it. If such a post is not loaded yet, the note has nothing to change, and the
page alone would leave the post out of date.
"""

from __future__ import annotations

from collections.abc import Iterable

from broadcast_tui.core.notes import Note, apply_note, in_epoch
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.session.bounds import entry_chars
from broadcast_tui.core.session.updates import EpochChanged

NOTES_MAX = 5_000
"""Maximum number of notes that are remembered; then the oldest are dropped."""
NOTES_CHARS = 8_388_608
"""The same in characters of text and names."""


class PageNotes:
    """The last note of each kind about each post, in the rooms of which a page is requested."""

    def __init__(self) -> None:
        self._rooms: dict[str, str] = {}
        """Rooms of the requested pages, by ref."""
        self._notes: dict[tuple[str, Position, NoteKind], Note] = {}
        """Notes by room, post and kind, in the order of their arrival."""
        self._chars = 0

    def requested(self, ref: str, room: str) -> None:
        """A page of a room was requested."""
        self._rooms[ref] = room

    def arrived(self, note: Note) -> None:
        """Remember a note if a page of its room is requested."""
        if note.room not in self._rooms.values():
            return
        key = note.room, Position(note.position.epoch, note.re), note.kind
        if key in self._notes:
            self._drop(key)
        self._notes[key] = note
        self._chars += entry_chars(note)
        while len(self._notes) > NOTES_MAX or self._chars > NOTES_CHARS:
            self._drop(next(iter(self._notes)))

    def follow(self, change: EpochChanged) -> None:
        """Forget the notes about lost posts, and the lost notes; the others have new ids."""
        notes, rooms = list(self._notes.values()), self._rooms
        self.clear()
        self._rooms = rooms
        for note in notes:
            if note.room != change.room:
                self.arrived(note)
            elif change.follow(note.position) is not None:
                self.arrived(in_epoch(note, change.epoch))

    def completed(self, ref: str, posts: Iterable[Post]) -> tuple[Post, ...]:
        """The posts of a page, each after the notes that arrived before the page."""
        self._rooms.pop(ref, None)
        result = tuple(map(self._noted, posts))
        if not self._rooms:
            self.clear()
        return result

    def clear(self) -> None:
        """No page is requested any more."""
        self._rooms = {}
        self._notes.clear()
        self._chars = 0

    def _noted(self, post: Post) -> Post:
        for kind in NoteKind if self._notes else ():
            if (note := self._notes.get((post.room, post.position, kind))) is not None:
                post = apply_note(post, note)
        return post

    def _drop(self, key: tuple[str, Position, NoteKind]) -> None:
        self._chars -= entry_chars(self._notes.pop(key))
