"""Defects of a simple server based on `websockets` 17.4; each test fails on such a server.

The defects were measured (reference: broadcast-servers 7). The one of the client (reconnecting
without a pause) is in tests/client/test_reconnecting.py.
"""

from __future__ import annotations

import asyncio
import logging

import pytest

from broadcast_tui.core.limits import Limits
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import CLOSE, PING, TEXT, deaf_client, frame, raw_socket
from tests.support.running import eventually, in_time, running_server, waiting_bytes


async def test_keepalive_drops_a_peer_that_stopped_reading() -> None:
    """`ping()` waits for the write buffer to drain, without a time limit, before its timeout begins: a
    peer that stopped reading with more than the high-water mark in transit stayed connected forever."""
    limits = Limits(message_rate=0, ping_interval_s=0.1, ping_timeout_s=0.2, stall_timeout_s=0.3)
    async with (
        running_server(limits=limits) as server,
        deaf_client(server.port),
        plain_client(server.url) as ana,
    ):
        await eventually(lambda: server.connection_count == 2)
        for _ in range(60):
            await ana.say("x" * 16_000)
            await ana.next_of(type="message")
        await eventually(lambda: server.connection_count == 1)
        await ana.say("the one that reads stays")
        await ana.next_of(type="message")


async def test_stopping_does_not_wait_for_a_peer_that_reads_nothing() -> None:
    """`close()` drains the write buffer before its timeout is armed, and `Server.close()` waits for all
    of them: with one stalled peer it never returned."""
    limits = Limits(message_rate=0, stall_timeout_s=600.0)
    async with (
        running_server(limits=limits) as server,
        deaf_client(server.port),
        plain_client(server.url) as ana,
    ):
        while waiting_bytes(server) == 0:
            await ana.say("x" * 16_000)
            await ana.next_of(type="message")
        closed, _ = await in_time(asyncio.gather(ana.closed(), server.stop_server()))
        assert closed[0] == 1001


async def test_a_ping_flood_that_reads_no_pong_stays_bounded_and_ends() -> None:
    """Pongs are queued as pings come in, without flow control: a peer that sends pings and reads
    nothing grew the server by 11 MB a second."""
    limits = Limits(stall_timeout_s=0.5)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        async with deaf_client(server.port) as mallory:
            await ana.next_of(event="join")
            pings = frame(PING, b"x" * 125) * 250
            worst = await mallory.send_until_cut(pings, 2_000, lambda: waiting_bytes(server))
            assert worst < 1_048_576
        await ana.next_of(event="leave")


async def test_large_write_does_not_block_other_posts_to_the_peer() -> None:
    """`broadcast()` skips a connection on which a fragmented send is in progress, with a warning in the
    log: to that peer the message is lost."""
    limits = Limits(message_rate=0, history_rate=0, presence_burst=1000)
    async with (
        running_server(limits=limits) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        for number in range(30):
            await ana.say(f"{number} " + "x" * 16_000)
        await ben.next_of(id=(await ana.until(type="message"))[-1]["id"])
        for number in range(100):
            await ben.send("history", ref=f"h{number}", limit=30)
            await ana.say(f"during {number}")
        frames = await ben.until(message="during 99")
        texts = [frame["message"] for frame in frames if frame["type"] == "message"]
        assert [text for text in texts if text.startswith("during")] == [f"during {n}" for n in range(100)]


async def test_broken_connection_logs_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`ConnectionClosedError` in a handler, as after every lost connection, is logged as an error with a
    traceback."""
    caplog.set_level(logging.INFO)
    async with running_server() as server, plain_client(server.url) as ana:
        async with raw_socket(server.port) as broken:
            await broken.handshake()
            await ana.next_of(event="join")
            broken.reset()
            await ana.next_of(event="leave")
        async with raw_socket(server.port) as broken:
            await broken.handshake()
            await ana.next_of(event="join")
            await broken.send(frame(CLOSE, b"\x03"))
            await broken.read_close()
            broken.reset()
            await ana.next_of(event="leave")
        async with raw_socket(server.port) as broken:
            await broken.handshake()
            await ana.next_of(event="join")
            await broken.send(frame(TEXT, b"{}")[:4])
            broken.reset()
            await ana.next_of(event="leave")
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nHo", b"\x16\x03\x01\r\n\r\n", b"GET /\x1b]0;x\x07 HTTP/1.0\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nbad\x1b[31mheader\r\n\r\n"],
    ids=["nothing", "cut off", "TLS", "hostile path", "POST", "hostile header"],
)  # fmt: skip
async def test_failed_handshake_logs_no_traceback(caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    """A port scan is logged by `websockets` as errors with tracebacks that contain the peer's bytes."""
    caplog.set_level(logging.INFO)
    async with running_server() as server:
        async with raw_socket(server.port) as scanner:
            await scanner.send(sent)
            if sent.endswith(b"\r\n\r\n"):
                await scanner.read_to_end()
        async with plain_client(server.url):
            pass
        await in_time(server.stop_server())
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert "\x1b" not in caplog.text


async def test_fast_sender_is_not_dropped() -> None:
    """Once `max_queue` frames wait for a handler, nothing is read, not even pongs: a healthy peer was
    closed with 1011 as if it were gone."""
    limits = Limits(message_rate=0, ping_interval_s=0.2, ping_timeout_s=5.0)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        for number in range(3_000):
            await ana.say(str(number))
        await ana.until(message="2999")
        await ana.say("still here")
        await ana.next_of(message="still here")
