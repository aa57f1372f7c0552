"""Writes the new posts of a room to all of its connections, in one pass after another.

A pass costs the server, and each client, about the same for one post as for ten, and takes milliseconds in a
large room. If a pass could follow another at once, it therefore waits until it has as many posts as that one,
but not for longer than that one took, or `WAIT_MAX_S`; while the engine stores more, `STORING_WAIT_MAX_S`. A
post after a quiet moment never waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.room import Room, Subscription
from broadcast_tui.server.post_writer import PostWriter

WAIT_MAX_S = 0.002
"""Longest wait for more posts after a pass."""
STORING_WAIT_MAX_S = 0.003
"""The same while the engine stores posts: those that arrived after the pass may need two commits."""
WAIT_POSTS_MAX = 64
"""Number of posts for which a pass never waits longer."""
SLICE_S = 0.003
"""Maximum time of one call to `RoomPasses.write`.

The rest follows in the next loop turn, after frames that have arrived meanwhile. Each such turn lets clients
catch up and fall asleep, and it takes the system time to wake them again.
"""
SLICE_PEERS = 64
"""Connections written to between two looks at the clock, in some 0.3 ms."""


class RoomPasses:
    """The pass in progress, and the end of the one before.

    Args:
        effects: Contains the rooms that are due.
        on_pass: Called with a room at the start of each pass.
        is_storing: Returns whether the engine is about to add posts to the rooms.
        clock: A monotonic clock with a high resolution, in seconds.
    """

    def __init__(
        self,
        effects: Effects,
        writer: PostWriter,
        on_pass: Callable[[Room], None],
        is_storing: Callable[[], bool],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._effects = effects
        self._writer = writer
        self._on_pass = on_pass
        self._is_storing = is_storing
        self._clock = clock
        self._remaining: list[Subscription] = []
        self._room: Room | None = None
        """The room of the latest pass, its newest seq, and the number of posts in the pass."""
        self._seq = 0
        self._posts = 0
        self._started_at = 0.0
        self._ended_at = 0.0

    @property
    def in_progress(self) -> bool:
        """Whether connections remain to be written to."""
        return bool(self._remaining)

    def write(self) -> bool:
        """Write for at most `SLICE_S`. Returns whether there is nothing more to write at this moment."""
        deadline = self._clock() + SLICE_S
        while self._remaining or self._start():
            part = self._remaining[-SLICE_PEERS:]
            del self._remaining[-SLICE_PEERS:]
            if part:
                self._writer.write(part)
            now = self._clock()
            if not self._remaining:
                self._ended_at = now
            if now > deadline:
                return False
        return True

    def _start(self) -> bool:
        """Start a pass for one of the rooms that are due; returns False if there is none."""
        now = self._clock()
        for room in self._effects.dirty_rooms:
            if room is not self._room or not self._waits(room, now):
                break
        else:
            return False
        self._effects.dirty_rooms.discard(room)
        posts = room.ring.last_seq - self._seq if room is self._room else 1
        self._posts = min(posts, WAIT_POSTS_MAX)
        self._room, self._seq = room, room.ring.last_seq
        self._started_at = now
        self._remaining = room.undeferred
        self._on_pass(room)
        return True

    def _waits(self, room: Room, now: float) -> bool:
        """Whether the room of the latest pass should have more posts before the next one."""
        if room.ring.last_seq - self._seq >= self._posts:
            return False
        if self._is_storing():
            wait_s = STORING_WAIT_MAX_S
        else:
            wait_s = min(self._ended_at - self._started_at, WAIT_MAX_S)
        return now - self._ended_at < wait_s
