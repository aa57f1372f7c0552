"""Collects the history of a room, page by page, from the newest post to the oldest.

Pure: the caller sends the requests and passes in all updates of the client. A lost connection and a rejected
request only delay the next page. What happens meanwhile to posts that have been read is applied to them.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from broadcast_tui.core.notes import Note, apply_note, in_epoch, without_lost_notes
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    EpochChanged,
    HistoryFetched,
    NoteArrived,
    Noticed,
    RoomEntered,
    RoomLeft,
    Update,
    Welcomed,
)

PAGE = 200
"""Posts and notes per request."""
LEFT = "You have left the room"
REPEATED = "The server sends the same page again"


class HistoryPages:
    """The posts of `room` from `since` on and before `until`, both optional, and the notes about them.

    The next page is due when `delay_s` is not None, after that many seconds: request what precedes the post
    id `before` (empty: the latest), and call `requested`.
    """

    def __init__(self, room: str, since: datetime | None = None, until: datetime | None = None) -> None:
        self.room = room
        self.since = since
        self.until = until
        self.before = ""
        self.delay_s: float | None = 0.0
        self.is_complete = False
        self.error = ""
        """Why the history cannot be read, as the server sent it; empty if nothing failed."""
        self._is_deserted = False
        self._is_empty = True
        self._ref = ""
        self._posts: dict[int, Post] = {}
        self._notes: dict[int, Note] = {}

    @property
    def is_finished(self) -> bool:
        """Whether no more pages are needed, or possible."""
        return self.is_complete or bool(self.error)

    @property
    def is_unknown_room(self) -> bool:
        """Whether the server has no such room: the client found no people, messages and topic in it."""
        return self._is_deserted and self._is_empty

    @property
    def count(self) -> int:
        """Number of posts so far."""
        return len(self._posts)

    def posts(self) -> list[Post]:
        """The posts, in ascending order, each as it is now."""
        return [self._posts[seq] for seq in sorted(self._posts)]

    def notes(self) -> list[Note]:
        """The notes about these posts, in ascending order."""
        return [self._notes[seq] for seq in sorted(self._notes) if self._notes[seq].re in self._posts]

    def requested(self, ref: str) -> None:
        """The page that was due has been requested."""
        self._ref, self.delay_s = ref, None

    def apply(self, update: Update) -> bool:
        """Apply an update; returns whether it was the answer to the request."""
        if self.is_finished:
            return False
        match update:
            case HistoryFetched(ref=ref) if ref and ref == self._ref:
                self._ref = ""
                self._add(update)
                return True
            case Noticed(ref=ref) if ref and ref == self._ref:
                self._ref = ""
                self._failed(update)
                return True
            case NoteArrived(note=note) if note.room == self.room and note.re in self._posts:
                self._posts[note.re] = apply_note(self._posts[note.re], note)
                self._notes[note.position.seq] = note
            case EpochChanged(room=room) if room == self.room:
                self._follow(update)
            case Welcomed() if not self._ref:
                self.delay_s = 0.0
            case RoomEntered(room=room) if room == self.room:
                self._is_deserted = not update.online and not update.topic
            case RoomLeft(room=room) if room == self.room:
                self.error = LEFT
            case ConnectionChanged(state=ConnectionState.REFUSED | ConnectionState.CLOSED, reason=reason):
                self.error = reason or "The connection was closed"
        return False

    def _add(self, page: HistoryFetched) -> None:
        start, former = page.start, Position.parse(self.before)
        if start is None:
            self.is_complete = True
            return
        self._is_empty = False
        if former is not None and (start.epoch != former.epoch or start.seq >= former.seq):
            self.error = REPEATED
            return
        for post in page.posts:
            if post.position.epoch == start.epoch and self._is_wanted(post):
                self._posts[post.position.seq] = post
        for note in page.notes:
            self._notes[note.position.seq] = note
        is_before = self.since is not None and any(post.at < self.since for post in page.posts)
        if is_before or not page.more:
            self.is_complete = True
        else:
            self.before, self.delay_s = str(start), 0.0

    def _is_wanted(self, post: Post) -> bool:
        is_after = self.since is None or post.at >= self.since
        return is_after and (self.until is None or post.at < self.until)

    def _failed(self, notice: Noticed) -> None:
        if notice.retry_after_s is not None:
            self.delay_s = notice.retry_after_s
        elif notice.code:
            self.error = notice.text
        # Otherwise the connection was lost: the next page is due once it is back.

    def _follow(self, change: EpochChanged) -> None:
        """Follow the log to another epoch, without the posts and notes that are lost."""
        before = Position.parse(self.before)
        if before is None or before.epoch != change.former:
            return
        followed = change.follow(before)
        self.before = str(followed) if followed is not None else ""
        self._posts = {
            seq: msgspec.structs.replace(
                in_epoch(post, change.epoch), state=without_lost_notes(post.state, change.seq)
            )
            for seq, post in self._posts.items()
            if seq <= change.seq
        }
        self._notes = {
            seq: in_epoch(note, change.epoch) for seq, note in self._notes.items() if seq <= change.seq
        }
