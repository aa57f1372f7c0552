"""How many rooms there can be, who may create them, and the pages of their list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broadcast_tui.core.hub import room_creators
from broadcast_tui.core.hub import rooms as rooms_module
from broadcast_tui.core.hub.room_creators import RoomCreators
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.session import updates as up
from tests.core.hub.test_hub import only, say, send, v1
from tests.support.hub_pair import Wire, World, read_frames
from tests.support.profile import by_profile


def unlimited(**limits: Any) -> Limits:
    """Limits that do not restrict how often a connection may ask."""
    return Limits(
        message_rate=0, message_burst=0, history_rate=0, max_rooms_per_peer=0, work_burst_s=0, **limits
    )


def from_address(world: World, address: str, name: str = "", **hello: object) -> Wire:
    """A connection to which the limits per address apply."""
    wire = Wire()
    wire.peer = world.hub.open(wire, v1=True, address=address, when=world.when, rate_limit_key=address)
    frame = {"type": "hello", "name": name, "client_id": f"id-{name}", **hello}
    world.hub.receive(wire.peer, json.dumps(frame).encode(), world.when)
    world.step()
    return wire


def join(world: World, wire: Wire, room: str) -> dict[str, object]:
    """The reply to a join."""
    read_frames(wire)
    send(world, wire, type="join", room=room, ref="j")
    (reply,) = [frame for frame in read_frames(wire) if frame.get("ref") == "j"]
    return reply


def listed(world: World, wire: Wire, **query: object) -> tuple[list[str], bool]:
    """The names in a page of the room list, and whether there are more."""
    read_frames(wire)
    send(world, wire, type="list", ref="l", **query)
    (reply,) = only(wire, "list")
    return [info["room"] for info in reply["rooms"]], bool(reply["truncated"])  # type: ignore[attr-defined]


# Limits


def test_the_number_of_rooms_is_limited_whatever_makes_them_exist() -> None:
    world = World(unlimited(max_rooms_total=4))
    world.log.append([NewPost("posts", "ana", "hi", world.when.at)])
    world.log.topics["topic"] = "Tea"
    ana = v1(world, "ana", rooms=[{"room": "people"}])
    assert join(world, ana, "posts")["type"] == "joined"
    assert join(world, ana, "fourth")["type"] == "joined"
    reply = join(world, ana, "fifth")
    assert (reply["code"], "temporary" in reply) == ("too_many_rooms", False)
    assert reply["message"] == (
        "#fifth does not exist, and the server has its maximum of 4 rooms. Join an existing one."
    )
    for existing in ("posts", "topic", "people", "fourth", "lobby"):
        assert join(world, ana, existing)["type"] == "joined"
    send(world, ana, type="leave", room="fourth", ref="l")
    world.pass_time(10.0)
    send(world, ana, type="leave", room="lobby", ref="l")
    world.pass_time(10.0)
    assert join(world, ana, "fifth")["type"] == "joined"


def test_zero_rooms_is_no_limit() -> None:
    world = World(unlimited(max_rooms_total=0, max_rooms_per_ip=0, room_rate=0))
    ana = from_address(world, "192.0.2.7", "ana")
    for number in range(500):
        assert join(world, ana, f"room{number}")["type"] == "joined"


def test_the_rooms_that_an_address_creates_are_limited_by_time() -> None:
    world = World(unlimited(room_rate=30))
    ana = from_address(world, "192.0.2.7", "ana")
    bob = from_address(world, "192.0.2.7", "bob")
    for number in range(30):
        assert join(world, (ana, bob)[number % 2], f"room{number}")["type"] == "joined"
    reply = join(world, ana, "one-more")
    assert (reply["code"], reply["temporary"], reply["retry_after"]) == ("rate_limited", True, 2.0)
    assert reply["message"] == "Too many new rooms from your address. Wait 2.0 s and try again."
    assert join(world, ana, "room1")["type"] == "joined", "it exists"
    cy = from_address(world, "192.0.2.8", "cy")
    assert join(world, cy, "one-more")["type"] == "joined", "another address"
    di = v1(world, "di")
    for number in range(100):
        assert join(world, di, f"local{number}")["type"] == "joined", "an exempt connection"
    world.pass_time(2.0)
    assert join(world, ana, "two-more")["type"] == "joined"
    world.hub.set_limits(unlimited(room_rate=1))
    assert join(world, ana, "three-more")["type"] == "joined", "a new rate"
    assert join(world, ana, "four-more")["retry_after"] == pytest.approx(60.0)


def test_one_address_cannot_fill_the_server_with_rooms() -> None:
    world = World(unlimited(max_rooms_total=20, max_rooms_per_ip=5, room_rate=0))
    ana = from_address(world, "192.0.2.7", "ana")
    bob = from_address(world, "192.0.2.7", "bob")
    for number in range(5):
        room = f"room{number}"
        assert join(world, (ana, bob)[number % 2], room)["type"] == "joined"
        say(world, ana, "hi", room=room)
    reply = join(world, bob, "sixth")
    assert (reply["code"], "temporary" in reply) == ("too_many_rooms", False)
    assert reply["message"] == (
        "#sixth does not exist, and your address has created 5 rooms, which is the maximum. "
        "Join an existing one."
    )
    assert join(world, bob, "room0")["type"] == "joined", "it exists"
    cy = from_address(world, "192.0.2.8", "cy")
    assert join(world, cy, "sixth")["type"] == "joined", "another address"
    di = v1(world, "di")
    for number in range(10):
        assert join(world, di, f"local{number}")["type"] == "joined", "an exempt connection"


def test_rooms_that_have_been_forgotten_no_longer_count_for_their_creator() -> None:
    world = World(unlimited(max_rooms_per_ip=2, room_rate=0))
    ana = from_address(world, "192.0.2.7", "ana")
    for number in range(20):
        assert join(world, ana, f"room{number}")["type"] == "joined"
        send(world, ana, type="leave", room=f"room{number}", ref="l")
    assert len(world.hub.rooms._creators) == 0
    world.log.topics["stored"] = ""
    for room in ("stored", "open"):
        assert join(world, ana, room)["type"] == "joined"
    world.log.topics["stored"] = "Tea"
    send(world, ana, type="leave", room="stored", ref="l")
    assert join(world, ana, "third")["code"] == "too_many_rooms"
    world.log.topics["stored"] = ""
    assert join(world, ana, "third")["type"] == "joined"


def test_the_creators_of_rooms_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_creators, "ROOMS_MAX", 10)
    creators = RoomCreators(lambda _: True)
    for number in range(100):
        creators.add(f"room{number}", f"192.0.2.{number % 25}")
    assert len(creators) == len(creators._rooms) == 10
    creators.add("room99", "192.0.2.1")
    assert creators.has_created("192.0.2.1", 1)
    assert not creators.has_created("192.0.2.24", 1), "it was created again by another address"


def test_a_hello_enters_the_rooms_that_it_may_and_leaves_the_others() -> None:
    world = World(unlimited(room_rate=1))
    wire = from_address(
        world, "192.0.2.7", "ana", rooms=[{"room": "lobby"}, {"room": "one"}, {"room": "Two"}]
    )
    frames = read_frames(wire)
    welcome = frames[0]
    assert welcome["type"] == "welcome"
    assert [state["room"] for state in welcome["rooms"]] == ["lobby", "one"]  # type: ignore[attr-defined]
    assert frames[1]["code"] == "rate_limited"
    assert {key: frames[2][key] for key in ("type", "room")} == {"type": "left", "room": "two"}


def test_a_client_leaves_a_room_that_its_hello_could_not_enter() -> None:
    world = World(unlimited(max_rooms_total=1))
    user = world.user("ana", ("lobby", 0), ("one", 0), ("two", 0))
    assert user.session.welcomed
    assert list(user.session.cursors) == ["lobby"]
    left = [update.room for update in user.updates if isinstance(update, up.RoomLeft)]
    assert left == ["one", "two"]
    user.say("hi")
    world.step()
    assert [post.text for post in user.posts()] == ["hi"]


# The list


def test_pages_of_the_list_add_up_to_all_rooms_in_order() -> None:
    world = World(unlimited(presence_list_max=5))
    stored = [f"posts{number}" for number in range(7)]
    world.log.append([NewPost(room, "ana", "hi", world.when.at) for room in stored])
    occupied = [f"people{number}" for number in range(6)]
    ana = v1(world, "ana", rooms=[{"room": room} for room in [*occupied, stored[3]]])
    for limit, size in ((0, 5), (3, 3), (500, 5), (-1, 5)):
        found: list[str] = []
        is_more = True
        while is_more:
            page, is_more = listed(world, ana, after=found[-1] if found else "", limit=limit)
            assert len(page) == size or not is_more
            found += page
        assert found == sorted([*occupied, *stored])
    assert listed(world, ana, after="zzz") == ([], False)


def test_rooms_that_were_made_and_left_are_not_listed_and_take_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms_module, "IDLE_ROOMS_MAX", 10)
    world = World(unlimited(leave_grace_s=0))
    ana = v1(world, "ana")
    assert ana.peer is not None
    for number in range(by_profile(5_000, 100_000)):
        room = f"room{number}"
        world.hub.receive(ana.peer, f'{{"type":"join","room":"{room}"}}'.encode(), world.when)
        world.hub.receive(ana.peer, f'{{"type":"leave","room":"{room}"}}'.encode(), world.when)
        if number % 100 == 0:
            world.pass_time(1.0)
            world.serve()
            ana.to_client.clear()
    world.pass_time(1.0)
    world.serve()
    rooms = world.hub.rooms
    assert (list(rooms.by_name), rooms._names, len(rooms._idle)) == (["lobby"], ["lobby"], 0)
    assert (world.hub.broadcaster.presence_rooms, world.hub.effects.dirty_rooms) == (set(), set())
    assert listed(world, ana) == (["lobby"], False)


def test_the_list_of_many_rooms_looks_at_one_page_only() -> None:
    world = World(unlimited(presence_list_max=10))
    ana = v1(world, "ana")

    class Names(list[str]):
        """Names that may be looked up and sliced, but not gone through."""

        def __iter__(self) -> Any:
            raise AssertionError("all names are visited")

    names = Names(f"room{number:06}" for number in range(100_000))
    world.log.room_names = lambda: names  # type: ignore[method-assign]
    assert listed(world, ana, after="room050000") == ([f"room{n:06}" for n in range(50_001, 50_011)], True)


def test_a_room_is_listed_while_people_are_in_it_also_if_it_has_no_posts() -> None:
    world = World(unlimited(leave_grace_s=0))
    ana, bob = v1(world, "ana"), v1(world, "bob", rooms=[{"room": "dev"}])
    assert listed(world, ana)[0] == ["dev", "lobby"]
    assert bob.peer is not None
    world.hub.close(bob.peer, world.when)
    world.pass_time(1.0)
    assert listed(world, ana)[0] == ["lobby"]
    cy = v1(world, "cy", rooms=[{"room": "dev"}])
    say(world, cy, "hi", room="dev")
    assert cy.peer is not None
    world.hub.close(cy.peer, world.when)
    world.pass_time(1.0)
    assert listed(world, ana)[0] == ["dev", "lobby"]
