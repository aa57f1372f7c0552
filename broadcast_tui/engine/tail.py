"""The queue of new posts between an engine and the reader of its tail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from broadcast_tui.core.post import Post


class Tail:
    """New posts in batches, for one reader. Not thread-safe: use it in one event loop."""

    def __init__(self) -> None:
        self._posts: list[Post] = []
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, posts: Sequence[Post]) -> None:
        """Add posts, in order."""
        self._posts += posts
        self._wake.set()

    def close(self) -> None:
        """End `follow` after the posts that have already been added."""
        self._closed = True
        self._wake.set()

    async def follow(self) -> AsyncIterator[list[Post]]:
        """Yield all posts in non-empty batches; ends after `close`."""
        while self._posts or not self._closed:
            if self._posts:
                batch, self._posts = self._posts, []
                yield batch
            else:
                self._wake.clear()
                await self._wake.wait()
