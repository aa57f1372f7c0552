"""Connections with `"presence":false`: they read and post, and nobody sees them come, go or be there."""

from __future__ import annotations

import pytest

from broadcast_tui.core.errors import CloseCode, ErrorCode
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.session import ClientSession
from tests.core.hub.test_hub import only, say, send, v1
from tests.support.hub_pair import User, Wire, World, read_frames
from tests.support.roles import give_role


def program(world: World, name: str = "", **hello: object) -> Wire:
    """A connection that is not counted, with nothing left to read but its welcome."""
    return v1(world, name, presence=False, **hello)


def members(world: World, wire: Wire, room: str = "lobby") -> tuple[object, dict[str, int]]:
    """The number of people in a room, and the names listed with their numbers of connections."""
    read_frames(wire)
    send(world, wire, type="presence", room=room, ref="p")
    (answer,) = only(wire, "presence")
    listed = answer["members"]
    assert isinstance(listed, list)
    return answer["online"], {member["name"]: member["connections"] for member in listed}


def close(world: World, wire: Wire) -> None:
    assert wire.peer is not None
    world.hub.close(wire.peer, world.when)
    world.pass_time(30.0)
    world.step()


@pytest.mark.parametrize("name", ["", "build"])
def test_nobody_sees_a_program_come_and_go(name: str) -> None:
    world = World()
    plain, ana = world.plain(), v1(world, "ana")
    world.pass_time(1.0)
    read_frames(plain), read_frames(ana)
    build = program(world, name)
    (welcome,) = only(build, "welcome")
    assert welcome["rooms"][0]["online"] == 2  # type: ignore[index]
    send(world, build, type="join", room="dev", ref="j")
    assert only(build, "joined")[0]["online"] == 0
    assert members(world, ana) == (2, {"ana": 1})
    send(world, build, type="leave", room="dev", ref="l", reason="done")
    close(world, build)
    assert members(world, ana) == (2, {"ana": 1})
    assert read_frames(plain) == []
    assert read_frames(ana) == []


def test_a_lost_program_has_no_grace_period_in_the_room() -> None:
    world = World()
    ana, build = v1(world, "ana"), program(world, "build")
    read_frames(ana)
    assert build.peer is not None
    world.hub.close(build.peer, world.when)
    assert members(world, ana) == (1, {"ana": 1})
    world.pass_time(30.0)
    assert read_frames(ana) == []


def test_a_program_posts_and_reads() -> None:
    world = World()
    ana, build = v1(world, "ana"), program(world, "build")
    read_frames(ana), read_frames(build)
    say(world, build, "green", nonce="n1")
    assert [(frame["sender"], frame["message"]) for frame in only(ana, "message")] == [("build", "green")]
    assert {frame["type"] for frame in read_frames(build)} == {"ack", "message"}
    say(world, ana, "thanks", nonce="n2")
    assert [frame["message"] for frame in only(build, "message")] == ["thanks"]


def test_a_program_sees_who_comes_and_goes() -> None:
    world = World()
    build = program(world, "ana")
    read_frames(build)
    ana = v1(world, "ana")
    assert [(frame["event"], frame["online"]) for frame in only(build, "system")] == [("join", 1)]
    close(world, ana)
    assert [(frame["event"], frame["online"]) for frame in only(build, "system")] == [("leave", 0)]


def test_the_renames_of_a_program_are_not_announced() -> None:
    world = World()
    plain, ana = world.plain(), v1(world, "ana")
    world.pass_time(1.0)
    build = program(world)
    read_frames(plain), read_frames(ana)
    for name in ("build", "build-2", "BUILD-2"):
        send(world, build, type="rename", name=name, ref="r")
    assert [frame["name"] for frame in only(build, "renamed")] == ["build", "build-2", "BUILD-2"]
    world.pass_time(30.0)
    assert read_frames(plain) == read_frames(ana) == []
    assert members(world, ana) == (2, {"ana": 1})
    say(world, build, "green", nonce="n1")
    assert [frame["sender"] for frame in only(ana, "message")] == ["BUILD-2"]


def test_a_program_claims_its_name() -> None:
    world = World()
    build = program(world, "build")
    taken = v1(world, "build", client_id="another")
    assert [frame["code"] for frame in only(taken, "error")] == [ErrorCode.NAME_TAKEN]
    close(world, build)
    assert only(v1(world, "build", client_id="another"), "welcome")


def test_a_program_has_no_away_status_and_is_never_typing() -> None:
    world = World()
    ana, build = v1(world, "ana"), program(world, "build")
    read_frames(ana), read_frames(build)
    send(world, build, type="away", text="lunch", ref="a1")
    send(world, build, type="typing")
    assert [(frame["code"], frame["ref"]) for frame in only(build, "error")] == [(ErrorCode.FORBIDDEN, "a1")]
    assert read_frames(ana) == []


def test_a_person_and_their_program_count_once() -> None:
    world = World()
    bob, ana = v1(world, "bob"), v1(world, "ana")
    read_frames(bob)
    build = program(world, "ana")
    assert members(world, bob) == (2, {"ana": 1, "bob": 1})
    close(world, build)
    assert members(world, bob) == (2, {"ana": 1, "bob": 1})
    build = program(world, "ana")
    close(world, ana)
    assert [(frame["event"], frame["name"]) for frame in only(bob, "system")] == [("leave", "ana")]
    assert members(world, bob) == (1, {"bob": 1})
    v1(world, "ana")
    assert [(frame["event"], frame["name"]) for frame in only(bob, "system")] == [("join", "ana")]
    close(world, build)
    assert members(world, bob) == (2, {"ana": 1, "bob": 1})


def test_a_person_renames_themselves_while_their_program_keeps_the_name() -> None:
    world = World()
    bob, ana = v1(world, "bob"), v1(world, "ana")
    build = program(world, "ana")
    send(world, ana, type="away", text="lunch", ref="a")
    read_frames(bob)
    send(world, ana, type="rename", name="anna", ref="r")
    assert [frame["event"] for frame in only(bob, "system")] == ["rename"]
    assert members(world, bob) == (2, {"anna": 1, "bob": 1})
    send(world, build, type="rename", name="deploy", ref="r")
    assert members(world, bob) == (2, {"anna": 1, "bob": 1})
    send(world, bob, type="presence", ref="p")
    (answer,) = only(bob, "presence")
    away = {member["name"]: member.get("away") for member in answer["members"]}  # type: ignore[attr-defined]
    assert away == {"anna": "lunch", "bob": None}


def test_the_away_status_ends_with_the_person_not_with_their_program() -> None:
    world = World()
    bob, ana = v1(world, "bob"), v1(world, "ana")
    program(world, "ana")
    send(world, ana, type="away", text="lunch", ref="a")
    close(world, ana)
    read_frames(bob)
    v1(world, "ana")
    assert only(bob, "away") == []
    send(world, bob, type="presence", ref="p")
    (answer,) = only(bob, "presence")
    assert all("away" not in member for member in answer["members"])  # type: ignore[attr-defined]


def test_a_person_stays_away_when_their_program_comes_and_goes() -> None:
    world = World()
    bob, ana = v1(world, "bob"), v1(world, "ana")
    send(world, ana, type="away", text="lunch", ref="a")
    read_frames(bob)
    close(world, program(world, "ana"))
    assert read_frames(bob) == []
    send(world, bob, type="presence", ref="p")
    (answer,) = only(bob, "presence")
    assert [member.get("away") for member in answer["members"]] == ["lunch", None]  # type: ignore[attr-defined]


def admin(world: World) -> Wire:
    wire = v1(world, "zoe")
    assert wire.peer is not None
    give_role(wire.peer, "admin")
    read_frames(wire)
    return wire


@pytest.mark.parametrize(
    "action",
    [
        {"type": "kick", "name": "build"},
        {"type": "ban", "who": "build"},
        {"type": "ban", "who": "10.0.0.7"},
        {"type": "kick", "name": "guest-2"},
    ],
)
def test_moderation_reaches_programs(action: dict[str, object]) -> None:
    world = World()
    zoe, build = admin(world), Wire()
    build.peer = world.hub.open(build, v1=True, address="10.0.0.7:1", when=world.when)
    name = "" if "guest-2" in action.values() else "build"
    send(world, build, type="hello", name=name, client_id="b", presence=False)
    send(world, zoe, **action, ref="m")
    assert [frame["connections"] for frame in only(zoe, "moderated")] == [1]
    assert build.peer.closing is not None
    assert build.peer.closing[0] is CloseCode.KICKED


def test_a_muted_program_cannot_post() -> None:
    world = World()
    zoe, build = admin(world), program(world, "build")
    send(world, zoe, type="mute", name="build", ref="m")
    read_frames(build)
    say(world, build, "green", nonce="n1")
    assert [frame["code"] for frame in only(build, "error")] == [ErrorCode.MUTED]


def test_a_room_with_programs_only_has_nobody_in_it() -> None:
    world = World()
    build = program(world, rooms=[{"room": "dev"}])
    read_frames(build)
    send(world, build, type="list", ref="l")
    (answer,) = only(build, "list")
    assert answer["rooms"] == [{"room": "dev", "online": 0, "topic": ""}]
    close(world, build)
    assert world.hub.rooms.by_name == {}


def test_a_session_without_presence_stays_uncounted_after_a_reconnect() -> None:
    world = World()
    ana = v1(world, "ana")
    user = User(world, "build", (("lobby", 0),))
    user.session = ClientSession(
        client_id="b", make_nonce=iter("123").__next__, name="build", rooms=[("lobby", 0)], presence=False
    )
    world.users.append(user)
    for _ in range(2):
        user.connect()
        world.step()
        assert members(world, ana) == (1, {"ana": 1})
        user.cut()
    assert [entered.online for entered in user.seen(up.RoomEntered)] == [1, 1]  # type: ignore[union-attr]
