"""The rules by which engines append entries: replies, notes about posts, and rejected changes.

An engine calls `apply_entry` for each entry of a batch, in order, in its atomic step. It deduplicates resent
entries itself.
"""

from __future__ import annotations

from typing import Protocol

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.notes import NewEntry, NewNote, NewSummary, Note, fold, is_coalesced
from broadcast_tui.core.post import LOST_SEQ, AppendResult, NewPost, Position, Post
from broadcast_tui.core.post_state import NO_STATE, NoteKind, PostState


class Log(Protocol):
    """The logs of an engine during one batch."""

    def next_position(self, room: str) -> Position:
        """The position of the next entry of a room."""
        ...

    def find_post(self, room: str, seq: int) -> Post | None:
        """A stored post, with the changes of the batch so far; None if there is none, or it is a note."""
        ...

    def pin_count(self, room: str) -> int:
        """Number of pinned posts of a room."""
        ...

    def add(self, entry: Post | Note, source: NewEntry) -> None:
        """Append an entry at the next position of its room."""
        ...

    def change(self, post: Post) -> None:
        """Store a post in its new state."""
        ...


def apply_entry(entry: NewEntry, log: Log) -> AppendResult:
    """Append a post, or apply a change; its result. A rejected change has an error and no effect."""
    if not isinstance(entry, NewPost):
        return _apply_change(entry, log)
    room, at = entry.room, entry.at
    position = log.next_position(room)
    if entry.re == LOST_SEQ:
        error = RequestError(ErrorCode.NO_SUCH_POST, "This message is no longer stored.")
        return AppendResult(Position(position.epoch, 0), timestamp(at), dup=False, error=error)
    re = root = 0
    if entry.re and (parent := log.find_post(room, entry.re)) is not None:
        re = parent.position.seq
        root = parent.root or re
    state = NO_STATE if entry.ask is None else PostState(ask=entry.ask)
    post = Post(room, position, entry.sender, entry.text, at, "", re, root, entry.author, state)
    log.add(post, entry)
    return AppendResult(position, timestamp(at), dup=False)


def _apply_change(change: NewNote | NewSummary, log: Log) -> AppendResult:
    at_text, position = timestamp(change.at), log.next_position(change.room)
    target = log.find_post(change.room, change.re)
    try:
        if target is None:
            raise RequestError(ErrorCode.NO_SUCH_POST, "This message is no longer stored.")
        pin_count = log.pin_count(change.room) if change.kind is NoteKind.PIN else 0
        post = fold(target, change, position.seq, pin_count)
    except RequestError as error:
        return AppendResult(Position(position.epoch, 0), at_text, dup=False, error=error)
    if post is target:
        return AppendResult(target.position, at_text, dup=True)
    log.change(post)
    if is_coalesced(change):
        return AppendResult(target.position, at_text, dup=False, post=post)
    by = change.by if isinstance(change, NewNote) else ""
    log.add(Note(change.room, position, change.kind, change.re, by, change.at, post), change)
    return AppendResult(position, at_text, dup=False)
