"""HTTP connections: keep-alive, pipelining, limits, slow clients, and how they end."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broadcast_tui.core.limits import AdmissionLimits, Limits
from broadcast_tui.server.tls import ServerTls
from broadcast_tui.server.web import handoff
from tests.server.web.conftest import TestRoutes
from tests.support.certificates import Authority
from tests.support.http_requests import ask, read_answer, request
from tests.support.plain import v1_client
from tests.support.raw_socket import RawSocket, raw_socket
from tests.support.running import eventually, in_time, running_server

GET = request("GET", "/address")
PROXY = ("127.0.0.1",)


async def test_a_connection_serves_several_requests(routes: TestRoutes) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        for number in range(3):
            await sock.send(request("POST", "/echo/a", body=b"%d" % number))
            answer = await read_answer(sock)
            assert (answer.status, answer.body) == (200, b"a:%d" % number)
        assert server.http_connection_count == 1
        await sock.send(request("GET", "/address", "Connection: close"))
        assert (await sock.read_to_end()).endswith(b"127.0.0.1")
        await eventually(lambda: server.http_connection_count == 0)
        assert server._admission._admitted == {}
        assert server._admission.half_open == 0


async def test_pipelined_requests_are_answered_in_order(routes: TestRoutes) -> None:
    posts = [request("POST", f"/echo/{number}", body=b"x" * 20_000 * (number % 3)) for number in range(12)]
    sent = b"".join(posts)
    async with running_server() as server:
        for size in (len(sent), 5_000, 777):
            async with raw_socket(server.port) as sock:
                sending = asyncio.create_task(send_in_pieces(sock, sent, size))
                for number in range(12):
                    answer = await read_answer(sock)
                    assert answer.body == b"%d:" % number + b"x" * 20_000 * (number % 3)
                await sending


async def send_in_pieces(sock: RawSocket, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        await sock.send(data[start : start + size])
        await asyncio.sleep(0)


async def test_an_idle_connection_closes(routes: TestRoutes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handoff, "KEEPALIVE_S", 0.3)
    async with running_server() as server, raw_socket(server.port) as idle, raw_socket(server.port) as slow:
        for sock in (idle, slow):
            await sock.send(GET)
            await read_answer(sock)

        async def dribble() -> None:
            while True:
                await slow.send(b"G")
                await asyncio.sleep(0.02)

        with pytest.raises(ConnectionError):
            await in_time(dribble())
        assert await idle.read_to_end() == b""
        await eventually(lambda: server._admission._admitted == {})


async def test_every_head_is_bounded(routes: TestRoutes) -> None:
    filler = [f"X-{number}: {'y' * 1_000}" for number in range(20)]
    async with running_server() as server, raw_socket(server.port) as sock:
        assert (await ask(server.port, request("GET", "/address", *filler))).status == 431
        assert (await ask(server.port, request("GET", "/address", "X: " + "y" * 9_000))).status == 400
        await sock.send(GET)
        assert (await read_answer(sock)).status == 200
        for line in (request("GET", "/", *filler)[:-2] * 2).splitlines(keepends=True):
            await sock.send(line)
        assert b" 431 " in await sock.read_to_end()


async def test_a_connection_counts_for_its_address(routes: TestRoutes) -> None:
    limits = AdmissionLimits(max_connections_per_ip=2, exempt_loopback=False)
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        for _ in range(2):
            sock = await stack.enter_async_context(raw_socket(server.port))
            await sock.send(GET)
            assert (await read_answer(sock)).status == 200
        answer = await ask(server.port, GET)
        assert (answer.status, answer.code) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) > 0
        async with raw_socket(server.port) as late:
            assert " 429 " in await late.handshake()
        assert (await ask(server.port, request("GET", "/healthz"))).status == 200
        await sock.send(GET)
        assert (await read_answer(sock)).status == 200
        sock.sock.close()
        await eventually(lambda: server.http_connection_count == 1)
        assert (await ask(server.port, GET)).status == 200


async def test_new_connections_of_an_address_are_limited_as_handshakes_are(routes: TestRoutes) -> None:
    limits = AdmissionLimits(max_new_per_minute=3, exempt_loopback=False)
    async with running_server(admission=limits) as server, raw_socket(server.port) as kept:
        for _ in range(4):  # requests on one connection
            await kept.send(GET)
            assert (await read_answer(kept)).status == 200
        assert (await ask(server.port, GET)).status == 200
        async with raw_socket(server.port) as chat:
            assert " 101 " in await chat.handshake()
        answer = await ask(server.port, GET)
        assert (answer.status, answer.code) == (429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 20
        assert b"new connections" in answer.body
        async with raw_socket(server.port) as late:
            assert " 429 " in await late.handshake()
        assert (await ask(server.port, request("GET", "/healthz"))).status == 200
        for _ in range(3):  # files of the page, which a class loads at once
            assert (await ask(server.port, request("GET", "/openapi.json"))).status == 200
        await kept.send(GET)
        assert (await read_answer(kept)).status == 200


async def test_a_proxy_may_open_connections_for_different_clients(routes: TestRoutes) -> None:
    limits = AdmissionLimits(max_new_per_minute=1, trusted_proxies=PROXY)
    async with running_server(admission=limits) as server, raw_socket(server.port) as pooled:
        statuses = []
        await pooled.send(request("GET", "/address", "X-Forwarded-For: 192.0.2.1"))
        assert (await read_answer(pooled)).body == b"192.0.2.1"
        for address in ("192.0.2.7", "192.0.2.8", "192.0.2.7"):
            sent = request("GET", "/address", f"X-Forwarded-For: {address}")
            statuses.append((await ask(server.port, sent)).status)
            await pooled.send(sent)
            assert (await read_answer(pooled)).body == address.encode()
        assert statuses == [200, 200, 429]


async def test_a_connection_of_a_proxy_counts_for_its_clients_in_turn(routes: TestRoutes) -> None:
    limits = AdmissionLimits(max_connections_per_ip=1, trusted_proxies=PROXY)

    def from_client(path: str, address: str) -> bytes:
        return request("GET", path, f"X-Forwarded-For: {address}")

    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        first, second, third = [await stack.enter_async_context(raw_socket(server.port)) for _ in range(3)]
        for sock in (first, second):  # idle connections belong to the proxy
            await sock.send(from_client("/address", "192.0.2.7"))
            assert (await read_answer(sock)).body == b"192.0.2.7"
        await first.send(from_client("/wait", "192.0.2.7"))
        await in_time(routes.started.wait())
        await second.send(from_client("/address", "192.0.2.8"))
        assert (await read_answer(second)).body == b"192.0.2.8"
        await second.send(from_client("/address", "192.0.2.7"))
        assert (await read_answer(second)).status == 429
        await third.send(from_client("/address", "192.0.2.8"))
        assert (await read_answer(third)).status == 200
        routes.may_end.set()
        assert (await read_answer(first)).body == b"late"
        assert server._admission._by_address.keys() <= {""}


async def test_a_full_server_admits_no_requests(routes: TestRoutes) -> None:
    async with running_server(admission=AdmissionLimits(max_connections=1)) as server:
        async with v1_client(server.url, "ana"):
            answer = await ask(server.port, GET)
            assert (answer.status, answer.code) == (503, "try_later")
        await eventually(lambda: server.connection_count == 0)
        async with raw_socket(server.port) as sock:
            await sock.send(GET)
            assert (await read_answer(sock)).status == 200
            async with raw_socket(server.port) as late:
                assert " 503 " in await late.handshake()


async def test_a_client_that_reads_nothing_is_dropped(routes: TestRoutes) -> None:
    async with running_server(limits=Limits(stall_timeout_s=0.3)) as server:
        async with raw_socket(server.port, receive_buffer_bytes=4096) as deaf:
            await deaf.send(request("GET", "/endless"))
            await in_time(routes.started.wait())
            await eventually(lambda: server.http_connection_count == 0)
        await in_time(routes.cancelled.wait())


async def test_a_request_is_cancelled_when_its_client_leaves(routes: TestRoutes) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.send(request("GET", "/wait"))
        await in_time(routes.started.wait())
        sock.reset()
        await in_time(routes.cancelled.wait())
        await eventually(lambda: server.http_connection_count == 0)


async def test_an_endless_response_ends_when_its_client_ends(routes: TestRoutes) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.send(request("GET", "/endless"))
        await in_time(routes.started.wait())
        sock.sock.shutdown(socket.SHUT_WR)
        await in_time(routes.cancelled.wait())
        await eventually(lambda: server.http_connection_count == 0)


async def test_a_client_may_close_its_side_after_a_request(routes: TestRoutes) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.send(request("GET", "/wait"))
        sock.sock.shutdown(socket.SHUT_WR)
        await in_time(routes.started.wait())
        routes.may_end.set()
        assert (await sock.read_to_end()).endswith(b"late")


async def test_stopping_ends_idle_connections_and_endless_responses(routes: TestRoutes) -> None:
    async with (
        running_server() as server,
        raw_socket(server.port) as idle,
        raw_socket(server.port) as endless,
    ):
        await idle.send(GET)
        await read_answer(idle)
        await endless.send(request("GET", "/endless"))
        await in_time(routes.started.wait())
        reading = asyncio.create_task(endless.read_to_end())
        await in_time(server.stop_server())
        assert await idle.read_to_end() == b""
        assert (await in_time(reading)).endswith(b"the end\r\n0\r\n\r\n")


async def test_stopping_does_not_wait_for_requests_that_go_on(routes: TestRoutes) -> None:
    before = asyncio.all_tasks()
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.send(request("GET", "/wait"))
        await in_time(routes.started.wait())
        await in_time(server.stop_server())
        await sock.read_to_end()
        assert routes.cancelled.is_set()
    await eventually(lambda: asyncio.all_tasks() == before)


async def test_closed_connections_are_freed_without_the_garbage_collector(routes: TestRoutes) -> None:
    async with running_server() as server:
        await ask(server.port, GET)
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await ask(server.port, GET)
            await eventually(lambda: not server._connections)
            await eventually(lambda: server.http_connection_count == 0)
            await eventually(
                lambda: not any(type(found) is handoff.HttpConnection for found in gc.get_objects())
            )
        finally:
            gc.enable()


async def test_requests_are_served_over_tls(tmp_path: Path, routes: TestRoutes) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "localhost", "127.0.0.1")
    async with running_server(tls=ServerTls(pair.cert, pair.key)) as server:
        context = ssl.create_default_context(cafile=str(authority.ca))
        reader, writer = await in_time(asyncio.open_connection("127.0.0.1", server.port, ssl=context))
        for number in range(3):
            writer.write(request("POST", "/echo/tls", body=b"x" * 50_000 + b"%d" % number))
            head = await in_time(reader.readuntil(b"\r\n\r\n"))
            assert b" 200 " in head
            assert (await in_time(reader.readexactly(50_005))).endswith(b"x%d" % number)
        writer.write(request("GET", "/", host="chat.example"))
        assert b"wss://chat.example" in await in_time(reader.read(-1))
        writer.close()
