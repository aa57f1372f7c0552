"""Peers that read slowly or never: bounded cost, and no effect on other clients."""

from __future__ import annotations

import asyncio
import json
import time

from broadcast_tui.core.limits import Limits
from broadcast_tui.server import BroadcastServer
from tests.support.plain import Frame, WireClient, plain_client, v1_client
from tests.support.raw_socket import CLOSE, PING, TEXT, RawSocket, deaf_client, frame, raw_socket
from tests.support.running import PATIENCE_S, eventually, in_time, running_server, waiting_bytes

BOUND_BYTES = 524_288
TEXT_16K = "x" * 16_000


async def flood(server: BroadcastServer, poster: WireClient, listener: WireClient, count: int) -> int:
    """Post 16 kB `count` times, each after the listener received the last; returns the largest buffer."""
    worst = 0
    for number in range(count):
        await poster.say(f"{number} {TEXT_16K}", nonce=f"n{number}")
        got = await listener.next_of(type="message")
        assert got["message"].startswith(f"{number} ")
        worst = max(worst, waiting_bytes(server))
    return worst


async def test_peer_that_never_reads_has_a_bounded_cost() -> None:
    limits = Limits(message_rate=0, stall_timeout_s=600.0)
    async with (
        running_server(limits=limits) as server,
        deaf_client(server.port),
        deaf_client(server.port, "broadcast-tui.v1") as deaf,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        await deaf.send_text('{"type":"hello","name":"deaf","rooms":[{"room":"lobby"}]}')
        worst = await flood(server, ana, ben, 300)
        assert 0 < worst < BOUND_BYTES
        assert not any(frame["type"] == "gap" for frame in [*ana.frames, *ben.frames])


async def test_a_peer_that_never_reads_is_dropped_after_the_stall_timeout() -> None:
    limits = Limits(message_rate=0, stall_timeout_s=0.3)
    async with (
        running_server(limits=limits) as server,
        deaf_client(server.port),
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        await eventually(lambda: server.connection_count == 3)
        await flood(server, ana, ben, 60)
        await eventually(lambda: server.connection_count == 2)
        await ana.say("the end", nonce="end")
        frames = await ben.until(message="the end")
        assert [frame["online"] for frame in [*ben.frames, *frames] if frame.get("event") == "leave"][
            -1:
        ] == [2]


async def test_slow_reader_gets_a_gap_and_is_not_dropped() -> None:
    limits = Limits(message_rate=0, stall_timeout_s=PATIENCE_S, ring_bytes=200_000)
    async with (
        running_server(limits=limits) as server,
        deaf_client(server.port, "broadcast-tui.v1") as slow,
        v1_client(server.url, "ana") as ana,
    ):
        await slow.send_text('{"type":"hello","name":"slow","rooms":[{"room":"lobby"}]}')
        await eventually(lambda: server.connection_count == 2)
        await flood(server, ana, ana, 120)
        seen, gap = await in_time(read_posts_until(slow, b"119 x"))
        assert gap is not None
        numbers = list(range(gap[0], gap[1] + 1))
        assert sorted([*seen, *numbers]) == list(range(1, 121)), "each post came once or lies in the gap"
        assert seen == sorted(seen)


async def test_slow_plain_reader_gets_a_notice() -> None:
    """Plain clients receive the types message and system only."""
    limits = Limits(message_rate=0, stall_timeout_s=PATIENCE_S, ring_bytes=200_000)
    async with (
        running_server(limits=limits) as server,
        deaf_client(server.port) as slow,
        v1_client(server.url, "ana") as ana,
    ):
        await eventually(lambda: server.connection_count == 2)
        await flood(server, ana, ana, 120)
        events: list[Frame] = []
        while not events or not events[-1]["message"].startswith("119 x"):
            opcode, payload = await slow.read_frame()
            assert opcode == TEXT
            events.append(json.loads(payload))
            assert events[-1]["type"] in ("message", "system")
        posts = [event for event in events if event["type"] == "message"]
        assert len(posts) < 120
        assert any(event["event"] == "notice" for event in events if event["type"] == "system")


async def read_posts_until(sock: RawSocket, last: bytes) -> tuple[list[int], tuple[int, int] | None]:
    """Seqs of the posts read up to the one whose text begins with `last`, and the gap found among them."""
    seen: list[int] = []
    gap: tuple[int, int] | None = None
    while True:
        opcode, payload = await sock.read_frame()
        if opcode != TEXT:
            continue
        event = json.loads(payload)
        if event["type"] == "gap":
            assert event["reason"] == "lagged"
            assert gap is None
            gap = (int(event["from"].rpartition("-")[2]), int(event["to"].rpartition("-")[2]))
        elif event["type"] == "message":
            seen.append(int(event["id"].rpartition("-")[2]))
            if event["message"].encode().startswith(last):
                return seen, gap


async def test_unread_pages_are_bounded() -> None:
    limits = Limits(message_rate=0, history_rate=0, stall_timeout_s=0.5)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        await flood(server, ana, ana, 40)
        async with deaf_client(server.port, "broadcast-tui.v1") as deaf:
            await deaf.send_text('{"type":"hello","name":"deaf"}')
            ask = frame(TEXT, b'{"type":"history","ref":"h","limit":200}') * 200
            worst = await deaf.send_until_cut(ask, 2_000, lambda: waiting_bytes(server))
            assert worst < 3 * BOUND_BYTES
        await ana.say("the others notice nothing", nonce="n")
        await ana.next_of(type="ack")


async def test_a_peer_that_sends_and_never_reads_is_dropped() -> None:
    """A client receives its own posts; while these cannot be written, the server reads nothing from it."""
    limits = Limits(message_rate=0, stall_timeout_s=0.3)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        async with deaf_client(server.port) as deaf:
            await ana.next_of(event="join")
            post = frame(TEXT, b'{"type":"message","message":"%s"}' % (b"x" * 8_000))
            assert await deaf.send_until_cut(post, 4_000, lambda: waiting_bytes(server)) < 2 * BOUND_BYTES
        await ana.next_of(event="leave")


async def test_peer_without_pong_is_dropped() -> None:
    limits = Limits(ping_interval_s=0.1, ping_timeout_s=0.3)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        async with raw_socket(server.port) as silent:
            await silent.handshake()
            await ana.next_of(event="join")
            left = await ana.next_of(event="leave")
            assert left["online"] == 1
            assert frame(PING, b"", masked=False) in await silent.read_to_end()
        await ana.say("the one that answers stays", sender="Ana")
        await ana.next_of(type="message")


async def test_peer_that_never_closes_its_socket_is_dropped() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as ana,
        raw_socket(server.port) as polite,
        raw_socket(server.port) as rude,
    ):
        await polite.handshake()
        await rude.handshake()
        await eventually(lambda: server.connection_count == 3)
        await polite.send(frame(CLOSE, b"\x03\xe8"))
        await rude.send(frame(TEXT, b"{}", masked=False))
        async with asyncio.timeout(15.0):
            await ana.next_of(event="leave", online=1)


async def test_unfinished_frame_drops_the_connection() -> None:
    limits = Limits(ping_timeout_s=0.2)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        async with raw_socket(server.port) as slow:
            await slow.handshake()
            await slow.send(frame(TEXT, b"x" * 1_000)[:100])
            await slow.read_to_end()
        await ana.next_of(event="leave")


async def test_blocked_peer_that_disconnects_leaves_no_state() -> None:
    limits = Limits(message_rate=0, stall_timeout_s=600.0)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        async with deaf_client(server.port) as deaf:
            await eventually(lambda: server.connection_count == 2)
            while waiting_bytes(server) == 0:
                await ana.say(TEXT_16K)
                await ana.next_of(type="message")
            deaf.reset()
        await eventually(lambda: server.connection_count == 1)
        await ana.say("on", nonce="last")
        await ana.next_of(type="ack", nonce="last")


async def test_flood_from_one_peer_does_not_starve_others() -> None:
    limits = Limits(message_rate=1.0, message_burst=1, max_errors=10**9)
    async with (
        running_server(limits=limits) as server,
        raw_socket(server.port) as noisy,
        plain_client(server.url) as ana,
    ):
        await noisy.handshake()

        async def make_noise() -> None:
            junk = frame(TEXT, b"{}") * 500
            while True:
                await noisy.send(junk)

        async def swallow() -> None:
            while True:
                await noisy.read_frame()

        noise = [asyncio.create_task(make_noise()), asyncio.create_task(swallow())]
        started = time.monotonic()
        await ana.say("hello", sender="Ana")
        await ana.next_of(type="message")
        assert time.monotonic() - started < PATIENCE_S / 2
        for task in noise:
            task.cancel()
        await asyncio.gather(*noise, return_exceptions=True)


async def test_a_reader_behind_an_emptied_ring_gets_its_posts_from_the_log() -> None:
    async with (
        running_server(limits=Limits(message_rate=0)) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "slow") as slow,
    ):
        runner = server._runner
        (peer,) = [peer for peer in runner.connections if peer.name == "slow"]
        peer.blocked = True
        peer.leave_fast_path()
        for number in range(300):
            await ana.say(f"{number}", nonce=f"n{number}")
        await ana.until(message="299")
        runner.hub.rooms.by_name["lobby"].drop_buffers()
        await ana.say("300", nonce="n300")
        await ana.until(message="300")
        peer.blocked = False
        runner.hub.broadcaster.mark_dirty(peer)
        runner.wake()
        frames = [*slow.frames, *await slow.until(message="300")]
        posts = [frame["message"] for frame in frames if frame["type"] == "message"]
        assert posts == [str(number) for number in range(301)]
        assert not any(frame["type"] == "gap" for frame in frames)
