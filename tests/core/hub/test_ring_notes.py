"""Notes in the ring of a room: what connections at any position get, and what is no longer in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.history import BackfillRead
from broadcast_tui.core.hub.ring_notes import EncodedEntry
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import NewNote, apply_note
from broadcast_tui.core.post import NewPost, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol.codec import decode_event
from broadcast_tui.core.protocol.entries import note_of, post_of
from broadcast_tui.core.protocol.events import Message
from broadcast_tui.core.protocol.events import Note as NoteEvent
from tests.core.hub.test_buffers import evict, measured_bytes, unlimited
from tests.core.hub.test_hub import only, say, send, v1
from tests.core.hub.test_notes import note
from tests.support.hub_pair import Wire, World, read_frames


def lobby(world: World) -> Room:
    room = world.hub.rooms.find("lobby")
    assert room is not None
    return room


def memory_of(room: Room) -> bytes:
    """Everything that a room holds of its log."""
    chunks = [*room._chunks.values(), *room._translated.values()]
    return b"".join([*room.ring.after(0), *(data for data, _ in chunks)])


def behind(world: World, wire: Wire) -> None:
    """Stop writing to a connection."""
    assert wire.peer is not None
    wire.peer.blocked = True


def catch_up(world: World, wire: Wire) -> list[dict[str, Any]]:
    """Resume writing to a connection; what it gets of the log."""
    assert wire.peer is not None
    wire.peer.blocked = False
    world.hub.effects.dirty_peers.add(wire.peer)
    world.step()
    return [
        frame
        for frame in read_frames(wire)
        if "id" in frame or "from" in frame or frame.get("event") == "note"
    ]


def test_slow_connections_get_the_current_state_in_their_dialect() -> None:
    world = World(unlimited())
    ana = v1(world, "ana", notes=True)
    new, old, plain = v1(world, "new", notes=True), v1(world, "old"), world.plain()
    for wire in (new, old, plain):
        read_frames(wire)
        behind(world, wire)
    say(world, ana, "first text")
    note(world, ana, "edit", message="second text")
    note(world, ana, "edit", message="third text")
    say(world, ana, "secret text")
    note(world, ana, "edit", "e1-4", message="secret again")
    note(world, ana, "delete", "e1-4")
    assert b"secret" not in memory_of(lobby(world))
    assert b"second text" not in memory_of(lobby(world))
    new_frames, old_frames, plain_frames = (catch_up(world, wire) for wire in (new, old, plain))
    assert [(f["type"], f["id"]) for f in new_frames] == [
        ("message", "e1-1"), ("note", "e1-2"), ("note", "e1-3"),
        ("message", "e1-4"), ("note", "e1-5"), ("note", "e1-6"),
    ]  # fmt: skip
    assert new_frames[0]["message"] == new_frames[2]["now"]["message"] == "third text"
    assert [(f["id"], f["message"]) for f in old_frames] == [
        ("e1-1", "third text"),
        ("e1-2", "ana edited a message."),
        ("e1-3", "ana edited a message: third text"),
        ("e1-4", "This message was deleted."),
        ("e1-5", "ana edited a message."),
        ("e1-6", "A message from ana was deleted."),
    ]
    assert [f["message"] for f in plain_frames] == [
        "third text",
        "ana edited a message: third text",
        "This message was deleted.",
        "A message from ana was deleted.",
    ]


def test_connections_of_a_dialect_share_their_bytes() -> None:
    world = World(unlimited())
    ana = v1(world, "ana", notes=True)
    wires = [world.plain() for _ in range(3)]
    say(world, ana, "one")
    note(world, ana, "pin")
    room = lobby(world)
    chunks = [room.chunk_in(wire.peer.dialect, 0)[0] for wire in wires if wire.peer is not None]
    assert len({id(chunk) for chunk in chunks}) == 1
    assert room.chunk_in(ana.peer.dialect, 0) == room.chunk(0) if ana.peer is not None else False


def test_only_other_dialects_leave_the_fast_path_when_a_note_is_appended() -> None:
    world = World(unlimited())
    new, old, plain = v1(world, "new", notes=True), v1(world, "old"), world.plain()
    say(world, new, "one")
    subscriptions = [wire.peer.subscriptions["lobby"] for wire in (new, old, plain) if wire.peer is not None]
    for subscription in subscriptions:
        subscription.peer.enter_fast_path()
    assert [subscription.fast for subscription in subscriptions] == [True, True, True]
    _, entries = world.log.append([_edit(world)])
    world.hub.deliver(entries)
    assert [subscription.fast for subscription in subscriptions] == [True, False, False]


def _edit(world: World) -> NewNote:
    return NewNote("lobby", 1, NoteKind.EDIT, "new", world.when.at, "client id-new", text="two")


@pytest.mark.parametrize("deletes", [False, True])
def test_a_post_that_changes_during_a_backfill_is_current_after_it(deletes: bool) -> None:
    world = World(unlimited())
    ana = v1(world, "ana", notes=True)
    say(world, ana, "secret one")
    note(world, ana, "edit", message="secret two")
    say(world, ana, "three")
    evict(world)
    bob = Wire()
    bob.peer = world.hub.open(bob, v1=True, address="test", when=world.when)
    hello = b'{"type":"hello","name":"bob","notes":true,"rooms":[{"room":"lobby","last":10}]}'
    world.hub.receive(bob.peer, hello, world.when)
    (read,) = world.hub.effects.take_reads()
    assert isinstance(read, BackfillRead)
    stale = [EncodedEntry.of(entry) for entry in world.log.read(read)]
    note(world, ana, "delete" if deletes else "edit", message="current")
    world.hub.reads.backfilled(read, stale)
    world.step()
    assert b"secret" not in memory_of(lobby(world))
    frames = [f for f in read_frames(bob) if f["type"] in ("message", "note")]
    assert [f["id"] for f in frames] == ["e1-1", "e1-2", "e1-3", "e1-4"]
    assert frames[0]["message"] == ("" if deletes else "current")
    assert ("now" in frames[1]) is False


def test_a_backfill_has_the_text_of_a_post_once() -> None:
    world = World(unlimited())
    ana = v1(world, "ana", notes=True)
    say(world, ana, "one")
    for number in range(3):
        note(world, ana, "edit", message=f"edited {number}")
    evict(world)
    bob = v1(world, "bob", notes=True, rooms=[{"room": "lobby", "last": 10}])
    frames: list[dict[str, Any]] = [f for f in read_frames(bob) if f["type"] in ("message", "note")]
    assert [f.get("now", {}).get("message") for f in frames[1:]] == [None, None, "edited 2"]
    note(world, ana, "delete")
    assert b"edited" not in memory_of(lobby(world))


def test_an_idle_room_loses_a_deleted_text() -> None:
    world = World(unlimited(idle_room_s=60.0))
    ana = v1(world, "ana", notes=True, rooms=[{"room": "dev"}])
    say(world, ana, "secret", room="dev")
    send(world, ana, type="note", note="delete", re="e1-1", room="dev")
    say(world, ana, "secret again", room="dev")
    assert ana.peer is not None
    world.hub.receive(ana.peer, b'{"type":"note","note":"delete","re":"e1-3","room":"dev"}', world.when)
    world.hub.receive(ana.peer, b'{"type":"leave","room":"dev"}', world.when)
    world.pass_time(10.0)
    world.step()
    room = world.hub.rooms.find("dev")
    assert room is not None
    assert "dev" not in world.hub.rooms.by_name
    assert room.ring.last_seq == 4
    assert b"secret" not in memory_of(room)


def test_many_notes_are_bounded_with_the_ring() -> None:
    world = World(unlimited(ring_posts=10))
    ana, old = v1(world, "ana", notes=True), v1(world, "old")
    say(world, ana, "one")
    for number in range(200):
        note(world, ana, "pin", on=number % 2 == 0)
        note(world, ana, "edit", message=f"text {number}")
    notes = lobby(world)._notes
    assert len(notes._marks) <= 21
    assert len(notes._texts) <= 1
    assert len(only(old, "message")) == 401
    buffers = world.hub.rooms.buffers
    assert 0 <= buffers.used_bytes - measured_bytes([lobby(world)]) <= 60 * 20


def test_a_ring_restarted_after_a_hole_has_no_notes() -> None:
    world = World(Limits(message_rate=0, message_burst=0))
    ana = v1(world, "ana", notes=True)
    say(world, ana, "one")
    note(world, ana, "edit", message="two")
    world.log.append([_edit(world)])
    world.log.append([_edit(world)])
    _, entries = world.log.append([_text(world, "three"), _text(world, "four")])
    world.hub.deliver(entries[1:])
    assert lobby(world)._notes._marks == {}
    assert len(lobby(world).ring) == 1


def _text(world: World, text: str) -> NewPost:
    return NewPost("lobby", "ana", text, world.when.at)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.just(0)),
        st.tuples(st.sampled_from(("edit", "delete", "pin", "unpin", "react")), st.integers(1, 6)),
        st.tuples(st.sampled_from(("block", "resume")), st.integers(0, 2)),
        st.tuples(st.sampled_from(("evict", "tick", "read")), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_any_order_of_notes_and_delays_converges(steps: list[tuple[str, int]]) -> None:
    """Connections that lag, rings that are evicted and read again: all end with the posts of the log."""
    world = World(unlimited(ring_posts=15))
    ana = v1(world, "ana", notes=True, rooms=[{"room": "lobby"}, {"room": "elsewhere"}])
    readers = [v1(world, "new", notes=True), v1(world, "old"), world.plain()]
    seen: list[list[dict[str, Any]]] = [[], [], []]
    for number, (step, argument) in enumerate(steps):
        target = f"e1-{argument}"
        match step:
            case "say":
                say(world, ana, f"text {number}.")
            case "edit" | "delete":
                note(world, ana, step, target, message=f"text {number}.")
            case "pin" | "unpin":
                note(world, ana, "pin", target, on=step == "pin")
            case "react":
                note(world, ana, "react", target, key="👍", on=number % 2 == 0)
            case "block":
                behind(world, readers[argument])
            case "resume":
                seen[argument] += catch_up(world, readers[argument])
            case "evict":
                evict(world)
            case "tick":
                world.pass_time(1.0)
                world.step()
            case _:
                send(world, ana, type="history", ref="h", latest=True)
        read_frames(ana)
    world.pass_time(5.0)
    world.step()
    for frames, wire in zip(seen, readers, strict=True):
        frames += catch_up(world, wire)
    room, log = lobby(world), world.log.posts.get("lobby", [])
    current = {post.text for post in log}
    for number in range(len(steps)):
        if f"text {number}." not in current:
            assert f"text {number}.".encode() not in memory_of(room)
    assert _folded(seen[0]) == {
        post.position.seq: (post.text, post.state.deleted is not None, post.state.pinned is not None)
        for post in log
        if post.position.seq in _folded(seen[0])
    }
    for frames in seen[:2]:
        seqs = [seq for frame in frames for seq in _seqs(frame)]
        assert seqs == list(range(1, world.log.last_seq("lobby") + 1))
    assert all(frame["type"] in ("message", "gap") for frame in seen[1] if frame["type"] != "synced")
    assert all(frame["type"] in ("message", "system") for frame in seen[2])


def _seqs(frame: dict[str, Any]) -> range:
    """The seqs that a frame accounts for."""
    if frame["type"] == "gap":
        return range(int(frame["from"].split("-")[1]), int(frame["to"].split("-")[1]) + 1)
    if frame["type"] not in ("message", "note"):
        return range(0)
    seq = int(frame["id"].split("-")[1])
    return range(seq, seq + 1)


def _folded(frames: list[dict[str, Any]]) -> dict[int, tuple[str, bool, bool]]:
    """The posts that a client has after these frames, as the session of a client folds them."""
    posts: dict[int, Post] = {}
    when = Instant(0.0, datetime(2026, 1, 1, tzinfo=UTC))
    for frame in frames:
        event = decode_event(msgspec.json.encode(frame))
        if isinstance(event, Message):
            post = post_of(event, when)
            posts[post.position.seq] = post
        elif isinstance(event, NoteEvent):
            change = note_of(event, when)
            if change.re in posts:
                posts[change.re] = apply_note(posts[change.re], change)
    return {
        seq: (post.text, post.state.deleted is not None, post.state.pinned is not None)
        for seq, post in posts.items()
    }
