"""Posts and positions: what a room's log is made of.

Invariants: `seq` rises by 1 within a room and epoch, with no holes; epoch and seq never part.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

import msgspec

MAX_SEQ = 2**53 - 1
"""Largest seq that every JSON reader keeps exact."""


_POSITION = re.compile("([0-9A-Za-z]{1,32})-([0-9]{1,16})")


class Position(NamedTuple):
    """A place in a room's log: the post with this number, or before the first one when `seq` is 0."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """The position written as `<epoch>-<seq>`, or None if `text` is no position."""
        found = _POSITION.fullmatch(text)
        if found is None:
            return None
        epoch, digits = found.groups()
        seq = int(digits)
        return cls(epoch, seq) if seq <= MAX_SEQ else None


class NewPost(msgspec.Struct, frozen=True):
    """A post on its way into the log: cleaned and checked, not yet ordered."""

    room: str
    sender: str
    text: str
    at: datetime
    client_id: str = ""
    """With `nonce`, what makes a resend recognisable; both empty for plain clients."""
    nonce: str = ""


class Post(msgspec.Struct, frozen=True, gc=False):
    """A chat line at its place in a room's log. `at` is UTC and only for people: never a cursor."""

    room: str
    position: Position
    sender: str
    text: str
    at: datetime
    nonce: str = ""


class AppendResult(msgspec.Struct, frozen=True):
    """Where a new_post landed. `dup`: it was there already; position and time are those of the first."""

    position: Position
    at_text: str
    dup: bool


ROOM_BEGIN = Position("", 0)
"""Before the first post of a room, whatever its epoch: where who has seen it empty has read to."""


class Bookmark(NamedTuple):
    """The last post read, and when the room was left (UTC)."""

    position: Position
    at: datetime


def is_newer(position: Position, read: Position) -> bool:
    """Whether a post was written after another: in a later epoch, as the server keeps one alone, all were."""
    return position.epoch != read.epoch or position.seq > read.seq
