"""Appends again what was acknowledged in the last seconds, after Redis has lost it.

Each node does so for the entries that it has acknowledged itself. What they are about may be an entry that
another node has to append again first: then they wait for it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from broadcast_tui.core.notes import NewEntry, NewNote, NewSummary
from broadcast_tui.core.post import AppendResult, NewPost, Post
from broadcast_tui.engine.redis_batch import Appended, pack_heads, unpack_stored
from broadcast_tui.engine.redis_rows import Head, entries_of
from broadcast_tui.engine.redis_scripts import FETCH, READ
from broadcast_tui.engine.store_stats import StoreStats

HEAL_S = 5.0
"""Time for which acknowledged entries are appended again if Redis loses them."""
GROUP_MAX = 1_000
"""Maximum number of entries that are appended again in one batch."""
PAGE_ENTRIES = 500
"""Entries that are read at once to find a post again."""

log = logging.getLogger("broadcast_tui.engine")


class _Room:
    """A room in the new life: where it ends for former epochs, and its posts after that."""

    def __init__(self, name: str, head: Head) -> None:
        self.name = name
        self._head = head
        self._seqs: dict[tuple[object, ...], int] = {}
        self._read_from: int | None = None
        self._read_to = 0

    def end_of(self, epoch: str) -> int:
        """Seq up to which the log has the entries of an epoch."""
        return self._head.last if self._head.epoch == epoch else self._head.forks.get(epoch, 0)

    async def find(self, post: Post, run: Callable[..., Awaitable[Any]]) -> int | None:
        """The seq of a post that was appended again; None if it is not in the log."""
        key = post.at, post.sender
        start = self.end_of(post.position.epoch)
        if self._read_from is None or start < self._read_from:
            self._read_from = self._read_to = start
        after = self._read_to
        while key not in self._seqs:
            reply = await run(READ, self.name, "RANGE", after, "", PAGE_ENTRIES, 0, 0)
            entries = entries_of(self.name, "", reply)
            for entry in entries:
                if isinstance(entry, Post):
                    self._seqs[entry.at, entry.sender] = entry.position.seq
            if entries:
                after = self._read_to = entries[-1].position.seq
            if len(entries) < PAGE_ENTRIES:
                break
        return self._seqs.get(key)


class Healing:
    """The entries of the last seconds, of one partition.

    Args:
        run: Runs a script.
        append: Appends entries. An edit that is older than the last one of its post changes nothing.
        waiting: Called when entries wait for those of another node; `heal_waiting` has to be called soon.
    """

    def __init__(
        self,
        run: Callable[..., Awaitable[Any]],
        append: Callable[[Sequence[NewEntry]], Awaitable[list[AppendResult]]],
        stats: StoreStats,
        waiting: Callable[[], None],
    ) -> None:
        self._run = run
        self._append = append
        self._stats = stats
        self._on_waiting = waiting
        self._recent: deque[Appended] = deque()
        self._is_healing = False
        self._waiting: list[Appended] = []
        """Entries about posts that are not in the log again; `at` is when they began to wait."""

    def remember(self, appended: Sequence[Appended]) -> None:
        """Remember acknowledged entries for some seconds."""
        self._recent += appended
        if not self._is_healing:
            self._forget(time.monotonic())

    def _forget(self, now: float) -> None:
        while self._recent and now - self._recent[0].at > HEAL_S:
            self._recent.popleft()

    async def heal(self) -> None:
        """Append again what is gone. Raises EngineError and what commands raise; then call it again."""
        self._forget(time.monotonic())
        self._is_healing = True
        try:
            await self._heal()
        finally:
            self._is_healing = False

    async def _heal(self) -> None:
        rooms = await self._heads(self._recent)
        healed, count = 0, len(self._recent)  # what is appended again is remembered behind them
        while count:
            group, waiting, taken = await self._next_group(rooms, count)
            healed += await self._append_group(group)
            self._waiting += waiting
            for _ in range(taken):
                self._recent.popleft()
            count -= taken
        if healed:
            self._stats.healed += healed
            log.warning("Redis had lost %d message(s) of the last seconds; they are stored again", healed)
        if self._waiting:
            self._on_waiting()

    async def heal_waiting(self) -> None:
        """Append the entries whose posts are in the log again, or have been waited for long enough."""
        if not self._waiting:
            return
        rooms = await self._heads(self._waiting)
        waiting, self._waiting = self._waiting, []
        now = time.monotonic()
        for number, each in enumerate(waiting):
            try:
                seq = await self._find_target(each, rooms[each.entry.room])
                if seq is None and now - each.at < HEAL_S:
                    self._waiting.append(each)
                elif seq is not None or isinstance(each.entry, NewPost):
                    again = msgspec.structs.replace(each.entry, re=seq or 0)
                    self._stats.healed += await self._append_group([again, *_summaries(each, again)])
                else:
                    self._stats.lost += 1
            except BaseException:
                self._waiting += waiting[number:]
                raise
        if self._waiting:
            self._on_waiting()

    async def _heads(self, entries: Sequence[Appended] | deque[Appended]) -> dict[str, _Room]:
        request = pack_heads({each.entry.room for each in entries})
        stored = unpack_stored(request, await self._run(FETCH, request))
        return {name: _Room(name, room.head) for name, room in stored.items()}

    async def _next_group(
        self, rooms: dict[str, _Room], count: int
    ) -> tuple[list[NewEntry], list[Appended], int]:
        """Entries to append again, entries that have to wait, and how many of the oldest `count` these are.

        What an entry is about is in the log when it is its turn, unless another node appends it.
        """
        waiting: list[Appended] = []
        group: list[NewEntry] = []
        lost: set[tuple[object, ...]] = set()
        """The posts in the group."""
        for taken in range(count):
            each = self._recent[taken]
            entry, room = each.entry, rooms[each.entry.room]
            end = room.end_of(each.result.position.epoch)
            if each.is_entry and each.result.position.seq <= end:
                continue
            if len(group) >= GROUP_MAX:
                return group, waiting, taken
            if entry.re > end:
                target = each.target
                if target is not None and (entry.room, target.at, target.sender) in lost:
                    return group, waiting, taken
                seq = await self._find_target(each, room)
                if seq is None:
                    waiting.append(each._replace(at=time.monotonic()))
                    continue
                entry = msgspec.structs.replace(entry, re=seq)
            group += [entry, *_summaries(each, entry)]
            if isinstance(entry, NewPost):
                lost.add((entry.room, entry.at, entry.sender))
        return group, waiting, count

    async def _find_target(self, each: Appended, room: _Room) -> int | None:
        return await room.find(each.target, self._run) if each.target is not None else None

    async def _append_group(self, group: Sequence[NewEntry]) -> int:
        """Append entries; returns the number of those that were not there."""
        if not group:
            return 0
        results = await self._append(group)
        changed = [entry for entry, result in zip(group, results, strict=True) if result.has_changed]
        return sum(not isinstance(entry, NewSummary) for entry in changed)


def _summaries(each: Appended, again: NewEntry) -> list[NewEntry]:
    """The announcement of a change that has no entry of its own."""
    if each.is_entry or not isinstance(again, NewNote):
        return []
    return [NewSummary(again.room, again.re, again.kind, again.at)]
