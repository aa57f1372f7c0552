"""How far somebody has read a room, to be kept between runs."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from broadcast_tui.core.post import Position

ROOM_BEGIN = Position("", 0)
"""Before the first post of a room, whatever its epoch: where who has seen it empty has read to."""


class Bookmark(NamedTuple):
    """The last post read, and when the room was left (UTC)."""

    position: Position
    at: datetime


def is_newer(position: Position, read: Position) -> bool:
    """Whether a post was written after another: in a later epoch, as the server keeps one alone, all were."""
    return position.epoch != read.epoch or position.seq > read.seq
