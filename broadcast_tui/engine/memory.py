"""Engines without persistence: the newest entries in memory, or no history.

A new process has a new epoch, so that a client that reconnects gets a gap instead of wrong positions.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.lru_budget import LruBudget
from broadcast_tui.core.notes import Entry, NewEntry, Note, first_fitting
from broadcast_tui.core.post import AppendResult, Position, Post
from broadcast_tui.core.post_state import NO_STATE, PostState
from broadcast_tui.core.ring import RingBuffer
from broadcast_tui.engine.applying import apply_entry
from broadcast_tui.engine.base import OpenAsk, PendingSummary
from broadcast_tui.engine.dedup import SWEEP_EVERY_S, DedupCache, dedup_key
from broadcast_tui.engine.memory_search import search_posts
from broadcast_tui.engine.note_index import NoteIndex
from broadcast_tui.engine.room_index import FORGET_ROOMS, RoomIndex
from broadcast_tui.engine.tail import Tail

POST_OVERHEAD_BYTES = 300
"""Memory of an entry besides its text, measured on CPython 3.11."""
STATE_OVERHEAD_BYTES = 1_000
"""Memory of the state of a post with notes, besides its votes."""
VOTE_BYTES = 80
"""Memory of a vote, and of a name among those who are asked."""
ROOM_OVERHEAD_BYTES = 1_000
"""Memory of a room besides its posts."""


class MemoryEngine:
    """Stores the newest posts of each room in memory.

    Args:
        max_posts: Maximum number of posts per room; 0: unlimited.
        max_bytes: Maximum size of the posts of a room; 0: unlimited.
        max_total_bytes: Maximum size of the posts of all rooms; 0: unlimited. The rooms without new posts
            for the longest time lose theirs first.
        tail: Queue of new entries; by default, one of its own.
        clock: Monotonic clock in seconds, for the deduplication.
        search_clock: Monotonic clock in seconds, for the time limit of searches.
    """

    def __init__(
        self,
        max_posts: int = 10_000,
        max_bytes: int = 33_554_432,
        max_total_bytes: int = 67_108_864,
        *,
        tail: Tail | None = None,
        clock: Callable[[], float] = time.monotonic,
        search_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_posts = max_posts
        self._max_bytes = min(filter(None, (max_bytes, max_total_bytes)), default=0)
        self._clock = clock
        self._search_clock = search_clock
        self.epoch = secrets.token_hex(4)
        self._index = RoomIndex()
        self._rooms: dict[str, RingBuffer[Entry]] = {}
        """Notes are stored without their posts."""
        self._notes = NoteIndex()
        self.memory = LruBudget[str](lambda: max_total_bytes, self._evict)
        self.dedup = DedupCache()
        """Nonces of recent posts."""
        self.new_entries = tail if tail is not None else Tail()
        self._searching = asyncio.Lock()
        """One search at a time, so that together they take one slice of each iteration of the event loop."""
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def is_shared(self) -> bool:
        return False

    async def open_room(self, room: str, *, refresh: bool = False) -> None:
        pass

    def close_room(self, room: str) -> None:
        pass

    def is_open(self, room: str) -> bool:
        return True

    def epoch_of(self, room: str) -> str:
        return self.epoch

    def fork_of(self, room: str, epoch: str) -> int | None:
        return None

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
        self.new_entries.close()

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
        return self._notes.pins(room)

    def open_asks(self, room: str = "") -> Sequence[OpenAsk]:
        return self._notes.open_asks(room)

    def pending_summaries(self) -> Sequence[PendingSummary]:
        return ()

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        batch = _Batch(self, self._clock())
        results = [self._append(entry, batch) for entry in entries]
        self.new_entries.put(batch.entries)
        return results

    def _append(self, entry: NewEntry, batch: _Batch) -> AppendResult:
        key = dedup_key(entry)
        if (seen := self.dedup.find(key, batch.now)) is not None:
            return AppendResult(Position(self.epoch, seen.seq), timestamp(seen.at), dup=True)
        result = apply_entry(entry, batch)
        if result.error is None:
            self.dedup.add(key, result.position.seq, entry.at, batch.now)
        return result

    def _add(self, entry: Entry, now: float) -> None:
        name = entry.room
        room = self._rooms.get(name)
        if room is None:
            room = RingBuffer(self._max_posts, self._max_bytes, self.last_seq(name))
            self._rooms[name] = room
        room.append(entry, _size_bytes(entry))
        if isinstance(entry, Post) and entry.state is not NO_STATE:
            self._notes.update(entry)
        self._resized(name, room, now)

    def _change(self, post: Post, now: float) -> None:
        room = self._rooms[post.room]
        room.replace(post.position.seq, post, _size_bytes(post))
        self._notes.update(post)
        self._resized(post.room, room, now)

    def _resized(self, name: str, room: RingBuffer[Entry], now: float) -> None:
        """Update what depends on the size of a room. It may lose its oldest entries, or all."""
        first_seq = self._first_stored(room)
        self._index.set_bounds(name, first_seq, room.last_seq, now)
        self._notes.trim(name, first_seq)
        self.memory.resize(name, room.size_bytes + ROOM_OVERHEAD_BYTES)

    def _first_stored(self, room: RingBuffer[Entry]) -> int:
        """Seq of the oldest entry that can be read."""
        return room.first_seq

    def _evict(self, name: str) -> None:
        """Drop the entries of a room, but not its seqs."""
        last_seq = self._rooms.pop(name).last_seq
        self._index.set_bounds(name, last_seq + 1, last_seq, self._clock())
        self._notes.trim(name, last_seq + 1)

    def _find_post(self, name: str, seq: int) -> Post | None:
        room = self._rooms.get(name)
        if room is None or seq < self._first_stored(room):
            return None
        found = room.get(seq)
        return found if isinstance(found, Post) else None

    def _with_post(self, note: Note) -> Note:
        """A note together with the post that it is about."""
        return msgspec.structs.replace(note, post=self._find_post(note.room, note.re))

    async def posts(self, room: str, seqs: Sequence[int]) -> list[Post]:
        found = (self._find_post(room, seq) for seq in sorted(set(seqs)))
        return [post for post in found if post is not None]

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
        if root:
            thread = _thread(found.after(max(after, root - 1)), root, stop)
            return list[Entry](_page(thread, limit, max_bytes, from_end=from_end))
        start = max(after + 1, found.first_seq)
        count = max(0, min(limit, min(stop, found.last_seq + 1) - start))
        entries = found.before(stop, count)[::-1] if from_end else found.after(start - 1, count)
        with_posts = (entry if isinstance(entry, Post) else self._with_post(entry) for entry in entries)
        page = first_fitting(with_posts, max_bytes)
        return page[::-1] if from_end else page

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        found = self._rooms.get(room)
        if found is None:
            return []
        stop = found.last_seq + 1 if before is None else before
        async with self._searching:
            entries = found.after(root - 1) if root else found.before(stop, stop)
            newest_first = reversed(_thread(entries, root, stop))
            return (await search_posts(newest_first, query, limit, self._search_clock))[::-1]


class _Batch:
    """The logs of an engine while a batch is appended."""

    def __init__(self, engine: MemoryEngine, now: float) -> None:
        self._engine = engine
        self.now = now
        self.entries: list[Entry] = []
        """The new entries, for the tail."""

    def next_position(self, room: str) -> Position:
        return Position(self._engine.epoch, self._engine.last_seq(room) + 1)

    def find_post(self, room: str, seq: int) -> Post | None:
        return self._engine._find_post(room, seq)

    def pin_count(self, room: str) -> int:
        return len(self._engine.pins(room))

    def add(self, entry: Entry, source: NewEntry) -> None:
        self.entries.append(entry)
        self._engine._add(entry if isinstance(entry, Post) else _without_post(entry), self.now)

    def change(self, post: Post) -> None:
        self._engine._change(post, self.now)


def _without_post(note: Note) -> Note:
    return msgspec.structs.replace(note, post=None)


def _size_bytes(entry: Entry) -> int:
    """Memory of an entry, estimated."""
    if isinstance(entry, Note):
        return POST_OVERHEAD_BYTES
    size_bytes = sys.getsizeof(entry.text) + POST_OVERHEAD_BYTES
    return size_bytes if entry.state is NO_STATE else size_bytes + _state_bytes(entry.state)


def _state_bytes(state: PostState) -> int:
    votes = itertools.chain(state.reactions.values(), state.tally.values())
    names = sum(each.count for each in votes) + (len(state.ask.to) if state.ask is not None else 0)
    return STATE_OVERHEAD_BYTES + VOTE_BYTES * names


def _thread(entries: Iterable[Entry], root: int, stop: int) -> list[Post]:
    """The posts before `stop`, of one thread or with `root` 0 of all."""
    posts = (entry for entry in entries if isinstance(entry, Post) and entry.position.seq < stop)
    return [post for post in posts if not root or post.root == root or post.position.seq == root]


def _page(entries: Iterable[Entry], limit: int, max_bytes: int | None, *, from_end: bool) -> list[Entry]:
    """The first or last entries within the limits, in ascending order."""
    if not from_end:
        return first_fitting(itertools.islice(entries, limit), max_bytes)
    return first_fitting(itertools.islice(reversed(list(entries)), limit), max_bytes)[::-1]


class NoHistoryEngine(MemoryEngine):
    """Orders entries without storing them: nothing is replayed, and offline clients miss posts.

    Notes about posts are rejected, since the posts are not stored.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(max_posts=1, clock=clock)

    def _first_stored(self, room: RingBuffer[Entry]) -> int:
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
