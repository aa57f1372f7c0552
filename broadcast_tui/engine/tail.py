"""The end of a log as its one reader follows it: what was appended, in batches, until the engine closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from broadcast_tui.core.post import Post


class Tail:
    """New posts between an engine and its reader; for use in one loop."""

    def __init__(self) -> None:
        self._new: list[Post] = []
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, posts: Sequence[Post]) -> None:
        """Hand on posts, in order."""
        self._new += posts
        self._wake.set()

    def close(self) -> None:
        """Nothing more comes; what was put is still read."""
        self._closed = True
        self._wake.set()

    async def follow(self) -> AsyncIterator[list[Post]]:
        """Everything put, in batches, none empty; ends after `close`."""
        while self._new or not self._closed:
            if self._new:
                batch, self._new = self._new, []
                yield batch
            else:
                self._wake.clear()
                await self._wake.wait()
