"""Reconnecting: the client reconnects by itself, and nothing is lost or repeated."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.errors import CloseCode
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    GapFound,
    Noticed,
    PostArrived,
    PostDelivered,
    Update,
    Welcomed,
)
from broadcast_tui.engine.memory import MemoryEngine
from tests.client.watching import SYNCED, WELCOME, odd_server, online, started
from tests.support.plain import plain_client, silent_v1_client, v1_client
from tests.support.proxy import running_proxy
from tests.support.running import eventually, in_time, running_server

UNLIMITED = Limits(message_rate=0)


async def test_reconnect_loses_and_repeats_nothing() -> None:
    async with (
        running_server(limits=UNLIMITED) as server,
        running_proxy(server.port) as proxy,
        plain_client(server.url) as ben,
        online(proxy.port, "ana") as (client, watcher),
    ):
        await ben.say("before", sender="Ben")
        await watcher.post("before")
        proxy.refusing = True
        proxy.cut()
        waiting = await watcher.state(ConnectionState.WAITING)
        assert waiting.reason
        assert waiting.retry_in_s is not None
        assert 0.2 <= waiting.retry_in_s <= 1.0
        for number in range(5):
            await ben.say(f"meanwhile {number}")
        await ben.next_of(message="meanwhile 4")
        proxy.refusing = False
        client.reconnect_now()
        await watcher.next_of(CaughtUp)
        await ben.say("after")
        await watcher.post("after")
        assert watcher.posts == ["before", *(f"meanwhile {number}" for number in range(5)), "after"]
        assert not any(isinstance(update, GapFound) for update in watcher.seen)


async def test_posts_arrive_once_and_in_order_through_disconnects() -> None:
    count = 300
    async with (
        running_server(limits=UNLIMITED) as server,
        running_proxy(server.port) as proxy,
        online(proxy.port, "ana") as (reader, watcher),
        online(proxy.port, "ben") as (writer, writer_watcher),
    ):

        async def write() -> None:
            for number in range(count):
                writer.say("lobby", str(number))
                if number % 10 == 0:
                    await asyncio.sleep(0.01)

        async def cut() -> None:
            for number in range(4):
                await watcher.post(str(60 * number))
                proxy.cut()
                for client in (reader, writer):
                    client.reconnect_now()

        await in_time(asyncio.gather(write(), cut()))
        await watcher.post(str(count - 1))
        await writer_watcher.post(str(count - 1))
        expected = [str(number) for number in range(count)]
        assert watcher.posts == expected
        assert writer_watcher.posts == expected
        assert proxy.accepted_count >= 4
        async with silent_v1_client(server.url) as late:
            await late.send("hello", rooms=[{"room": "lobby", "last": 1_000}])
            frames = await late.until(type="synced")
            assert [frame["message"] for frame in frames if frame["type"] == "message"] == expected


async def test_offline_posts_are_sent_in_order_after_reconnecting() -> None:
    async with (
        running_server() as server,
        running_proxy(server.port) as proxy,
        plain_client(server.url) as ben,
        online(proxy.port, "ana") as (client, watcher),
    ):
        proxy.refusing = True
        proxy.cut()
        assert (await watcher.state(ConnectionState.WAITING)).reason == "connection lost"
        nonces = [client.say("lobby", f"offline {number}") for number in range(5)]
        proxy.refusing = False
        client.reconnect_now()
        delivered = [(await watcher.next_of(PostDelivered)).nonce for _ in nonces]
        assert delivered == nonces
        frames = await ben.until(message="offline 4")
        texts = [frame["message"] for frame in frames if frame["type"] == "message"]
        assert texts == [f"offline {number}" for number in range(5)]


async def test_posts_before_the_first_connection_are_sent() -> None:
    async with (
        running_server() as server,
        running_proxy(server.port) as proxy,
        plain_client(server.url) as ben,
    ):
        proxy.refusing = True
        async with started(proxy.port, "ana") as (client, watcher):
            await watcher.state(ConnectionState.WAITING)
            client.say("lobby", "early")
            proxy.refusing = False
            client.reconnect_now()
            assert (await ben.next_of(type="message"))["sender"] == "ana"


async def test_lost_acknowledgment_does_not_duplicate_a_post() -> None:
    async with (
        running_server() as server,
        running_proxy(server.port) as proxy,
        plain_client(server.url) as ben,
        online(proxy.port, "ana") as (client, watcher),
    ):
        await watcher.next_of(CaughtUp)
        posting = asyncio.create_task(client.post("lobby", "once"))
        await ben.next_of(message="once")
        proxy.cut()
        client.reconnect_now()
        await in_time(posting)
        await in_time(client.post("lobby", "end"))
        frames = await ben.until(message="end")
        assert [frame["message"] for frame in frames if frame["type"] == "message"] == ["end"]
        await watcher.post("end")
        assert watcher.posts == ["once", "end"]


async def test_reconnect_within_the_grace_period_is_silent() -> None:
    async with (
        running_server(limits=Limits(leave_grace_s=60.0)) as server,
        running_proxy(server.port) as proxy,
        v1_client(server.url, "ben") as ben,
        online(proxy.port, "ana") as (client, watcher),
    ):
        await ben.next_of(event="join")
        proxy.cut()
        await watcher.state(ConnectionState.WAITING)
        client.reconnect_now()
        await watcher.next_of(CaughtUp)
        assert await ben.settle() == []


async def test_restarted_server_is_rejoined_with_a_gap() -> None:
    async with running_server() as server, online(server.port, "ana") as (client, watcher):
        await client.post("lobby", "before")
        await in_time(server.stop_server(CloseCode.RESTART))
        waiting = await watcher.state(ConnectionState.WAITING)
        assert "restarting" in waiting.reason
        client.say("lobby", "meanwhile")
        async with running_server(port=server.port) as again, plain_client(again.url) as ben:
            client.reconnect_now()
            await watcher.next_of(GapFound)
            await ben.next_of(message="meanwhile")
            await ben.say("after", sender="Ben")
            await watcher.post("after")
            assert watcher.posts == ["before", "meanwhile", "after"]


async def test_client_reconnects_by_itself() -> None:
    async with (
        running_server() as server,
        running_proxy(server.port) as proxy,
        online(proxy.port, "ana") as (_, watcher),
    ):
        proxy.cut()
        await watcher.state(ConnectionState.WAITING)
        await watcher.state(ConnectionState.ONLINE)


async def test_lagging_reader_fetches_missing_posts() -> None:
    limits = Limits(message_rate=0, ring_posts=20, history_page_max=15)
    async with (
        running_server(limits=limits) as server,
        running_proxy(server.port) as proxy,
        plain_client(server.url) as ben,
        online(proxy.port, "ana") as (client, watcher),
    ):
        await ben.say("before", sender="Ben")
        await watcher.post("before")
        proxy.refusing = True
        proxy.cut()
        await watcher.state(ConnectionState.WAITING)
        for number in range(200):
            await ben.say(str(number))
        await ben.next_of(message="199")
        proxy.refusing = False
        client.reconnect_now()
        await watcher.post("199")
        assert watcher.posts == ["before", *map(str, range(200))]
        assert not any(isinstance(update, GapFound) for update in watcher.seen)


async def test_trimmed_posts_are_reported_as_a_gap() -> None:
    limits = Limits(message_rate=0, ring_posts=5)
    async with (
        running_server(limits=limits, engine=MemoryEngine(max_posts=5)) as server,
        running_proxy(server.port) as proxy,
        plain_client(server.url) as ben,
        online(proxy.port, "ana") as (client, watcher),
    ):
        await ben.say("before", sender="Ben")
        await watcher.post("before")
        proxy.refusing = True
        proxy.cut()
        await watcher.state(ConnectionState.WAITING)
        for number in range(20):
            await ben.say(str(number))
        await ben.next_of(message="19")
        proxy.refusing = False
        client.reconnect_now()
        gap = await watcher.next_of(GapFound)
        assert (gap.room, gap.count, gap.reason) == ("lobby", 15, "trimmed")
        await watcher.post("19")
        assert watcher.posts == ["before", "15", "16", "17", "18", "19"]


async def test_joined_rooms_are_rejoined_after_a_disconnect() -> None:
    async with (
        running_server() as server,
        running_proxy(server.port) as proxy,
        online(proxy.port, "ana") as (client, watcher),
        v1_client(server.url, "ben", rooms=[{"room": "dev"}]) as ben,
    ):
        client.join("dev")
        await watcher.next_of(CaughtUp, lambda update: update.room == "dev")
        proxy.cut()
        await watcher.state(ConnectionState.WAITING)
        client.reconnect_now()
        await watcher.next_of(CaughtUp, lambda update: update.room == "dev")
        await ben.say("hello dev", room="dev")
        assert (await watcher.post("hello dev")).post.room == "dev"


async def test_backoff_grows_although_handshakes_succeed() -> None:
    """`connect()` of `websockets` 17.4 as an iterator resets its backoff after each handshake: a
    server that accepts and closes with 1013 was hit 2448 times in 3 s."""

    async def busy(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(WELCOME)
        await socket.send(SYNCED)
        await socket.close(1013, "try again later")

    async with odd_server(busy) as port, started(port, "ana") as (_, watcher):
        delays = []
        for _ in range(3):
            waiting = await watcher.state(ConnectionState.WAITING)
            assert waiting.reason == "try again later"
            assert waiting.retry_in_s is not None
            delays.append(waiting.retry_in_s)
        assert all(0.25 * 2**n <= delay <= 0.5 * 2**n for n, delay in enumerate(delays))


async def test_drain_spreads_reconnects() -> None:
    async def draining(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(WELCOME)
        await socket.send('{"type":"drain","reason":"restart","spread":1000000}')
        await socket.close(1012, "")

    async with odd_server(draining) as port:
        delays = []
        for _ in range(4):
            async with started(port, "ana") as (_, watcher):
                delays.append((await watcher.state(ConnectionState.WAITING)).retry_in_s or 0.0)
        assert max(delays) > 1.0, "four times below a sixtieth of the spread is no chance"
        assert max(delays) <= 61.0


async def test_malformed_frames_are_ignored() -> None:
    async def mad(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(WELCOME)
        await socket.send(SYNCED)
        for junk in (
            "", "nonsense", "[]", "{}", '{"type":1}', '{"type":"future","x":1}', '{"type":"message"}',
            '{"type":"message","message":"x","sender":"e","timestamp":"never","id":"bad","room":"lobby"}',
            '{"type":"message","message":"x","sender":"e","timestamp":"","id":"k3f9-5","room":"other"}',
            '{"type":"gap","room":"lobby","from":"","to":"","reason":"?"}',
            '{"type":"history","ref":"r99","room":"lobby","items":[],"more":true}',
            '{"type":"ack","nonce":"?","id":"?","room":"?","timestamp":"?","dup":false}',
            '{"type":"synced","room":"?","id":"?"}', "[" * 50_000,
        ):  # fmt: skip
            await socket.send(junk)
        await socket.send(b"\x00\xff")
        await socket.send(b'{"type":"message","message":"\xff"}', text=True)
        await socket.send(
            '{"type":"message","message":"sane","sender":"e","timestamp":"2025-08-30T10:30:40+00:00",'
            '"id":"k3f9-1","room":"lobby"}'
        )
        await socket.wait_closed()

    async with odd_server(mad) as port, started(port, "ana") as (client, watcher):
        await watcher.post("sane")
        assert client.state is ConnectionState.ONLINE
        states = [update.state for update in watcher.seen if isinstance(update, ConnectionChanged)]
        assert states == [ConnectionState.CONNECTING, ConnectionState.ONLINE]


async def test_close_during_a_long_frame_is_not_an_internal_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def short_sighted(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(WELCOME.replace("16384", "0"))
        await socket.send(SYNCED)
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()

    async with odd_server(short_sighted) as port, started(port, "ana") as (client, watcher):
        await watcher.state(ConnectionState.ONLINE)
        client.say("lobby", "x" * 4_000_000)
        change = await watcher.state(ConnectionState.WAITING)
        assert "internal" not in change.reason
        assert not [record for record in caplog.records if record.name == "broadcast_tui.client"]


async def test_unread_updates_are_bounded() -> None:
    count = 25_000

    async def talkative(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(WELCOME)
        await socket.send(SYNCED)
        for number in range(1, count + 1):
            await socket.send(
                f'{{"type":"message","message":"{number}","sender":"e","timestamp":"","id":"k3f9-{number}",'
                '"room":"lobby"}'
            )
        await socket.wait_closed()

    async with odd_server(talkative) as port, started(port, "ana") as (client, watcher):
        last = f"k3f9-{count}"
        await eventually(lambda: any(last == str(update.post.position) for update in newest(client)))
        await watcher.post(str(count))
        assert len(watcher.seen) == 10_000, "the oldest are lost first"


def newest(client: BroadcastClient) -> list[PostArrived]:
    """The newest unread update, if it is a post."""
    update = client._updates[-1] if client._updates else None
    return [update] if isinstance(update, PostArrived) else []


async def test_assigned_name_is_used_to_reconnect() -> None:
    async with (
        running_server() as server,
        running_proxy(server.port) as proxy,
        online(proxy.port, "ana") as (client, watcher),
    ):
        client.rename("ana2")
        await watcher.next_of(CaughtUp)
        await in_time(client.post("lobby", "hi"))
        proxy.cut()
        await watcher.state(ConnectionState.WAITING)
        client.reconnect_now()
        assert (await watcher.next_of(Welcomed)).name == "ana2"


async def test_silent_server_after_the_handshake_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broadcast_tui.client.connection.WELCOME_TIMEOUT_S", 0.1)
    accepted = 0

    async def stay_silent(connection: ServerConnection) -> None:
        nonlocal accepted
        accepted += 1
        await connection.wait_closed()

    async with odd_server(stay_silent) as port, started(port, "ana") as (client, watcher):
        waiting = await watcher.state(ConnectionState.WAITING)
        assert waiting.reason == f"ws://127.0.0.1:{port} did not answer in time"
        assert waiting.retry_in_s is not None
        client.reconnect_now()
        await watcher.state(ConnectionState.WAITING)
        assert accepted == 2


async def test_oversized_message_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broadcast_tui.client.connection.FRAME_BYTES_MAX", 100_000)

    async def flood(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(WELCOME)
        await connection.send("x" * 300_000)
        await connection.wait_closed()

    async with odd_server(flood) as port, started(port, "ana") as (_, watcher):
        waiting = await watcher.state(ConnectionState.WAITING)
        assert "the server sent a message of more than" in waiting.reason


async def test_batches_grow_in_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.client.client.GROW_S", 3600.0)
    monkeypatch.setattr("broadcast_tui.client.client.FLOOD_PER_S", 0)
    monkeypatch.setattr("broadcast_tui.client.client.BATCH_MAX", 20)
    client = BroadcastClient(name="ana")
    batches = client.batches()

    def arrive(count: int) -> None:
        client._session._updates += [Noticed("")] * count
        client._dispatch()

    async def next_batch() -> list[Update]:
        return await anext(batches)

    for _ in range(2):
        arrive(3)
        assert len(await in_time(anext(batches))) == 3
    arrive(4)
    assert len(await in_time(anext(batches))) == 4
    arrive(5)
    batch = asyncio.ensure_future(next_batch())
    for _ in range(3):
        await asyncio.sleep(0)
        arrive(5)
    assert len(await in_time(batch)) == 20


async def test_client_with_a_busy_reader_pauses_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.client.client.READ_AHEAD_MAX", 500)
    count = 5_000

    async def flood(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(WELCOME)
        await connection.send(SYNCED)
        for number in range(1, count + 1):
            post = f'"id":"k3f9-{number}","room":"lobby","sender":"bob","timestamp":""'
            await connection.send(f'{{"type":"message","message":"{number}",{post}}}')
        await connection.wait_closed()

    async with odd_server(flood) as port, started(port, "ana") as (client, _):
        batches = client.batches()
        await in_time(anext(batches))
        assert client._connection is not None
        connection = client._connection
        await eventually(lambda: connection._socket is not None and connection._socket._is_paused)
        assert 500 < len(client._updates) < count
        posts: list[str] = []
        while len(posts) < count:
            batch = await in_time(anext(batches))
            posts += [update.post.text for update in batch if isinstance(update, PostArrived)]
        assert posts == [str(number) for number in range(1, count + 1)]
