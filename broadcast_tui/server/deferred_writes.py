"""Writes posts to connections that can wait, such as streams of events: those that cannot come first.

A write to a thousand streams takes longer than the next post needs to arrive. So streams get posts when the
server has nothing else to do, a few at a time, and each gets everything since its cursor in one write. While
the server is busy, a few are written every `PAUSE_S`, so that they wait, but never starve.

Invariant: before a room forgets posts that its streams have not got, they are written without pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from broadcast_tui.core.hub.room import Room, Subscription

TOGETHER = 16
"""Connections written to before other work gets its turn, which takes about 0.2 ms."""
PAUSE_S = 0.005
"""Time between two such turns while the server is busy."""
URGENT_SHARE = 0.5
"""Share of the ring of a room that may wait to be written."""


class DeferredWrites:
    """The rooms with posts for connections that can wait.

    Args:
        write: Writes the posts after their cursors to connections of one room.
        wake: Called after `write`.
        is_busy: Returns whether others wait for the server.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        write: Callable[[list[Subscription]], None],
        wake: Callable[[], None],
        is_busy: Callable[[], bool],
    ) -> None:
        self.is_urgent = False
        """Whether posts must not be added to rooms faster than they are written here."""
        self._loop = loop
        self._write = write
        self._wake = wake
        self._is_busy = is_busy
        self._rooms: dict[Room, int] = {}
        """Rooms in the order of their turns, with the seq up to which all connections have their posts."""
        self._room: Room | None = None
        """The room whose turn it is, the same seq, and its connections that remain."""
        self._room_seq = 0
        self._waiting: list[Subscription] = []
        self._resume_at = 0.0
        self._is_scheduled = False

    def add(self, room: Room) -> None:
        """Write the new posts of a room to its connections that can wait, if it has any."""
        if not room.deferred:
            return
        seq = self._rooms.setdefault(room, room.deferred_seq)
        if room is self._room and self._waiting:
            seq = self._room_seq
        if room.ring.share_after(seq) >= URGENT_SHARE:
            self.is_urgent = True
        if not self._is_scheduled:
            self._is_scheduled = True
            self._resume_at = self._loop.time() + PAUSE_S
            self._loop.call_soon(self._continue)

    def _continue(self) -> None:
        """Write to the next connections, unless others have to come first."""
        now = self._loop.time()
        if now < self._resume_at and not self.is_urgent and self._is_busy():
            self._loop.call_at(self._resume_at, self._continue)
            return
        self._resume_at = now + PAUSE_S
        if not self._waiting:
            self._room = room = next(iter(self._rooms))
            self._room_seq = self._rooms.pop(room)
            room.deferred_seq = room.ring.last_seq
            self._waiting = list(room.deferred.values())
        part = self._waiting[-TOGETHER:]
        del self._waiting[-TOGETHER:]
        if self._waiting or self._rooms:
            self._loop.call_soon(self._continue)
        else:
            self._is_scheduled = self.is_urgent = False
            self._room = None
        if part:
            self._write(part)
            self._wake()
