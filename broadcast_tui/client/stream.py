"""`PostStream`: the posts of a client as an async iterator."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable

from broadcast_tui.core.post import Post
from broadcast_tui.core.session.updates import PostArrived, Update
from broadcast_tui.core.text import visible, visible_line


class PostStream:
    """An async iterator of posts, in order. If awaited, it prints them instead.

    Args:
        batches: Batches of updates of a client.
    """

    def __init__(self, batches: AsyncIterator[list[Update]]) -> None:
        self._batches = batches

    async def __aiter__(self) -> AsyncIterator[Post]:
        async for batch in self._batches:
            for update in batch:
                if isinstance(update, PostArrived):
                    yield update.post

    def __await__(self) -> Generator[object, None, None]:
        return self.show().__await__()

    async def show(self) -> None:
        """Print each post as a line until the client is closed. Same as awaiting the stream."""
        async for post in self:
            print(
                f"{post.at.astimezone():%H:%M} {visible_line(post.sender)}: {visible(post.text)}", flush=True
            )


async def texts_of(messages: Iterable[str] | AsyncIterable[str] | None) -> AsyncIterator[str]:
    """Iterate over `messages`, or by default over the lines of standard input."""
    if messages is None:
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            yield line
    elif isinstance(messages, AsyncIterable):
        async for text in messages:
            yield text
    else:
        for text in messages:
            yield text
