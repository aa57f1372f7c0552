"""The queue of new entries between an engine and the reader of its tail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from broadcast_tui.core.notes import LogEvent


class Tail:
    """New entries in batches, for one reader. Not thread-safe: use it in one event loop."""

    def __init__(self) -> None:
        self._entries: list[LogEvent] = []
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, entries: Sequence[LogEvent]) -> None:
        """Add entries, in order."""
        self._entries += entries
        self._wake.set()

    def close(self) -> None:
        """End `follow` after the entries that have already been added."""
        self._closed = True
        self._wake.set()

    async def follow(self) -> AsyncIterator[list[LogEvent]]:
        """Yield all entries in non-empty batches; ends after `close`."""
        while self._entries or not self._closed:
            if self._entries:
                batch, self._entries = self._entries, []
                yield batch
            else:
                self._wake.clear()
                await self._wake.wait()
