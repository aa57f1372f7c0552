"""Several servers with one port on one machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from broadcast_tui.redis_settings import read_location
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.cluster.redis_link import RedisLink
from broadcast_tui.server.listen import ListenError, choose_addresses
from tests.server.cluster.test_two_servers import SharedEngine, SharedTail
from tests.support.plain import plain_client, v1_client
from tests.support.ports import unused_port
from tests.support.raw_socket import raw_socket
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually, in_time


@asynccontextmanager
async def sharing_servers(url: str, count: int, port: int) -> AsyncIterator[list[BroadcastServer]]:
    engines: list[SharedEngine] = []
    tails: list[SharedTail] = []
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(count):
            engine = SharedEngine(engines, tails)
            link = RedisLink.open(read_location(url), engine)
            server = BroadcastServer("127.0.0.1", port, engine=engine, cluster=link, share_port=True)
            servers.append(await stack.enter_async_context(server))
        yield servers


@needs_redis
async def test_connections_are_distributed_over_the_servers(store: RedisServer) -> None:
    async with sharing_servers(store.url, 2, unused_port()) as servers, AsyncExitStack() as stack:
        assert servers[0].url == servers[1].url
        while not all(server.connection_count for server in servers):
            await stack.enter_async_context(plain_client(servers[0].url))
        async with v1_client(servers[0].url, "ana") as ana, v1_client(servers[0].url, "bob") as bob:
            await ana.say("hi", nonce="1")
            assert (await bob.next_of(type="message"))["message"] == "hi"


@needs_redis
async def test_new_connections_go_to_the_other_server_while_one_stops(store: RedisServer) -> None:
    async with sharing_servers(store.url, 2, unused_port()) as (one, two), AsyncExitStack() as stack:
        while not one.connection_count:
            await stack.enter_async_context(v1_client(one.url, f"p{two.connection_count}"))
        stopping = asyncio.create_task(one.stop_server(delay_s=3600.0))
        await eventually(lambda: not (one._server and one._server.is_serving()))
        before, after = one.connection_count, two.connection_count
        for number in range(20):
            await stack.enter_async_context(plain_client(two.url))
            assert two.connection_count == after + number + 1
        assert one.connection_count == before
        await in_time(asyncio.gather(stopping, one.stop_server()))


@needs_redis
async def test_a_stopped_server_leaves_the_port_to_the_others(store: RedisServer) -> None:
    async with sharing_servers(store.url, 2, unused_port()) as (one, two):
        await in_time(one.stop_server())
        async with plain_client(two.url):
            await eventually(lambda: two.connection_count == 1)


@needs_redis
async def test_a_shared_port_is_in_use_for_others(store: RedisServer) -> None:
    async with sharing_servers(store.url, 1, unused_port()) as (server,):
        with pytest.raises(ListenError, match="in use"):
            await choose_addresses("127.0.0.1", server.port)


@needs_redis
async def test_looking_for_a_shared_port_takes_no_connections(store: RedisServer) -> None:
    async with sharing_servers(store.url, 1, unused_port()) as (server,):
        for _ in range(20):
            await choose_addresses("127.0.0.1", server.port, share_port=True)
            async with raw_socket(server.port) as sock:
                assert " 101 " in await sock.handshake()


async def test_a_port_of_a_server_that_does_not_share_it_is_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"Port {port} on 127.0.0.1 is in use"):
            await choose_addresses("127.0.0.1", port, share_port=True)


async def test_any_free_port_can_be_shared() -> None:
    _, port = await choose_addresses("127.0.0.1", 0, share_port=True)
    assert port


async def test_a_system_without_distribution_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(ListenError, match="does not distribute") as caught:
        await choose_addresses("127.0.0.1", 8765, share_port=True)
    assert caught.value.fault == "sharing"


async def test_servers_with_rooms_of_their_own_cannot_share_a_port() -> None:
    with pytest.raises(ValueError, match="engine that all processes share"):
        BroadcastServer(share_port=True)
