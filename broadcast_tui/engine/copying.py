"""Copies a history from one store to another: entries with their seqs and states, rooms and their topics.

A copy has an epoch of its own, since both histories may go on. In each room it records the epoch of the
source as a former one, up to the last entry that was copied: clients resume without loss, and those that have
received later entries from the source learn that these are not in the copy.

A copy that was interrupted continues with what is missing, unless the source has changed meanwhile in what
was copied: then it starts again. Until it is complete, servers refuse to use it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple, Protocol

import msgspec

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.post_state import NO_STATE, NoteKind, PostState

PAGE_ENTRIES = 1_000
"""Maximum number of entries that are copied in one step."""
BUFFERED_ENTRIES = 100_000
"""Number of entries that `by_arrival` has in memory."""
BUFFERED_MIN = 4
"""Minimum number of them for each room."""

Report = Callable[[str, int, int], None]
"""Called during the work with what is being done, the number of entries done, and that of all entries."""


class StoredEntry(msgspec.Struct, frozen=True):
    """A post or note as it is stored, independent of the store."""

    room: str
    seq: int
    at_us: int
    """Microseconds since 1970 in UTC."""
    sender: str
    """Name of the sender of a post or note; empty in a summary."""
    text: str = ""
    """Text of a post."""
    kind: NoteKind | None = None
    """Kind of a note; None in a post."""
    re: int = 0
    """Seq of the post that it is about, or replies to."""
    root: int = 0
    """Seq of the first post of its thread; 0 if it is not a reply."""
    author: str = ""
    """Identifies who may edit a post; empty in a note."""
    state: PostState = NO_STATE
    client_id: str = ""
    nonce: str = ""
    """With `client_id`, identifies a resent entry. Stores may have forgotten both."""


class StoredRoom(NamedTuple):
    """A room with what is stored besides its entries."""

    name: str
    first_seq: int
    last_seq: int
    topic: str
    forks: tuple[tuple[str, int], ...]
    """Epochs of the log and the seqs up to which they had the same entries, oldest first; the current one is
    the last, with `last_seq`."""


class StoredHistory(Protocol):
    """A history that no server uses. All methods raise EngineError."""

    @property
    def identity(self) -> str:
        """Distinguishes it from other histories."""
        ...

    async def rooms(self) -> Sequence[StoredRoom]:
        """All rooms, also those without entries, in any order."""
        ...

    async def other_rooms(self) -> StoredRoom:
        """What holds for every room that is not stored: its log begins after `last_seq`. It has no name."""
        ...

    def entries(self) -> AsyncIterator[Sequence[StoredEntry]]:
        """All entries, in pages, ordered by arrival over all rooms, and by seq within a room."""
        ...

    async def check_unused(self) -> None:
        """Raise EngineError if a server has begun to use it."""
        ...

    async def close(self) -> None:
        """Let others use it again."""
        ...


class HistoryCopy(StoredHistory, Protocol):
    """A history that is being written."""

    async def begin(self, identity: str) -> Mapping[str, int]:
        """Begin a copy of another history, or continue one; the last seqs of the rooms copied so far.

        Raises:
            EngineError: It is a history already, or an unfinished copy of another one.
        """
        ...

    async def clear(self) -> None:
        """Delete what has been copied."""
        ...

    async def put(self, entries: Sequence[StoredEntry]) -> None:
        """Store the next entries in the order of the source, in one atomic step."""
        ...

    async def finish(self, rooms: Sequence[StoredRoom], others: StoredRoom) -> None:
        """Store what belongs to the rooms. May be repeated."""
        ...

    async def complete(self) -> None:
        """Let servers use it."""
        ...


class CopyResult(NamedTuple):
    """What was copied."""

    posts: int
    rooms: int
    """Rooms with entries or a topic."""


class _RoomDigest:
    """Number and digest of the entries of a room, in ascending order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0
        self.posts = 0

    def add(self, entry: StoredEntry) -> None:
        """Add the next entry, without what stores may forget."""
        self._hash.update(_encoder.encode(msgspec.structs.replace(entry, client_id="", nonce="")) + b"\n")
        self.count += 1
        self.posts += entry.kind is None

    @property
    def value(self) -> tuple[int, bytes]:
        return self.count, self._hash.digest()


_encoder = msgspec.json.Encoder()


async def copy_history(source: StoredHistory, target: HistoryCopy, report: Report) -> CopyResult:
    """Copy a history, or continue, and verify the result by reading both again.

    Raises:
        EngineError: One of them cannot be used, or they differ.
    """
    rooms = await source.rooms()
    total = sum(room.last_seq - room.first_seq + 1 for room in rooms)
    copied = await target.begin(source.identity)
    if copied and not await _is_beginning(source, target, copied, report, total):
        await target.clear()
        copied = {}
    done = 0
    async for page in source.entries():
        if new := [entry for entry in page if entry.seq > copied.get(entry.room, 0)]:
            await target.put(new)
        done += len(page)
        report("Copied", done, total)
    await target.finish(rooms, await source.other_rooms())
    result = await _verify(source, target, rooms, report, total)
    await source.check_unused()
    await target.complete()
    return result


async def _is_beginning(
    source: StoredHistory, target: StoredHistory, copied: Mapping[str, int], report: Report, total: int
) -> bool:
    """Whether the source still has exactly the entries that have been copied, up to these seqs."""
    expected = await _digests(source, lambda count: report("Compared", count, total), copied)
    found = await _digests(target, lambda _: None)
    return _values(expected) == _values(found)


async def _verify(
    source: StoredHistory,
    target: StoredHistory,
    rooms: Sequence[StoredRoom],
    report: Report,
    total: int,
) -> CopyResult:
    expected = await _digests(source, lambda count: report("Verified", count // 2, total))
    found = await _digests(target, lambda count: report("Verified", (total + count) // 2, total))
    differing = _differing(_values(expected), _values(found))
    differing |= _differing(_bounds(rooms), _bounds(await target.rooms()))
    if differing:
        raise EngineError(f"The copy differs from its source in {len(differing)} room(s). Copy it again.")
    used = sum(bool(room.topic) or room.first_seq <= room.last_seq for room in rooms)
    return CopyResult(sum(digest.posts for digest in expected.values()), used)


async def _digests(
    history: StoredHistory, read: Callable[[int], None], until: Mapping[str, int] | None = None
) -> dict[str, _RoomDigest]:
    """The digests of all rooms with entries; with `until`, of the entries up to these seqs.

    Args:
        read: Called with the number of entries read so far.
    """
    digests: dict[str, _RoomDigest] = {}
    count = 0
    async for page in history.entries():
        for entry in page:
            if until is None or entry.seq <= until.get(entry.room, 0):
                digests.setdefault(entry.room, _RoomDigest()).add(entry)
        count += len(page)
        read(count)
    return digests


def _values(digests: Mapping[str, _RoomDigest]) -> dict[str, tuple[int, bytes]]:
    return {room: digest.value for room, digest in digests.items()}


def _bounds(rooms: Sequence[StoredRoom]) -> dict[str, tuple[int, int, str]]:
    return {room.name: (room.first_seq, room.last_seq, room.topic) for room in rooms}


def _differing(expected: Mapping[str, object], found: Mapping[str, object]) -> set[str]:
    """The keys of which the values differ."""
    return {key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)}


# -- for stores without an order over all rooms

ReadRoom = Callable[[str, int, int], Awaitable[Sequence[StoredEntry]]]
"""Returns some entries of a room after a seq, in ascending order, at most as many as the last argument."""


class _RoomReading:
    """The next entries of a room."""

    def __init__(self, name: str, read: ReadRoom, count: int) -> None:
        self.name = name
        self._read = read
        self._count = count
        self._entries: deque[StoredEntry] = deque()
        self._seq = 0
        self.arrived_us = 0
        """When the next entry arrived: not before the one before it, whatever the clock was."""

    async def advance(self) -> bool:
        """Prepare the next entry; returns whether there is one."""
        if not self._entries:
            self._entries.extend(await self._read(self.name, self._seq, self._count))
        if not self._entries:
            return False
        self.arrived_us = max(self.arrived_us, self._entries[0].at_us)
        return True

    def take(self) -> StoredEntry:
        """Remove the next entry."""
        entry = self._entries.popleft()
        self._seq = entry.seq
        return entry


async def by_arrival(rooms: Sequence[str], read: ReadRoom) -> AsyncIterator[Sequence[StoredEntry]]:
    """The entries of all rooms in pages, ordered by arrival, as far as their times tell."""
    count = min(PAGE_ENTRIES, max(BUFFERED_MIN, BUFFERED_ENTRIES // max(1, len(rooms))))
    waiting: list[tuple[int, str, _RoomReading]] = []
    for room in sorted(rooms):
        reading = _RoomReading(room, read, count)
        if await reading.advance():
            waiting.append((reading.arrived_us, room, reading))
    heapify(waiting)
    page: list[StoredEntry] = []
    while waiting:
        _, room, reading = waiting[0]
        page.append(reading.take())
        if await reading.advance():
            heapreplace(waiting, (reading.arrived_us, room, reading))
        else:
            heappop(waiting)
        if len(page) >= PAGE_ENTRIES:
            yield page
            page = []
    if page:
        yield page
