"""The queue of new entries between an engine and their reader."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from broadcast_tui.core.notes import LogEvent


class Tail:
    """New entries, for one reader. Not thread-safe: use it in one event loop.

    A reader that knows of new entries may take them before it is woken, which then does not happen.
    """

    def __init__(self) -> None:
        self.entries: list[LogEvent] = []
        """The entries that have not been taken."""
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, entries: Sequence[LogEvent]) -> None:
        """Add entries, in order. The reader is woken in the next iteration of the loop."""
        self.entries += entries
        asyncio.get_running_loop().call_soon(self._notify)

    def _notify(self) -> None:
        if self.entries:
            self._wake.set()

    def close(self) -> None:
        """End `wait` after the entries that have already been added."""
        self._closed = True
        self._wake.set()

    async def wait(self) -> bool:
        """Wait for entries to take; returns False if there will be no more."""
        while not self.entries and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        return bool(self.entries)

    def take(self, limit: int | None = None) -> list[LogEvent]:
        """Remove and return the next entries, at most `limit`."""
        taken = self.entries[:limit]
        del self.entries[:limit]
        return taken
