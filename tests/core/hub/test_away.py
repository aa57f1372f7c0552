"""Away status: set once per person, broadcast to those who list them, cleared with the last connection."""

from __future__ import annotations

from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol import events
from broadcast_tui.core.protocol.commands import ListMembers, SetAway
from tests.core.hub.test_hub import only, send, v1
from tests.support.hub_pair import User, Wire, World, read_frames


def lobby(world: World, *names: str) -> list[Wire]:
    """Connections of people who are all there, with nothing left to read."""
    wires = [v1(world, name) for name in names]
    for wire in wires:
        read_frames(wire)
    return wires


def listed(world: World, wire: Wire) -> dict[str, object]:
    """Who is away, as the list of people says."""
    send(world, wire, type="presence", room="lobby", ref="p")
    (answer,) = only(wire, "presence")
    members = answer["members"]
    assert isinstance(members, list)
    return {member["name"]: member["away"] for member in members if "away" in member}


def say_away(user: User, away: bool, text: str = "") -> None:
    user.session.request(lambda ref: SetAway(away, text, ref))
    user.collect()
    user.world.step()


def test_going_away_is_broadcast_and_acknowledged() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    plain = world.plain()
    read_frames(plain)
    send(world, ana, type="away", text="  lunch\n at   one ", ref="a1")
    expected = {"type": "away", "name": "ana", "away": True, "text": "lunch at one"}
    assert only(ana, "away") == [{**expected, "ref": "a1"}]
    assert only(bob, "away") == [expected]
    assert read_frames(plain) == []
    assert listed(world, bob) == {"ana": "lunch at one"}
    send(world, ana, type="away", away=False, ref="a2")
    assert only(bob, "away") == [{"type": "away", "name": "ana", "away": False}]
    assert listed(world, bob) == {}


def test_away_message_is_optional() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    send(world, ana, type="away", ref="a1")
    assert only(bob, "away") == [{"type": "away", "name": "ana", "away": True}]
    assert listed(world, bob) == {"ana": ""}


def test_repeated_away_is_acknowledged_but_not_broadcast() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    for ref in ("a1", "a2"):
        send(world, ana, type="away", text="lunch", ref=ref)
    assert [frame["ref"] for frame in only(ana, "away")] == ["a1", "a2"]
    assert len(only(bob, "away")) == 1


def test_peer_in_several_shared_rooms_is_notified_once() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    for wire in (ana, bob):
        send(world, wire, type="join", room="dev", ref="j")
    send(world, ana, type="away", ref="a1")
    assert len(only(bob, "away")) == 1


def test_away_belongs_to_a_person_not_to_a_connection() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    second = v1(world, "ana")
    read_frames(second)
    send(world, ana, type="away", text="lunch", ref="a1")
    assert [frame["text"] for frame in only(second, "away")] == ["lunch"]
    assert ana.peer is not None
    world.hub.close(ana.peer, world.when)
    world.pass_time(30.0)
    assert listed(world, bob) == {"ana": "lunch"}
    send(world, second, type="away", away=False, ref="a2")
    assert listed(world, bob) == {}


def test_away_ends_with_the_grace_period() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    send(world, ana, type="away", text="lunch", ref="a1")
    assert ana.peer is not None
    world.hub.close(ana.peer, world.when)
    world.pass_time(1.0)
    again = v1(world, "ana")
    assert listed(world, bob) == {"ana": "lunch"}
    assert again.peer is not None
    world.hub.close(again.peer, world.when)
    world.pass_time(30.0)
    v1(world, "ana")
    assert listed(world, bob) == {}


def test_entering_a_room_while_away_notifies_it() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    send(world, bob, type="join", room="dev", ref="j")
    send(world, bob, type="leave", room="lobby", ref="l")
    send(world, ana, type="away", text="lunch", ref="a1")
    assert only(bob, "away") == []
    send(world, ana, type="join", room="dev", ref="j")
    assert [frame["text"] for frame in only(bob, "away")] == ["lunch"]


def test_rename_keeps_away_status() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    send(world, ana, type="away", text="lunch", ref="a1")
    send(world, ana, type="rename", name="anna", ref="r")
    assert listed(world, bob) == {"anna": "lunch"}
    v1(world, "ana")
    assert listed(world, bob) == {"anna": "lunch"}


def test_rename_of_one_of_two_connections_keeps_both_away() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    second = v1(world, "ana")
    send(world, ana, type="away", text="lunch", ref="a1")
    for wire in (ana, bob, second):
        read_frames(wire)
    send(world, ana, type="rename", name="anna", ref="r")
    status = {"type": "away", "name": "ana", "away": True, "text": "lunch"}
    for wire in (ana, bob, second):
        frames = [
            frame for frame in read_frames(wire) if frame["type"] != "system" or frame["event"] == "rename"
        ]
        assert frames[-1] == status
        assert [frame["type"] for frame in frames].count("away") == 1
    assert listed(world, bob) == {"ana": "lunch", "anna": "lunch"}


def test_rename_in_several_rooms_is_followed_by_the_away_status_of_who_keeps_the_name() -> None:
    world = World()
    both = [{"room": "lobby"}, {"room": "dev"}]
    bob, ana = v1(world, "bob", rooms=both), v1(world, "ana", rooms=both)
    v1(world, "ana")
    send(world, ana, type="away", text="lunch", ref="a1")
    read_frames(bob)
    send(world, ana, type="rename", name="anna", ref="r")
    frames = [frame for frame in read_frames(bob) if frame.get("event", "rename") == "rename"]
    assert [frame["type"] for frame in frames] == ["system", "system", "away"]
    assert (frames[-1]["name"], frames[-1]["text"]) == ("ana", "lunch")


def test_rename_of_one_of_two_connections_that_are_not_away_sends_no_away_event() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    v1(world, "ana")
    read_frames(bob)
    send(world, ana, type="rename", name="anna", ref="r")
    assert only(bob, "away") == []


def test_large_rooms_get_no_away_events() -> None:
    world = World(Limits(presence_detail_max=2))
    ana, bob, _ = lobby(world, "ana", "bob", "cy")
    send(world, ana, type="away", text="lunch", ref="a1")
    assert len(only(ana, "away")) == 1
    assert only(bob, "away") == []


def test_away_events_are_not_queued_for_blocked_connections() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    assert bob.peer is not None
    bob.peer.blocked = True
    send(world, ana, type="away", ref="a1")
    assert bob.peer.control == []


def test_connection_without_a_name_cannot_be_away() -> None:
    world = World()
    guest = v1(world)
    send(world, guest, type="away", ref="a1")
    assert [(frame["code"], frame["ref"]) for frame in only(guest, "error")] == [("bad_name", "a1")]


def test_away_messages_are_sanitized_and_limited() -> None:
    world = World()
    ana, bob = lobby(world, "ana", "bob")
    send(world, ana, type="away", text="a\x1b[31m\u202eb\x07", ref="a1")
    assert not set("\x1b\u202e\x07") & set(str(only(bob, "away")[0]["text"]))
    send(world, ana, type="away", text="x" * 257, ref="a2")
    assert [(frame["code"], frame["ref"]) for frame in only(ana, "error")] == [("too_long", "a2")]
    send(world, ana, type="away", text="\u200b", ref="a3")
    assert only(ana, "away")[-1] == {"type": "away", "name": "ana", "away": True, "ref": "a3"}


def test_going_away_counts_as_a_request() -> None:
    world = World(Limits(history_rate=1.0))
    (ana,) = lobby(world, "ana")
    for number in range(3):
        send(world, ana, type="away", text=str(number), ref=f"a{number}")
    assert [frame["code"] for frame in only(ana, "error")] == ["rate_limited"]


def test_session_reports_who_is_away() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    say_away(ana, True, "lunch")
    assert bob.seen(events.Away) == [events.Away("ana", True, "lunch")]
    assert ana.seen(events.Away) == [events.Away("ana", True, "lunch", "r1")]
    ref = bob.session.request(lambda ref: ListMembers("lobby", ref))
    bob.collect()
    world.step()
    assert bob.seen(events.Presence) == [
        events.Presence(
            ref, "lobby", 2, (events.MemberInfo("ana", 1, "lunch"), events.MemberInfo("bob", 1)), False
        )
    ]


def test_session_restores_its_away_status_after_a_restart() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    say_away(ana, True, "lunch")
    ana.cut()
    world.pass_time(30.0)
    bob.updates.clear()
    ana.connect()
    world.step()
    assert bob.seen(events.Away) == [events.Away("ana", True, "lunch")]
    say_away(ana, False)
    bob.updates.clear()
    ana.cut()
    ana.connect()
    world.step()
    assert bob.seen(events.Away) == []


def test_who_returns_before_the_leave_is_announced_is_not_away_any_more() -> None:
    world = World(Limits(presence_burst=2, presence_rate=0.001, leave_grace_s=0.0))
    ana, bob = lobby(world, "ana", "bob")
    send(world, ana, type="away", text="lunch", ref="a1")
    assert ana.peer is not None
    world.hub.close(ana.peer, world.when)
    read_frames(bob)
    v1(world, "ana")
    frames = read_frames(bob)
    assert [frame for frame in frames if frame["type"] == "system"] == []
    assert [frame for frame in frames if frame["type"] == "away"] == [
        {"type": "away", "name": "ana", "away": False}
    ]
    assert listed(world, bob) == {}


def test_who_takes_a_name_before_the_leave_is_announced_is_not_away() -> None:
    world = World(Limits(presence_burst=3, presence_rate=0.001, leave_grace_s=0.0))
    ana, bob, zoe = lobby(world, "ana", "bob", "zoe")
    send(world, ana, type="away", text="lunch", ref="a1")
    assert ana.peer is not None
    world.hub.close(ana.peer, world.when)
    read_frames(bob)
    send(world, zoe, type="rename", name="ana", ref="r")
    frames = read_frames(bob)
    assert [frame["event"] for frame in frames if frame["type"] == "system"] == ["rename"]
    assert [frame for frame in frames if frame["type"] == "away"] == [
        {"type": "away", "name": "ana", "away": False}
    ]
    assert listed(world, bob) == {}
