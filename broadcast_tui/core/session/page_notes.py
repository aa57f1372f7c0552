"""Notes that arrive while a page of posts is being read.

The server reads a page and then sends it. A note that is written in between reaches the client before the
page, whose posts do not include it. If such a post is not loaded yet, the note has nothing to change, and the
page alone would leave the post out of date.
"""

from __future__ import annotations

from collections.abc import Iterable

from broadcast_tui.core.notes import Note, apply_note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind

NOTES_MAX = 5_000
"""Maximum number of notes that are remembered per room; then the oldest are dropped."""


class PageNotes:
    """The last note of each kind about each post, in the rooms of which a page is requested."""

    def __init__(self) -> None:
        self._rooms: dict[str, str] = {}
        """Rooms of the requested pages, by ref."""
        self._notes: dict[str, dict[tuple[Position, NoteKind], Note]] = {}
        """Notes by room, post and kind, in the order of their arrival."""

    def requested(self, ref: str, room: str) -> None:
        """A page of a room was requested."""
        self._rooms[ref] = room
        self._notes.setdefault(room, {})

    def arrived(self, note: Note) -> None:
        """Remember a note if a page of its room is requested."""
        notes = self._notes.get(note.room)
        if notes is None:
            return
        key = Position(note.position.epoch, note.re), note.kind
        notes.pop(key, None)
        notes[key] = note
        if len(notes) > NOTES_MAX:
            del notes[next(iter(notes))]

    def completed(self, ref: str, posts: Iterable[Post]) -> tuple[Post, ...]:
        """The posts of a page, each after the notes that arrived before the page."""
        room = self._rooms.pop(ref, "")
        notes = self._notes.get(room, {})
        if room not in self._rooms.values():
            self._notes.pop(room, None)
        return tuple(_noted(post, notes) for post in posts)

    def clear(self) -> None:
        """No page is requested any more."""
        self._rooms.clear()
        self._notes.clear()


def _noted(post: Post, notes: dict[tuple[Position, NoteKind], Note]) -> Post:
    if not notes:
        return post
    for kind in NoteKind:
        if (note := notes.get((post.position, kind))) is not None:
            post = apply_note(post, note)
    return post
