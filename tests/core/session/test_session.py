"""Hub and client sessions pumped into each other: no loop, no socket, no sleep."""

from __future__ import annotations

from functools import partial
from typing import get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import encode
from broadcast_tui.core.protocol.events import Event, Message, System
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.session import UNSUPPORTED
from tests.support.hub_pair import User, World


def texts(user: User, room: str = "lobby") -> list[str]:
    return [post.text for post in user.posts(room)]


def test_two_people_see_each_others_posts_in_one_order() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.say("hello")
    bob.say("hi")
    world.step()
    assert texts(ana) == texts(bob)
    assert sorted(texts(ana)) == ["hello", "hi"]
    assert [p.position for p in ana.posts()] == [p.position for p in bob.posts()]


def test_own_post_is_delivered_once_and_recognized() -> None:
    world = World()
    ana = world.user("ana")
    nonce = ana.say("hello")
    world.step()
    (delivered,) = ana.seen(up.PostDelivered)
    assert isinstance(delivered, up.PostDelivered)
    assert (delivered.nonce, delivered.post_id) == (nonce, "e1-1")
    (arrived,) = ana.seen(up.PostArrived)
    assert isinstance(arrived, up.PostArrived)
    assert arrived.own
    assert arrived.live
    assert ana.session.unacknowledged == 0


def test_posts_written_offline_are_sent_in_order() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.cut()
    for number in range(5):
        ana.say(f"offline {number}")
    ana.connect()
    world.step()
    assert texts(bob) == [f"offline {number}" for number in range(5)]
    assert texts(ana) == texts(bob)


def test_missed_posts_arrive_once_and_before_live_posts() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    bob.say("before")
    world.step()
    ana.cut()
    bob.say("missed 1")
    bob.say("missed 2")
    world.step()
    ana.connect()
    bob.say("live")
    world.step()
    assert texts(ana) == ["before", "missed 1", "missed 2", "live"]
    entered = ana.seen(up.RoomEntered)[-1]
    assert isinstance(entered, up.RoomEntered)
    assert entered.missed >= 2


def test_lost_ack_does_not_duplicate_the_post() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.say("once")
    assert ana.wire is not None
    assert ana.wire.peer is not None
    world.hub.receive(ana.wire.peer, ana.wire.to_server.popleft(), world.when)
    world.serve()
    ana.cut()
    ana.connect()
    world.step()
    assert texts(bob) == ["once"]
    assert texts(ana) == ["once"]
    assert len(ana.seen(up.PostDelivered)) == 1


def test_stale_connection_of_the_same_client_does_not_block_its_name() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.cut(noticed=False)
    ana.connect()
    world.step()
    ana.say("back")
    world.step()
    assert texts(bob) == ["back"]
    assert bob.seen(up.PresenceChanged) == []
    assert ana.session.fatal is None


def test_restart_with_its_log_is_seamless() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.say("one")
    world.step()
    world.restart(keep_log=True)
    bob.connect()
    world.step()
    bob.say("two")
    world.step()
    ana.connect()
    world.step()
    assert texts(ana) == ["one", "two"]
    assert ana.seen(up.GapFound) == []


def test_restart_without_its_log_causes_a_gap_and_a_full_replay() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.say("one")
    world.step()
    world.restart(keep_log=False)
    bob.connect()
    world.step()
    bob.say("two")
    world.step()
    ana.connect()
    world.step()
    assert texts(ana) == ["one", "two"]
    (gap,) = ana.seen(up.GapFound)
    assert isinstance(gap, up.GapFound)
    assert (gap.reason, gap.count) == ("epoch", None)


def test_gap_of_several_pages_is_filled_from_history() -> None:
    world = World(Limits(message_rate=0, message_burst=0, ring_posts=10, history_rate=1_000))
    ana, bob = world.user("ana"), world.user("bob")
    ana.cut()
    for number in range(950):
        bob.say(f"post {number}")
        world.step()
    ana.connect()
    world.step()
    assert texts(ana) == [f"post {number}" for number in range(950)]
    assert ana.seen(up.GapFound) == []


def test_temporarily_rejected_history_request_is_retried() -> None:
    world = World(Limits(message_rate=0, message_burst=0, ring_posts=5, history_rate=0.5))
    ana, bob = world.user("ana"), world.user("bob")
    ana.cut()
    for number in range(900):
        bob.say(f"post {number}")
        world.step()
    ana.connect()
    for _ in range(20):
        world.step()
        world.pass_time(2.1)
    world.step()
    assert texts(ana) == [f"post {number}" for number in range(900)]


def test_client_stays_within_the_servers_rate_limit() -> None:
    world = World(Limits(message_rate=10.0, message_burst=5))
    ana, bob = world.user("ana"), world.user("bob")
    for number in range(30):
        ana.say(f"post {number}")
    for _ in range(100):
        world.step()
        world.pass_time(0.1)
    assert texts(bob) == [f"post {number}" for number in range(30)]
    assert ana.seen(up.PostRejected) == []


def test_permanently_rejected_post_returns_its_text() -> None:
    world = World(Limits(max_message_bytes=10))
    ana = world.user("ana")
    nonce = ana.say("far too long a text")
    world.step()
    (refused,) = ana.seen(up.PostRejected)
    assert isinstance(refused, up.PostRejected)
    assert (refused.nonce, refused.code, refused.text) == (nonce, "too_long", "far too long a text")
    assert ana.session.unacknowledged == 0


def test_too_long_post_is_rejected_by_the_client() -> None:
    world = World(Limits(max_message_bytes=10))
    ana = world.user("ana")
    ana.cut()
    ana.say("written while away: too long")
    ana.connect()
    world.step()
    ana.say("\u00e9" * 5 + "!")
    assert ana.wire is not None
    assert not ana.wire.to_server
    assert [refused.code for refused in ana.seen(up.PostRejected)] == ["too_long"] * 2  # type: ignore[union-attr]
    ana.say("\u00e9" * 5)
    world.step()
    assert texts(ana) == ["\u00e9" * 5]


def test_name_rejected_at_hello_is_fatal_until_it_is_changed() -> None:
    world = World()
    world.user("ana")
    thief = User(world, "ana2", (("lobby", 0),))
    thief.session.name = "ana"
    world.users.append(thief)
    thief.connect()
    world.step()
    assert thief.session.fatal is not None
    assert isinstance(thief.seen(up.NameDenied)[0], up.NameDenied)
    thief.cut()
    thief.session.request(lambda ref: commands.Rename("zoe", ref))
    thief.connect()
    world.step()
    assert thief.session.welcomed
    assert thief.session.name == "zoe"


def test_rename_takes_effect_only_when_the_server_confirms_it() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.session.request(lambda ref: commands.Rename("bob", ref))
    ana.collect()
    world.step()
    assert ana.session.name == "ana"
    assert [type(u) for u in ana.seen(up.NameDenied)] == [up.NameDenied]
    ana.session.request(lambda ref: commands.Rename("zoe", ref))
    ana.collect()
    world.step()
    assert ana.session.name == "zoe"
    changed = bob.seen(up.PresenceChanged)[-1]
    assert isinstance(changed, up.PresenceChanged)
    assert (changed.event, changed.names) == ("rename", ("ana", "zoe"))
    ana.say("me")
    world.step()
    assert [u.own for u in ana.seen(up.PostArrived) if isinstance(u, up.PostArrived)] == [True]


def test_rooms_are_joined_and_left() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    for user in (ana, bob):
        user.session.request(lambda ref: commands.Join("dev", ref, last=10))
        user.collect()
        world.step()
    ana.say("in dev", "dev")
    world.step()
    assert texts(bob, "dev") == ["in dev"]
    bob.session.request(lambda ref: commands.Leave("dev", ref))
    bob.collect()
    world.step()
    ana.say("alone", "dev")
    world.step()
    assert texts(bob, "dev") == ["in dev"]
    assert bob.seen(up.RoomLeft) == [up.RoomLeft("dev")]
    ana.session.request(lambda ref: commands.Join("not a room!", ref))
    ana.collect()
    world.step()
    noticed = ana.seen(up.Noticed)[-1]
    assert isinstance(noticed, up.Noticed)
    assert noticed.code == "bad_room"
    assert "not a room!" not in ana.session.cursors


def test_history_and_members_come_with_their_refs() -> None:
    world = World()
    ana = world.user("ana")
    for number in range(5):
        ana.say(f"post {number}")
    world.step()
    ref = ana.session.request(lambda ref: commands.FetchHistory("lobby", ref, "e1-4", limit=2))
    members_ref = ana.session.request(lambda ref: commands.ListMembers("lobby", ref))
    ana.session.send_typing("lobby")
    ana.collect()
    world.step()
    (page,) = ana.seen(up.HistoryFetched)
    assert isinstance(page, up.HistoryFetched)
    assert (page.ref, [post.text for post in page.posts], page.more) == (ref, ["post 1", "post 2"], True)
    (members,) = ana.seen(events.Presence)
    assert isinstance(members, events.Presence)
    assert (members.ref, [member.name for member in members.members], members.online) == (
        members_ref,
        ["ana"],
        1,
    )


def test_requests_while_offline_are_rejected() -> None:
    world = World()
    ana = world.user("ana", connect=False)
    ref = ana.session.request(lambda ref: commands.ListMembers("lobby", ref))
    ana.collect()
    assert ana.updates == [up.Noticed("You are not connected; try again once you are online.", True, "", ref)]


def test_leave_is_announced_at_once() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.session.goodbye("lunch" * 200)
    ana.collect()
    world.step()
    left = bob.seen(up.PresenceChanged)[-1]
    assert isinstance(left, up.PresenceChanged)
    assert (left.event, left.names, left.online) == ("leave", ("ana",), 1)
    assert left.reason == "lunch" * 24


def test_frame_of_another_client_with_an_own_nonce_is_not_own() -> None:
    world = World()
    ana = world.user("ana")
    ana.cut()
    nonce = ana.say("mine")
    ana.connect()
    forged = Message("forged", "mallory", "2026-01-01T00:00:00+00:00", "e1-1", "lobby", nonce)
    ana.session.receive(encode(forged), world.when)
    ana.collect()
    assert ana.session.unacknowledged == 1
    arrived = ana.seen(up.PostArrived)
    assert not any(isinstance(u, up.PostArrived) and u.own for u in arrived)


def test_drain_sets_the_spread_of_the_next_connection() -> None:
    world = World()
    ana = world.user("ana")
    ana.session.receive(b'{"type":"drain","reason":"restart","spread":900}', world.when)
    assert ana.session.drain_spread_s == 60.0


def test_server_notices_and_errors_reach_the_user() -> None:
    world = World()
    ana = world.user("ana")
    ana.session.receive(encode(System("notice", "Lunch.", "2026-01-01T00:00:00+00:00")), world.when)
    ana.session.receive(b"garbage", world.when)
    ana.session.receive(b'{"type":"fireworks"}', world.when)
    ana.collect()
    first, second = ana.seen(up.Noticed)
    assert isinstance(first, up.Noticed)
    assert isinstance(second, up.Noticed)
    assert (first.text, first.error) == ("Lunch.", False)
    assert second.error


FIELDS = [
    *("room", "id", "message", "sender", "timestamp", "head", "rooms", "from", "to", "ref"),
    *("nonce", "online", "items", "more", "name", "code", "reason", "event", "missed"),
]
TYPES = sorted(struct.__struct_config__.tag for struct in get_args(Event))
VALUES = ["lobby", "e1-3", "e1-9", "zz-1", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00"]
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.lists(st.text(max_size=5), max_size=3)
    | st.sampled_from(VALUES)
)


@given(st.dictionaries(st.sampled_from(FIELDS), values), st.sampled_from(TYPES))
def test_no_frame_of_a_hostile_server_raises(frame: dict[str, object], kind: str) -> None:
    world = World()
    ana = world.user("ana")
    ana.session.receive(msgspec.json.encode({**frame, "type": kind}), world.when)
    ana.collect()


actions = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 2)),
        st.tuples(st.just("deliver"), st.integers(0, 2), st.integers(1, 5)),
        st.tuples(st.just("serve")),
        st.tuples(st.just("cut"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("connect"), st.integers(0, 2)),
        st.tuples(st.just("drop"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("double"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("time"), st.integers(1, 8)),
        st.tuples(st.just("restart")),
    ),
    max_size=60,
)


def act(world: World, action: tuple[object, ...], said: list[str]) -> None:
    """Do one thing to the network. `drop` and `double` hurt single frames, as no TCP would."""
    match action:
        case ("say", int(who)):
            said.append(f"text {len(said)}")
            world.users[who].say(said[-1])
        case ("deliver", int(who), int(frames)):
            world.deliver(world.users[who], frames)
        case ("serve",):
            world.serve()
        case ("cut", int(who), bool(noticed)):
            world.users[who].cut(noticed=noticed)
        case ("connect", int(who)):
            if world.users[who].wire is None:
                world.users[who].connect()
        case ("drop", int(who), bool(up_stream)):
            if (wire := world.users[who].wire) is not None:
                queue = wire.to_server if up_stream else wire.to_client
                if queue:
                    queue.popleft()
        case ("double", int(who), bool(up_stream)):
            if (wire := world.users[who].wire) is not None:
                queue = wire.to_server if up_stream else wire.to_client
                if queue:
                    queue.appendleft(queue[0])
        case ("time", int(seconds)):
            world.pass_time(float(seconds))
        case ("restart",):
            world.restart(keep_log=True)


@settings(max_examples=150, deadline=None)
@given(actions, st.integers(2, 30))
def test_posts_arrive_once_and_in_one_order_on_any_network(
    script: list[tuple[object, ...]], ring_posts: int
) -> None:
    world = World(Limits(message_rate=0, message_burst=0, ring_posts=ring_posts, history_rate=1_000))
    for name in ("ana", "bob", "cy"):
        world.user(name)
    said: list[str] = []
    for action in script:
        act(world, action, said)
    for _ in range(2):
        for user in world.users:
            user.cut()
        for user in world.users:
            user.connect()
        world.step()
        world.pass_time(5.0)
        world.step()
    log = [post.text for post in world.log.posts.get("lobby", [])]
    assert sorted(log) == sorted(said)
    for user in world.users:
        assert texts(user) == log
        assert user.session.unacknowledged == 0
        assert user.seen(up.GapFound) == []
        assert len(user.seen(up.PostDelivered)) == len({u.nonce for u in user.seen(up.PostDelivered)})  # type: ignore[union-attr]


def test_search_rooms_and_topics_are_answered() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.say("a needle")
    world.step()
    search = ana.session.request(lambda ref: commands.Search("needle", "lobby", ref))
    listing = ana.session.request(commands.ListRooms)
    ana.session.request(lambda ref: commands.SetTopic("hay", "lobby", ref))
    ana.collect()
    world.step()
    (found,) = ana.seen(up.SearchFound)
    assert isinstance(found, up.SearchFound)
    assert (found.ref, [post.text for post in found.posts]) == (search, ["a needle"])
    (rooms,) = ana.seen(events.RoomList)
    assert isinstance(rooms, events.RoomList)
    assert (rooms.ref, [info.room for info in rooms.rooms]) == (listing, ["lobby"])
    assert bob.seen(events.Topic) == [events.Topic("lobby", "hay", "ana")]


def test_post_to_a_room_not_joined_is_rejected() -> None:
    world = World()
    ana = world.user("ana")
    ana.say("hello", "elsewhere")
    (refused,) = ana.seen(up.PostRejected)
    assert isinstance(refused, up.PostRejected)
    assert (refused.code, refused.text) == ("not_in_room", "hello")
    assert ana.session.unacknowledged == ana.session.unsent == 0


def test_room_can_be_left_while_offline() -> None:
    world = World()
    ana = world.user("ana", ("lobby", 0), ("dev", 0))
    ana.cut()
    ana.session.request(lambda ref: commands.Leave("dev", ref))
    assert ana.session.request(lambda ref: commands.Join("ops", ref, last=5)) == ""
    assert ana.session.request(lambda ref: commands.Join("lobby", ref, last=5)) == ""
    ana.connect()
    world.step()
    assert set(ana.session.cursors) == {"lobby", "ops"}
    assert ana.session.cursors["ops"].synced


def test_changes_between_hello_and_welcome_reach_the_server() -> None:
    world = World()
    bob = world.user("bob", ("lobby", 0), ("dev", 0), ("ops", 0))
    ana = world.user("ana", ("lobby", 0), ("dev", 0), connect=False)
    ana.connect()
    ana.session.request(lambda ref: commands.Join("ops", ref, last=5))
    ana.session.request(lambda ref: commands.Leave("dev", ref))
    ana.session.request(lambda ref: commands.Rename("zoe", ref))
    world.step()
    assert ana.session.name == "zoe"
    assert set(ana.session.cursors) == {"lobby", "ops"}
    assert ana.session.cursors["ops"].synced
    members = {}
    for room in ("dev", "ops"):
        bob.session.request(partial(commands.ListMembers, room))
        bob.collect()
        world.step()
        listed = bob.seen(events.Presence)[-1]
        assert isinstance(listed, events.Presence)
        members[room] = [member.name for member in listed.members]
    assert members == {"dev": ["bob"], "ops": ["bob", "zoe"]}


def test_a_room_left_and_joined_at_once_is_joined() -> None:
    world = World()
    ana, bob = world.user("ana"), world.user("bob")
    ana.session.request(lambda ref: commands.Leave("lobby", ref))
    ana.session.request(lambda ref: commands.Join("lobby", ref, last=5))
    ana.collect()
    world.step()
    bob.say("hello")
    world.step()
    assert ana.session.cursors["lobby"].synced
    assert texts(ana) == ["hello"]


def test_a_request_that_an_older_server_does_not_know_is_reported_in_words() -> None:
    world = World()
    ana = world.user("ana")
    ref = ana.session.request(lambda ref: commands.SetAway(True, "lunch", ref))
    event = events.Error("unknown_type", "Unknown frame type. Known types: hello, message.", ref=ref)
    ana.session.receive(encode(event), world.when)
    ana.collect()
    assert ana.seen(up.Noticed)[-1] == up.Noticed(UNSUPPORTED, True, "unknown_type", ref)


def test_disconnect_reports_pending_requests_as_lost() -> None:
    world = World()
    ana = world.user("ana")
    ref = ana.session.request(lambda ref: commands.ListMembers("lobby", ref))
    ana.collect()
    ana.cut()
    noticed = ana.seen(up.Noticed)[-1]
    assert isinstance(noticed, up.Noticed)
    assert noticed.ref == ref
    assert ana.session.next_due() is None


def test_leaving_a_room_cancels_its_history_retry() -> None:
    world = World()
    ana = world.user("ana", ("lobby", 0), ("dev", 0))
    ana.session.receive(
        b'{"type":"gap","room":"dev","from":"e1-1","to":"e1-9","reason":"lagged"}', world.when
    )
    (fill,) = (msgspec.json.decode(data) for data in ana.session.pop_outgoing())
    busy = {"type": "error", "code": "try_later", "message": "Busy.", "temporary": True, "ref": fill["ref"]}
    ana.session.receive(msgspec.json.encode(busy), world.when)
    assert ana.session.next_due() is not None
    ana.session.receive(b'{"type":"left","ref":"x","room":"dev"}', world.when)
    assert ana.session.next_due() is None
    world.pass_time(60.0)
    assert set(ana.session.cursors) == {"lobby"}


def test_late_history_error_of_a_left_room_is_ignored() -> None:
    world = World()
    ana = world.user("ana", ("lobby", 0), ("dev", 0))
    ana.session.receive(
        b'{"type":"gap","room":"dev","from":"e1-1","to":"e1-9","reason":"lagged"}', world.when
    )
    (fill,) = (msgspec.json.decode(data) for data in ana.session.pop_outgoing())
    ana.session.receive(b'{"type":"left","ref":"x","room":"dev"}', world.when)
    for temporary in (True, False):
        error = {"type": "error", "code": "x", "message": "No.", "temporary": temporary, "ref": fill["ref"]}
        ana.session.receive(msgspec.json.encode(error), world.when)
    assert ana.session.next_due() is None
    assert set(ana.session.cursors) == {"lobby"}
