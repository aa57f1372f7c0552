"""The queue of new entries of an engine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from broadcast_tui.core.post import Position, Post
from broadcast_tui.engine.tail import Tail

AT = datetime(2026, 1, 1, tzinfo=UTC)
POSTS = [Post("lobby", Position("e1", seq), "ana", "hi", AT) for seq in (1, 2, 3)]


async def test_entries_are_taken_in_order_up_to_a_limit() -> None:
    tail = Tail()
    tail.put(POSTS[:2])
    tail.put(POSTS[2:])
    assert await tail.wait()
    assert tail.take(2) == POSTS[:2]
    assert tail.entries == POSTS[2:]
    assert tail.take() == POSTS[2:]
    tail.close()
    assert not await tail.wait()


async def test_entries_that_have_been_taken_do_not_wake_a_reader() -> None:
    tail = Tail()
    reader = asyncio.ensure_future(tail.wait())
    await asyncio.sleep(0)
    tail.put(POSTS[:1])
    assert tail.take() == POSTS[:1]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reader.done()
    tail.put(POSTS[1:])
    assert await reader
    assert tail.take() == POSTS[1:]
