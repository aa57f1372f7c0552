"""One partition of the log in Redis: it appends batches, exactly once, and heals what Redis has lost.

A batch has a number. If its reply is lost, it is sent again with that number until it is answered, and Redis
returns its first result if it has been executed. A new life of the partition means that another process has
the log, or other data: then the entries that were acknowledged in the last seconds and are gone are appended
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.notes import NewEntry
from broadcast_tui.core.post import AppendResult
from broadcast_tui.engine import dedup
from broadcast_tui.engine.redis_batch import (
    Appended,
    Batch,
    Stored,
    pack_request,
    pack_rooms,
    rooms_to_read,
    unpack_result,
    unpack_stored,
)
from broadcast_tui.engine.redis_healing import Healing
from broadcast_tui.engine.redis_room import NewEntries, RoomLog
from broadcast_tui.engine.redis_rows import Head, parse_forks
from broadcast_tui.engine.redis_scripts import APPEND, FETCH
from broadcast_tui.engine.redis_writer import RedisWriter
from broadcast_tui.engine.store_stats import StoreStats
from broadcast_tui.redis_client import FAILURES, engine_error, is_temporary
from broadcast_tui.redis_settings import RedisSettings

CONFLICTS_MAX = 50
"""Times that a batch is tried while other nodes change the same posts."""
RETRY_S = 0.02
RETRY_MAX_S = 0.25
"""First and longest delay before a batch is sent again."""
LOST_TOLD = 2**53
"""Seq that no log reaches: the epoch of the room changes if it is not the one of this life."""


class Published(Protocol):
    """Takes the reply to an append."""

    def __call__(
        self, room: str, news: NewEntries, asked_in: str = "", *, may_return: bool = False
    ) -> None: ...


_Attempt = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Runs a command, and possibly again after a failure."""

log = logging.getLogger("broadcast_tui.engine")


class _Reply(NamedTuple):
    """The reply of the script that appends."""

    life: str
    last: str
    """Number of the last batch."""
    result: bytes


class RedisPartition:
    """Appends to the rooms of one partition, one batch at a time.

    Args:
        node: Id of this process.
        keep_posts: Maximum number of entries of a room; 0: unlimited.
        logs: The rooms that this node follows.
        published: Called with a room and its new entries, in the order of the appends; also with the epoch it
            had when they were sent, and whether it has to follow them even to a former epoch.
        look_soon: Called when the rooms have to be compared soon.
    """

    def __init__(
        self,
        settings: RedisSettings,
        writer: RedisWriter,
        *,
        node: str,
        keep_posts: int,
        stats: StoreStats,
        logs: Mapping[str, RoomLog],
        published: Published,
        look_soon: Callable[[], None],
    ) -> None:
        self.life = ""
        """The current life; empty before the first connection."""
        self._settings = settings
        self._writer = writer
        self._node = node
        self._keep_posts = keep_posts
        self._stats = stats
        self._logs = logs
        self._published = published
        self._number = 0
        self._lock = asyncio.Lock()
        self._healing = Healing(writer.run, self._append_again, self._add_copies, stats, look_soon)
        self._healing_life = ""
        self._look_soon = look_soon

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        """Append entries. Raises EngineError; then some of them may have been appended."""
        rooms = rooms_to_read(entries)
        # Now, as the epoch may change before it is their turn.
        known = {room: self._logs[room].epoch for room in rooms if room in self._logs}
        async with self._lock:
            try:
                return await self._append(entries, known, self._retrying, is_reading=bool(rooms))
            except EngineError:
                self._look_soon()  # they may have been appended all the same
                raise

    async def look(self, epoch: str = "") -> None:
        """Notice a new life, even if nothing is appended, unless it is `epoch`. Raises EngineError."""
        async with self._lock:
            if epoch and epoch == self.life:
                return
            try:
                await self._look()
                await self._heal(self._healing.heal_waiting)
            except FAILURES as error:
                self._stats.is_up = False
                raise engine_error(error, self._settings) from None

    async def notice(self, epoch: str) -> None:
        """Heal, if a new epoch is that of another life: what can be appended again is soon too old."""
        with contextlib.suppress(EngineError):  # the next comparison tries it again
            await self.look(epoch)

    async def end_epochs(self, rooms: Sequence[str]) -> None:
        """Change the epoch of rooms whose logs have lost entries that were told. Raises EngineError."""
        async with self._lock:
            known = {room: self._epoch(room) for room in rooms}
            reply = await self._execute([(room, LOST_TOLD, []) for room in rooms], self._retrying)
        for room, (epoch, before, first, forks, _) in zip(rooms, reply, strict=True):
            head = Head(epoch, before, first, parse_forks(forks))
            self._published(room, NewEntries(head), known[room], may_return=True)

    async def close(self) -> None:
        """Close the connection."""
        await self._writer.close()

    # -- appending

    async def _append_again(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        """Append entries that were lost. Raises EngineError and what commands raise."""
        is_reading = bool(rooms_to_read(entries))
        return await self._append(entries, {}, _once, is_reading=is_reading, is_healing=True)

    async def _add_copies(self, room: str, epoch: str, fields: Sequence[str]) -> None:
        """Store where copies of posts are, as nonces are stored. Raises what commands raise."""
        if not await self._execute([(room, 0, [], (epoch, -1, [], fields))], _once):
            raise ConnectionError("another server has changed the log meanwhile")

    async def _append(
        self,
        entries: Sequence[NewEntry],
        known: Mapping[str, str],
        attempt: _Attempt,
        *,
        is_reading: bool,
        is_healing: bool = False,
    ) -> list[AppendResult]:
        """Append entries, in as few batches as possible. Raises EngineError, and what `attempt` raises.

        Args:
            known: The epochs of rooms when the entries were made, if they are about others.
            is_reading: Whether the effect of some entries depends on stored posts.
        """
        results: dict[int, AppendResult] = {}
        rest: Sequence[int] = range(len(entries))
        conflicts = 0
        while rest:
            stored = await self._fetch([entries[index] for index in rest], attempt) if is_reading else {}
            batch = Batch(
                entries, rest, stored, life=self.life, told=self._told,
                known_epoch=lambda room: known.get(room, ""), is_healing=is_healing,
            )  # fmt: skip
            appended: list[Appended] = []
            if rooms := batch.rooms:
                epochs = {room[0]: self._epoch(room[0]) for room in rooms}
                reply = await self._execute(rooms, attempt)
                if not reply:
                    conflicts += 1
                    if conflicts > CONFLICTS_MAX:
                        raise EngineError("Other servers are changing the same messages. Try again.")
                    continue
                news, appended = batch.finish(reply, time.monotonic())
                for room, new_entries in news.items():
                    self._published(room, new_entries, epochs[room])
            else:
                if is_healing:  # what was read must be of the life in which it is healed
                    await self._look()
                _, appended = batch.finish((), time.monotonic())
            self._healing.remember(appended)
            results |= batch.results
            rest = batch.rest
        return [results[index] for index in range(len(entries))]

    def _told(self, room: str) -> int:
        found = self._logs.get(room)
        return found.told if found is not None else 0

    def _epoch(self, room: str) -> str:
        found = self._logs.get(room)
        return found.epoch if found is not None else ""

    async def _fetch(self, entries: Sequence[NewEntry], attempt: _Attempt) -> dict[str, Stored]:
        """Read what entries depend on."""
        request = pack_request(entries)
        return unpack_stored(request, await attempt(lambda: self._writer.run(FETCH, request)))

    async def _execute(self, rooms: Sequence[tuple[Any, ...]], attempt: _Attempt) -> Sequence[Any]:
        """The result of a batch for each room; empty on a conflict."""
        packed = pack_rooms(rooms)
        self._number += 1
        number = self._number
        reply: _Reply | None = None

        async def run() -> Sequence[Any]:
            nonlocal number, reply
            if not self._writer.is_open:
                life = await self._look(number)
                if reply is not None and reply.life != life:
                    reply = None
                if reply is None and self._number != number:  # something was healed
                    self._number += 1
                    number = self._number
            if reply is None:
                reply = await self._run(packed, number, replicas=self._settings.replicas)
            await self._lives_in(reply.life)
            return unpack_result(reply.result) if reply.result else ()

        found: Sequence[Any] = await attempt(run)
        return found

    async def _run(self, packed: bytes, number: int, replicas: int = 0) -> _Reply:
        life, last, result = await self._writer.run(
            APPEND, secrets.token_hex(4), self._node, number, self._keep_posts, int(dedup.DEDUP_S),
            self._settings.publish_command, packed, self._healing_life, replicas=replicas,
        )  # fmt: skip
        return _Reply(life.decode(), last.decode(), result)

    async def _retrying(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """The result of `work`, which is tried again after temporary failures. Raises EngineError."""
        deadline, delay_s = time.monotonic() + self._settings.append_timeout_s, RETRY_S
        while True:
            try:
                result = await work()
            except FAILURES as error:
                self._stats.is_up = False
                if not is_temporary(error) or time.monotonic() + delay_s > deadline:
                    raise engine_error(error, self._settings) from None
            else:
                self._stats.is_up = True
                return result
            self._stats.retries += 1
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RETRY_MAX_S)

    # -- lives

    async def _look(self, number: int = 0) -> str:
        """Read the life. What it has lost is appended before anything else."""
        reply = await self._run(pack_rooms([]), 0)
        if number and reply.last == str(number):
            # The batch has been executed, so that nothing before it is lost either.
            self.life = reply.life
        else:
            await self._lives_in(reply.life)
        self._stats.is_up = True
        return reply.life

    async def _lives_in(self, life: str) -> None:
        """Heal after a change of the life, which is remembered when that is done."""
        if self._healing_life:
            if life != self._healing_life:
                await self._writer.close()
                raise ConnectionError("another process has the log now")
            return
        if self.life and life != self.life:
            former, self.life = self.life, life
            try:
                await self._heal(self._healing.heal)
            except BaseException:
                self.life = former
                raise
        self.life = life
        self._healing.confirm()

    async def _heal(self, work: Callable[[], Awaitable[None]]) -> None:
        """Append entries again, in the current life only: in another one their posts have other numbers."""
        self._healing_life = self.life
        try:
            await work()
        finally:
            self._healing_life = ""


async def _once(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()
