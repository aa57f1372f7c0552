"""The hub, frame by frame, without sockets."""

from __future__ import annotations

import gc
from datetime import datetime
from types import FrameType

import msgspec
import pytest

from broadcast_tui.core.errors import CloseCode, ErrorCode, RequestError
from broadcast_tui.core.hub.history import BackfillRead, SearchRead
from broadcast_tui.core.limits import Limits
from tests.support.hub_pair import Wire, World, read_frames


def send(world: World, wire: Wire, **frame: object) -> None:
    assert wire.peer is not None
    world.hub.receive(wire.peer, msgspec.json.encode(frame), world.when)
    world.step()


def say(world: World, wire: Wire, text: str, sender: str | None = None, **more: object) -> None:
    send(world, wire, type="message", message=text, **({"sender": sender} if sender else {}), **more)


def v1(world: World, name: str = "", **hello: object) -> Wire:
    wire = Wire()
    wire.peer = world.hub.open(wire, v1=True, address="test", when=world.when)
    world.step()
    assert read_frames(wire) == []
    send(world, wire, **{"type": "hello", "name": name, "client_id": f"id-{name}", **hello})
    return wire


def only(wire: Wire, kind: str) -> list[dict[str, object]]:
    return [frame for frame in read_frames(wire) if frame["type"] == kind]


def test_plain_client_is_welcomed_and_announced() -> None:
    world = World()
    first = world.plain()
    (welcome,) = read_frames(first)
    assert welcome["type"] == "system"
    assert welcome["message"] == "Welcome! You are now connected to the broadcast server. 1 client(s) online."
    second = world.plain()
    (joined,) = read_frames(first)
    assert joined["message"] == "A new client has joined the chat. 2 client(s) online."
    assert len(read_frames(second)) == 1


def test_plain_message_is_broadcast_with_a_timestamp() -> None:
    world = World()
    first, second = world.plain(), world.plain()
    read_frames(first), read_frames(second)
    say(world, first, "Hello, world!", "Alice")
    (echo,), (seen,) = read_frames(first), read_frames(second)
    assert echo == seen
    assert {key: echo[key] for key in ("type", "message", "sender")} == {
        "type": "message", "message": "Hello, world!", "sender": "Alice",
    }  # fmt: skip
    at = datetime.fromisoformat(str(echo["timestamp"]))
    assert at.utcoffset() is not None
    assert str(echo["timestamp"]).endswith("+00:00")


def test_plain_client_gets_only_message_and_system_frames() -> None:
    world = World()
    plain, user = world.plain(), world.user("ana")
    other = v1(world, "bob")
    send(world, other, type="typing")
    send(world, other, type="rename", name="bobby")
    send(world, plain, type="dance")
    send(world, plain, type="history", ref="h")
    user.say("hi")
    world.step()
    assert {frame["type"] for frame in read_frames(plain)} == {"message", "system"}


def test_first_message_determines_the_sender() -> None:
    world = World()
    first, second = world.plain(), world.plain()
    say(world, first, "one", "Alice")
    say(world, first, "two", "Mallory")
    assert [frame["sender"] for frame in only(second, "message")] == ["Alice", "Alice"]
    say(world, second, "three", "ALICE")
    (error,) = [frame for frame in only(second, "system") if frame["event"] == "error"]
    assert error["code"] == "name_taken"
    assert only(first, "message")[-1]["message"] == "two"


def test_unnamed_client_posts_as_a_guest_and_guest_names_are_reserved() -> None:
    world = World()
    first, second = world.plain(), world.plain()
    say(world, first, "hi")
    assert only(second, "message")[0]["sender"] == "guest-1"
    for posing in ("guest-1", "gue5t-1", "gu\u00e9st-1", "guest 1"):
        say(world, second, "hi", posing)
        assert only(second, "system")[-1]["code"] == "name_reserved"


def test_leave_is_announced_by_name_once_known() -> None:
    world = World(Limits(leave_grace_s=5.0))
    first, second, third = world.plain(), world.plain(), world.plain()
    say(world, second, "hi", "Bob")
    read_frames(first)
    assert second.peer is not None
    assert third.peer is not None
    world.hub.close(third.peer, world.when)
    world.step()
    assert read_frames(first)[-1]["message"] == "A client has left the chat. 2 client(s) online."
    world.hub.close(second.peer, world.when)
    world.step()
    assert read_frames(first) == []
    world.pass_time(5.1)
    world.step()
    assert read_frames(first)[-1]["message"] == "Bob has left the chat. 1 client(s) online."


def test_v1_client_without_a_hello_gets_nothing_and_is_closed() -> None:
    world = World()
    plain = world.plain()
    wire = Wire()
    wire.peer = world.hub.open(wire, v1=True, address="test", when=world.when)
    say(world, plain, "hi", "Ana")
    assert read_frames(wire) == []
    send(world, wire, type="message", message="early")
    assert only(wire, "error")[0]["code"] == "hello_expected"
    world.pass_time(10.1)
    assert wire.peer.closing == (CloseCode.HELLO_TIMEOUT, "No hello received.")


def test_welcome_comes_first_and_contains_a_position() -> None:
    world = World()
    wire = v1(world, "ana")
    frames = read_frames(wire)
    assert [frame["type"] for frame in frames] == ["welcome", "synced"]
    assert frames[0]["name"] == "ana"
    rooms = frames[0]["rooms"]
    assert rooms == [{"room": "lobby", "head": "e1-0", "recovered": True, "missed": 0, "online": 1}]
    assert frames[1] == {"type": "synced", "room": "lobby", "id": "e1-0"}


def test_history_is_replayed_only_on_request() -> None:
    world = World()
    plain = world.plain()
    for number in range(5):
        say(world, plain, f"post {number}", "Ana")
    assert only(v1(world, "bob"), "message") == []
    last = v1(world, "cy", rooms=[{"room": "lobby", "last": 2}])
    frames = read_frames(last)
    assert [frame["type"] for frame in frames] == ["welcome", "message", "message", "synced"]
    since = v1(world, "di", rooms=[{"room": "lobby", "since": "e1-1"}])
    assert [frame["id"] for frame in only(since, "message")] == ["e1-2", "e1-3", "e1-4", "e1-5"]
    head = v1(world, "eve", rooms=[{"room": "lobby", "since": "e1-5"}])
    welcome = only(head, "welcome")[0]
    assert welcome["rooms"][0] == {  # type: ignore[index]
        "room": "lobby", "head": "e1-5", "recovered": True, "missed": 0, "online": 5,
    }  # fmt: skip


def test_position_of_another_epoch_causes_a_gap_and_a_full_replay() -> None:
    world = World()
    plain = world.plain()
    say(world, plain, "one", "Ana")
    wire = v1(world, "bob", rooms=[{"room": "lobby", "since": "old-77"}])
    frames = read_frames(wire)
    assert [frame["type"] for frame in frames] == ["welcome", "gap", "message", "synced"]
    assert frames[0]["rooms"][0]["recovered"] is False  # type: ignore[index]
    assert frames[1] == {"type": "gap", "room": "lobby", "from": "old-77", "to": "e1-0", "reason": "epoch"}


def test_trimmed_position_causes_a_gap() -> None:
    world = World()
    plain = world.plain()
    for number in range(6):
        say(world, plain, f"post {number}", "Ana")
    world.log.trim("lobby", 4)
    wire = v1(world, "bob", rooms=[{"room": "lobby", "since": "e1-1"}])
    frames = read_frames(wire)
    assert frames[1] == {"type": "gap", "room": "lobby", "from": "e1-2", "to": "e1-4", "reason": "trimmed"}
    assert [frame["id"] for frame in frames if frame["type"] == "message"] == ["e1-5", "e1-6"]


def test_replay_longer_than_the_ring_starts_with_a_lagged_gap() -> None:
    world = World(Limits(message_rate=0, message_burst=0, ring_posts=3, replay_posts=3))
    plain = world.plain()
    for number in range(8):
        say(world, plain, f"post {number}", "Ana")
    frames = read_frames(v1(world, "bob", rooms=[{"room": "lobby", "since": "e1-1"}]))
    assert frames[1] == {"type": "gap", "room": "lobby", "from": "e1-2", "to": "e1-5", "reason": "lagged"}
    assert [frame["id"] for frame in frames if frame["type"] == "message"] == ["e1-6", "e1-7", "e1-8"]


def test_ring_is_filled_from_the_log_after_a_restart() -> None:
    world = World()
    plain = world.plain()
    for number in range(4):
        say(world, plain, f"post {number}", "Ana")
    world.restart(keep_log=True)
    frames = read_frames(v1(world, "bob", rooms=[{"room": "lobby", "since": "e1-1"}]))
    assert [frame["type"] for frame in frames] == ["welcome", "message", "message", "message", "synced"]


def test_ack_follows_the_append_and_a_resend_is_a_dup() -> None:
    world = World()
    wire = v1(world, "ana")
    say(world, wire, "hi", nonce="n1")
    (ack,) = only(wire, "ack")
    assert (ack["nonce"], ack["id"], ack["dup"]) == ("n1", "e1-1", False)
    say(world, wire, "hi", nonce="n1")
    frames = read_frames(wire)
    assert [(f["type"], f.get("dup")) for f in frames] == [("ack", True)]
    assert frames[0]["id"] == "e1-1"


def test_failed_append_is_a_temporary_error() -> None:
    world = World()
    wire = v1(world, "ana")
    assert wire.peer is not None
    world.hub.receive(wire.peer, b'{"type":"message","message":"hi","nonce":"n1"}', world.when)
    batch = world.hub.effects.pending_entries.take_batch()
    world.hub.append_failed(batch, "Disk full.", world.when)
    world.step()
    (error,) = only(wire, "error")
    assert (error["code"], error["nonce"], error["temporary"]) == ("try_later", "n1", True)


def test_too_many_posts_are_rejected_with_the_time_to_wait() -> None:
    world = World(Limits(message_rate=2.0, message_burst=3))
    wire = v1(world, "ana")
    for number in range(4):
        say(world, wire, "hi", nonce=f"n{number}")
    (error,) = only(wire, "error")
    assert error["code"] == "rate_limited"
    assert error["nonce"] == "n3"
    assert error["retry_after"] == pytest.approx(0.5)
    world.pass_time(0.5)
    say(world, wire, "hi", nonce="n3")
    assert only(wire, "ack")[0]["nonce"] == "n3"


def test_history_pages_in_each_direction() -> None:
    world = World()
    wire = v1(world, "ana")
    for number in range(10):
        say(world, wire, f"post {number}")
    read_frames(wire)

    def page(**query: object) -> tuple[list[object], object]:
        send(world, wire, type="history", room="lobby", ref="h", limit=3, **query)
        (answer,) = only(wire, "history")
        return [item["id"] for item in answer["items"]], answer["more"]  # type: ignore[attr-defined]

    assert page(latest=True) == (["e1-8", "e1-9", "e1-10"], True)
    assert page(before="e1-3") == (["e1-1", "e1-2"], False)
    assert page(after="e1-8") == (["e1-9", "e1-10"], False)
    assert page(after="e1-5") == (["e1-6", "e1-7", "e1-8"], True)
    assert page(around="e1-5")[0] == ["e1-4", "e1-5", "e1-6"]
    send(world, wire, type="history", room="lobby", ref="h", before="zz-3")
    assert only(wire, "error")[0]["code"] == "bad_position"


def test_rooms_are_separate() -> None:
    world = World()
    ana, bob = v1(world, "ana"), v1(world, "bob")
    send(world, ana, type="message", message="early", room="dev")
    assert only(ana, "error")[0]["code"] == "not_in_room"
    send(world, ana, type="join", ref="j1", room="#Dev")
    (joined,) = only(ana, "joined")
    assert (joined["room"], joined["online"], joined["ref"]) == ("dev", 1, "j1")
    say(world, ana, "in dev", room="dev")
    assert only(bob, "message") == []
    assert [frame["room"] for frame in only(ana, "message")] == ["dev"]
    send(world, ana, type="leave", ref="l1", room="dev")
    assert only(ana, "left")[0]["room"] == "dev"
    send(world, ana, type="join", ref="j2", room="no spaces!")
    assert only(ana, "error")[0]["code"] == "bad_room"


def test_one_person_on_two_terminals_is_one() -> None:
    world = World()
    watcher = v1(world, "wat")
    v1(world, "ana")
    read_frames(watcher)
    second = v1(world, "ana")
    assert read_frames(watcher) == []
    assert only(second, "welcome")[0]["rooms"][0]["online"] == 2  # type: ignore[index]
    send(world, watcher, type="presence", ref="p1", room="lobby")
    (presence,) = only(watcher, "presence")
    assert presence["online"] == 2
    assert presence["members"] == [{"name": "ana", "connections": 2}, {"name": "wat", "connections": 1}]


def test_hello_with_an_invalid_room_has_no_effect() -> None:
    world = World()
    ana = Wire()
    ana.peer = world.hub.open(ana, v1=True, address="test", when=world.when)
    send(world, ana, type="hello", name="ana", rooms=[{"room": "dev"}, {"room": "not a room"}])
    (error,) = read_frames(ana)
    assert error["code"] == "bad_room"
    assert world.hub.rooms.by_name == {}
    assert v1(world, "ana").peer is not None
    send(world, ana, type="hello", name="bob")
    assert [room["room"] for room in only(ana, "welcome")[0]["rooms"]] == ["lobby"]  # type: ignore[attr-defined]


def test_posts_that_are_delivered_twice_are_sent_once() -> None:
    world = World()
    plain = world.plain()
    say(world, plain, "hi", "Ana")
    posts = world.log.posts["lobby"]
    world.hub.deliver(posts)
    world.step()
    assert [frame["message"] for frame in only(plain, "message")] == ["hi"]


def test_hello_with_a_name_in_use_can_be_retried_with_another() -> None:
    world = World()
    v1(world, "ana")
    wire = Wire()
    wire.peer = world.hub.open(wire, v1=True, address="test", when=world.when)
    send(world, wire, type="hello", name="ANA", client_id="other")
    assert only(wire, "error")[0]["code"] == "name_taken"
    send(world, wire, type="hello", name="zoe", client_id="other")
    assert only(wire, "welcome")[0]["name"] == "zoe"


def test_second_person_made_by_a_rename_leaves_at_once() -> None:
    world = World()
    bob = v1(world, "bob")
    v1(world, "ana")
    second = v1(world, "ana")
    world.pass_time(10.0)
    read_frames(bob)
    send(world, second, type="rename", ref="r", name="zoe")
    send(world, second, type="leave", ref="l", room="lobby")
    world.pass_time(10.0)
    lines = [(line["event"], line.get("names") or line["name"]) for line in only(bob, "system")]
    assert lines == [("rename", ["ana", "zoe"]), ("leave", "zoe")]


def test_rename_is_broadcast_to_the_room() -> None:
    world = World()
    ana, bob, plain = v1(world, "ana"), v1(world, "bob"), world.plain()
    read_frames(ana), read_frames(bob), read_frames(plain)
    send(world, ana, type="rename", ref="r1", name="zoe")
    assert only(ana, "renamed") == [{"type": "renamed", "ref": "r1", "name": "zoe"}]
    (line,) = only(bob, "system")
    assert (line["event"], line["names"]) == ("rename", ["ana", "zoe"])
    assert only(plain, "system")[0]["message"] == "ana is now known as zoe. 3 client(s) online."
    say(world, ana, "still me")
    assert only(bob, "message")[0]["sender"] == "zoe"
    send(world, ana, type="rename", ref="r2", name="bob")
    assert only(ana, "error")[0]["code"] == "name_taken"


def test_typing_is_rate_limited_and_not_echoed() -> None:
    world = World()
    ana, bob, plain = v1(world, "ana"), v1(world, "bob"), world.plain()
    read_frames(bob), read_frames(plain), read_frames(ana)
    send(world, ana, type="typing", room="lobby")
    send(world, ana, type="typing", room="lobby")
    assert read_frames(bob) == [{"type": "typing", "room": "lobby", "name": "ana"}]
    assert read_frames(plain) == []
    assert read_frames(ana) == []
    world.pass_time(3.1)
    send(world, ana, type="typing", room="lobby")
    assert len(read_frames(bob)) == 1


def test_connection_closes_after_many_bad_frames_but_not_after_one() -> None:
    world = World(Limits(max_errors=5))
    wire = world.plain()
    assert wire.peer is not None
    for _ in range(5):
        world.hub.receive(wire.peer, b"junk", world.when)
    assert wire.peer.closing is None
    world.hub.receive(wire.peer, b"junk", world.when)
    assert wire.peer.closing is not None
    assert wire.peer.closing[0] is CloseCode.TOO_MANY_ERRORS


def test_number_of_frames_is_linear_in_joins() -> None:
    counts = []
    for people in (500, 1_000):
        world = World()
        wires = []
        for _ in range(people):
            wire = Wire()
            wire.peer = world.hub.open(wire, v1=False, address="test", when=world.when)
            wires.append(wire)
            world.serve()
            world.pass_time(0.001)
        counts.append(sum(len(wire.to_client) for wire in wires))
    assert counts[1] < 3 * counts[0]
    assert counts[1] < 10 * 1_000


def test_blocked_connection_queues_nothing_and_gets_the_count_later() -> None:
    world = World()
    slow = world.plain()
    assert slow.peer is not None
    read_frames(slow)
    slow.peer.blocked = True
    others = [world.plain() for _ in range(5)]
    for number in range(20):
        say(world, others[0], f"post {number}", "Ana")
    assert read_frames(slow) == []
    assert slow.peer.control == []
    slow.peer.blocked = False
    world.pass_time(0.2)
    world.hub.effects.dirty_peers.add(slow.peer)
    world.step()
    frames = read_frames(slow)
    assert [frame["message"] for frame in frames if frame["type"] == "message"] == [
        f"post {number}" for number in range(20)
    ]
    assert frames[0]["event"] == "online"
    assert frames[0]["online"] == 6


def test_reader_behind_the_ring_gets_a_gap_and_continues() -> None:
    world = World(Limits(message_rate=0, message_burst=0, ring_posts=4))
    slow, fast = v1(world, "slow"), world.plain()
    assert slow.peer is not None
    slow.peer.blocked = True
    for number in range(10):
        say(world, fast, f"post {number}", "Ana")
    read_frames(slow)
    slow.peer.blocked = False
    world.hub.effects.dirty_peers.add(slow.peer)
    world.step()
    frames = [f for f in read_frames(slow) if f["type"] != "system"]
    assert frames[0] == {"type": "gap", "room": "lobby", "from": "e1-1", "to": "e1-6", "reason": "lagged"}
    assert [frame["id"] for frame in frames[1:]] == ["e1-7", "e1-8", "e1-9", "e1-10"]


def test_only_an_idle_connection_is_on_the_fast_path() -> None:
    world = World()
    ana = v1(world, "ana")
    assert ana.peer is not None

    def is_fast() -> bool:
        assert ana.peer is not None
        ana.peer.enter_fast_path()
        return any(subscription.fast for subscription in ana.peer.subscriptions.values())

    assert is_fast()
    ana.peer.blocked = True
    assert not is_fast()
    ana.peer.blocked = False
    ana.peer.control.append(b"reply")
    assert not is_fast()


def test_each_room_with_nothing_pending_is_on_the_fast_path() -> None:
    world = World(Limits(message_rate=0, message_burst=0))
    ana, bob = v1(world, "ana", rooms=[{"room": "lobby"}, {"room": "dev"}]), v1(world, "bob")
    assert ana.peer is not None
    rooms = ana.peer.subscriptions

    def fast_rooms() -> list[str]:
        assert ana.peer is not None
        ana.peer.enter_fast_path()
        return [name for name, subscription in rooms.items() if subscription.fast]

    say(world, bob, "one")
    assert fast_rooms() == ["lobby", "dev"]
    rooms["dev"].paused = True
    assert fast_rooms() == ["lobby"]
    rooms["dev"].paused = False
    rooms["lobby"].own_nonces[9] = "nonce"
    assert fast_rooms() == ["dev"]
    rooms["lobby"].own_nonces.clear()
    rooms["lobby"].cursor -= 1
    assert fast_rooms() == ["dev"]
    world.hub.effects.dirty_peers.add(ana.peer)
    world.step()
    assert fast_rooms() == ["lobby", "dev"]


def test_empty_room_is_removed_but_its_posts_remain() -> None:
    world = World()
    plain = world.plain()
    say(world, plain, "hi", "Ana")
    assert plain.peer is not None
    world.hub.close(plain.peer, world.when)
    world.pass_time(6.0)
    assert world.hub.rooms.by_name == {}
    assert [f["id"] for f in only(v1(world, "bob", rooms=[{"room": "lobby", "last": 5}]), "message")] == [
        "e1-1"
    ]


def test_search_returns_the_newest_posts_and_whether_there_may_be_more() -> None:
    world = World()
    wire = v1(world, "ana")
    for number in range(6):
        say(world, wire, f"needle {number}" if number % 2 else "hay")
    read_frames(wire)
    send(world, wire, type="search", room="lobby", ref="s1", query="needle", limit=2)
    (found,) = only(wire, "search")
    assert ([item["message"] for item in found["items"]], found["more"]) == (["needle 3", "needle 5"], True)  # type: ignore[attr-defined]
    send(world, wire, type="search", room="lobby", ref="s2", query="needle", before="e1-4", limit=5)
    assert [item["message"] for item in only(wire, "search")[0]["items"]] == ["needle 1"]  # type: ignore[attr-defined]
    send(world, wire, type="search", room="lobby", ref="s3", query="needle", before="zz-1")
    assert only(wire, "error")[0]["code"] == "bad_position"


def test_rejected_read_is_an_error_with_the_ref_of_its_request() -> None:
    world = World()
    wire = v1(world, "ana")
    send(world, wire, type="search", room="lobby", ref="s1", query="needle")
    read_frames(wire)
    assert wire.peer is not None
    read = SearchRead(wire.peer, "s2", "lobby", "e1", "e", None, 10)
    error = RequestError(ErrorCode.SEARCH_TOO_COSTLY, "Too costly.")
    world.hub.reads.failed(read, error, world.when)
    world.hub.reads.failed(BackfillRead("lobby", "e1", 1, 10), error, world.when)
    world.serve()
    assert only(wire, "error") == [
        {"type": "error", "code": "search_too_costly", "message": "Too costly.", "ref": "s2"}
    ]
    world.hub.close(wire.peer, world.when)
    world.hub.reads.failed(read, error, world.when)


def test_rooms_are_listed_with_people_and_topics() -> None:
    world = World()
    ana, bob, plain = v1(world, "ana"), v1(world, "bob"), world.plain()
    send(world, ana, type="join", ref="j", room="dev")
    for wire in (ana, bob, plain):
        read_frames(wire)
    send(world, ana, type="topic", room="lobby", ref="t1", topic="Release\n  1.4")
    expected = {"type": "topic", "room": "lobby", "topic": "Release 1.4", "name": "ana"}
    assert only(ana, "topic") == [{**expected, "ref": "t1"}]
    assert only(bob, "topic") == [{**expected, "ref": ""}]
    assert only(plain, "topic") == []
    send(world, bob, type="list", ref="l1")
    (listed,) = only(bob, "list")
    assert listed["rooms"] == [
        {"room": "dev", "online": 1, "topic": ""},
        {"room": "lobby", "online": 3, "topic": "Release 1.4"},
    ]
    assert only(v1(world, "cy"), "welcome")[0]["rooms"][0]["topic"] == "Release 1.4"  # type: ignore[index]
    send(world, ana, type="topic", room="lobby", ref="t2", topic="  ")
    assert only(ana, "topic")[0]["topic"] == ""


def test_failed_topic_change_is_a_temporary_error() -> None:
    world = World()
    wire = v1(world, "ana")
    assert wire.peer is not None
    world.hub.receive(wire.peer, b'{"type":"topic","topic":"x","ref":"t1"}', world.when)
    change = world.hub.effects.take_topic_change()
    world.hub.topic_failed(change, "Disk full.", world.when)
    world.step()
    (error,) = only(wire, "error")
    assert (error["code"], error["ref"], error["temporary"]) == ("try_later", "t1", True)


def test_too_many_requests_or_rooms_are_rejected() -> None:
    world = World(Limits(history_rate=1.0, max_rooms_per_peer=2))
    wire = v1(world, "ana")
    for number in range(3):
        send(world, wire, type="presence", room="lobby", ref=f"p{number}")
    assert [frame["code"] for frame in only(wire, "error")] == ["rate_limited"]
    world.pass_time(10.0)
    send(world, wire, type="join", ref="j1", room="dev")
    send(world, wire, type="join", ref="j2", room="ops")
    assert [frame["code"] for frame in only(wire, "error")] == ["too_many_rooms"]


def test_slow_plain_connection_gets_a_notice_about_skipped_posts() -> None:
    world = World(Limits(message_rate=0, message_burst=0, ring_posts=4))
    slow, fast = world.plain(), world.plain()
    assert slow.peer is not None
    slow.peer.blocked = True
    for number in range(10):
        say(world, fast, f"post {number}", "Ana")
    read_frames(slow)
    slow.peer.blocked = False
    world.hub.broadcaster.mark_dirty(slow.peer)
    world.step()
    frames = read_frames(slow)
    assert frames[0]["message"] == "6 message(s) skipped: this connection reads too slowly."
    assert [frame["message"] for frame in frames[1:]] == [f"post {number}" for number in range(6, 10)]


def test_invalid_utf8_or_binary_frame_closes_the_connection_with_its_code() -> None:
    world = World()
    first, second = world.plain(), world.plain()
    assert first.peer is not None
    assert second.peer is not None
    world.hub.receive(first.peer, b'{"type":"message","message":"\xff"}', world.when)
    world.hub.reject_binary(second.peer, world.when)
    assert first.peer.closing is not None
    assert second.peer.closing is not None
    assert (first.peer.closing[0], second.peer.closing[0]) == (CloseCode.BAD_UTF8, CloseCode.BINARY)


def test_posts_are_temporarily_rejected_while_the_server_drains() -> None:
    world = World()
    wire = v1(world, "ana")
    world.hub.posting.draining = True
    say(world, wire, "late", nonce="n1")
    (error,) = only(wire, "error")
    assert (error["code"], error["temporary"]) == ("draining", True)


def test_new_limits_apply_to_existing_rooms_and_connections() -> None:
    world = World(Limits(message_rate=0, message_burst=0))
    first, ana, bob = world.plain(), v1(world, "ana"), v1(world, "bob")
    for number in range(5):
        say(world, first, f"post {number}", "Zoe")
    changed = Limits(
        message_rate=0, message_burst=0, leave_grace_s=1.0, presence_list_max=1, presence_detail_max=1,
        ring_posts=2, replay_posts=1, presence_rate=0.1, presence_burst=1,
    )  # fmt: skip
    world.hub.set_limits(changed)
    assert world.hub.limits is changed
    room = world.hub.rooms.by_name["lobby"]
    assert len(room.ring) == 2, "the ring"
    send(world, ana, type="presence", ref="p1", room="lobby")
    (presence,) = only(ana, "presence")
    assert (len(presence["members"]), presence["truncated"]) == (1, True), "lists of people"  # type: ignore[arg-type]
    send(world, bob, type="away", text="lunch", ref="a1")
    assert only(ana, "away") == [], "the size of rooms in which people are named"
    late = v1(world, "late", rooms=[{"room": "lobby", "last": 10}])
    assert [frame["message"] for frame in only(late, "message")] == ["post 4"], "replays"
    assert bob.peer is not None
    world.hub.close(bob.peer, world.when)
    world.pass_time(1.1)
    world.step()
    assert room.presence.online == 3, "the grace in a room"
    assert only(v1(world, "bob"), "welcome"), "the grace of a name"


def test_rate_of_presence_lines_follows_the_limits() -> None:
    world = World()
    watcher = world.plain()
    world.hub.set_limits(Limits(presence_rate=0.1, presence_burst=1))
    read_frames(watcher)
    for _ in range(5):
        world.plain()
    assert len(read_frames(watcher)) == 1


def test_no_object_stores_old_limits() -> None:
    """Guards new parts: a part of the hub keeps `SharedLimits`, never the `Limits` in it."""
    world = World()
    world.user("ana", ("lobby", 0), ("dev", 0)).say("hi")
    world.plain()
    world.step()
    old = world.hub.limits
    world.limits = Limits()
    world.hub.set_limits(world.limits)
    keepers = [type(keeper) for keeper in gc.get_referrers(old) if not isinstance(keeper, FrameType)]
    assert keepers == []
