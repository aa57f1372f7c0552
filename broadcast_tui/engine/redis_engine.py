"""Logs in Redis or Valkey, which several nodes share.

What is in a log decides; messages only say that there is more. Rooms are spread over partitions: a script
changes the rooms of one partition in one atomic step. A node follows the channels of the rooms that it has
opened; what it misses, it reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from bisect import bisect_left, insort
from collections.abc import Collection, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.errors import (
    EngineError,
    ErrorCode,
    RequestError,
)
from broadcast_tui.core.lru_budget import LruBudget
from broadcast_tui.core.notes import Entry, LogEvent, NewEntry, NewSummary
from broadcast_tui.core.post import AppendResult, Fork, Position, Post
from broadcast_tui.core.post_state import NO_STATE, NoteKind
from broadcast_tui.engine.base import OpenAsk, PendingSummary
from broadcast_tui.engine.dedup import DedupCache
from broadcast_tui.engine.note_index import NoteIndex, until_of
from broadcast_tui.engine.redis_partition import RedisPartition
from broadcast_tui.engine.redis_reader import CHANNEL_MARK, PAGE_ENTRIES, RedisReader
from broadcast_tui.engine.redis_retention import RedisRetention
from broadcast_tui.engine.redis_room import NewEntries, News, RoomLog
from broadcast_tui.engine.redis_rows import Head, Message
from broadcast_tui.engine.redis_scripts import HEADS, OPEN, TOPIC
from broadcast_tui.engine.redis_writer import RedisWriter
from broadcast_tui.engine.store_stats import StoreStats
from broadcast_tui.engine.tail import Tail
from broadcast_tui.redis_client import FAILURES, Client, check_complete, end, open_client
from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.redis_subscriber import Subscriber

HOLE_S = 0.02
"""Time for which missing entries may be on their way, before they are read."""
SWEEP_S = 5.0
"""Interval at which the heads of all open rooms are compared, in case the last message was lost."""
SOON_S = 0.2
"""Time until the next comparison if entries wait for those of another node."""
SWEEP_ROOMS = 500
"""Rooms in one comparison."""
RETRY_S = 0.05

log = logging.getLogger("broadcast_tui.engine")


class RedisEngine:
    """Stores the logs of all rooms in Redis.

    Args:
        keep_days: Age in days after which entries are deleted; 0: never.
        keep_posts: Number of newest entries of a room to keep; 0: all. Up to 127 more are stored. Each batch
            deletes at most 5,000.
        node: Id of this process, never used before.
    """

    def __init__(
        self, settings: RedisSettings, *, keep_days: float = 0, keep_posts: int = 10_000, node: str = ""
    ) -> None:
        self.store_stats = StoreStats()
        """Statistics of Redis, as this node sees it."""
        self._settings = settings
        self._keep_days = keep_days
        self._keep_posts = keep_posts
        self._node = node or secrets.token_hex(6)
        self._logs: dict[str, RoomLog] = {}
        """The open rooms."""
        self._names: list[str] = []
        self._notes = NoteIndex()
        self._opening: dict[str, list[bytes]] = {}
        """Messages about rooms that are being opened."""
        self._tail = Tail()
        self._dedup = DedupCache()
        self._tasks: set[asyncio.Task[None]] = set()
        self._repairing: set[str] = set()
        self._pending: set[PendingSummary] = set()
        """Changes that were to be announced at the last comparison."""
        self._sweep_now = asyncio.Event()
        self._is_closed = False

    # -- what returns at once

    @property
    def is_shared(self) -> bool:
        return True

    def is_open(self, room: str) -> bool:
        return room in self._logs

    def epoch_of(self, room: str) -> str:
        found = self._logs.get(room)
        return found.epoch if found is not None else self._partition(room).life

    def fork_of(self, room: str, epoch: str) -> int | None:
        found = self._logs.get(room)
        return found.fork_of(epoch) if found is not None else None

    def first_seq(self, room: str) -> int:
        found = self._logs.get(room)
        return found.first if found is not None else 1

    def last_seq(self, room: str) -> int:
        found = self._logs.get(room)
        return found.last if found is not None else 0

    def pins(self, room: str) -> Sequence[int]:
        return self._notes.pins(room)

    def open_asks(self, room: str = "") -> Sequence[OpenAsk]:
        return self._notes.open_asks(room)

    def pending_summaries(self) -> Sequence[PendingSummary]:
        return ()  # the engine announces what is left itself

    def topic(self, room: str) -> str:
        found = self._logs.get(room)
        return found.topic if found is not None else ""

    def room_names(self) -> Sequence[str]:
        return self._names

    def set_open_rooms(self, rooms: Collection[str]) -> None:
        pass

    @property
    def new_entries(self) -> Tail:
        return self._tail

    @property
    def memory(self) -> LruBudget[str] | None:
        return None

    @property
    def dedup(self) -> DedupCache:
        return self._dedup

    # -- life

    async def start(self) -> None:
        settings = self._settings
        self._client: Client = open_client(settings)
        self._reader = RedisReader(
            self._client, settings, lambda number: self._partitions[number].life, self.epoch_of, self._learned
        )
        self._subscriber = Subscriber(
            settings, self._client, received=self._received, resumed=self._sweep_now.set
        )
        self._partitions = [
            RedisPartition(
                settings, RedisWriter(self._client, settings, self._reader.key(number)), node=self._node,
                keep_posts=self._keep_posts, stats=self.store_stats, logs=self._logs,
                published=self._published, look_soon=self._sweep_soon,
            )
            for number in range(settings.partitions)
        ]  # fmt: skip
        self._retention = RedisRetention(
            self._client, settings, partitions=settings.partitions, keep_days=self._keep_days,
            command=settings.publish_command, stats=self.store_stats,
        )  # fmt: skip
        try:
            await check_complete(self._client, settings)
            await self._partitions[0].look()
        except EngineError:
            await self.close()
            raise
        self._spawn(self._sweep())
        self._retention.start()

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        await end(*self._tasks)
        with contextlib.suppress(EngineError):
            for behind in [each for each in self._logs.values() if each.is_behind]:
                await self._read_missing(behind)
        self._tail.close()
        await self._retention.stop()
        await self._subscriber.close()
        for partition in self._partitions:
            await partition.close()
        with contextlib.suppress(*FAILURES):
            await self._client.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- rooms

    async def open_room(self, room: str, *, refresh: bool = False) -> None:
        if room in self._logs:
            if refresh:
                await self._compare_rooms(self._reader.number(room), [room])
            return
        messages = self._opening.setdefault(room, [])
        try:
            # The channel first: what is published meanwhile is in what is read, or arrives.
            await self._subscriber.subscribe(self._reader.channel(room))
            reply = await self._reader.run(OPEN, room, secrets.token_hex(4), room)
            if not self._partition(room).life:
                await self._partition(room).look()
        except BaseException:
            self._spawn(self._unsubscribe(room))
            raise
        finally:
            self._opening.pop(room, None)
        if room in self._logs:
            return
        found = self._logs[room] = RoomLog(room, Head.of(reply))
        self._load_notes(found, reply)
        self._set_topic(found, reply[4].decode())
        for data in messages:
            self._receive_message(found, data)

    def close_room(self, room: str) -> None:
        if self._logs.pop(room, None) is None:
            return
        self._notes.load(room, (), ())
        if room in self._names:
            self._names.remove(room)
        self._spawn(self._unsubscribe(room))

    async def _unsubscribe(self, room: str) -> None:
        """Stop following a channel, unless the room is open again."""
        if room not in self._logs and room not in self._opening:
            await self._subscriber.unsubscribe(self._reader.channel(room))

    def _load_notes(self, found: RoomLog, reply: Sequence[Any]) -> None:
        """Take the pinned posts and the open questions from what the script for opening returns."""
        now = datetime.now(UTC)
        asks = [
            OpenAsk(found.room, int(seq), until_of(until.decode(), now))
            for seq, until in zip(reply[6][::2], reply[6][1::2], strict=True)
        ]
        self._notes.load(found.room, map(int, reply[5]), asks)

    async def set_topic(self, room: str, topic: str) -> None:
        await self._reader.run(TOPIC, room, room, topic, self._settings.publish_command)
        if (found := self._logs.get(room)) is not None:
            self._set_topic(found, topic)

    def _set_topic(self, found: RoomLog, topic: str) -> None:
        found.topic = topic
        self._update_names(found)

    def _update_names(self, found: RoomLog) -> None:
        place = bisect_left(self._names, found.room)
        is_known = place < len(self._names) and self._names[place] == found.room
        if is_known and not found.is_listed:
            del self._names[place]
        elif found.is_listed and not is_known:
            insort(self._names, found.room)

    # -- appending

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        if len(self._partitions) == 1:
            return await self._partitions[0].append(entries)
        by_number: dict[int, list[int]] = {}
        for index, entry in enumerate(entries):
            by_number.setdefault(self._reader.number(entry.room), []).append(index)
        if len(by_number) == 1:
            return await self._partitions[next(iter(by_number))].append(entries)
        parts = await asyncio.gather(
            *(
                self._partitions[number].append([entries[index] for index in indexes])
                for number, indexes in by_number.items()
            ),
            return_exceptions=True,
        )
        errors = [part for part in parts if isinstance(part, BaseException)]
        if errors and len(errors) == len(parts):
            raise errors[0]
        results: dict[int, AppendResult] = {}
        for indexes, part in zip(by_number.values(), parts, strict=True):
            if isinstance(part, BaseException):
                log.error("%d message(s) could not be stored: %s", len(indexes), part)
                part = [_failed(entries[index]) for index in indexes]
            results.update(zip(indexes, part, strict=True))
        return [results[index] for index in range(len(entries))]

    def _published(
        self, room: str, news: NewEntries, asked_in: str = "", *, may_return: bool = False
    ) -> None:
        """Take the reply to an append of this node: it usually precedes the message."""
        if (found := self._logs.get(room)) is not None:
            self._receive(found, news, asked_in, may_return=may_return)
        elif len(news):
            self._tail.put(list[LogEvent](news.entries(0)))

    # -- the tail

    def _received(self, channel: str, data: bytes) -> None:
        room = channel.partition(CHANNEL_MARK)[2]
        if (found := self._logs.get(room)) is not None:
            self._receive_message(found, data)
        elif (messages := self._opening.get(room)) is not None:
            messages.append(data)

    def _receive_message(self, found: RoomLog, data: bytes) -> None:
        if data.startswith(b"="):
            self._set_topic(found, data[1:].decode())
            return
        message = Message(found.room, data)
        if message.node != self._node:  # the reply to an own append says the same
            self._receive(found, message)

    def _learned(self, room: str, head: Head, asked_in: str) -> bool:
        """A read has returned the head of a room, perhaps in an epoch that no message has announced yet.

        Returns whether the room is in that epoch now, or is not followed.
        """
        found = self._logs.get(room)
        if found is not None and found.epoch != head.epoch:
            self._receive(found, NewEntries(head), asked_in)
        return found is None or found.epoch == head.epoch

    def _receive(self, found: RoomLog, news: News, asked_in: str = "", *, may_return: bool = False) -> None:
        told, first = found.told, found.first
        self._yield(found, found.receive(news, asked_in, may_return=may_return), told, first)

    def _yield(self, found: RoomLog, events: Sequence[LogEvent], told: int, first: int) -> None:
        """Pass on news of a log.

        Args:
            told: Seq up to which the tail had everything before.
            first: First seq before.
        """
        for event in events:
            if isinstance(event, Fork):
                lost = max(0, told - event.seq)
                self.store_stats.forks += 1
                self.store_stats.lost += lost
                if lost:
                    log.warning("Redis has lost %d message(s) of a room", lost)
                self._spawn(self._reload_notes(found.room))
                self._spawn(self._partition(found.room).notice(event.epoch))
                continue
            post = event if isinstance(event, Post) else event.post
            if post is not None and post.state is not NO_STATE:
                self._notes.update(post)
        if found.first != first:
            self._notes.trim(found.room, found.first)
        self._update_names(found)
        if events:
            self._tail.put(events)
        if (found.is_behind or found.is_doubtful) and found.room not in self._repairing:
            self._repairing.add(found.room)
            self._spawn(self._repair(found.room))

    async def _repair(self, room: str) -> None:
        """Read what messages have not brought."""
        try:
            await asyncio.sleep(HOLE_S)
            while (found := self._logs.get(room)) is not None and (found.is_behind or found.is_doubtful):
                before = found.told, found.epoch
                with contextlib.suppress(EngineError):
                    if found.is_doubtful:
                        await self._compare_rooms(self._reader.number(room), [room])
                    else:
                        await self._read_missing(found)
                if (found.told, found.epoch) == before:
                    await asyncio.sleep(RETRY_S)
        finally:
            self._repairing.discard(room)

    async def _read_missing(self, found: RoomLog) -> None:
        """Read a page of the entries that are missing from the tail. Raises EngineError."""
        told, first, epoch = found.told, found.first, found.epoch
        self.store_stats.repairs += 1
        head, entries = await self._reader.page(found.room, "RANGE", told, "", PAGE_ENTRIES, 0, 0)
        if head.epoch != found.epoch or told != found.told:
            self._receive(found, NewEntries(head), epoch)
            return
        if head.last < told:
            found.doubt_count += 1
            return
        start = entries[0].position.seq - 1 if entries else head.last
        found.told = start  # what is not stored any more cannot be read
        self._yield(found, found.receive(NewEntries(head._replace(last=start), entries)), told, first)

    async def _reload_notes(self, room: str) -> None:
        """Read the pinned posts and questions of a room again."""
        with contextlib.suppress(EngineError):
            reply = await self._reader.run(OPEN, room, secrets.token_hex(4), room)
            if (found := self._logs.get(room)) is not None and found.epoch == Head.of(reply).epoch:
                self._load_notes(found, reply)

    # -- comparing

    async def _sweep(self) -> None:
        """Compare what this node knows with Redis, from time to time and after lost connections."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_S):
                    await self._sweep_now.wait()
            self._sweep_now.clear()
            try:
                await self._compare()
            except EngineError as error:
                log.debug("the rooms could not be compared: %s", error)
                await asyncio.sleep(RETRY_S)
                self._sweep_now.set()
            except Exception:
                log.exception("the rooms could not be compared; this will be tried again")

    def _sweep_soon(self) -> None:
        asyncio.get_running_loop().call_later(SOON_S, self._sweep_now.set)

    async def _compare(self) -> None:
        by_number: dict[int, list[str]] = {0: []}
        for room in self._logs:
            by_number.setdefault(self._reader.number(room), []).append(room)
        pending: set[PendingSummary] = set()
        for number, rooms in by_number.items():
            await self._partitions[number].look()
            for start in range(0, len(rooms), SWEEP_ROOMS):
                pending |= await self._compare_rooms(number, rooms[start : start + SWEEP_ROOMS])
        left, self._pending = self._pending & pending, pending
        if left:  # the node that should have announced them is gone
            now = datetime.now(UTC)
            await self.append([NewSummary(room, seq, kind, now) for room, seq, kind in left])

    async def _compare_rooms(self, number: int, rooms: Sequence[str]) -> set[PendingSummary]:
        """Compare rooms of a partition; returns the changes that are to be announced. Raises EngineError."""
        known = {
            room: (found.told, found.topic, found.epoch, found.doubt_count)
            for room in rooms
            if (found := self._logs.get(room)) is not None
        }
        ended, pending = [], set()
        for room, reply in zip(rooms, await self._reader.run(HEADS, rooms[0], *rooms), strict=True):
            found, head = self._logs.get(room), Head.of(reply)
            if found is None or room not in known:
                continue
            told, topic, epoch, doubt_count = known[room]
            found.clear_doubts(doubt_count)
            if found.topic == topic:  # otherwise a message has brought a later one
                self._set_topic(found, reply[5].decode())
            if not head.epoch and not told:
                head = Head(self._partitions[number].life, 0, 1, {})
            is_shorter = head.epoch == found.epoch and head.last < told
            if found.epoch == epoch and (not head.epoch or is_shorter or found.is_former(head.epoch)):
                ended.append(room)
                continue
            if head.epoch:
                self._receive(found, NewEntries(head), epoch)
            for seq, kinds in zip(reply[4][::2], reply[4][1::2], strict=True):
                pending |= {PendingSummary(room, int(seq), NoteKind(kind)) for kind in kinds.decode().split()}
        if ended:
            await self._partitions[number].end_epochs(ended)
        return pending

    # -- reading

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
        return await self._reader.read(
            room, after=after, before=before, limit=limit, from_end=from_end, max_bytes=max_bytes, root=root
        )

    async def posts(self, room: str, seqs: Sequence[int]) -> list[Post]:
        return await self._reader.posts(room, seqs)

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        return await self._reader.search(room, query, before=before, limit=limit, root=root)

    def _partition(self, room: str) -> RedisPartition:
        return self._partitions[self._reader.number(room)]


def _failed(entry: NewEntry) -> AppendResult:
    """The result of an entry in a part of a batch that was not appended."""
    text = "The server cannot store messages right now. Try again in a moment."
    error = RequestError(ErrorCode.TRY_LATER, text, temporary=True)
    return AppendResult(Position("", 0), timestamp(entry.at), dup=False, error=error)
