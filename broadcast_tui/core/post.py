"""Posts, and positions in the log of a room.

Invariant: within a room and epoch, `seq` increases by 1 from post to post, without holes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec

MAX_SEQ = 2**53 - 1
"""Largest integer that every JSON parser reads exactly."""

_POSITION = re.compile("([0-9A-Za-z]{1,32})-([0-9]{1,16})")


class Position(NamedTuple):
    """A position in a room's log: the post with this `seq`, or with 0 the start of the log."""

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


class Post(msgspec.Struct, frozen=True, gc=False):
    """A post in a room's log. `at` is UTC and for display only: order is defined by `position`."""

    room: str
    position: Position
    sender: str
    text: str
    at: datetime
    nonce: str = ""
    """Set by a client session in its own posts."""


class AppendResult(msgspec.Struct, frozen=True):
    """The position and timestamp of an appended post; with `dup`, those of an earlier copy of it."""

    position: Position
    at_text: str
    dup: bool


class Bookmark(NamedTuple):
    """The position of the last post read in a room, and the UTC time of leaving it."""

    position: Position
    at: datetime


def is_newer(position: Position, read: Position) -> bool:
    """Whether a post is newer than `read`.

    A server has only one epoch, so any other epoch counts as newer.
    """
    return position.epoch != read.epoch or position.seq > read.seq


def first_fitting(posts: Iterable[Post], max_bytes: int | None, *, overhead_bytes: int = 0) -> list[Post]:
    """The first of `posts`, at least one, whose texts have at most `max_bytes` bytes in UTF-8.

    Each post counts `overhead_bytes` more. It consumes no more of `posts` than needed. None: no limit.
    """
    if max_bytes is None:
        return list(posts)
    fitting: list[Post] = []
    size_bytes = 0
    for post in posts:
        size_bytes += len(post.text.encode()) + overhead_bytes
        if fitting and size_bytes > max_bytes:
            break
        fitting.append(post)
        if size_bytes >= max_bytes:
            break
    return fitting
