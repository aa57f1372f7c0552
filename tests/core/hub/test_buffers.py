"""The memory budget of rings and cached chunks, and what connections get from rooms that gave theirs back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broadcast_tui.core.hub import rooms as rooms_module
from broadcast_tui.core.hub.history import BackfillRead
from broadcast_tui.core.hub.room import CHUNK_CACHE_BYTES, WRITE_BYTES, Room
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.post import NewPost
from tests.core.hub.test_hub import only, say, send, v1
from tests.support.hub_pair import Wire, World, read_frames


def unlimited(**limits: Any) -> Limits:
    """Limits that do not restrict how often a connection may ask."""
    return Limits(message_rate=0, message_burst=0, history_rate=0, max_rooms_per_peer=0, **limits)


def measured_bytes(rooms: list[Room]) -> int:
    """The size of all rings and cached chunks, without the budget's own count."""
    rings = [item for room in rooms for item in room.ring.after(0)]
    chunks = [chunk for room in rooms for chunk, count in room._chunks.values() if count > 1]
    return sum(map(len, rings)) + sum(map(len, chunks))


def rooms_of(world: World) -> list[Room]:
    return list(world.hub.rooms.by_name.values())


def fill(world: World, room: str, posts: int, text: str) -> None:
    """Append posts to the log of a room that nobody is in."""
    world.log.append([NewPost(room, "ana", text, world.when.at) for _ in range(posts)])


def test_connections_in_many_full_rooms_stay_within_the_budget() -> None:
    """32 connections of one address in 32 rooms each, with rings of a MiB: once over 2 GB."""
    max_bytes = 4_194_304
    world = World(unlimited(max_buffer_bytes=max_bytes))
    rooms = [f"room{number}" for number in range(256)]
    for room in rooms:
        fill(world, room, 8, "x" * 16_000)
    wires = [v1(world, f"user{number}") for number in range(8)]
    for number, wire in enumerate(wires):
        for room in rooms[32 * number : 32 * number + 32]:
            send(world, wire, type="join", room=room, ref="j", last=100)
            assert len(only(wire, "message")) == 8
    buffers = world.hub.rooms.buffers
    assert len(rooms_of(world)) == 257
    assert measured_bytes(rooms_of(world)) <= buffers.used_bytes <= max_bytes
    assert buffers.evictions > 200


def test_the_count_of_bytes_follows_everything_that_changes_a_buffer() -> None:
    world = World(unlimited(ring_posts=20, ring_bytes=100_000))
    ana = v1(world, "ana", rooms=[{"room": "lobby"}, {"room": "dev"}])
    buffers = world.hub.rooms.buffers
    for number in range(60):
        say(world, ana, "x" * (50 * number), room="dev" if number % 3 else "lobby")
        v1(world, f"user{number}", rooms=[{"room": "lobby", "last": number}])
        overhead = buffers.used_bytes - measured_bytes(rooms_of(world))
        assert 0 <= overhead <= 60 * 2 * 20
    world.hub.set_limits(unlimited(ring_posts=3))
    assert 0 <= buffers.used_bytes - measured_bytes(rooms_of(world)) <= 60 * 2 * 3
    world.hub.set_limits(unlimited(max_buffer_bytes=1))
    assert sum(len(room.ring) > 0 for room in rooms_of(world)) == 1, "the last used keeps its buffers"


def test_chunks_of_a_room_are_bounded_in_bytes() -> None:
    world = World(unlimited())
    fill(world, "lobby", 200, "x" * 4_000)
    v1(world, "ana", rooms=[{"room": "lobby", "last": 200}])
    (room,) = rooms_of(world)
    for cursor in range(199):
        room.chunk(cursor)
        assert sum(len(chunk) for chunk, _ in room._chunks.values()) <= CHUNK_CACHE_BYTES + 2 * WRITE_BYTES


def evict(world: World) -> None:
    """Drop the buffers of all rooms, by the use of one more."""
    limits = world.hub.limits
    evictor = v1(world, "evictor", rooms=[{"room": "elsewhere"}])
    world.hub.set_limits(unlimited(max_buffer_bytes=1))
    say(world, evictor, "hi", room="elsewhere")
    world.hub.set_limits(limits)


@pytest.mark.parametrize("is_plain", [False, True])
def test_a_slow_reader_gets_the_posts_of_an_evicted_ring_from_the_log(is_plain: bool) -> None:
    world = World(unlimited())
    slow, fast = world.plain() if is_plain else v1(world, "slow"), v1(world, "fast")
    assert slow.peer is not None
    slow.peer.blocked = True
    for number in range(10):
        say(world, fast, f"post {number}")
    evict(world)
    say(world, fast, "post 10")
    (ring,) = [room.ring for room in rooms_of(world) if room.name == "lobby"]
    assert len(ring) == 1
    slow.peer.blocked = False
    read_frames(slow)
    world.hub.effects.dirty_peers.add(slow.peer)
    world.step()
    frames = read_frames(slow)
    assert [f["message"] for f in frames if f["type"] == "message"] == [f"post {n}" for n in range(11)]
    assert [f for f in frames if f["type"] == "gap" or f.get("event") == "notice"] == []


def enter_cold(world: World, name: str, *rooms: str, **request: object) -> Wire:
    """A connection that has requested posts of rooms, by default the last 9, and has not been served yet."""
    wire = Wire()
    wire.peer = world.hub.open(wire, v1=True, address="test", when=world.when)
    requests = [{"room": room, **(request or {"last": 9})} for room in rooms]
    hello = {"type": "hello", "name": name, "rooms": requests}
    world.hub.receive(wire.peer, json.dumps(hello).encode(), world.when)
    return wire


def test_an_evicted_ring_reads_only_the_posts_that_are_missing() -> None:
    world = World(unlimited())
    fast = v1(world, "fast")
    for number in range(50):
        say(world, fast, f"post {number}")
    evict(world)
    bob = enter_cold(world, "bob", "lobby", since="e1-47")
    (read,) = world.hub.effects.reads
    assert (read.before, read.limit) == (51, 3)
    world.step()
    assert [f["id"] for f in only(bob, "message")] == ["e1-48", "e1-49", "e1-50"]


@pytest.mark.parametrize("live_count", [0, 40])
def test_a_cold_join_reads_no_more_than_the_ring_takes(live_count: int) -> None:
    world = World(unlimited())
    fill(world, "dev", 1_000, "x" * 16_000)
    ana = v1(world, "ana", rooms=[{"room": "dev"}])
    for _ in range(live_count):
        send(world, ana, type="message", message="x" * 16_000, room="dev")
    bob = Wire()
    bob.peer = world.hub.open(bob, v1=True, address="test", when=world.when)
    world.hub.receive(bob.peer, b'{"type":"hello","rooms":[{"room":"dev","last":1000}]}', world.when)
    (read,) = world.hub.effects.reads
    assert isinstance(read, BackfillRead)
    used = world.hub.rooms.by_name["dev"].ring.size_bytes
    assert used >= live_count * 16_000
    assert read.max_bytes == world.limits.ring_bytes - used


def test_posts_that_an_evicted_ring_cannot_get_back_are_a_gap() -> None:
    world = World(unlimited())
    slow, fast = v1(world, "slow"), v1(world, "fast")
    assert slow.peer is not None
    slow.peer.blocked = True
    for number in range(10):
        say(world, fast, f"post {number}")
    evict(world)
    world.log.trim("lobby", 6)
    slow.peer.blocked = False
    read_frames(slow)
    world.hub.effects.dirty_peers.add(slow.peer)
    world.step()
    frames = [f for f in read_frames(slow) if f["type"] in ("gap", "message")]
    assert frames[0] == {"type": "gap", "room": "lobby", "from": "e1-1", "to": "e1-6", "reason": "lagged"}
    assert [f["id"] for f in frames[1:]] == ["e1-7", "e1-8", "e1-9", "e1-10"]


def test_a_failed_backfill_is_a_gap_and_not_repeated() -> None:
    world = World(unlimited())
    slow, fast = v1(world, "slow"), v1(world, "fast")
    assert slow.peer is not None
    slow.peer.blocked = True
    for number in range(4):
        say(world, fast, f"post {number}")
    evict(world)
    slow.peer.blocked = False
    slow.write_now(b"".join(slow.peer.collect()))
    assert slow.peer.collect() == []
    (read,) = world.hub.effects.take_reads()
    world.hub.reads.done(read, [])
    world.step()
    frames = [f for f in read_frames(slow) if f["type"] == "gap"]
    assert [(f["from"], f["to"]) for f in frames] == [("e1-1", "e1-4")]
    say(world, fast, "later")
    assert [f["id"] for f in only(slow, "message")] == ["e1-5"]


def test_a_connection_waits_for_one_room_at_a_time() -> None:
    """More rooms than fit into the budget: their rings would be evicted before they are written."""
    world = World(unlimited(max_buffer_bytes=150_000))
    rooms = [f"room{number}" for number in range(20)]
    for room in rooms:
        fill(world, room, 8, "x" * 16_000)
    wire = enter_cold(world, "ana", *rooms)
    assert len(world.hub.effects.reads) == 1
    world.step()
    frames = read_frames(wire)
    assert [f["room"] for f in frames if f["type"] == "message"] == [room for room in rooms for _ in range(8)]
    assert [f for f in frames if f["type"] == "gap"] == []
    assert {f["room"] for f in frames if f["type"] == "synced"} == set(rooms)


@pytest.mark.parametrize("change", ["leave", "join"])
def test_a_connection_that_leaves_the_room_it_waits_for_gets_the_others(change: str) -> None:
    world = World(unlimited())
    for room in ("one", "two"):
        fill(world, room, 2, "hi")
    wire = enter_cold(world, "ana", "one", "two")
    assert wire.peer is not None
    (read,) = world.hub.effects.take_reads()
    world.hub.receive(wire.peer, json.dumps({"type": change, "room": "one"}).encode(), world.when)
    world.step()
    world.hub.reads.done(read, world.log.read(read))
    world.step()
    frames = read_frames(wire)
    assert [f["room"] for f in frames if f["type"] == "message"] == ["two", "two"]
    assert "two" in {f["room"] for f in frames if f["type"] == "synced"}


def test_a_backfill_that_ends_after_everyone_has_left_does_not_block_the_room() -> None:
    world = World(unlimited(leave_grace_s=0))
    fill(world, "one", 5, "hi")
    ana = enter_cold(world, "ana", "one")
    (read,) = world.hub.effects.take_reads()
    posts = world.log.read(read)
    _, new = world.log.append([NewPost("one", "ana", "new", world.when.at)])
    world.hub.deliver(new)
    leave_all(world, ana)
    world.pass_time(1.0)
    world.hub.reads.done(read, posts)
    bob = enter_cold(world, "bob", "one")
    world.step()
    assert [f["message"] for f in only(bob, "message")] == ["hi"] * 5 + ["new"]


def test_a_backfill_for_a_ring_that_changed_meanwhile_is_ignored() -> None:
    world = World(unlimited(ring_posts=4))
    for number in range(6):
        fill(world, "lobby", 1, f"post {number}")
    bob = enter_cold(world, "bob", "lobby", last=2)
    (read,) = world.hub.effects.take_reads()
    old = world.log.read(read)
    _, new = world.log.append([NewPost("lobby", "ana", f"new {n}", world.when.at) for n in range(7)])
    world.hub.deliver(new)
    world.hub.reads.done(read, old)
    world.step()
    frames = [f for f in read_frames(bob) if f["type"] in ("gap", "message")]
    assert [f.get("id", f.get("reason")) for f in frames] == ["lagged", "e1-10", "e1-11", "e1-12", "e1-13"]
    assert [f["message"] for f in frames[1:]] == ["new 3", "new 4", "new 5", "new 6"]


def leave_all(world: World, wire: Wire) -> None:
    assert wire.peer is not None
    world.hub.close(wire.peer, world.when)


def test_a_room_that_everyone_has_left_keeps_its_ring_for_a_minute() -> None:
    world = World(unlimited(leave_grace_s=0))
    for waited_s, is_warm in ((59.0, True), (61.0, False)):
        ana = v1(world, "ana")
        say(world, ana, "one")
        leave_all(world, ana)
        world.pass_time(1.0)
        assert world.hub.rooms.by_name == {}
        world.pass_time(waited_s - 1.0)
        assert (world.hub.rooms.buffers.used_bytes > 0) == is_warm
        bob = enter_cold(world, "bob", "lobby", last=1)
        assert bool(world.hub.effects.reads) != is_warm
        world.step()
        assert [f["message"] for f in only(bob, "message")] == ["one"]
        leave_all(world, bob)
        world.pass_time(1_000.0)
    assert world.hub.rooms.buffers.used_bytes == 0


def test_an_idle_room_gets_the_posts_that_arrive_after_everyone_has_left() -> None:
    world = World(unlimited(leave_grace_s=0))
    ana = v1(world, "ana")
    say(world, ana, "one")
    leave_all(world, ana)
    world.pass_time(1.0)
    _, new = world.log.append([NewPost("lobby", "ana", "two", world.when.at)])
    world.hub.deliver(new)
    bob = v1(world, "bob", rooms=[{"room": "lobby", "last": 5}])
    assert [f["message"] for f in only(bob, "message")] == ["one", "two"]


def test_ring_of_an_idle_room_whose_log_was_deleted_is_freed() -> None:
    world = World(unlimited(leave_grace_s=0))
    ana = v1(world, "ana")
    say(world, ana, "one")
    say(world, ana, "two")
    leave_all(world, ana)
    assert world.hub.rooms.buffers.used_bytes > 0
    world.log.entries["lobby"].pop()
    v1(world, "bob")
    assert world.hub.rooms.buffers.used_bytes == 0


def test_the_number_of_idle_rooms_is_bounded_and_empty_rings_are_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms_module, "IDLE_ROOMS_MAX", 100)
    world = World(unlimited(leave_grace_s=0))
    ana = v1(world, "ana")
    for number in range(160):
        send(world, ana, type="join", room=f"room{number}", ref="j")
        if number % 2 == 0:
            say(world, ana, "hi", room=f"room{number}")
        send(world, ana, type="leave", room=f"room{number}", ref="l")
        world.pass_time(0.001)
        read_frames(ana)
    assert set(world.hub.rooms.by_name) == {"lobby"}
    assert len(world.hub.rooms._idle) == 80
    for number in range(160):
        send(world, ana, type="join", room=f"more{number}", ref="j")
        say(world, ana, "hi", room=f"more{number}")
        send(world, ana, type="leave", room=f"more{number}", ref="l")
        world.pass_time(0.001)
        read_frames(ana)
    assert len(world.hub.rooms._idle) == 100
    assert world.hub.rooms.buffers.used_bytes < 1_000 * 100


def test_only_rooms_with_pending_presence_are_visited_by_a_tick() -> None:
    world = World(unlimited(leave_grace_s=5.0))
    ana = v1(world, "ana", rooms=[{"room": f"room{number}"} for number in range(60)])
    world.pass_time(1.0)
    assert world.hub.broadcaster.presence_rooms == set()
    leave_all(world, ana)
    assert len(world.hub.broadcaster.presence_rooms) == 60
    world.pass_time(5.1)
    assert world.hub.broadcaster.presence_rooms == set()
    assert world.hub.rooms.by_name == {}
