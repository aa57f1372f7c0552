"""Closed connections leave no state, however many there were and however they ended."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.limits import Limits
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.open_connection import OpenConnection
from broadcast_tui.server.watchdog import Watchdog
from tests.support.plain import plain_client
from tests.support.profile import by_profile
from tests.support.raw_socket import CLOSE, TEXT, RawSocket, frame, raw_socket
from tests.support.running import eventually, in_time, running_server

COUNT = by_profile(600, 5_000)
AT_ONCE = 25
ROOMS = 40
LIMITS = Limits(message_rate=0, leave_grace_s=0.2, history_rate=0)


async def come_and_go(server: BroadcastServer, number: int) -> None:
    """Open and end one connection; `number` selects the kind of client and how it ends."""
    v1 = number % 2 == 0
    async with raw_socket(server.port) as sock:
        assert " 101 " in await sock.handshake("broadcast-tui.v1" if v1 else "")
        if number % 10 == 9:
            return
        if v1:
            await enter(sock, number)
        else:
            await sock.send_text(json.dumps({"type": "message", "message": "hi", "sender": f"p{number}"}))
        await sock.read_frame()
        match number % 5:
            case 0:
                sock.reset()
            case 1:
                await sock.send(frame(TEXT, b'{"type":"message","message":"half a fr')[:20])
            case 2:
                await sock.send(frame(CLOSE, b"\x03\xe8"))
                await sock.read_close()
            case 3:
                await sock.send(frame(TEXT, b"\xff\xfe"))
                await sock.read_close()


async def enter(sock: RawSocket, number: int) -> None:
    hello = {
        "type": "hello",
        "name": f"v{number}",
        "client_id": f"id-{number}",
        "rooms": [{"room": "lobby", "last": 5}, {"room": f"room-{number % ROOMS}"}],
    }
    await sock.send_text(json.dumps(hello))
    await sock.send_text(json.dumps({"type": "history", "room": "lobby", "ref": "h"}))


async def many_come_and_go(server: BroadcastServer, first: int) -> None:
    """Open and end `COUNT` connections; returns when the server has noticed all ends."""
    numbers = iter(range(first, first + COUNT))

    async def one_after_another() -> None:
        for number in numbers:
            await come_and_go(server, number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_another())
    await eventually(
        lambda: server.connection_count == 1 and set(server._runner.hub.rooms.by_name) == {"lobby"}
    )
    await eventually(lambda: len(server._runner.hub._names._holders) == 1)


def left(server: BroadcastServer) -> dict[str, int]:
    """The sizes of everything that grows with connections."""
    gc.collect()
    hub = server._runner.hub
    counts = {
        "tasks": len(asyncio.all_tasks()),
        "peers": len(hub.peers),
        "rooms": len(hub.rooms.by_name),
        "subscriptions": len(hub.rooms.by_name["lobby"].subscriptions),
        "people": hub.rooms.by_name["lobby"].presence.online,
        "names": len(hub._names._holders),
        "submissions": len(hub.effects.pending_entries),
        "reads": len(hub.effects.reads),
        "dirty": len(hub.effects.dirty_peers) + len(hub.effects.dirty_rooms) + len(hub.effects.closing_peers),
        "connections": len(server._runner.connections),
        "sockets": len(server._connections),
        "admitted": len(server._admission._admitted) + sum(server._admission._by_address.values()),
        "half-open": len(server._admission._half_open)
        + sum(server._admission._half_open_by_address.values()),
        "undelivered": server._runner._undelivered,
    }
    if sys.platform == "linux":
        counts["descriptors"] = len(os.listdir("/proc/self/fd"))
    return counts


async def is_as_it_was(server: BroadcastServer, before: dict[str, int]) -> None:
    """Wait until the sizes equal `before`: work of the last connections may still be running."""
    with contextlib.suppress(TimeoutError):
        await eventually(lambda: left(server) == before)
    assert left(server) == before


def objects() -> int:
    """Number of objects that the garbage collector tracks, after a collection."""
    gc.collect()
    return len(gc.get_objects())


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.soak
async def test_thousands_of_connections_leave_no_state() -> None:
    engine = MemoryEngine(max_posts=100)
    async with running_server(limits=LIMITS, engine=engine) as server, plain_client(server.url) as witness:
        await witness.say("hello", sender="witness")
        await witness.next_of(type="message")

        async def listen() -> None:
            async for _ in witness.socket:
                pass

        listening = asyncio.create_task(listen())
        before = left(server)
        await many_come_and_go(server, 0)
        await is_as_it_was(server, before)
        known = objects()
        size = resident_bytes() if sys.platform == "linux" else 0
        await many_come_and_go(server, COUNT)
        await is_as_it_was(server, before)
        assert objects() - known < COUNT / 4
        if sys.platform == "linux":
            assert resident_bytes() - size < 4_000_000
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_repeated_reconnects_leave_no_state() -> None:
    async with running_server(limits=LIMITS) as server:
        client = BroadcastClient("127.0.0.1", server.port, name="ana")
        await in_time(client.connect())
        tasks = len(asyncio.all_tasks())
        for _ in range(50):
            [connection] = server._runner.connections.values()
            connection.abort()
            await eventually(lambda: server.connection_count == 0)
            client.reconnect_now()
            await eventually(lambda: server.connection_count == 1 and client._session.welcomed)
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
        assert server._runner.hub.rooms.by_name["lobby"].presence.online == 1
        await in_time(client.close())


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
async def test_delivered_posts_are_not_counted_as_pending(tmp_path: Path, kept: str) -> None:
    """Otherwise the server would stop accepting posts after a while."""
    engine = MemoryEngine() if kept == "memory" else SqliteEngine(tmp_path / "history.db")
    async with running_server(limits=LIMITS, engine=engine) as server:
        async with BroadcastClient("127.0.0.1", server.port, name="ana") as client:
            for _ in range(20):
                await in_time(asyncio.gather(*(client.post("lobby", "x") for _ in range(200))))
                await server.broadcast_to_all({"sender": "bot", "message": "beep"})
        await eventually(lambda: server._runner._undelivered == 0)


async def test_stopped_servers_leave_no_tasks_threads_or_descriptors(tmp_path: Path) -> None:
    async def one(number: int) -> None:
        engine = SqliteEngine(tmp_path / f"{number % 3}.db")
        async with running_server(limits=LIMITS, engine=engine) as server, plain_client(server.url) as ana:
            await ana.say("hello", sender="ana")
            await ana.next_of(type="message")

    await one(0)
    gc.collect()
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for number in range(20):
        await one(number)
    gc.collect()
    assert len(asyncio.all_tasks()) == tasks
    assert threading.active_count() <= threads
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) <= descriptors


class _Subclass(BroadcastServer):
    """A server that keeps the connections of the library."""

    def register_client(self, websocket: ServerConnection) -> None:
        super().register_client(websocket)


@pytest.mark.parametrize(
    ("kind", "watchdog"),
    [(BroadcastServer, None), (BroadcastServer, Watchdog()), (_Subclass, None)],
    ids=["unwatched", "watched", "subclass"],
)
async def test_closed_connections_are_freed_without_the_garbage_collector(
    kind: type[BroadcastServer], watchdog: Watchdog | None
) -> None:
    """It looks at old objects after millions of new ones, and pauses the server for as long as that takes."""
    async with kind("127.0.0.1", 0, limits=LIMITS, watchdog=watchdog) as server:
        await come_and_go(server, 0)
        await eventually(lambda: server.connection_count == 0)
        gc.collect()
        gc.disable()
        try:
            for number in range(20):
                await come_and_go(server, number)
            async with raw_socket(server.port) as sock:
                await sock.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await sock.read_to_end()
            async with raw_socket(server.port) as sock:
                await sock.send(b"GET / HTTP/1.1\r\nHost: ")
            await eventually(lambda: server.connection_count == 0)
            await eventually(lambda: not server._connections)
            await asyncio.sleep(0)
            assert [found for found in gc.get_objects() if isinstance(found, OpenConnection)] == []
        finally:
            gc.enable()
