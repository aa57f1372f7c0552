"""Deletes old entries of the logs in Redis, on one node at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.exceptions import NoScriptError

from broadcast_tui.engine.redis_scripts import TRIM
from broadcast_tui.engine.steady_clock import SteadyClock
from broadcast_tui.engine.store_stats import StoreStats
from broadcast_tui.redis_client import FAILURES, Client, describe, end
from broadcast_tui.redis_settings import RedisSettings

PASS_S = 60.0
"""Time between two passes over all rooms, by whichever node."""
ROOMS_PER_PAGE = 500
ROOMS_PER_CALL = 20
"""Rooms in one script, which takes about 20 µs for each."""
ENTRIES_PER_CALL = 5_000
"""Maximum number of entries that a script deletes, in about 10 ms; a room has one script in a pass."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger("broadcast_tui.engine")


class RedisRetention:
    """Deletes entries that are older than `keep_days`, by the clock of Redis.

    As in files, nothing is deleted until that clock has been steady for 10 minutes.

    Args:
        client: Client of `settings`.
        partitions: Number of partitions, the same for all nodes.
        keep_days: Age in days after which entries are deleted; 0: never.
        command: PUBLISH or SPUBLISH.
        stats: Where deleted entries are counted.
    """

    def __init__(
        self,
        client: Client,
        settings: RedisSettings,
        *,
        partitions: int,
        keep_days: float,
        command: str = "PUBLISH",
        stats: StoreStats | None = None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._tags = [f"{{{settings.prefix}{number}}}" for number in range(partitions)]
        self._keep_days = keep_days
        self._command = command
        self._stats = stats if stats is not None else StoreStats()
        self._lease = f"{{{settings.prefix}:ctl}}:retention"
        self._steady_clock = SteadyClock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Delete what is old from now on."""
        if self._keep_days:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop between two rooms."""
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        while True:
            try:
                now = await self.now()
                if self._steady_clock.check(now, time.monotonic()) and await self._take_lease():
                    await self.delete_older_than(now - timedelta(days=self._keep_days))
            except FAILURES as error:
                log.debug("old posts were not deleted: %s", describe(error, self._settings))
            await asyncio.sleep(PASS_S)

    async def now(self) -> datetime:
        """The time of Redis."""
        seconds, microseconds = await self._client.time()
        return _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)

    async def _take_lease(self) -> bool:
        """Whether no other node has made a pass for `PASS_S`."""
        lease_ms = int(PASS_S * 900)
        return bool(await self._client.set(self._lease, "1", nx=True, px=lease_ms))

    async def delete_older_than(self, oldest: datetime) -> int:
        """Delete the entries before a time; returns their number. Raises the failures of the client."""
        oldest_us = (oldest - _EPOCH) // timedelta(microseconds=1)
        count = rooms = 0
        for tag in self._tags:
            async for names in self._pages(tag):
                start = 0
                while start < len(names):
                    deleted = await self._trim(tag, oldest_us, names[start : start + ROOMS_PER_CALL])
                    start += len(deleted)
                    count += sum(deleted)
                    rooms += sum(number > 0 for number in deleted)
        self._stats.expired += count
        if count:
            text, extra = "deleted %d post(s) of %d room(s) older than %g day(s)", {"event": "deleted"}
            log.info(text, count, rooms, self._keep_days, extra={**extra, "count": count, "rooms": rooms})
        return count

    async def _pages(self, tag: str) -> AsyncIterator[Sequence[bytes]]:
        """The names of the rooms of a partition."""
        after = b"-"
        while True:
            words = ("ZRANGEBYLEX", f"{tag}:rooms", after, "+", "LIMIT", 0, ROOMS_PER_PAGE)
            names: list[bytes] = await self._client.execute_command(*words)
            if not names:
                return
            yield names
            after = b"(" + names[-1]

    async def _trim(self, tag: str, oldest_us: int, rooms: Sequence[bytes]) -> list[int]:
        words: list[Any] = [1, f"{tag}:p", oldest_us, self._command, ENTRIES_PER_CALL, *rooms]
        with contextlib.suppress(NoScriptError):
            known: list[int] = await self._client.execute_command("EVALSHA", TRIM.sha, *words)
            return known
        loaded: list[int] = await self._client.execute_command("EVAL", TRIM.text, *words)
        return loaded
