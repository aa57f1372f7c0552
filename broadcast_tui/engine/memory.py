"""Engines without persistence: the newest posts in memory, or no history.

A new process has a new epoch, so that a client that reconnects gets a gap instead of wrong positions.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.lru_budget import LruBudget
from broadcast_tui.core.notes import Entry, NewEntry, first_fitting
from broadcast_tui.core.post import AppendResult, NewPost, Position, Post
from broadcast_tui.core.ring import RingBuffer
from broadcast_tui.engine.base import OpenAsk, PendingSummary
from broadcast_tui.engine.dedup import SWEEP_EVERY_S, DedupCache, dedup_key
from broadcast_tui.engine.memory_search import search_posts
from broadcast_tui.engine.room_index import FORGET_ROOMS, RoomIndex
from broadcast_tui.engine.tail import Tail

POST_OVERHEAD_BYTES = 300
"""Memory of a post besides its text, measured on CPython 3.11."""
ROOM_OVERHEAD_BYTES = 1_000
"""Memory of a room besides its posts."""


class MemoryEngine:
    """Stores the newest posts of each room in memory.

    Args:
        max_posts: Maximum number of posts per room; 0: unlimited.
        max_bytes: Maximum size of the posts of a room; 0: unlimited.
        max_total_bytes: Maximum size of the posts of all rooms; 0: unlimited. The rooms without new posts
            for the longest time lose theirs first.
        clock: Monotonic clock in seconds, for the deduplication.
        search_clock: Monotonic clock in seconds, for the time limit of searches.
    """

    def __init__(
        self,
        max_posts: int = 10_000,
        max_bytes: int = 33_554_432,
        max_total_bytes: int = 67_108_864,
        *,
        clock: Callable[[], float] = time.monotonic,
        search_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_posts = max_posts
        self._max_bytes = min(filter(None, (max_bytes, max_total_bytes)), default=0)
        self._clock = clock
        self._search_clock = search_clock
        self._epoch = secrets.token_hex(4)
        self._index = RoomIndex()
        self._rooms: dict[str, RingBuffer[Post]] = {}
        self.memory = LruBudget[str](lambda: max_total_bytes, self._evict)
        self.dedup = DedupCache()
        """Nonces of recent posts."""
        self._tail = Tail()
        self._searching = asyncio.Lock()
        """One search at a time, so that together they take one slice of each iteration of the event loop."""
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def epoch(self) -> str:
        return self._epoch

    def first_seq(self, room: str) -> int:
        return self._index.first_seq(room)

    def last_seq(self, room: str) -> int:
        return self._index.last_seq(room)

    def topic(self, room: str) -> str:
        return self._index.topic(room)

    def room_names(self) -> Sequence[str]:
        return self._index.names()

    def set_open_rooms(self, rooms: Collection[str]) -> None:
        self._index.open_rooms = rooms

    async def set_topic(self, room: str, topic: str) -> None:
        if topic or self._index.topic(room):
            self._index.set_topic(room, topic, self._clock())

    async def start(self) -> None:
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep_periodically())

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        self._tail.close()

    async def _sweep_periodically(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            self.dedup.sweep(self._clock())
            while names := self._index.forget(self._clock(), FORGET_ROOMS):
                for name in names:
                    self._rooms.pop(name, None)
                    self.memory.remove(name)
                await asyncio.sleep(0)

    def pins(self, room: str) -> Sequence[int]:
        return ()

    def open_asks(self, room: str = "") -> Sequence[OpenAsk]:
        return ()

    def pending_summaries(self) -> Sequence[PendingSummary]:
        return ()

    async def posts(self, room: str, seqs: Sequence[int]) -> list[Post]:
        return []

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        now = self._clock()
        new: list[Entry] = []
        results: list[AppendResult] = [
            self._append(entry, now, new) for entry in entries if isinstance(entry, NewPost)
        ]
        self._tail.put(new)
        return results

    def _append(self, new_post: NewPost, now: float, new: list[Entry]) -> AppendResult:
        key = dedup_key(new_post)
        if (seen := self.dedup.find(key, now)) is not None:
            return AppendResult(Position(self._epoch, seen.seq), timestamp(seen.at), dup=True)
        name = new_post.room
        room = self._rooms.get(name)
        if room is None:
            room = RingBuffer(self._max_posts, self._max_bytes, self.last_seq(name))
            self._rooms[name] = room
        position = Position(self._epoch, room.last_seq + 1)
        post = Post(name, position, new_post.sender, new_post.text, new_post.at)
        room.append(post, sys.getsizeof(new_post.text) + POST_OVERHEAD_BYTES)
        self._index.set_bounds(name, self._first_stored(room), room.last_seq, now)
        self.memory.resize(name, room.size_bytes + ROOM_OVERHEAD_BYTES)
        self.dedup.add(key, position.seq, new_post.at, now)
        new.append(post)
        return AppendResult(position, timestamp(new_post.at), dup=False)

    def _first_stored(self, room: RingBuffer[Post]) -> int:
        """Seq of the oldest post that can be read."""
        return room.first_seq

    def _evict(self, name: str) -> None:
        """Drop the posts of a room, but not its seqs."""
        last_seq = self._rooms.pop(name).last_seq
        self._index.set_bounds(name, last_seq + 1, last_seq, self._clock())

    async def read(
        self,
        room: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        from_end: bool = False,
        max_bytes: int | None = None,
        root: int = 0,
    ) -> list[Entry]:
        found = self._rooms.get(room)
        if found is None:
            return []
        stop = found.last_seq + 1 if before is None else before
        if from_end:
            newest = [post for post in found.before(stop, limit) if post.position.seq > after]
            return list[Entry](first_fitting(reversed(newest), max_bytes)[::-1])
        oldest = (post for post in found.after(after, limit) if post.position.seq < stop)
        return list[Entry](first_fitting(oldest, max_bytes))

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        found = self._rooms.get(room)
        if found is None:
            return []
        stop = found.last_seq + 1 if before is None else before
        async with self._searching:
            newest_first = reversed(found.before(stop, stop))
            return (await search_posts(newest_first, query, limit, self._search_clock))[::-1]

    def tail(self) -> AsyncIterator[list[Entry]]:
        return self._tail.follow()


class NoHistoryEngine(MemoryEngine):
    """Orders posts without storing them: nothing is replayed, and offline clients miss posts."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(max_posts=1, clock=clock)

    def _first_stored(self, room: RingBuffer[Post]) -> int:
        return room.last_seq + 1

    async def read(
        self,
        room: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        from_end: bool = False,
        max_bytes: int | None = None,
        root: int = 0,
    ) -> list[Entry]:
        return []

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        return []
