"""Rates and numbers of connections."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import InvalidStatus

from broadcast_tui.core.limits import Limits
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import raw_socket
from tests.support.running import eventually, running_server


async def test_posts_beyond_the_burst_are_refused_for_a_while_and_the_connection_stays() -> None:
    limits = Limits(message_rate=0.5, message_burst=3)
    async with (
        running_server(limits=limits) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        for number in range(5):
            await ana.say(f"post {number}", nonce=f"n{number}")
        error = await ana.next_of(type="error")
        assert (error["code"], error["temporary"], error["nonce"]) == ("rate_limited", True, "n3")
        assert 0 < error["retry_after"] <= 2.0
        assert f"{error['retry_after']:.1f} s" in error["message"]
        await ben.say("my rate is my own", nonce="b1")
        frames = await ben.until(message="my rate is my own")
        assert [frame["message"] for frame in frames if frame["type"] == "message"] == [
            "post 0",
            "post 1",
            "post 2",
            "my rate is my own",
        ]


async def test_a_plain_client_is_told_of_its_rate_in_a_system_frame() -> None:
    limits = Limits(message_rate=0.5, message_burst=1)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        await ana.say("one")
        await ana.say("two")
        error = await ana.next_of(event="error")
        assert (error["type"], error["code"], error["temporary"]) == ("system", "rate_limited", True)
        assert error["retry_after"] > 0


async def test_a_refused_post_is_taken_when_it_is_sent_again_later() -> None:
    limits = Limits(message_rate=20.0, message_burst=1)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        sent = 0
        while sent < 5:
            await ana.say("again", nonce=f"n{sent}")
            answer = await ana.next_frame()
            while answer["type"] not in ("ack", "error"):
                answer = await ana.next_frame()
            sent += answer["type"] == "ack"


async def test_a_rate_of_zero_is_no_limit() -> None:
    limits = Limits(message_rate=0, message_burst=0)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        for number in range(200):
            await ana.say("x", nonce=f"n{number}")
        for number in range(200):
            await ana.next_of(type="ack", nonce=f"n{number}")


async def test_a_full_server_answers_503_and_when_to_come_back() -> None:
    async with running_server(max_connections=2) as server, AsyncExitStack() as stack:
        await stack.enter_async_context(plain_client(server.url))
        async with v1_client(server.url, "ana"):
            with pytest.raises(InvalidStatus) as refused:
                await stack.enter_async_context(plain_client(server.url))
            response = refused.value.response
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) > 0
            assert b"full" in (response.body or b"")
        await eventually(lambda: server.connection_count == 1)
        await stack.enter_async_context(plain_client(server.url))


async def test_an_address_with_too_many_connections_is_answered_429() -> None:
    async with running_server(max_connections_per_ip=1) as server, AsyncExitStack() as stack:
        async with plain_client(server.url):
            with pytest.raises(InvalidStatus) as refused:
                await stack.enter_async_context(plain_client(server.url))
            response = refused.value.response
            assert response.status_code == 429
            assert int(response.headers["Retry-After"]) > 0
        await eventually(lambda: server.connection_count == 0)
        await stack.enter_async_context(plain_client(server.url))


async def test_handshakes_that_fail_do_not_use_up_the_connections() -> None:
    async with running_server(max_connections=1) as server:
        for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n"):
            for _ in range(3):
                async with raw_socket(server.port) as sock:
                    await sock.send(request)
                    await sock.read_to_end()
        async with plain_client(server.url):
            pass
