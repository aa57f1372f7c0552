"""The part of an engine that the hub queries without waiting, and post ids of former epochs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from broadcast_tui.core.post import Position
from broadcast_tui.core.post_state import NoteKind


class LogIndex(Protocol):
    """Queries about the logs of all rooms, which an engine answers at once."""

    def is_open(self, room: str) -> bool:
        """Whether the log of a room can be queried. If not, it has to be opened first."""
        ...

    def epoch_of(self, room: str) -> str:
        """The current epoch of a room."""
        ...

    def fork_of(self, room: str, epoch: str) -> int | None:
        """Seq up to which a former epoch of a room has the same entries as the current one.

        None if the epoch is unknown.
        """
        ...

    def first_seq(self, room: str) -> int:
        """Seq of the oldest stored post; `last_seq + 1` if there are none."""
        ...

    def last_seq(self, room: str) -> int:
        """Seq of the newest post; in a room without posts, the one before its next post."""
        ...

    def pins(self, room: str) -> Sequence[int]:
        """Seqs of the pinned posts of a room, ascending. Do not modify it."""
        ...

    def open_asks(self, room: str = "") -> Sequence[tuple[str, int, datetime]]:
        """Room, seq and UTC closing time of the open questions of a room, or of all, oldest first."""
        ...

    def pending_summaries(self) -> Sequence[tuple[str, int, NoteKind]]:
        """Room, seq and kind of the votes that were not announced before a crash."""
        ...

    def topic(self, room: str) -> str:
        """The room's topic, or an empty string."""
        ...

    def room_names(self) -> Sequence[str]:
        """Rooms that have posts or a topic, sorted. Do not modify it."""
        ...


def current_seq(position: Position, room: str, index: LogIndex) -> int | None:
    """The seq of a position in the log of a room, even of a former epoch; None if it is not in it."""
    if position.epoch == index.epoch_of(room):
        return position.seq
    fork = index.fork_of(room, position.epoch)
    return position.seq if fork is not None and position.seq <= fork else None
