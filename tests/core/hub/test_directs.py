"""Direct messages: who gets them, and that nobody else can find them."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.hub.directs import NOTIFIED_MAX, SWEEP_EVERY_S, UNUSED_S
from broadcast_tui.core.hub.work_budget import EVENT_S
from broadcast_tui.core.limits import Limits
from tests.core.hub.test_authorization import StubAuthenticator
from tests.core.hub.test_hub import only, send, v1
from tests.support.hub_pair import Wire, World, read_frames

ANA, BOB, MIA = Identity("t-ana", "ana"), Identity("t-bob", "Bob"), Identity("t-mia", "mia", Role.ADMIN)
STORED = "@ana+Bob"

Frames = list[dict[str, object]]


def world_with_tokens(*, needs_token: bool = True) -> World:
    return World(authenticator=StubAuthenticator(ANA, BOB, MIA, needs_token=needs_token))


def person(world: World, name: str, **hello: object) -> Wire:
    """A connection with the token or, on an open server, the client id of a person."""
    hello.setdefault("client_id", f"id-{name}")
    if world.authenticator is not None:
        hello.setdefault("token", f"t-{name}")
    return v1(world, name, **hello)


def open_direct(world: World, wire: Wire, name: str) -> dict[str, object]:
    """Open the direct messages with a person; returns the reply."""
    read_frames(wire)
    send(world, wire, type="direct", name=name, ref="d")
    [answer] = [frame for frame in read_frames(wire) if frame.get("ref") == "d"]
    return answer


def enter(world: World, wire: Wire, name: str) -> str:
    """Open the direct messages with a person and join them; returns the room."""
    room = str(open_direct(world, wire, name)["room"])
    send(world, wire, type="join", room=room, ref="j")
    assert only(wire, "joined")[0]["room"] == room
    return room


def write(world: World, wire: Wire, room: str, text: str) -> None:
    send(world, wire, type="message", room=room, message=text, nonce=text)


def texts(frames: Frames) -> list[object]:
    return [frame["message"] for frame in frames if frame["type"] == "message"]


def welcome_of(wire: Wire) -> dict[str, object]:
    [welcome] = only(wire, "welcome")
    return welcome


def test_both_read_and_write() -> None:
    world = World()
    ana, bob = person(world, "ana"), person(world, "bob")
    room = enter(world, ana, "bob")
    read_frames(bob)
    write(world, ana, room, "hello")
    [opened] = only(bob, "direct")
    assert opened == {
        "type": "direct", "room": room, "with": "ana", "head": f"{world.log.epoch}-1", "durable": False
    }  # fmt: skip
    send(world, bob, type="join", room=room, last=10)
    assert texts(read_frames(bob)) == ["hello"]
    write(world, bob, room, "hi")
    assert texts(read_frames(ana)) == ["hello", "hi"]


def test_a_room_of_an_open_server_has_a_random_name() -> None:
    world = World()
    ana, _ = person(world, "ana"), person(world, "bob")
    assert open_direct(world, ana, "BOB")["room"] == "@ana+bob~random1"
    assert open_direct(world, ana, "bob")["room"] == "@ana+bob~random1"


def test_a_room_of_token_holders_has_their_names_and_the_other_may_be_away() -> None:
    world = world_with_tokens()
    ana = person(world, "ana")
    answer = open_direct(world, ana, "bob")
    assert (answer["room"], answer["with"]) == (STORED, "Bob")
    bob = person(world, "bob")
    assert open_direct(world, bob, "ana")["room"] == STORED


def test_a_person_without_a_token_gets_a_room_that_ends_with_the_process() -> None:
    world = world_with_tokens(needs_token=False)
    guest = person(world, "zoe", token="")
    assert open_direct(world, guest, "bob")["room"] == "@Bob+zoe~random1"


@pytest.mark.parametrize(
    ("name", "code"), [("carl", "unknown_person"), ("", "unknown_person"), ("Ana", "bad_name")]
)
def test_there_are_no_direct_messages_with_nobody_or_oneself(name: str, code: str) -> None:
    world = World()
    ana = person(world, "ana")
    answer = open_direct(world, ana, name)
    assert (answer["type"], answer["code"]) == ("error", code)


def test_a_guest_has_to_choose_a_name_first() -> None:
    world = World()
    guest, _ = v1(world, ""), person(world, "bob")
    assert open_direct(world, guest, "bob")["code"] == "bad_name"


def test_muted_people_and_readers_cannot_open_them() -> None:
    world = world_with_tokens()
    ana, mia, _ = person(world, "ana"), person(world, "mia"), person(world, "bob")
    send(world, mia, type="mute", name="ana")
    assert open_direct(world, ana, "bob")["code"] == "muted"
    send(world, mia, type="unmute", name="ana")
    assert ana.peer is not None
    ana.peer.role = Role.READER
    assert open_direct(world, ana, "bob")["code"] == "forbidden"


@pytest.mark.parametrize("has_tokens", [False, True])
def test_nobody_else_gets_in_or_learns_anything(has_tokens: bool) -> None:
    world = world_with_tokens() if has_tokens else World()
    ana, bob, mia = person(world, "ana"), person(world, "bob"), person(world, "mia")
    assert mia.peer is not None
    mia.peer.role = Role.ADMIN
    room = enter(world, ana, "bob")
    write(world, ana, room, "secret")
    send(world, bob, type="join", room=room, last=5)
    send(world, ana, type="topic", room=room, topic="plans")
    send(world, ana, type="typing", room=room)
    absent = room + "x"
    answers: dict[str, Frames] = {}
    for name in (room, absent):
        read_frames(mia)
        for frame in (
            {"type": "join", "ref": "1"},
            {"type": "history", "ref": "2"},
            {"type": "search", "query": "secret", "ref": "3"},
            {"type": "presence", "ref": "4"},
            {"type": "topic", "topic": "mine", "ref": "5"},
            {"type": "typing"},
            {"type": "message", "message": "let me in", "nonce": "6"},
            {"type": "note", "note": "delete", "re": f"{world.log.epoch}-1", "nonce": "7"},
            {"type": "leave", "ref": "8"},
        ):
            send(world, mia, **frame, room=name)
        send(world, mia, type="list", ref="9")
        send(world, mia, type="list", ref="10", after="+")
        answers[name] = read_frames(mia)
        late = person(world, "mia", rooms=[{"room": name}, {"room": "lobby"}])
        answers[name] += [
            frame for frame in read_frames(late) if frame["type"] in ("error", "left") or "rooms" in frame
        ]
    one, other = (msgspec.json.encode(answers[name]).decode() for name in (room, absent))
    assert "secret" not in one
    assert "plans" not in one
    assert one.replace(room, absent).replace(absent, room) == other.replace(absent, room)
    assert answers[room][0]["code"] == "forbidden"
    assert all("@" not in msgspec.json.encode(frame).decode() for frame in only_lists(answers[room]))
    read_frames(bob)
    send(world, bob, type="history", room=room, ref="h")
    assert len(cast("Frames", only(bob, "history")[0]["items"])) == 1


def only_lists(frames: Frames) -> Frames:
    return [frame for frame in frames if frame["type"] == "list"]


def test_pages_of_the_room_list_skip_them() -> None:
    world = World()
    ana, _ = person(world, "ana"), person(world, "bob")
    enter(world, ana, "bob")
    for name in ("1st", "9th", "dev"):
        send(world, ana, type="join", room=name)
    listed: list[object] = []
    after = ""
    for _ in range(4):
        read_frames(ana)
        send(world, ana, type="list", ref="l", limit=1, after=after)
        [page] = only(ana, "list")
        rooms = cast("Frames", page["rooms"])
        listed += [room["room"] for room in rooms]
        after = str(listed[-1])
        assert page["truncated"] == (len(listed) < 4)
    assert listed == ["1st", "9th", "dev", "lobby"]


def test_rooms_of_token_holders_are_found_again_after_a_restart() -> None:
    world = world_with_tokens()
    ana = person(world, "ana")
    write(world, ana, enter(world, ana, "bob"), "for later")
    world.restart(keep_log=True)
    bob = person(world, "bob")
    assert welcome_of(bob)["directs"] == [
        {"room": STORED, "with": "ana", "head": f"{world.log.epoch}-1", "durable": False}
    ]
    send(world, bob, type="join", room=STORED, last=5)
    assert texts(read_frames(bob)) == ["for later"]
    assert open_direct(world, bob, "ANA")["room"] == STORED


def test_an_unused_room_of_token_holders_can_be_entered_after_a_restart() -> None:
    world = world_with_tokens()
    enter(world, person(world, "ana"), "bob")
    world.restart(keep_log=True)
    mia = person(world, "mia", rooms=[{"room": STORED}])
    assert only(mia, "error")[0]["code"] == "forbidden"
    ana = person(world, "ana", rooms=[{"room": STORED}])
    assert cast("Frames", welcome_of(ana)["rooms"])[0]["room"] == STORED


@pytest.mark.parametrize(
    "name", ["@Bob+ana", "@ana", "@ana+Bob+mia", "@ana+carl", "@ana+ana", "@", "@ana+ Bob"]
)
def test_other_names_are_not_rooms_of_token_holders(name: str) -> None:
    world = world_with_tokens()
    ana = person(world, "ana")
    read_frames(ana)
    send(world, ana, type="join", room=name, ref="j")
    assert only(ana, "error")[0]["code"] == "forbidden"


def test_welcome_lists_the_rooms_with_posts_only() -> None:
    world = World()
    ana, bob, _ = person(world, "ana"), person(world, "bob"), person(world, "zoe")
    for name in ("zoe", "bob"):
        write(world, ana, enter(world, ana, name), "hi")
    enter(world, bob, "zoe")
    again = person(world, "ana")
    listed = cast("Frames", welcome_of(again)["directs"])
    assert [info["with"] for info in listed] == ["bob", "zoe"]
    assert "directs" not in welcome_of(person(world, "mia"))


def test_the_room_stays_with_the_client_and_not_with_the_name() -> None:
    world = World()
    ana, bob = person(world, "ana"), person(world, "bob")
    room = enter(world, ana, "bob")
    write(world, ana, room, "hi")
    send(world, bob, type="rename", name="robert", ref="r")
    thief = person(world, "bob", client_id="id-thief")
    assert "directs" not in welcome_of(thief)
    read_frames(thief)
    send(world, thief, type="join", room=room, ref="j")
    assert only(thief, "error")[0]["code"] == "forbidden"
    assert open_direct(world, ana, "robert")["room"] == room
    assert open_direct(world, ana, "bob")["room"] != room
    assert cast("Frames", welcome_of(person(world, "ana"))["directs"])[0]["with"] == "robert"


def test_writing_to_oneself_under_another_name_says_whose_name_it_is() -> None:
    world = World()
    ana = person(world, "ana", client_id="id-one")
    person(world, "bob", client_id="id-one")
    assert open_direct(world, ana, "Ana")["message"] == "You cannot send direct messages to yourself."
    assert open_direct(world, ana, "bob")["message"] == (
        "You cannot send direct messages to yourself."
        " bob is another chat of the same user on the same machine."
    )


def test_a_plain_client_reads_along_and_the_author_knows_that_it_cannot_reply() -> None:
    world = World()
    ana, plain, other = person(world, "ana"), world.plain(), world.plain()
    send(world, plain, type="message", sender="bob", message="here")
    answer = open_direct(world, ana, "bob")
    assert answer["note"] == "bob's client shows your messages, but cannot reply to them."
    room = str(answer["room"])
    send(world, ana, type="join", room=room)
    read_frames(plain), read_frames(other)
    write(world, ana, room, "psst")
    [line] = read_frames(plain)
    assert (line["type"], line["event"], line["message"]) == ("system", "direct", "ana, to you alone: psst")
    assert read_frames(other) == []
    assert plain.peer is not None
    world.hub.close(plain.peer, world.when)
    read_frames(ana)
    write(world, ana, room, "still there?")
    assert only(ana, "error")[0]["code"] == "unknown_person"


def test_a_closed_room_is_reported_with_each_post_and_to_each_connection() -> None:
    world = World()
    ana, bob, tablet = person(world, "ana"), person(world, "bob"), person(world, "bob")
    phone = person(world, "ana")
    room = enter(world, ana, "bob")
    write(world, ana, room, "one")
    send(world, bob, type="join", room=room)
    send(world, bob, type="leave", room=room, ref="l")
    for wire in (bob, tablet, phone, ana):
        read_frames(wire)
    write(world, ana, room, "two")
    assert [len(only(wire, "direct")) for wire in (bob, tablet, phone, ana)] == [1, 1, 1, 0]


def test_a_crowd_of_connections_is_bounded_and_paid_for() -> None:
    world = World(Limits(message_rate=0, message_burst=0, work_burst_s=1e6, work_rate=1e-9))
    ana, crowd = person(world, "ana"), [person(world, "bob") for _ in range(NOTIFIED_MAX + 8)]
    room = enter(world, ana, "bob")
    for wire in crowd:
        read_frames(wire)
    assert ana.peer is not None
    ana.peer.budget = world.hub.budgets.of("192.0.2.1")
    write(world, ana, room, "hi")
    assert sum(len(only(wire, "direct")) for wire in crowd) == NOTIFIED_MAX
    assert ana.peer.budget.priced_s > NOTIFIED_MAX * EVENT_S


def test_direct_messages_do_not_keep_a_person_out_of_other_rooms() -> None:
    world = World(Limits(message_rate=0, message_burst=0, max_rooms_per_peer=2))
    ana = person(world, "ana")
    for name in ("bob", "zoe"):
        person(world, name)
        enter(world, ana, name)
    person(world, "mia")
    room = str(open_direct(world, ana, "mia")["room"])
    send(world, ana, type="join", room=room, ref="j")
    assert only(ana, "error")[0]["code"] == "too_many_rooms"
    send(world, ana, type="join", room="dev", ref="j")
    assert only(ana, "joined")
    rooms = [{"room": name} for name in ("lobby", "dev", "@ana+bob~random1", "@ana+zoe~random2")]
    again = person(world, "ana", rooms=rooms)
    assert len(cast("Frames", welcome_of(again)["rooms"])) == 4


def test_the_number_of_rooms_is_limited_and_unused_ones_are_forgotten() -> None:
    world = World(Limits(message_rate=0, message_burst=0, max_rooms_total=2))
    ana = person(world, "ana")
    for name in ("bob", "zoe", "mia"):
        person(world, name)
    rooms = [open_direct(world, ana, name).get("room") for name in ("bob", "zoe")]
    assert open_direct(world, ana, "mia")["code"] == "too_many_rooms"
    world.pass_time(SWEEP_EVERY_S)
    world.pass_time(UNUSED_S)
    world.pass_time(SWEEP_EVERY_S)
    assert len(world.hub.directs) == 0
    assert world.hub.directs._people == {}
    read_frames(ana)
    send(world, ana, type="join", room=str(rooms[0]), ref="j")
    assert only(ana, "error")[0]["code"] == "forbidden"


def test_used_rooms_are_not_forgotten() -> None:
    world = World()
    ana, bob = person(world, "ana"), person(world, "bob")
    room = enter(world, ana, "bob")
    write(world, ana, room, "hi")
    send(world, ana, type="leave", room=room)
    for _ in range(4):
        world.pass_time(UNUSED_S)
    assert open_direct(world, bob, "ana")["room"] == room


def test_the_creation_of_rooms_is_limited_per_address() -> None:
    world = World(Limits(message_rate=0, message_burst=0, room_rate=2))
    ana = person(world, "ana")
    assert ana.peer is not None
    ana.peer.rate_limit_key = "192.0.2.1"
    codes = []
    for name in ("bob", "zoe", "mia"):
        person(world, name)
        codes.append(open_direct(world, ana, name).get("code"))
    assert codes == [None, None, "rate_limited"]


def test_a_kicked_person_leaves_and_comes_back() -> None:
    world = world_with_tokens()
    ana, bob, mia = person(world, "ana"), person(world, "bob"), person(world, "mia")
    room = enter(world, ana, "bob")
    write(world, ana, room, "hi")
    send(world, bob, type="join", room=room)
    read_frames(mia)
    send(world, mia, type="kick", name="Bob", ref="k")
    assert room not in msgspec.json.encode(read_frames(mia)).decode()
    assert bob.peer is not None
    world.hub.close(bob.peer, world.when)
    assert cast("Frames", welcome_of(person(world, "bob"))["directs"])[0]["room"] == room


def test_an_admin_cannot_delete_what_the_other_person_wrote() -> None:
    world = world_with_tokens()
    mia, bob = person(world, "mia"), person(world, "bob")
    room = enter(world, bob, "mia")
    write(world, bob, room, "mine")
    send(world, mia, type="join", room=room, last=1)
    read_frames(mia)
    send(world, mia, type="note", note="delete", room=room, re=f"{world.log.epoch}-1", nonce="n")
    assert only(mia, "error")[0]["code"] == "forbidden"
