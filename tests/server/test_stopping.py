"""`stop_server` notifies clients and ends in time, whatever they do."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from broadcast_tui.core.errors import CloseCode
from broadcast_tui.core.limits import Limits
from broadcast_tui.server import BroadcastServer
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import deaf_client, raw_socket
from tests.support.running import eventually, in_time, running_server, waiting_bytes


@pytest.mark.parametrize(
    ("code", "reason"),
    [(CloseCode.GOING_AWAY, "stop"), (CloseCode.RESTART, "restart")],
    ids=["stop", "restart"],
)
async def test_v1_clients_get_drain_before_the_close(code: CloseCode, reason: str) -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as plain,
        v1_client(server.url, "ana") as ana,
    ):
        stopping = asyncio.create_task(server.stop_server(code))
        drain = await ana.next_of(type="drain")
        assert drain["reason"] == reason
        assert drain["spread"] >= 0
        assert (await ana.closed())[0] == code
        assert (await plain.closed())[0] == code
        assert "drain" not in {frame["type"] for frame in plain.frames}
        await in_time(stopping)


async def test_all_clients_are_notified_and_closed() -> None:
    async with running_server() as server, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(v1_client(server.url, f"person{number}")) for number in range(60)
        ]
        stopping = asyncio.create_task(server.stop_server())
        for client in clients:
            await client.next_of(type="drain")
            assert (await client.closed())[0] == 1001
        await in_time(stopping)
        assert server.connection_count == 0


async def test_the_port_is_free_afterwards() -> None:
    async with running_server() as server, plain_client(server.url):
        port = server.port
        await in_time(server.stop_server())
    async with running_server(port=port) as again, plain_client(again.url):
        assert again.port == port


async def test_stopping_twice_at_once_ends_both_calls() -> None:
    async with running_server() as server, plain_client(server.url):
        await in_time(asyncio.gather(server.stop_server(), server.stop_server()))
        await in_time(server.stop_server())
        await in_time(server.serve_forever())


@pytest.mark.parametrize("delay_s", [0.0, 3600.0], ids=["at once", "later"])
async def test_a_cancelled_call_stops_the_server_nevertheless(delay_s: float) -> None:
    async with running_server() as server, plain_client(server.url) as ana:
        stopping = asyncio.create_task(server.stop_server(delay_s=delay_s))
        await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait({stopping})
        assert stopping.cancelled()
        await in_time(asyncio.gather(server.stop_server(), ana.closed()))
        await in_time(server.serve_forever())


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_a_server_is_started_only_once(is_stopped: bool) -> None:
    async with running_server() as server:
        if is_stopped:
            await in_time(server.stop_server())
        with pytest.raises(RuntimeError, match="create a new one"):
            await server.start_server()


async def test_stopping_a_server_that_was_never_started_ends_at_once() -> None:
    server = BroadcastServer("127.0.0.1", 0)
    async with asyncio.timeout(5.0):
        await server.stop_server()


async def test_serve_forever_waits_for_the_stop() -> None:
    async with running_server() as server:
        serving = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        assert not serving.done()
        await in_time(server.stop_server())
        await in_time(serving)


async def test_client_that_ignores_the_close_is_dropped() -> None:
    async with running_server() as server, raw_socket(server.port) as silent:
        await silent.handshake()
        await in_time(server.stop_server())
        assert (await silent.read_close())[0] == 1001
        await silent.read_to_end()


async def test_half_open_handshake_does_not_delay_stopping() -> None:
    async with running_server() as server, raw_socket(server.port) as half, raw_socket(server.port) as mute:
        await half.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgr")
        async with plain_client(server.url):
            await in_time(server.stop_server())
        await half.read_to_end()
        await mute.read_to_end()


async def test_stopping_with_half_open_handshakes_leaves_no_tasks() -> None:
    before = asyncio.all_tasks()
    async with running_server() as server, raw_socket(server.port) as half:
        await half.send(b"GET / HTTP/1.1\r\n")
        await eventually(lambda: len(asyncio.all_tasks() - before) > 3)
        await in_time(server.stop_server())
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        await in_time(half.read_to_end())


async def test_handshake_while_stopping_gets_503_with_retry_after() -> None:
    async with running_server() as server, raw_socket(server.port) as late, raw_socket(server.port) as silent:
        await silent.handshake()
        async with plain_client(server.url):
            stopping = asyncio.create_task(server.stop_server())
            assert (await silent.read_close())[0] == 1001
            head = await late.handshake()
            assert " 503 " in head
            assert "retry-after: " in head.lower()
            silent.reset()
            await in_time(stopping)


async def test_client_that_never_reads_does_not_delay_stopping() -> None:
    limits = Limits(message_rate=0, stall_timeout_s=600.0)
    async with (
        running_server(limits=limits) as server,
        deaf_client(server.port),
        v1_client(server.url, "ana") as ana,
    ):
        while waiting_bytes(server) == 0:
            await ana.say("x" * 16_000)
            await ana.next_of(type="message")
        await in_time(server.stop_server())


async def test_acknowledged_post_is_broadcast_before_the_stop() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        await ana.say("last words", nonce="n1")
        await ana.next_of(type="ack")
        await in_time(asyncio.gather(server.stop_server(), ben.closed()))
        assert "last words" in [frame.get("message") for frame in ben.frames]


async def test_leaving_the_context_stops_the_server() -> None:
    async with BroadcastServer("127.0.0.1", 0) as server:
        assert server.port != 0
        assert server.url == f"ws://127.0.0.1:{server.port}"
        async with plain_client(server.url):
            await eventually(lambda: server.connection_count == 1)
    assert server.connection_count == 0


async def test_a_server_that_stops_later_is_not_ready_but_serves_clients() -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        stopping = asyncio.create_task(server.stop_server(delay_s=3600.0))
        async with raw_socket(server.port) as probe:
            await probe.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = (await probe.read_to_end()).decode()
        assert answer.startswith("HTTP/1.1 503 ")
        assert answer.endswith("not ready: the server is stopping\n")
        async with v1_client(server.url, "bob") as bob:
            await bob.say("hi", nonce="1")
            assert (await ana.next_of(type="message"))["message"] == "hi"
        ended = asyncio.gather(stopping, server.stop_server())
        assert (await ana.next_of(type="drain"))["reason"] == "stop"
        await in_time(ended)


async def test_a_delayed_stop_ends_by_itself() -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await in_time(asyncio.gather(server.stop_server(delay_s=0.1), ana.closed()))
