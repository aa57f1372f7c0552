"""Events to everyone in a room, which may have very many people."""

from __future__ import annotations

import sys
from types import FrameType

from broadcast_tui.core.protocol.events import System
from tests.core.hub.test_hub import only, v1
from tests.support.hub_pair import World, read_frames

EVENT = System("notice", "news", "", "lobby")


def calls_of_a_broadcast(count: int) -> int:
    """The number of Python functions that an event to `count` connections calls."""
    world = World()
    wires = [v1(world, f"user{number}x") for number in range(count)]
    for wire in wires:
        read_frames(wire)
    calls = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(profile)
    try:
        world.hub.broadcaster.broadcast(world.hub.rooms.by_name["lobby"], EVENT, but=frozenset())
    finally:
        sys.setprofile(None)
    world.step()
    for wire in wires:
        assert [frame["message"] for frame in only(wire, "system")] == ["news"]
    return calls


def test_an_event_calls_no_function_for_each_person_in_a_room() -> None:
    assert calls_of_a_broadcast(30) == calls_of_a_broadcast(3)
