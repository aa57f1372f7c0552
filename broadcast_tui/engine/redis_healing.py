"""Appends again what was acknowledged in the last seconds, after Redis has lost it.

Each node does so for the entries that it has acknowledged itself. What they are about may be an entry that
another node has to append again first: then they wait for it.

A post may be in the log as another copy, which its client has sent to another node and another primary. Then
the node that remembers the post stores where the copy is, for changes of the post that others remember.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from broadcast_tui.core.notes import NewEntry, NewNote, NewSummary
from broadcast_tui.core.post import AppendResult, NewPost, Position, Post
from broadcast_tui.engine.redis_batch import Appended, pack_copies, unpack_stored
from broadcast_tui.engine.redis_rows import Head, entries_of, microseconds
from broadcast_tui.engine.redis_scripts import FETCH, READ
from broadcast_tui.engine.store_stats import StoreStats

HEAL_S = 5.0
"""Time before the last answer of Redis. What was acknowledged since then is appended again if it is lost."""
OUTAGE_S = 30.0
"""Maximum age of entries that are appended again after an outage."""
WAIT_S = OUTAGE_S + 10.0
"""Time for which changes wait for their post, which another node may append again that late."""
WAITING_MAX = 10_000
"""Maximum number of entries that wait."""
GROUP_MAX = 1_000
"""Maximum number of entries that are appended again in one batch."""
PAGE_ENTRIES = 500
"""Entries that are read at once to find a post again."""

log = logging.getLogger("broadcast_tui.engine")


class _Room:
    """A room in the new life: where it ends for former epochs, and its posts after that.

    Args:
        copies: Seqs of the copies of posts, by their key.
    """

    def __init__(self, name: str, head: Head, copies: dict[str, int]) -> None:
        self.name = name
        self.copies = copies
        self._head = head
        self._seqs: dict[tuple[object, ...], int] = {}
        self._read_from: int | None = None
        self._read_to = 0

    def end_of(self, epoch: str) -> int:
        """Seq up to which the log has the entries of an epoch."""
        return self._head.last if self._head.epoch == epoch else self._head.forks.get(epoch, 0)

    async def find(self, post: Post, run: Callable[..., Awaitable[Any]]) -> int | None:
        """The seq of a post that was appended again, or of its copy; None if neither is in the log."""
        if (copy := self.copies.get(copy_key(post))) is not None:
            return copy
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


def copy_key(post: NewPost | Post) -> str:
    """The key under which the seq of the copy of a post is stored. No nonce has such a key."""
    return f"@{microseconds(post.at)} {post.sender}"


class Healing:
    """The entries of the last seconds, of one partition.

    Args:
        run: Runs a script.
        append: Appends entries. An edit that is older than the last one of its post changes nothing.
        add_copies: Stores keys and values of copies, flat, of a room in an epoch.
        waiting: Called when entries wait for those of another node; `heal_waiting` has to be called soon.
    """

    def __init__(
        self,
        run: Callable[..., Awaitable[Any]],
        append: Callable[[Sequence[NewEntry]], Awaitable[list[AppendResult]]],
        add_copies: Callable[[str, str, Sequence[str]], Awaitable[None]],
        stats: StoreStats,
        waiting: Callable[[], None],
    ) -> None:
        self._run = run
        self._append = append
        self._add_copies = add_copies
        self._stats = stats
        self._on_waiting = waiting
        self._recent: deque[Appended] = deque()
        self._is_healing = False
        self._confirmed_at = 0.0
        """Monotonic time at which Redis was last seen to have everything."""
        self._waiting: list[Appended] = []
        """Entries about posts that are not in the log again; `at` is when they began to wait."""
        self._counted = 0

    def remember(self, appended: Sequence[Appended]) -> None:
        """Remember acknowledged entries for some seconds."""
        self._recent += appended
        if not self._is_healing:
            self.confirm()

    def confirm(self) -> None:
        """Note that Redis still has what it had."""
        self._confirmed_at = time.monotonic()
        self._forget()

    def _forget(self) -> None:
        oldest = max(self._confirmed_at - HEAL_S, time.monotonic() - OUTAGE_S)
        while self._recent and self._recent[0].at < oldest:
            self._recent.popleft()

    async def heal(self) -> None:
        """Append again what is gone. Raises EngineError and what commands raise; then call it again."""
        self._forget()
        self._is_healing = True
        try:
            await self._heal()
        finally:
            self._is_healing = False
            self._count_waiting()

    async def _heal(self) -> None:
        rooms = await self._rooms_of(self._recent)
        healed, count = 0, len(self._recent)  # what is appended again is remembered behind them
        while count:
            group, waiting, taken = await self._next_group(rooms, count)
            healed += await self._append_group(group, rooms)
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
        try:
            await self._heal_waiting()
        finally:
            self._count_waiting()

    async def _heal_waiting(self) -> None:
        rooms = await self._rooms_of(self._waiting)
        waiting, self._waiting = self._waiting, []
        now, excess, given_up = time.monotonic(), len(waiting) - WAITING_MAX, 0
        for number, each in enumerate(waiting):
            is_post = isinstance(each.entry, NewPost)
            try:
                seq = await self._find_target(each, rooms[each.entry.room])
                if seq is not None or (is_post and now - each.at >= HEAL_S):
                    again = msgspec.structs.replace(each.entry, re=seq or 0)
                    self._stats.healed += await self._append_group([again, *_summaries(each, again)], rooms)
                elif is_post or (now - each.at < WAIT_S and number >= excess):
                    self._waiting.append(each)
                else:
                    given_up += 1
            except BaseException:
                self._waiting += waiting[number:]
                raise
        if given_up:
            self._stats.lost += given_up
            log.warning("Redis has lost the messages that %d edit(s) or reaction(s) were about", given_up)
        if any(now - each.at < HEAL_S for each in self._waiting):  # later, every comparison tries it
            self._on_waiting()

    def _count_waiting(self) -> None:
        self._stats.waiting += len(self._waiting) - self._counted
        self._counted = len(self._waiting)

    async def _rooms_of(self, entries: Sequence[Appended] | deque[Appended]) -> dict[str, _Room]:
        keys: dict[str, dict[str, None]] = {}
        for each in entries:
            wanted = keys.setdefault(each.entry.room, {})
            if each.target is not None:
                wanted[copy_key(each.target)] = None
        request = pack_copies(keys)
        stored = unpack_stored(request, await self._run(FETCH, request))
        return {
            name: _Room(name, room.head, {key: int(seq) for key, seq in room.seen.items()})
            for name, room in stored.items()
        }

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

    async def _append_group(self, group: Sequence[NewEntry], rooms: dict[str, _Room]) -> int:
        """Append entries; returns the number of those that were not there."""
        if not group:
            return 0
        results = await self._append(group)
        copies: dict[str, dict[str, Position]] = {}
        changed = 0
        for entry, result in zip(group, results, strict=True):
            if result.has_changed:
                changed += not isinstance(entry, NewSummary)
            elif isinstance(entry, NewPost) and result.error is None:
                copies.setdefault(entry.room, {})[copy_key(entry)] = result.position
        for name, positions in copies.items():
            await self._store_copies(name, positions)
            rooms[name].copies.update({key: position.seq for key, position in positions.items()})
        return changed

    async def _store_copies(self, room: str, positions: dict[str, Position]) -> None:
        request = pack_copies({room: positions})
        known = unpack_stored(request, await self._run(FETCH, request))[room].seen
        fields = [
            text
            for key, position in positions.items()
            if key not in known
            for text in (key, str(position.seq))
        ]
        if fields:
            await self._add_copies(room, next(iter(positions.values())).epoch, fields)


def _summaries(each: Appended, again: NewEntry) -> list[NewEntry]:
    """The announcement of a change that has no entry of its own."""
    if each.is_entry or not isinstance(again, NewNote):
        return []
    return [NewSummary(again.room, again.re, again.kind, again.at)]
