"""Engines without persistence: the newest posts in memory, or no history.

A new process has a new epoch, so that a client that reconnects gets a gap instead of wrong positions.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.post import AppendResult, NewPost, Position, Post, first_fitting
from broadcast_tui.core.ring import RingBuffer
from broadcast_tui.engine.dedup import SWEEP_EVERY_S, DedupCache, dedup_key
from broadcast_tui.engine.memory_search import search_posts
from broadcast_tui.engine.tail import Tail

POST_OVERHEAD_BYTES = 300
"""Memory of a post besides its text, measured on CPython 3.11."""
ROOMS_MAX = 1_000
"""Maximum number of rooms with posts in memory; the least recently used are emptied."""


class MemoryEngine:
    """Stores the newest posts of each room in memory.

    Args:
        max_posts: Maximum number of posts per room; 0: unlimited.
        max_bytes: Maximum size of the posts of a room; 0: unlimited.
        clock: Monotonic clock in seconds, for the deduplication.
        search_clock: Monotonic clock in seconds, for the time limit of searches.
    """

    def __init__(
        self,
        max_posts: int = 10_000,
        max_bytes: int = 33_554_432,
        *,
        clock: Callable[[], float] = time.monotonic,
        search_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_posts = max_posts
        self._max_bytes = max_bytes
        self._clock = clock
        self._search_clock = search_clock
        self._epoch = secrets.token_hex(4)
        self._rooms: dict[str, RingBuffer[Post]] = {}
        self._lru: OrderedDict[str, None] = OrderedDict()
        self._topics: dict[str, str] = {}
        self.dedup = DedupCache()
        """Nonces of recent posts."""
        self._tail = Tail()
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def epoch(self) -> str:
        return self._epoch

    def first_seq(self, room: str) -> int:
        found = self._rooms.get(room)
        return found.first_seq if found is not None else 1

    def last_seq(self, room: str) -> int:
        found = self._rooms.get(room)
        return found.last_seq if found is not None else 0

    def topic(self, room: str) -> str:
        return self._topics.get(room, "")

    def room_names(self) -> list[str]:
        return sorted({*self._rooms, *(room for room, topic in self._topics.items() if topic)})

    async def set_topic(self, room: str, topic: str) -> None:
        self._topics[room] = topic

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

    async def append(self, new_posts: Sequence[NewPost]) -> list[AppendResult]:
        now = self._clock()
        new: list[Post] = []
        results = [self._append(new_post, now, new) for new_post in new_posts]
        self._tail.put(new)
        return results

    def _append(self, new_post: NewPost, now: float, new: list[Post]) -> AppendResult:
        room = self._rooms.get(new_post.room)
        if room is None:
            room = self._rooms[new_post.room] = RingBuffer(self._max_posts, self._max_bytes)
            self._evict()
        self._lru[new_post.room] = None
        self._lru.move_to_end(new_post.room)
        key = dedup_key(new_post)
        if (seen := self.dedup.find(key, now)) is not None:
            return AppendResult(Position(self._epoch, seen.seq), timestamp(seen.at), dup=True)
        position = Position(self._epoch, room.last_seq + 1)
        post = Post(new_post.room, position, new_post.sender, new_post.text, new_post.at, new_post.nonce)
        room.append(post, sys.getsizeof(new_post.text) + POST_OVERHEAD_BYTES)
        self.dedup.add(key, position.seq, new_post.at, now)
        new.append(post)
        return AppendResult(position, timestamp(new_post.at), dup=False)

    def _evict(self) -> None:
        """Drop the posts of the least recently used rooms, but not their seqs."""
        while len(self._lru) > ROOMS_MAX:
            room, _ = self._lru.popitem(last=False)
            self._rooms[room].clear()

    async def read(
        self,
        room: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        from_end: bool = False,
        max_bytes: int | None = None,
    ) -> list[Post]:
        found = self._rooms.get(room)
        if found is None:
            return []
        stop = found.last_seq + 1 if before is None else before
        if from_end:
            newest = [post for post in found.before(stop, limit) if post.position.seq > after]
            return first_fitting(reversed(newest), max_bytes)[::-1]
        oldest = (post for post in found.after(after, limit) if post.position.seq < stop)
        return first_fitting(oldest, max_bytes)

    async def search(self, room: str, query: str, *, before: int | None = None, limit: int) -> list[Post]:
        found = self._rooms.get(room)
        if found is None:
            return []
        stop = found.last_seq + 1 if before is None else before
        newest_first = reversed(found.before(stop, stop))
        return (await search_posts(newest_first, query, limit, self._search_clock))[::-1]

    def tail(self) -> AsyncIterator[list[Post]]:
        return self._tail.follow()


class NoHistoryEngine(MemoryEngine):
    """Orders posts without storing them: nothing is replayed, and offline clients miss posts."""

    def __init__(self) -> None:
        super().__init__(max_posts=1)

    def first_seq(self, room: str) -> int:
        return self.last_seq(room) + 1

    async def read(
        self,
        room: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        from_end: bool = False,
        max_bytes: int | None = None,
    ) -> list[Post]:
        return []

    async def search(self, room: str, query: str, *, before: int | None = None, limit: int) -> list[Post]:
        return []
