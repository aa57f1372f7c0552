"""Posts, and positions in the log of a room.

Invariant: within a room and epoch, `seq` increases by 1 from entry to entry, without holes. An entry is
a post or a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.post_state import NO_STATE, Ask, PostState

MAX_SEQ = 2**53 - 1
"""Largest integer that every JSON parser reads exactly."""

ACTION_PREFIX = "/me "
"""How the text of a post begins that says what its sender does."""

LOST_SEQ = -1
"""In place of the seq of what an entry is about: it was in a former epoch, and is lost.

The entry is rejected, unless it is resent and was appended before.
"""

_POSITION = re.compile("([0-9A-Za-z]{1,32})-([0-9]{1,16})")


class Position(NamedTuple):
    """A position in a room's log: the entry with this `seq`, or with 0 the start of the log."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        """The post id, `<epoch>-<seq>`."""
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """Parse a post id, `<epoch>-<seq>`; None if `text` is not one."""
        match = _POSITION.fullmatch(text)
        if match is None:
            return None
        epoch, digits = match.groups()
        seq = int(digits)
        return cls(epoch, seq) if seq <= MAX_SEQ else None


def positions_of(ids: Iterable[str]) -> tuple[Position, ...]:
    """The positions in post ids; invalid ones are left out."""
    return tuple(position for text in ids if (position := Position.parse(text)) is not None)


ROOM_BEGIN = Position("", 0)
"""The start of any room's log, whatever its epoch: the read position in a room that was empty."""


class NewPost(msgspec.Struct, frozen=True):
    """A post to append: sanitized and validated, without a position."""

    room: str
    sender: str
    text: str
    at: datetime
    client_id: str = ""
    """Identifies a resent post, together with `sender` and `nonce`; empty for plain clients."""
    nonce: str = ""
    author: str = ""
    """Identifies who may edit it (see `author_key`); empty if nobody can."""
    re: int = 0
    """Seq of the post that it replies to; 0 if it is not a reply."""
    ask: Ask | None = None
    """The question that it asks."""


class Post(msgspec.Struct, frozen=True, gc=False):
    """A post in a room's log. `at` is UTC and for display only: order is defined by `position`."""

    room: str
    position: Position
    sender: str
    text: str
    at: datetime
    nonce: str = ""
    """Set by a client session in its own posts."""
    re: int = 0
    """Seq of the post that it replies to; 0 if it is not a reply."""
    root: int = 0
    """Seq of the first post of its thread; 0 if it is not a reply."""
    author: str = ""
    """Identifies who may edit it; empty if nobody can, and in clients."""
    state: PostState = NO_STATE


class AppendResult(msgspec.Struct, frozen=True):
    """The position and timestamp of an appended entry; with `dup`, those of an earlier copy of it.

    A change that appends no entry has the position of the post that it is about, and a rejected one
    position 0 and an `error`; it has changed nothing.
    """

    position: Position
    at_text: str
    dup: bool
    post: Post | None = None
    """The post after a change that is announced later."""
    error: RequestError | None = None

    @property
    def is_appended(self) -> bool:
        """Whether a new entry was appended."""
        return self.post is None and self.error is None and not self.dup

    @property
    def has_changed(self) -> bool:
        """Whether the log has changed: by a new entry, or by a change that is announced later."""
        return not self.dup and self.error is None


class Fork(msgspec.Struct, frozen=True):
    """A change of the epoch of a room, after storage shared by several nodes was replaced or restored.

    The entries up to `seq` are the same in both epochs. Those that the former epoch had above it are lost, or
    follow again in the new one.
    """

    room: str
    former: str
    """The epoch before."""
    epoch: str
    seq: int


class Bookmark(NamedTuple):
    """The position of the last post read in a room, and the UTC time of leaving it."""

    position: Position
    at: datetime


def is_newer(position: Position, read: Position) -> bool:
    """Whether a post is newer than `read`.

    A server has only one epoch, so any other epoch counts as newer.
    """
    return position.epoch != read.epoch or position.seq > read.seq
