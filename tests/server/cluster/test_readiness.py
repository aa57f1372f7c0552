"""A node is not ready while it has not reached Redis for a while, and serves its clients all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.cluster.redis_link import RedisLink
from tests.server.test_store_health import answer
from tests.support.plain import v1_client
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually

pytestmark = needs_redis


@asynccontextmanager
async def node(url: str) -> AsyncIterator[BroadcastServer]:
    settings = read_location(url)
    engine = RedisEngine(settings)
    link = RedisLink.open(settings, engine)
    async with BroadcastServer("127.0.0.1", 0, engine=engine, cluster=link) as server:
        yield server


async def becomes_ready(server: BroadcastServer, ready: bool) -> None:
    await eventually(lambda: (server._admission.not_ready_reason == "") == ready)
    response = await answer(server, "/readyz")
    assert response.startswith("HTTP/1.1 200 " if ready else "HTTP/1.1 503 ")
    assert ("Redis has been unreachable for" in response) != ready
    assert (await answer(server, "/healthz")).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("failure", ["killed", "hanging"])
async def test_readiness_follows_redis(
    durable_store: RedisServer, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcast_tui.server.store_health.UNREACHABLE_S", 1.0)
    store = durable_store
    async with node(store.url) as server, v1_client(server.url, "ana") as ana:
        await becomes_ready(server, True)
        if failure == "killed":
            store.kill()
        else:
            store.pause()
        await becomes_ready(server, False)
        await ana.say("wait for me", nonce="1")
        if failure == "killed":
            store.start()
        else:
            store.resume()
        await becomes_ready(server, True)
        assert not (await ana.next_of(type="ack", nonce="1"))["dup"]


async def test_people_can_read_on_while_redis_is_full(durable_store: RedisServer) -> None:
    store = durable_store
    async with node(f"{store.url}?append_timeout=0.5") as server, v1_client(server.url, "ana") as ana:
        await ana.say("before", room="lobby", nonce="1")
        await ana.next_of(type="ack", nonce="1")
        link = server.cluster
        assert link is not None
        store.cli("CONFIG", "SET", "maxmemory", "1")
        await ana.say("x", nonce="2")
        error = await ana.next_of(type="error", nonce="2")
        assert error["temporary"]
        beats = link.stats.commands
        link.announce()
        await eventually(lambda: link.stats.commands > beats)
        async with v1_client(server.url, "bob") as bob:
            await bob.send("join", room="new", ref="j")
            await bob.next_of(type="joined", ref="j")
            await bob.send("history", room="lobby", limit=10, ref="h")
            page = await bob.next_of(type="history", ref="h")
            assert [item["message"] for item in page["items"]] == ["before"]
        assert (link.is_up, link.stats.outages) == (True, 0)
        await becomes_ready(server, True)
        store.cli("CONFIG", "SET", "maxmemory", "0")
        await ana.say("after", nonce="3")
        await ana.next_of(type="ack", nonce="3")
