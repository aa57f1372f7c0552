"""When a room's new posts are written to its connections."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.room import Room, Subscription
from broadcast_tui.server.post_writer import PostWriter
from broadcast_tui.server.room_passes import (
    SLICE_PEERS,
    SLICE_S,
    STORING_WAIT_MAX_S,
    WAIT_MAX_S,
    RoomPasses,
)

DELIVERY_S = SLICE_S / 1_000


@dataclass(eq=False)
class FakeRoom:
    """A room of `size` connections."""

    size: int
    last_seq: int = 0

    @property
    def ring(self) -> SimpleNamespace:
        return SimpleNamespace(last_seq=self.last_seq)

    @property
    def undeferred(self) -> list[tuple[FakeRoom, int]]:
        return [(self, number) for number in range(self.size)]


@dataclass
class World:
    """Passes with a clock that only writing moves, and what they have written."""

    now: float = 0.0
    is_storing: bool = False
    effects: Effects = field(default_factory=Effects)
    written: list[tuple[FakeRoom, int]] = field(default_factory=list)
    begun: list[FakeRoom] = field(default_factory=list)

    def __post_init__(self) -> None:
        begun = cast("list[Room]", self.begun)
        writer = cast(PostWriter, self)
        self.passes = RoomPasses(
            self.effects, writer, begun.append, lambda: self.is_storing, lambda: self.now
        )

    def write(self, subscriptions: list[Subscription]) -> None:
        self.written += cast("list[Any]", subscriptions)
        self.now += DELIVERY_S * len(subscriptions)

    def post(self, room: FakeRoom, count: int = 1) -> None:
        room.last_seq += count
        self.effects.dirty_rooms.add(cast(Room, room))

    def write_posts(self, room: FakeRoom, count: int) -> None:
        """Let the latest pass be one of `count` posts, after another of the same room."""
        for posts in (1, count):
            self.post(room, posts)
            self.finish()
        self.begun.clear()

    def finish(self) -> None:
        """Write until the pass in progress ends."""
        self.passes.write()
        while self.passes.in_progress:
            self.passes.write()


def test_a_pass_writes_to_all_connections_in_slices() -> None:
    world, room = World(), FakeRoom(3_000)
    world.post(room)
    assert not world.passes.write()
    assert 1_000 < len(world.written) < 1_000 + 2 * SLICE_PEERS
    world.finish()
    assert sorted(number for _, number in world.written) == list(range(3_000))
    assert world.begun == [room]
    assert world.passes.write()
    assert not world.effects.dirty_rooms


def test_a_pass_waits_for_as_many_posts_as_the_last_one_had() -> None:
    world, room = World(), FakeRoom(500)
    world.write_posts(room, 3)
    world.post(room, 2)
    assert world.passes.write()
    assert not world.passes.in_progress
    assert world.effects.needs_flush
    world.post(room)
    world.finish()
    assert world.begun == [room]


@pytest.mark.parametrize(
    ("connections", "is_storing", "wait_s"),
    [
        (100, False, 100 * DELIVERY_S),
        (5_000, False, WAIT_MAX_S),
        (100, True, STORING_WAIT_MAX_S),
    ],
)
def test_the_wait_is_as_long_as_the_last_pass_within_a_limit_or_longer_while_posts_are_stored(
    connections: int, is_storing: bool, wait_s: float
) -> None:
    world, room = World(is_storing=is_storing), FakeRoom(connections)
    world.write_posts(room, 3)
    world.post(room)
    world.now += 0.9 * wait_s
    world.passes.write()
    assert world.begun == []
    world.now += 0.2 * wait_s
    world.finish()
    assert world.begun == [room]
    world.post(room)  # as many as in the pass before
    world.finish()
    assert world.begun == [room, room]


def test_other_rooms_do_not_wait() -> None:
    world, busy, other = World(), FakeRoom(500), FakeRoom(10)
    world.write_posts(busy, 5)
    world.post(busy)
    world.post(other)
    world.finish()
    assert world.begun == [other, busy]


def test_rooms_without_connections_are_done_at_once() -> None:
    world, room = World(), FakeRoom(0)
    world.post(room)
    assert world.passes.write()
    assert world.written == []
    assert not world.effects.dirty_rooms
