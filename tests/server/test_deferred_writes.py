"""Connections that can wait get posts after the others, in turns, and always in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

from broadcast_tui.core.hub.room import Room, Subscription
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.protocol.commands import RoomRequest
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.server.deferred_writes import PAUSE_S, TOGETHER, DeferredWrites
from tests.core.hub.test_hub import say, v1
from tests.server.web.test_api import script_for, scripted_server
from tests.server.web.test_events import following
from tests.support.hub_pair import World
from tests.support.plain import v1_client
from tests.support.running import running_server


class Loop:
    """The clock and the callbacks of an event loop."""

    def __init__(self) -> None:
        self.now = 100.0
        self.callbacks: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.call_at(self.now, callback)

    def call_at(self, due_at: float, callback: Callable[[], None]) -> None:
        self.callbacks.append((due_at, callback))

    def turn(self) -> float:
        """Run the one callback that is scheduled; returns the seconds until it was due."""
        ((due_at, callback),) = self.callbacks
        self.callbacks.clear()
        waited_s, self.now = due_at - self.now, due_at
        callback()
        return waited_s


class Desk:
    """A hub with rooms whose connections can wait, and the writes to them."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.world = World(limits or Limits(message_rate=0))
        self.ana = v1(self.world, "ana", rooms=[{"room": "lobby"}, {"room": "dev"}])
        self.loop = Loop()
        self.is_busy = False
        self.written: list[tuple[str, int]] = []
        """The room of each turn, and the number of connections."""
        loop = cast("asyncio.AbstractEventLoop", self.loop)
        self.writes = DeferredWrites(loop, self._write, lambda: None, lambda: self.is_busy)

    def _write(self, subscriptions: list[Subscription]) -> None:
        self.written.append((subscriptions[0].room.name, len(subscriptions)))

    def room(self, name: str, count: int) -> Room:
        """A room with connections that can wait."""
        for number in range(count):
            peer = v1(self.world, f"{name}{number}", rooms=[]).peer
            assert peer is not None
            peer.deferred = True
            self.world.hub.rooms.enter(peer, RoomRequest(name))
        return self.world.hub.rooms.by_name[name]

    def post(self, room: Room, count: int = 1) -> None:
        for _ in range(count):
            say(self.world, self.ana, "x", room=room.name)
            self.writes.add(room)


def test_connections_get_posts_in_turns_until_all_have_them() -> None:
    desk = Desk()
    lobby = desk.room("lobby", 2 * TOGETHER + 3)
    assert len(lobby.undeferred) == 1
    desk.post(lobby, 2)
    assert desk.written == [], "others come first"
    while desk.loop.callbacks:
        assert desk.loop.turn() == 0
    assert desk.written == [("lobby", TOGETHER), ("lobby", TOGETHER), ("lobby", 3)]
    desk.post(lobby)
    desk.loop.turn()
    assert len(desk.written) == 4


def test_a_busy_server_writes_to_a_few_connections_now_and_then() -> None:
    desk = Desk()
    desk.is_busy = True
    lobby = desk.room("lobby", 4 * TOGETHER)
    desk.post(lobby)
    for turns in (1, 2, 3):
        desk.loop.turn()
        assert len(desk.written) == turns - 1
        assert abs(desk.loop.turn() - PAUSE_S) < 1e-9
        assert len(desk.written) == turns
    desk.is_busy = False
    desk.loop.turn()
    assert len(desk.written) == 4
    assert not desk.loop.callbacks


def test_before_posts_are_forgotten_they_are_written_without_pauses() -> None:
    desk = Desk(Limits(message_rate=0, ring_posts=20))
    desk.is_busy = True
    lobby = desk.room("lobby", 3 * TOGETHER)
    desk.post(lobby, 9)
    assert not desk.writes.is_urgent
    desk.post(lobby)
    assert desk.writes.is_urgent
    while desk.loop.callbacks:
        assert desk.loop.turn() == 0
    assert len(desk.written) == 3
    assert not desk.writes.is_urgent


def test_posts_that_arrive_during_the_turns_of_a_room_count_from_its_start() -> None:
    desk = Desk(Limits(message_rate=0, ring_posts=20))
    desk.is_busy = True
    lobby = desk.room("lobby", 3 * TOGETHER)
    desk.post(lobby, 6)
    desk.loop.turn()
    desk.loop.turn()
    assert len(desk.written) == 1
    desk.post(lobby, 3)
    assert not desk.writes.is_urgent
    desk.post(lobby, 1)
    assert desk.writes.is_urgent


def test_rooms_take_turns() -> None:
    desk = Desk()
    lobby, dev = desk.room("lobby", TOGETHER + 1), desk.room("dev", 1)
    desk.post(lobby)
    desk.post(dev)
    desk.loop.turn()
    desk.post(lobby)
    while desk.loop.callbacks:
        desk.loop.turn()
    assert [name for name, _ in desk.written] == ["lobby", "lobby", "dev", "lobby", "lobby"]


def test_connections_that_leave_are_not_deferred_any_longer() -> None:
    desk = Desk()
    lobby = desk.room("lobby", 2)
    first, subscription = next(iter(lobby.deferred.items()))
    first.enter_fast_path()
    assert subscription.fast
    desk.world.hub.rooms.leave(first, lobby, desk.world.when, grace=False)
    assert len(lobby.deferred) == 1
    assert len(lobby.undeferred) == 1
    assert not subscription.fast, "a flush in progress must not write to it"


async def test_a_flood_leaves_no_gaps_for_readers_of_events() -> None:
    posts = 900
    async with (
        scripted_server(Limits(message_rate=0, ring_posts=600)) as (server, script),
        following(script) as reader,
        v1_client(server.url, "ana", rooms=[{"room": "ops"}]) as ana,
    ):
        await reader.next_of("synced")
        for number in range(posts):
            await ana.say(str(number), room="ops", nonce=str(number))
        for number in range(posts):
            found = await reader.next()
            assert found is not None
            assert found.type == "message", found
            assert found.data["message"] == str(number)


async def test_posts_of_a_batch_that_fills_the_ring_wait_for_readers() -> None:
    """The tail may yield more posts at once than the ring has room for."""
    limits = Limits(message_rate=0, ring_posts=600)
    engine = MemoryEngine()
    async with (
        running_server(engine=engine, limits=limits) as server,
        script_for(server) as script,
        following(script) as reader,
    ):
        await reader.next_of("synced")
        entries = [NewPost("ops", "ana", str(number), datetime.now(UTC)) for number in range(2_000)]
        await engine.append(entries)
        for number in range(2_000):
            found = await reader.next()
            assert found is not None
            assert (found.type, found.data.get("message")) == ("message", str(number))
