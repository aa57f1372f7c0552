"""Own posts are recognized whenever their ack comes: shown once at any time, and never lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.session import updates as up
from tests.support.hub_pair import User, World

Acks = Literal["echoed", "public", "acks only", "late acks"]
MODES: tuple[Acks, ...] = ("echoed", "public", "acks only", "late acks")


class Screen:
    """What a user sees: lines of posts, and pending posts below them."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.lines: list[str] = []
        self.pending: dict[str, str] = {}
        self.said: list[str] = []
        self._read = 0

    def say(self, text: str) -> None:
        self.said.append(text)
        self.pending[self.user.say(text)] = text
        self.check()

    def check(self) -> None:
        """Apply the new updates one by one: nothing may be shown twice, or vanish."""
        for update in self.user.updates[self._read :]:
            match update:
                case up.PostArrived(post=post, own=own):
                    self.lines.append(post.text)
                    assert own == bool(post.nonce)
                    if own:
                        self.pending.pop(post.nonce, None)
                case up.PostDelivered(nonce=nonce, has_arrived=True):
                    self.pending.pop(nonce, None)
            shown = [*self.lines, *self.pending.values()]
            assert len(shown) == len(set(shown)), shown
        self._read = len(self.user.updates)
        assert set(self.said) <= {*self.lines, *self.pending.values()}


class Filter:
    """Changes what a session receives: where nonces are, and when acks come."""

    def __init__(self, user: User, world: World, mode: Acks) -> None:
        self._receive: Callable[[bytes, Instant], None] = user.session.receive
        self._user, self._world, self._mode = user, world, mode
        self._held: list[bytes] = []
        self._count = 0
        user.session.receive = self.receive  # type: ignore[method-assign]

    def receive(self, data: bytes, when: Instant) -> None:
        frame = msgspec.json.decode(data)
        if frame["type"] == "message" and self._mode in ("acks only", "late acks"):
            frame.pop("nonce", None)
        elif frame["type"] == "message" and self._mode == "public":
            seq = int(frame["id"].split("-")[1])
            post = self._world.log.posts[frame["room"]][seq - 1]
            frame["nonce"] = self._world.log.nonces[post.room, post.position]
        if frame["type"] == "ack" and self._mode == "late acks":
            self._held.append(data)
        else:
            self._receive(msgspec.json.encode(frame), when)
            self._count += 1
            if self._count % 4 == 0:
                self.release()

    def release(self) -> bool:
        held, self._held = self._held, []
        for data in held:
            self._receive(data, self._world.when)
        self._user.collect()
        return bool(held)

    def lose(self) -> None:
        """Lose the acks under way, with the connection."""
        self._held.clear()


def meet(mode: Acks, limits: Limits | None = None) -> tuple[World, list[Screen], list[Filter]]:
    world = World(limits)
    users = [world.user(name) for name in ("ana", "bob")]
    return world, [Screen(user) for user in users], [Filter(user, world, mode) for user in users]


def settle(world: World, screens: list[Screen], filters: list[Filter]) -> None:
    for screen in screens:
        if screen.user.wire is None:
            screen.user.connect()
    for _ in range(10):
        world.step()
        world.pass_time(5.0)
        released = sum(each.release() for each in filters)
        if not released and not any(screen.user.session.unacknowledged for screen in screens):
            break
    for screen in screens:
        screen.check()


@pytest.mark.parametrize("mode", MODES)
def test_own_post_is_shown_once_whenever_its_ack_comes(mode: Acks) -> None:
    world, (ana, bob), filters = meet(mode)
    ana.say("one")
    bob.say("two")
    world.step()
    settle(world, [ana, bob], filters)
    assert sorted(ana.lines) == sorted(bob.lines) == ["one", "two"]
    assert ana.pending == bob.pending == {}


@pytest.mark.parametrize("mode", MODES)
def test_post_whose_ack_is_lost_is_shown_once_in_the_replay(mode: Acks) -> None:
    world, (ana, bob), filters = meet(mode)
    ana.say("one")
    ana.say("two\r\n")  # sanitized by the server
    ana.user.updates.clear()
    ana.said, ana.pending, ana._read = ["one", "two"], dict(zip(ana.pending, ["one", "two"], strict=True)), 0
    assert ana.user.wire is not None
    assert ana.user.wire.peer is not None
    for data in ana.user.wire.to_server:
        world.hub.receive(ana.user.wire.peer, data, world.when)
    world.serve()
    ana.user.cut()
    ana.user.connect()
    world.step()
    ana.check()
    settle(world, [ana, bob], filters)
    assert ana.lines == bob.lines == ["one", "two"]
    assert ana.pending == {}
    assert len(ana.user.seen(up.PostDelivered)) == 2


def test_equal_text_from_another_connection_is_not_lost() -> None:
    world, (ana, bob), _ = meet("acks only")
    twin = User(world, "ana", (("lobby", 0),))
    twin.session._outbox._make_nonce = lambda: "twin.1"
    world.users.append(twin)
    twin.connect()
    world.step()
    twin.say("same")
    world.serve()
    ana.user.say("same")
    world.step()
    assert [post.text for post in bob.user.posts()] == ["same", "same"]
    assert [post.text for post in ana.user.posts()] == ["same", "same"]
    assert ana.user.session.unacknowledged == twin.session.unacknowledged == 0


@pytest.mark.parametrize("mode", MODES)
def test_post_in_a_gap_does_not_mark_another(mode: Acks) -> None:
    world, (ana, bob), filters = meet(mode, Limits(message_rate=0, message_burst=0, ring_posts=5))
    ana.say("lost")
    world.serve()
    ana.user.cut()
    for number in range(30):
        bob.say(f"text {number}")
        world.step()
    world.log.trim("lobby", 20)
    ana.user.connect()
    ana.said.clear()
    settle(world, [ana, bob], filters)
    own = [post for update in ana.user.seen(up.PostArrived) if update.own for post in [update.post]]  # type: ignore[union-attr]
    assert [post.text for post in own] in ([], ["lost"])
    assert ana.user.session.unacknowledged == 0


# -- renames


def names_and_texts(world: World) -> list[tuple[str, str]]:
    return [(post.sender, post.text) for post in world.log.posts.get("lobby", [])]


def test_rename_waits_for_posts_in_flight() -> None:
    world = World()
    ana = world.user("ana")
    ana.say("one")
    ana.session.request(lambda ref: commands.Rename("bea", ref))
    ana.say("two")
    ana.collect()
    assert ana.wire is not None
    assert [msgspec.json.decode(data)["type"] for data in ana.wire.to_server] == ["message"]
    world.step()
    assert names_and_texts(world) == [("ana", "one"), ("bea", "two")]
    assert ana.session.name == "bea"
    assert [update.name for update in ana.seen(up.NameChanged)] == ["bea"]  # type: ignore[union-attr]


@pytest.mark.parametrize("is_offline", [False, True])
def test_post_is_not_sent_twice_under_two_names(is_offline: bool) -> None:
    world = World()
    ana = world.user("ana")
    ana.say("one")
    world.deliver(ana)
    world.serve()  # stored, but the ack is lost
    if is_offline:
        ana.cut()
    ana.session.request(lambda ref: commands.Rename("bea", ref))
    ana.collect()
    ana.cut()
    ana.connect()
    ana.say("two")
    world.step()
    world.step()
    assert names_and_texts(world) == [("ana", "one"), ("bea", "two")]
    assert ana.session.name == "bea"
    assert ana.session.unacknowledged == 0


def test_rename_offline_takes_effect_at_once_without_posts_in_flight() -> None:
    world = World()
    ana = world.user("ana")
    ana.cut()
    ana.say("written offline")
    ana.session.request(lambda ref: commands.Rename("bea", ref))
    ana.connect()
    world.step()
    assert names_and_texts(world) == [("bea", "written offline")]


def test_waiting_rename_replaces_a_name_that_was_taken_meanwhile() -> None:
    world = World()
    ana = world.user("ana")
    ana.say("one")
    ana.cut()
    world.pass_time(10.0)
    thief = User(world, "ana", (("lobby", 0),))
    thief.session._client_id = "another"
    world.users.append(thief)
    thief.connect()
    world.step()
    ana.session.request(lambda ref: commands.Rename("bea", ref))
    ana.connect()
    world.step()
    assert ana.session.fatal is None
    assert names_and_texts(world) == [("bea", "one")]


@pytest.mark.parametrize("temporary", [False, True])
def test_rename_is_sent_after_a_post_was_rejected(temporary: bool) -> None:
    world = World()
    ana = world.user("ana")
    nonce = ana.say("one")
    ana.session.request(lambda ref: commands.Rename("bea", ref))
    ana.session.pop_outgoing()
    error = {"type": "error", "code": "empty", "message": "Empty.", "temporary": temporary, "nonce": nonce}
    ana.session.receive(msgspec.json.encode(error), world.when)
    assert [msgspec.json.decode(data)["type"] for data in ana.session.pop_outgoing()] == ["rename"]
    ana.collect()
    rejected = [update.code for update in ana.seen(up.PostRejected)]  # type: ignore[union-attr]
    assert rejected == ([] if temporary else ["empty"])


def test_ack_with_an_invalid_id_does_not_count_as_arrived() -> None:
    world = World()
    ana = world.user("ana")
    nonce = ana.say("one")
    ack = {"type": "ack", "nonce": nonce, "id": "not an id", "room": "lobby", "timestamp": "", "dup": False}
    ana.session.receive(msgspec.json.encode(ack), world.when)
    ana.collect()
    (delivered,) = ana.seen(up.PostDelivered)
    assert isinstance(delivered, up.PostDelivered)
    assert not delivered.has_arrived


def test_denied_rename_does_not_hold_posts_back() -> None:
    world = World()
    ana = world.user("ana")
    world.user("bob")
    ana.say("one")
    ana.session.request(lambda ref: commands.Rename("bob", ref))
    ana.say("two")
    world.step()
    assert names_and_texts(world) == [("ana", "one"), ("ana", "two")]
    assert [update.name for update in ana.seen(up.NameDenied)] == ["bob"]  # type: ignore[union-attr]


# -- any order of events

who = st.integers(0, 1)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("say"), who),
        st.tuples(st.just("deliver"), who, st.integers(1, 4)),
        st.tuples(st.just("serve")),
        st.tuples(st.just("cut"), who, st.booleans()),
        st.tuples(st.just("connect"), who),
        st.tuples(st.just("rename"), who),
        st.tuples(st.just("time"), st.integers(1, 8)),
    ),
    max_size=50,
)


@given(actions, st.sampled_from(MODES), st.integers(3, 30))
def test_each_post_is_stored_and_shown_once_in_any_order_of_events(
    script: list[tuple[object, ...]], mode: Acks, ring_posts: int
) -> None:
    limits = Limits(message_rate=0, message_burst=0, ring_posts=ring_posts, history_rate=1_000)
    world, screens, filters = meet(mode, limits)
    for count, action in enumerate(script):
        match action:
            case ("say", int(number)):
                screens[number].say(f"text {count}")
            case ("deliver", int(number), int(frames)):
                world.deliver(screens[number].user, frames)
            case ("serve",):
                world.serve()
            case ("cut", int(number), bool(noticed)):
                screens[number].user.cut(noticed=noticed)
                filters[number].lose()
            case ("connect", int(number)) if screens[number].user.wire is None:
                screens[number].user.connect()
            case ("rename", int(number)):
                name = f"{screens[number].user.session.name[:3]}{count}"
                screens[number].user.session.request(lambda ref, name=name: commands.Rename(name, ref))  # type: ignore[misc]
                screens[number].user.collect()
            case ("time", int(seconds)):
                world.pass_time(float(seconds))
        for screen in screens:
            screen.check()
    settle(world, screens, filters)
    said = [text for screen in screens for text in screen.said]
    log = [post.text for post in world.log.posts.get("lobby", [])]
    assert sorted(log) == sorted(said)
    for screen in screens:
        assert screen.lines == log
        assert screen.pending == {}
        assert screen.user.session.unacknowledged == 0
