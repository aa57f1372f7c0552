"""Reads of the log: cancelled when nobody waits for them, and their results used in slices."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from broadcast_tui.core.post import Post
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.server import turns
from tests.support.plain import v1_client
from tests.support.running import eventually, in_time, running_server


class SlowEngine(MemoryEngine):
    """An engine whose searches never end."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return []


async def test_search_is_canceled_when_its_connection_closes() -> None:
    engine = SlowEngine()
    async with running_server(engine=engine) as server:
        async with v1_client(server.url, "ana") as ana:
            await ana.send("search", query="x", ref="1")
            await in_time(engine.started.wait())
            await ana.send("search", query="y", ref="2")
            assert (await ana.next_of(type="error"))["ref"] == "2"
            ana.drop()
            await in_time(engine.cancelled.wait())
        async with v1_client(server.url, "ben") as ben:
            await ben.say("hello", nonce="1")
            await ben.next_of(type="ack")
        assert not server._runner._reads


class SearchesStep(MemoryEngine):
    """An engine whose searches each wait for `proceed`."""

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[str] = []
        self.proceed = asyncio.Semaphore(0)

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        self.queries.append(query)
        await self.proceed.acquire()
        return []


async def test_addresses_take_turns_with_searches() -> None:
    engine = SearchesStep()
    async with running_server(engine=engine) as server, AsyncExitStack() as stack:

        async def searches(count: int) -> None:
            await eventually(lambda: len(server._runner._reads) == count)

        flood = [await stack.enter_async_context(v1_client(server.url, f"mallory{n}")) for n in range(5)]
        for peer in server._runner.connections:
            peer.rate_limit_key = "192.0.2.7"
        for number, client in enumerate(flood):
            await client.send("search", query=f"flood {number}", ref="s")
            await searches(number + 1)
        ana = await stack.enter_async_context(v1_client(server.url, "ana"))
        await ana.send("search", query="news", ref="s")
        await searches(6)
        flood[1].drop()
        await eventually(lambda: server.connection_count == len(flood))
        for _ in range(5):
            engine.proceed.release()
        await ana.next_of(type="search", ref="s")
        for client in (flood[0], *flood[2:]):
            await client.next_of(type="search", ref="s")
        assert engine.queries == ["flood 0", "news", "flood 2", "flood 3", "flood 4"]


async def test_ring_of_a_room_is_encoded_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as server:
        async with v1_client(server.url, "ana") as ana:
            for number in range(30):
                await ana.say(f"post {number}", nonce=str(number))
                await ana.next_of(type="ack", nonce=str(number))
        posts = await server._engine.read("lobby", limit=30)
        monkeypatch.setattr(turns.Pauses, "is_due", True)
        iterations = 0
        encoding = asyncio.ensure_future(server._runner._encode(posts))
        while not encoding.done():
            iterations += 1
            await asyncio.sleep(0)
        assert iterations >= len(encoding.result()) == 30
