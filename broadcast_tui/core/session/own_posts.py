"""Recognizes own posts and notes among those that arrive.

An ack with the id of a post usually precedes the post. It may also come later: after a reconnect, the replay
contains own posts whose ack was lost, and only the ack of the resent post has their id. Until then, such a
post is recognized by its sender and text. If two connections of one person send the same text, that can be
wrong, but it only decides which of two equal lines counts as the pending one. A note is then recognized by
its sender, its kind and its post.

Invariant: each nonce is returned for at most one entry.
"""

from __future__ import annotations

from typing import TypeVar

from broadcast_tui.core.names import GUEST
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import COALESCED
from broadcast_tui.core.session.outbox import Outbox, Outgoing
from broadcast_tui.core.session.updates import EpochChanged

V = TypeVar("V")

UNCONFIRMED_MAX = 10_000
"""Maximum number of posts under the own name that are remembered while acks are missing."""


class OwnPosts:
    """Own posts and notes that have an ack or have arrived, but not both.

    Args:
        outbox: The posts and notes without an ack.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._expected: dict[tuple[str, Position], str] = {}
        """Nonces of posts with an ack that have not arrived."""
        self._expected_notes: dict[tuple[str, Position], str] = {}
        """The same of notes."""
        self._unconfirmed: dict[tuple[str, Position], None] = {}
        """Posts that arrived under the own name while acks were missing, in order."""

    def acknowledged(self, outgoing: Outgoing, position: Position, last: Position | None) -> bool:
        """Note the ack of a post or note that has left the outbox.

        Args:
            last: The last entry that has arrived in its room.

        Returns:
            Whether the post has already arrived.
        """
        key = outgoing.room, position
        has_arrived = key in self._unconfirmed
        is_skipped = last is not None and last.epoch == position.epoch and position.seq <= last.seq
        if not has_arrived and not outgoing.is_recognized and not is_skipped:
            if outgoing.kind is None:
                self._expected[key] = outgoing.nonce
            elif outgoing.kind not in COALESCED and outgoing.re != str(position):
                # Otherwise the ack has the id of the post: no note of its own follows.
                self._expected_notes[key] = outgoing.nonce
        if not self._outbox.in_flight:
            self._unconfirmed.clear()
        return has_arrived

    def claim(self, post: Post, name: str) -> str:
        """The nonce of a post that arrives, if it is an own one; otherwise empty.

        Args:
            name: The name of this session; empty for a guest.
        """
        if (nonce := self._expected.pop((post.room, post.position), "")) or not self._outbox.in_flight:
            return nonce
        if post.sender != name and (name or not post.sender.startswith(GUEST)):
            return ""
        self._unconfirmed[post.room, post.position] = None
        if len(self._unconfirmed) > UNCONFIRMED_MAX:
            del self._unconfirmed[next(iter(self._unconfirmed))]
        outgoing = self._outbox.first_unrecognized(post.room)
        if outgoing is None or not name or outgoing.clean_text != post.text:
            return ""
        outgoing.is_recognized = True
        return outgoing.nonce

    def claim_note(self, note: Note, name: str) -> str:
        """The nonce of a note that arrives, if it is an own one; otherwise empty.

        Args:
            name: The name of this session; empty for a guest.
        """
        if nonce := self._expected_notes.pop((note.room, note.position), ""):
            return nonce
        if not name or note.by != name or not self._outbox.in_flight:
            return ""
        target = str(Position(note.position.epoch, note.re))
        outgoing = self._outbox.first_unrecognized(note.room, note.kind, target)
        if outgoing is None:
            return ""
        outgoing.is_recognized = True
        return outgoing.nonce

    def follow(self, change: EpochChanged) -> tuple[str, ...]:
        """Wait for own entries under their new ids; returns the nonces of the posts that are lost."""
        lost = tuple(
            nonce
            for (room, position), nonce in self._expected.items()
            if room == change.room and change.follow(position) is None
        )
        self._expected = _followed(self._expected, change)
        self._expected_notes = _followed(self._expected_notes, change)
        self._unconfirmed = _followed(self._unconfirmed, change)
        return lost

    def skipped(self, room: str) -> None:
        """Entries of a room were lost in a gap: stop waiting for own ones there."""
        for expected in (self._expected, self._expected_notes):
            for key in [key for key in expected if key[0] == room]:
                del expected[key]


def _followed(by_place: dict[tuple[str, Position], V], change: EpochChanged) -> dict[tuple[str, Position], V]:
    """Values by room and position, after a change of the epoch of a room."""
    followed = {}
    for (room, position), value in by_place.items():
        new = change.follow(position) if room == change.room else position
        if new is not None:
            followed[room, new] = value
    return followed
