"""An engine that keeps some rooms out of the storage of another one: their logs end with the process.

Rooms with `~` in their names are in memory, all others in the other engine. Both have the same epoch and
share one tail. A batch without such rooms is passed on unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from broadcast_tui.core.lru_budget import LruBudget
from broadcast_tui.core.names import DEFAULT_ROOM, VOLATILE_SIGN
from broadcast_tui.core.notes import Entry, NewEntry
from broadcast_tui.core.post import AppendResult, Post
from broadcast_tui.engine.base import Engine, OpenAsk, PendingSummary
from broadcast_tui.engine.dedup import DedupCache
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.tail import Tail

VOLATILE_BYTES = 33_554_432
"""Maximum size of all posts in volatile rooms."""


def with_volatile_rooms(engine: Engine) -> Engine:
    """An engine that stores volatile rooms in memory only, and other rooms as `engine` does.

    A shared engine stores volatile rooms itself, for a limited time: nodes do not share their memory.
    """
    return engine if engine.memory is not None or engine.is_shared else VolatileRoomsEngine(engine)


class VolatileRoomsEngine:
    """Stores volatile rooms in memory, and other rooms in a durable engine.

    A batch with both is atomic: the memory takes its part after the durable engine has succeeded.

    Args:
        durable: The engine of all other rooms. It is started and closed with this one.
    """

    def __init__(self, durable: Engine) -> None:
        self._durable = durable
        self._volatile = MemoryEngine(max_total_bytes=VOLATILE_BYTES, tail=durable.new_entries)

    def _engine_of(self, room: str) -> Engine:
        return self._volatile if VOLATILE_SIGN in room else self._durable

    @property
    def is_shared(self) -> bool:
        return self._durable.is_shared

    async def open_room(self, room: str, *, refresh: bool = False) -> None:
        await self._engine_of(room).open_room(room, refresh=refresh)

    def close_room(self, room: str) -> None:
        self._engine_of(room).close_room(room)

    def is_open(self, room: str) -> bool:
        return self._engine_of(room).is_open(room)

    def epoch_of(self, room: str) -> str:
        return self._engine_of(room).epoch_of(room)

    def fork_of(self, room: str, epoch: str) -> int | None:
        return self._engine_of(room).fork_of(room, epoch)

    @property
    def memory(self) -> LruBudget[str] | None:
        return self._durable.memory

    @property
    def dedup(self) -> DedupCache:
        return self._durable.dedup

    @property
    def new_entries(self) -> Tail:
        return self._durable.new_entries

    def first_seq(self, room: str) -> int:
        return self._engine_of(room).first_seq(room)

    def last_seq(self, room: str) -> int:
        return self._engine_of(room).last_seq(room)

    def pins(self, room: str) -> Sequence[int]:
        return self._engine_of(room).pins(room)

    def open_asks(self, room: str = "") -> Sequence[OpenAsk]:
        if room:
            return self._engine_of(room).open_asks(room)
        return [*self._durable.open_asks(), *self._volatile.open_asks()]

    def pending_summaries(self) -> Sequence[PendingSummary]:
        return self._durable.pending_summaries()

    def topic(self, room: str) -> str:
        return self._engine_of(room).topic(room)

    def room_names(self) -> Sequence[str]:
        names, volatile = self._durable.room_names(), self._volatile.room_names()
        return sorted([*names, *volatile]) if volatile else names

    def set_open_rooms(self, rooms: Collection[str]) -> None:
        self._durable.set_open_rooms(rooms)
        self._volatile.set_open_rooms(rooms)

    async def set_topic(self, room: str, topic: str) -> None:
        await self._engine_of(room).set_topic(room, topic)

    async def start(self) -> None:
        await self._durable.start()
        self._volatile.epoch = self._durable.epoch_of(DEFAULT_ROOM)
        await self._volatile.start()

    async def close(self) -> None:
        # First, since the tail ends with the other engine, which may have to store its last entries.
        await self._durable.close()
        await self._volatile.close()

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        if not any(VOLATILE_SIGN in entry.room for entry in entries):
            return await self._durable.append(entries)
        durable = [entry for entry in entries if VOLATILE_SIGN not in entry.room]
        volatile = [entry for entry in entries if VOLATILE_SIGN in entry.room]
        durable_results = iter(await self._durable.append(durable) if durable else ())
        volatile_results = iter(await self._volatile.append(volatile))
        return [
            next(volatile_results if VOLATILE_SIGN in entry.room else durable_results) for entry in entries
        ]

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
        return await self._engine_of(room).read(
            room, after=after, before=before, limit=limit, from_end=from_end, max_bytes=max_bytes, root=root
        )

    async def posts(self, room: str, seqs: Sequence[int]) -> list[Post]:
        return await self._engine_of(room).posts(room, seqs)

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        return await self._engine_of(room).search(room, query, before=before, limit=limit, root=root)
