"""Reading of the logs in Redis, and the keys of their partitions."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.exceptions import NoScriptError

from broadcast_tui.core.errors import EngineError, SearchTooCostlyError
from broadcast_tui.core.notes import Entry, first_fitting
from broadcast_tui.core.post import MAX_SEQ, Post
from broadcast_tui.engine.memory_search import search_posts
from broadcast_tui.engine.redis_rows import Head, entries_of
from broadcast_tui.engine.redis_scripts import READ, LogScript
from broadcast_tui.redis_client import FAILURES, Client, engine_error, is_temporary
from broadcast_tui.redis_settings import RedisSettings

PAGE_ENTRIES = 500
"""Maximum number of entries in one reply."""
SEARCH_POSTS_MAX = 20_000
"""Maximum number of entries that a search looks at."""
READ_TRIES_S = 1.0
"""Time for which a read is tried again while Redis does not respond."""
RETRY_S = 0.05
CHANNEL_MARK = ":l:"


class RedisReader:
    """Runs scripts that may be repeated.

    Args:
        life_of: The life of a partition by its number, which is the epoch of rooms without entries.
        epoch_of: The epoch of a room, as this node knows it.
        learned: Called with the head of a room that a client reads, and the epoch that this node knew when it
            was requested. Returns whether the room is in the epoch of the head now; else it is read again.
    """

    def __init__(
        self,
        client: Client,
        settings: RedisSettings,
        life_of: Callable[[int], str],
        epoch_of: Callable[[str], str] = lambda room: "",
        learned: Callable[[str, Head, str], bool] = lambda room, head, asked_in: True,
    ) -> None:
        self._client = client
        self._settings = settings
        self._life_of = life_of
        self._epoch_of = epoch_of
        self._learned = learned

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
        """As `Engine.read`. All entries are of one epoch."""
        found: list[Entry] = []
        bounds = after, before
        mode, epoch = "THREAD" if root else "RANGE", ""
        while (count := min(PAGE_ENTRIES, limit - len(found))) > 0:
            stop = "" if before is None else before
            head, page = await self._current_page(room, mode, after, stop, count, int(from_end), root)
            if epoch not in ("", head.epoch):
                (after, before), found, epoch = bounds, [], ""
                continue
            epoch = head.epoch
            found += page[::-1] if from_end else page
            if len(page) < count or len(first_fitting(found, max_bytes)) < len(found):
                break
            if from_end:
                before = page[0].position.seq
            else:
                after = page[-1].position.seq
        fitting = first_fitting(found, max_bytes)
        return fitting[::-1] if from_end else fitting

    async def posts(self, room: str, seqs: Sequence[int]) -> list[Post]:
        """As `Engine.posts`."""
        ordered = sorted({seq for seq in seqs if 0 < seq <= MAX_SEQ})
        found: list[Post] = []
        for start in range(0, len(ordered), PAGE_ENTRIES):
            _, entries = await self._current_page(room, "SEQS", *ordered[start : start + PAGE_ENTRIES])
            found += [entry for entry in entries if isinstance(entry, Post)]
        return found

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        """As `Engine.search`. There is no index: the newest entries are read and searched."""
        hits: list[Post] = []
        read_count = 0
        while len(hits) < limit:
            page = await self.read(room, before=before, limit=PAGE_ENTRIES, from_end=True, root=root)
            newest_first = (entry for entry in reversed(page) if isinstance(entry, Post))
            hits += await search_posts(newest_first, query, limit - len(hits), time.monotonic)
            if len(page) < PAGE_ENTRIES:
                break
            read_count += len(page)
            if read_count >= SEARCH_POSTS_MAX:
                raise SearchTooCostlyError
            before = page[0].position.seq
        return hits[::-1]

    async def _current_page(self, room: str, *arguments: object) -> tuple[Head, list[Entry]]:
        """A page in the epoch that this node knows as the current one. Raises EngineError."""
        deadline = time.monotonic() + READ_TRIES_S
        while True:
            asked_in = self._epoch_of(room)
            head, entries = await self.page(room, *arguments)
            if self._learned(room, head, asked_in):
                return head, entries
            if time.monotonic() > deadline:
                raise EngineError(f"{self._settings} has another log than before. Try again.")
            await asyncio.sleep(RETRY_S)

    async def page(self, room: str, *arguments: object) -> tuple[Head, list[Entry]]:
        """The head of a room, and entries: a page as the script returns it. Raises EngineError."""
        reply = await self.run(READ, room, room, *arguments)
        head = Head.of(reply)
        if not head.epoch:
            head = head._replace(epoch=self._life_of(self.number(room)))
        return head, entries_of(room, head.epoch, reply)

    async def run(self, script: LogScript, room: str, *arguments: object) -> Any:
        """The reply of a script about a room that may be repeated. Raises EngineError."""
        return await self.run_in(self.number(room), script, *arguments)

    async def run_in(self, number: int, script: LogScript, *arguments: object) -> Any:
        """The reply of a script about a partition that may be repeated. Raises EngineError."""
        execute: Callable[..., Awaitable[Any]] = self._client.execute_command
        key = self.key(number)
        deadline = time.monotonic() + READ_TRIES_S
        while True:
            try:
                try:
                    return await execute("EVALSHA", script.sha, 1, key, *arguments)
                except NoScriptError:
                    return await execute("EVAL", script.text, 1, key, *arguments)
            except FAILURES as error:
                if not is_temporary(error) or time.monotonic() > deadline:
                    raise engine_error(error, self._settings) from None
            await asyncio.sleep(RETRY_S)

    # -- keys

    def number(self, room: str) -> int:
        """The partition of a room."""
        return zlib.crc32(room.encode()) % self._settings.partitions

    def key(self, number: int) -> str:
        """The first key of the scripts of a partition."""
        return f"{{{self._settings.prefix}{number}}}:p"

    def channel(self, room: str) -> str:
        """The channel of a room."""
        return f"{{{self._settings.prefix}{self.number(room)}}}{CHANNEL_MARK}{room}"
