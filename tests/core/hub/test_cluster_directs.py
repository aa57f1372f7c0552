"""Direct messages between connections on different nodes, in any order of arrival."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.hub.directs import SWEEP_EVERY_S, UNUSED_S
from tests.core.hub.test_authorization import StubAuthenticator
from tests.core.hub.test_cluster import codes, enter, plain
from tests.support.hub_cluster import Client, HubCluster

ANA, BOB, MIA = Identity("t-ana", "ana"), Identity("t-bob", "Bob"), Identity("t-mia", "mia", Role.ADMIN)


@pytest.fixture
def cluster() -> HubCluster:
    return HubCluster(3)


def with_tokens() -> HubCluster:
    return HubCluster(3, authenticator=StubAuthenticator(ANA, BOB, MIA))


def holder(cluster: HubCluster, number: int, identity: Identity, *rooms: str) -> Client:
    """A token holder past the hello."""
    client = cluster[number].connect(identity=identity)
    client.send("hello", name=identity.name, rooms=[{"room": room} for room in rooms or ("lobby",)])
    cluster.settle()
    return client


def open_direct(client: Client, name: str) -> dict[str, Any]:
    """Open the direct messages with a person; returns the reply."""
    client.clear()
    client.send("direct", name=name, ref="d")
    client.node.cluster.settle()
    [reply] = [frame for frame in client.frames() if frame.get("ref") == "d"]
    return reply


def write(client: Client, room: str, text: str) -> None:
    client.send("message", room=room, message=text, nonce=text)
    client.node.cluster.settle()


def join(client: Client, room: str) -> None:
    client.send("join", room=room, ref="j")
    client.node.cluster.settle()


def texts(client: Client) -> list[str]:
    return [frame["message"] for frame in client.frames("message")]


def test_a_person_on_another_node_gets_direct_messages(cluster: HubCluster) -> None:
    ana, bob, eve = (
        enter(cluster[1], "ana", "a"), enter(cluster[2], "bob", "b"), enter(cluster[3], "eve", "e")
    )  # fmt: skip
    seen = len(eve.frames())
    room = open_direct(ana, "bob")["room"]
    assert room.startswith("@ana+bob~")
    join(ana, room)
    write(ana, room, "psst")
    [direct] = bob.frames("direct")
    assert (direct["room"], direct["with"]) == (room, "ana")
    assert not direct["durable"]
    join(bob, room)
    write(bob, room, "yes?")
    assert texts(ana) == ["psst", "yes?"]
    assert texts(bob)[-1] == "yes?"
    assert open_direct(bob, "ana")["room"] == room
    assert not [frame for frame in eve.frames()[seen:] if "@" in str(frame)]
    join(eve, room)
    assert codes(eve) == ["forbidden"]


def test_both_sides_open_the_same_room(cluster: HubCluster) -> None:
    ana, bob = enter(cluster[1], "ana", "a"), enter(cluster[2], "bob", "b")
    ana.send("direct", name="bob", ref="d")
    bob.send("direct", name="ana", ref="d")
    for _ in range(2):  # both are asked for before either is answered
        for node in (cluster[1], cluster[2]):
            node.receive()
            node.collect()
        for node in (cluster[1], cluster[2]):
            node.answer()
    cluster.settle()
    assert ana.frames("direct")[0]["room"] == bob.frames("direct")[0]["room"]
    assert len(cluster.directs) == 1


def test_nobody_with_that_name_is_on_any_node(cluster: HubCluster) -> None:
    assert open_direct(enter(cluster[1], "ana", "a"), "bob")["code"] == "unknown_person"


def test_oneself_on_another_node(cluster: HubCluster) -> None:
    ana = enter(cluster[1], "ana", "a")
    enter(cluster[2], "eve", "a")
    assert open_direct(ana, "eve")["code"] == "bad_name"


def test_a_plain_client_on_another_node_reads_lines(cluster: HubCluster) -> None:
    ana, guest = enter(cluster[1], "ana", "a"), plain(cluster[2], "gus")
    reply = open_direct(ana, "gus")
    assert reply["note"] == "gus's client shows your messages, but cannot reply to them."
    join(ana, reply["room"])
    write(ana, reply["room"], "psst")
    lines = [frame["message"] for frame in guest.frames() if frame.get("event") == "direct"]
    assert lines == ["ana, to you alone: psst"]
    guest.close()
    cluster.settle()
    ana.clear()
    write(ana, reply["room"], "still there?")
    assert codes(ana) == ["unknown_person"]
    other = plain(cluster[3])
    cluster.pass_time(cluster.limits.leave_grace_s + 1)
    other.send("message", sender="gus", message="I am new")
    cluster.settle()
    ana.clear()
    write(ana, reply["room"], "and now?")
    assert codes(ana) == ["unknown_person"]


def test_rooms_of_token_holders_are_known_on_all_nodes() -> None:
    cluster = with_tokens()
    ana = holder(cluster, 1, ANA)
    reply = open_direct(ana, "bob")
    assert (reply["room"], reply["durable"]) == ("@ana+Bob", True)
    join(ana, "@ana+Bob")
    write(ana, "@ana+Bob", "psst")
    welcome = holder(cluster, 2, BOB).frames("welcome")[0]
    assert [(direct["room"], direct["head"]) for direct in welcome["directs"]] == [("@ana+Bob", "e1-1")]
    welcome = holder(cluster, 3, MIA).frames("welcome")[0]
    assert "directs" not in welcome


def test_a_hello_enters_rooms_for_direct_messages() -> None:
    cluster = with_tokens()
    ana = holder(cluster, 1, ANA, "lobby", "@ana+Bob")
    assert [state["room"] for state in ana.frames("welcome")[0]["rooms"]] == ["lobby", "@ana+Bob"]
    bob = holder(cluster, 2, BOB, "@ana+Bob")
    write(bob, "@ana+Bob", "hi")
    assert texts(ana) == ["hi"]
    mia = holder(cluster, 3, MIA, "lobby", "@ana+Bob")
    assert [state["room"] for state in mia.frames("welcome")[0]["rooms"]] == ["lobby"]
    assert codes(mia) == ["forbidden"]
    assert "@ana+Bob" not in cluster[3].index.opened


def test_a_room_is_forgotten_when_its_owners_have_left(cluster: HubCluster) -> None:
    ana, bob = enter(cluster[1], "ana", "a"), enter(cluster[2], "bob", "b")
    room = open_direct(ana, "bob")["room"]
    join(ana, room)
    write(ana, room, "psst")
    bob.close()
    cluster.pass_time(SWEEP_EVERY_S)
    cluster.pass_time(UNUSED_S + SWEEP_EVERY_S)
    assert [len(node.hub.directs) for node in cluster.nodes.values()] == [1, 0, 0]
    bob = enter(cluster[2], "bob", "b")
    assert [direct["room"] for direct in bob.frames("welcome")[0]["directs"]] == [room]


def test_direct_messages_are_not_listed(cluster: HubCluster) -> None:
    ana, eve = enter(cluster[1], "ana", "a"), enter(cluster[3], "eve", "e")
    enter(cluster[2], "bob", "b")
    room = open_direct(ana, "bob")["room"]
    join(ana, room)
    write(ana, room, "psst")
    for client in (ana, eve):
        client.clear()
        client.send("list", ref="l")
        cluster.settle()
        assert [info["room"] for info in client.frames("list")[0]["rooms"]] == ["lobby"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_order_of_arrival_notifies_once(data: st.DataObject) -> None:
    """Writers on two nodes, readers in and out of the room on all: nothing is lost or repeated."""
    cluster = HubCluster(3)
    ana = enter(cluster[1], "ana", "a")
    gus = plain(cluster[2], "gus")
    eve = [enter(node, f"eve{number}", f"e{number}") for number, node in enumerate(cluster.nodes.values())]
    room = open_direct(ana, "gus")["room"]
    second = enter(cluster[3], "ana", "a")  # the same owner on another node, who writes too
    outside = enter(cluster[2], "ana", "a")
    join(ana, room)
    join(second, room)
    for client in (*eve, outside):
        client.clear()
    for number in range(data.draw(st.integers(1, 8))):
        writer = data.draw(st.sampled_from((ana, second)))
        writer.send("message", room=room, message=str(number), nonce=str(number))
        for _ in range(data.draw(st.integers(0, 6))):
            node = data.draw(st.sampled_from(list(cluster.nodes.values())))
            match data.draw(st.sampled_from(("receive", "append", "follow", "collect", "signal", "answer"))):
                case "receive":
                    node.receive()
                case "append":
                    node.append()
                case "follow":
                    node.follow()
                case "collect":
                    node.collect()
                case "answer" if node.preparations:
                    node.answer(data.draw(st.integers(0, len(node.preparations) - 1)))
                case "signal" if node.signals:
                    node.deliver(data.draw(st.sampled_from(sorted(node.signals))))
    cluster.settle()
    posts = [post.text for post in cluster.log.posts[room]]
    assert texts(ana) == texts(second) == posts
    lines = [frame["message"] for frame in gus.frames() if frame.get("event") == "direct"]
    assert sorted(lines) == sorted(f"ana, to you alone: {text}" for text in posts)
    heads = [frame["head"] for frame in outside.frames("direct")]
    assert len(heads) == len(posts)
    assert heads[-1] == f"e1-{len(posts)}"
    for client in eve:
        assert not [frame for frame in client.frames() if "@" in str(frame)]


def test_a_renamed_connection_without_client_id_gets_messages_on_another_node(cluster: HubCluster) -> None:
    ana, guest = enter(cluster[1], "ana", "a"), enter(cluster[2], "guido")
    room = open_direct(ana, "guido")["room"]
    join(ana, room)
    guest.send("rename", name="guy", ref="r")
    cluster.settle()
    write(ana, room, "hello")
    assert codes(ana) == []
    assert [frame["room"] for frame in guest.frames("direct")] == [room]
    guest.close()
    cluster.pass_time(30)
    enter(cluster[2], "guy")
    write(ana, room, "are you there?")
    assert codes(ana) == ["unknown_person"]
