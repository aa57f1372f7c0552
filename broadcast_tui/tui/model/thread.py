"""A thread: the first post and its replies, as a log of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.updates import (
    EpochChanged,
    HistoryFetched,
    NoteArrived,
    NoteDelivered,
    Noticed,
    PostArrived,
    PostDelivered,
    PostRejected,
    Update,
    Withdrawn,
)
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.room import RoomModel


class Thread(msgspec.Struct):
    """The thread of `root` in the room that `view` is named after."""

    view: RoomModel
    root: Position
    error: str = ""
    """Why its posts could not be fetched, sanitized."""

    @property
    def root_id(self) -> str:
        return str(self.root)

    @property
    def is_loading(self) -> bool:
        return bool(self.view.history_ref)

    def add_own_post(self, nonce: str, name: str, text: str, at: datetime) -> None:
        """Add a reply of the user; it is pending until it arrives."""
        self.view.transcript.add_pending(nonce, name, text, at)

    def apply(self, update: Update, own_name: str, keywords: Sequence[str] = ()) -> None:
        """Apply an update if it is about this thread."""
        view = self.view
        match update:
            case PostArrived(post=post) if post.room == view.name and self._has(post):
                if view.notes.post(str(post.position)) is None:
                    live = msgspec.structs.replace(update, post=self._without_quote(post))
                    view.arrived(live, own_name, keywords, there=True, at_end=True)
            case NoteArrived(note=note) if note.room == view.name:
                view.note_arrived(update, own_name, keywords, there=True, at_end=True)
            case HistoryFetched(ref=ref) if ref and ref == view.history_ref:
                new = (post for post in update.posts if view.notes.post(str(post.position)) is None)
                page = msgspec.structs.replace(update, posts=tuple(map(self._without_quote, new)))
                view.prepended(page, own_name, keywords)
            case PostDelivered() if update.room == view.name:
                view.transcript.confirm(update.nonce, has_arrived=update.has_arrived)
            case PostRejected() if update.room == view.name:
                view.transcript.reject(update.nonce, update.reason)
            case NoteDelivered() if update.room == view.name:
                view.notes.delivered(update)
            case EpochChanged() if update.room == view.name:
                view.follow(update)
                self.root = update.follow(self.root) or self.root
            case Withdrawn() if update.room == view.name:
                view.withdraw(update)
            case _:
                pass

    def handle_error(self, update: Noticed) -> bool:
        """Show why the posts could not be fetched; false if `update` is about something else."""
        if not update.ref or update.ref != self.view.history_ref:
            return False
        self.view.history_ref, self.error = "", visible_line(update.text)
        return True

    def _has(self, post: Post) -> bool:
        return post.position.epoch == self.root.epoch and post.root == self.root.seq

    def _without_quote(self, post: Post) -> Post:
        """A reply to the first post without the quote of it, which is on the same screen."""
        return msgspec.structs.replace(post, re=0) if post.re == self.root.seq else post
