"""Connections that enter on several nodes: names, rooms, guests and what happens when something fails."""

from __future__ import annotations

from typing import Any

import pytest

from broadcast_tui.core.errors import CloseCode, ErrorCode, RequestError
from broadcast_tui.core.hub.auth import Identity
from tests.support.hub_cluster import Client, HubCluster, Node

UNAVAILABLE = RequestError(ErrorCode.TRY_LATER, "Try again.", temporary=True, retry_after=2.0)


@pytest.fixture
def cluster() -> HubCluster:
    return HubCluster(3)


def enter(
    node: Node, name: str = "", client_id: str = "", rooms: tuple[str, ...] = (), **more: Any
) -> Client:
    """A v1 connection past its hello, unless that was rejected."""
    client = node.connect()
    client.send("hello", name=name, client_id=client_id, rooms=[{"room": room} for room in rooms], **more)
    node.cluster.settle()
    return client


def plain(node: Node, name: str = "", text: str = "hi") -> Client:
    client = node.connect(v1=False)
    node.cluster.settle()
    if name:
        client.send("message", sender=name, message=text)
        node.cluster.settle()
    return client


def codes(client: Client) -> list[str]:
    return [frame["code"] for frame in client.frames() if "code" in frame]


# -- entering


def test_a_hello_waits_until_its_rooms_are_open(cluster: HubCluster) -> None:
    node = cluster[1]
    client = node.connect()
    client.send("hello", rooms=[{"room": "dev"}, {"room": "ops"}])
    client.send("message", room="dev", message="first", nonce="a")
    node.receive()
    node.collect()
    assert client.wire.is_held
    assert client.frames() == []
    assert not cluster.log.posts
    cluster.settle()
    assert [frame["type"] for frame in client.frames()][:1] == ["welcome"]
    assert [post.text for post in cluster.log.posts["dev"]] == ["first"]
    assert len(client.frames("ack")) == 1


def test_posts_of_other_nodes_arrive(cluster: HubCluster) -> None:
    ana, bob = enter(cluster[1], "ana", "a"), enter(cluster[2], "bob", "b")
    bob.send("message", room="lobby", message="hello", nonce="n")
    cluster.settle()
    assert [frame["message"] for frame in ana.frames("message")] == ["hello"]


def test_a_hello_whose_rooms_cannot_be_opened_can_be_sent_again(cluster: HubCluster) -> None:
    node = cluster[1]
    node.is_up = False
    client = enter(node, "ana", "a")
    assert codes(client) == ["try_later"]
    assert client.frames("error")[0]["temporary"]
    assert client.close_code is None
    assert not cluster.names
    node.is_up = True
    client.send("hello", name="ana", client_id="a")
    cluster.settle()
    assert client.frames("welcome")[0]["name"] == "ana"


def test_a_plain_connection_that_cannot_enter_is_closed(cluster: HubCluster) -> None:
    cluster[1].is_up = False
    client = plain(cluster[1])
    assert client.close_code == CloseCode.TRY_AGAIN_LATER


def test_a_connection_that_closes_while_it_waits_takes_nothing(cluster: HubCluster) -> None:
    node = cluster[1]
    client = node.connect()
    client.send("hello", name="ana", client_id="a", rooms=[{"room": "dev"}])
    node.receive()
    node.collect()
    client.close()
    cluster.settle()
    assert not cluster.names
    assert not node.index.opened
    assert not node.hub.rooms.by_name
    assert enter(cluster[2], "ana", "other").peer_name == "ana"


def test_a_room_is_closed_when_it_is_not_in_memory(cluster: HubCluster) -> None:
    client = enter(cluster[1], rooms=("dev",))
    assert cluster[1].index.opened == {"dev"}
    client.close()
    cluster.pass_time(cluster.limits.leave_grace_s + 1)
    cluster.settle()
    assert not cluster[1].index.opened


def test_an_idle_room_stays_open_until_it_is_dropped(cluster: HubCluster) -> None:
    client = enter(cluster[1], rooms=("dev",))
    client.send("message", room="dev", message="x", nonce="n")
    cluster.settle()
    client.close()
    cluster.settle()
    assert cluster[1].index.opened == {"dev"}
    cluster.pass_time(cluster.limits.idle_room_s + cluster.limits.leave_grace_s + 1)
    cluster.pass_time(cluster.limits.idle_room_s + 1)
    cluster.settle()
    assert not cluster[1].index.opened


def test_a_room_that_is_entered_again_is_not_closed(cluster: HubCluster) -> None:
    node = cluster[1]
    first = enter(node, rooms=("dev",))
    second = node.connect()
    second.send("hello", rooms=[{"room": "dev"}])
    first.close()  # the room is to be closed, and entered before that is done
    node.receive()
    cluster.settle()
    assert node.index.opened == {"dev"}
    assert node.hub.port.uses_room("dev")


def test_join_waits_in_order(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana", "a")
    client.send("join", room="dev", ref="1")
    client.send("message", room="dev", message="x", nonce="n")
    cluster.settle()
    assert [frame["ref"] for frame in client.frames("joined")] == ["1"]
    assert [post.text for post in cluster.log.posts["dev"]] == ["x"]


def test_a_join_that_fails_is_an_error_reply(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana", "a")
    cluster[1].is_up = False
    client.send("join", room="dev", ref="1")
    client.send("message", room="lobby", message="x", nonce="n")
    cluster.settle()
    assert [(frame["code"], frame["ref"]) for frame in client.frames("error")] == [("try_later", "1")]
    assert len(client.frames("ack")) == 1


def test_rooms_of_all_nodes_are_listed(cluster: HubCluster) -> None:
    enter(cluster[1], rooms=("dev",))
    enter(cluster[2], rooms=("ops",))
    client = enter(cluster[3])
    client.send("list", ref="1")
    cluster.settle()
    rooms = client.frames("list")[0]["rooms"]
    assert [(room["room"], room["online"]) for room in rooms] == [("dev", 1), ("lobby", 1), ("ops", 1)]
    client.send("list", ref="2", limit=1, after="dev")
    cluster.settle()
    page = client.frames("list")[1]
    assert [room["room"] for room in page["rooms"]] == ["lobby"]
    assert page["truncated"]


# -- names


def test_names_are_unique_in_the_cluster(cluster: HubCluster) -> None:
    enter(cluster[1], "ana", "a")
    other = enter(cluster[2], "Ana", "b")
    assert codes(other) == ["name_taken"]
    other.send("hello", name="bea", client_id="b")
    cluster.settle()
    assert other.peer_name == "bea"


def test_the_same_owner_has_a_name_on_several_nodes(cluster: HubCluster) -> None:
    first, second = enter(cluster[1], "ana", "a"), enter(cluster[2], "ana", "a")
    assert second.peer_name == "ana"
    first.close()
    cluster.settle()
    assert codes(enter(cluster[3], "ana", "b")) == ["name_taken"]
    second.close()
    cluster.settle()
    assert codes(enter(cluster[3], "ana", "b")) == ["name_taken"]  # in its grace period
    cluster.pass_time(cluster.limits.leave_grace_s + 1)
    assert enter(cluster[3], "ana", "b").peer_name == "ana"


def test_plain_clients_never_share_a_name(cluster: HubCluster) -> None:
    plain(cluster[1], "ana")
    second = plain(cluster[2], "ana")
    assert "name_taken" in codes(second)
    assert [post.sender for post in cluster.log.posts["lobby"]] == ["ana"]
    third = plain(cluster[1], "ana")
    assert "name_taken" in codes(third)


def test_a_plain_client_claims_its_name_again_in_its_grace_period(cluster: HubCluster) -> None:
    plain(cluster[1], "ana").close()
    cluster.settle()
    assert plain(cluster[2], "ana").peer_name == "ana"
    assert "name_taken" in codes(plain(cluster[1], "ana"))


def test_the_first_post_of_a_plain_client_waits_for_its_name(cluster: HubCluster) -> None:
    client = plain(cluster[1])
    client.send("message", sender="ana", message="one")
    client.send("message", sender="ana", message="two")
    cluster[1].receive()
    cluster[1].collect()
    assert not cluster.log.posts
    cluster.settle()
    assert [(post.sender, post.text) for post in cluster.log.posts["lobby"]] == [
        ("ana", "one"),
        ("ana", "two"),
    ]


def test_the_cluster_decides_about_a_local_grace_period(cluster: HubCluster) -> None:
    enter(cluster[1], "ana", "a").close()
    cluster.settle()
    cluster.names.clear()  # the cluster has forgotten the grace period
    assert enter(cluster[1], "ana", "b").peer_name == "ana"


def test_a_rename_releases_the_old_name_at_once(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana", "a")
    client.send("rename", name="eve", ref="1")
    cluster.settle()
    assert client.frames("renamed")[0]["name"] == "eve"
    assert enter(cluster[2], "ana", "b").peer_name == "ana"
    client.send("rename", name="ana", ref="2")
    cluster.settle()
    assert codes(client) == ["name_taken"]
    assert client.peer_name == "eve"
    client.send("rename", name="Eve", ref="3")  # only the case: nothing is needed
    cluster[1].is_up = False
    cluster.settle()
    assert client.peer_name == "Eve"


def test_a_token_takes_its_name_from_other_nodes(cluster: HubCluster) -> None:
    first = enter(cluster[1], "ana", "a")
    holder = cluster[2].connect(identity=Identity("t1", "ana"))
    holder.send("hello", name="ana")
    cluster.settle()
    assert holder.peer_name == "ana"
    assert first.close_code == CloseCode.REPLACED
    cluster.pass_time(cluster.limits.leave_grace_s + 1)
    cluster.settle()
    assert cluster.names["ana"].nodes == {"n2"}


def test_lost_names_close_their_connections(cluster: HubCluster) -> None:
    clients = [enter(cluster[1], "ana", "a"), enter(cluster[1], "ana", "a")]
    other = enter(cluster[1], "bob", "b")
    assert all(cluster[1].hub.port.uses_name(name) for name in ("ana", "bob"))
    cluster[1].hub.port.names_lost(["ana"], cluster.when)
    cluster.settle()
    assert [client.close_code for client in clients] == [CloseCode.REPLACED] * 2
    assert other.close_code is None
    assert not cluster[1].hub.port.uses_name("ana")


def test_a_claim_granted_before_the_name_was_banned_is_released(cluster: HubCluster) -> None:
    node = cluster[1]
    client = plain(node)
    client.send("message", sender="ana", message="one")
    node.receive()
    node.collect()
    node.hub.posting.draining = True
    cluster.settle()
    assert not cluster.names
    assert not cluster.log.posts


def test_a_name_that_is_claimed_again_at_once_is_not_released(cluster: HubCluster) -> None:
    node = cluster[1]
    first = enter(node, "ana", "a")
    second = node.connect()
    second.send("hello", name="ana", client_id="a")
    node.receive()
    node.collect()
    first.close()
    node.answer()
    cluster.settle()
    assert cluster.names["ana"].nodes == {"n1"}


# -- guests


def test_guests_have_numbers_of_their_own(cluster: HubCluster) -> None:
    for node in cluster.nodes.values():
        client = plain(node)
        client.send("message", message="hi")
    cluster.settle()
    assert [post.sender for post in cluster.log.posts["lobby"]] == ["guest-1", "guest-1001", "guest-2001"]


def test_guests_without_free_numbers_have_large_random_ones(cluster: HubCluster) -> None:
    hub = cluster[1].hub
    assert not hub.port.needs_guest_numbers
    peers = [cluster[1].connect().wire.peer for _ in range(1_002)]
    assert hub.port.needs_guest_numbers
    numbers = [peer.guest_number for peer in peers if peer is not None]
    assert len({*numbers}) == 1_002
    assert numbers[999] == 1_000
    assert min(numbers[1_000:]) >= 10**15
    hub.port.add_guest_numbers(9_001, 1_000)
    assert not hub.port.needs_guest_numbers


# -- questions


def test_a_question_is_closed_by_another_node(cluster: HubCluster) -> None:
    ana = enter(cluster[1], "ana", "a", notes=True)
    ask = {"choices": ["yes", "no"], "until_s": 60}
    ana.send("message", room="lobby", message="ok?", nonce="n", ask=ask)
    cluster.settle()
    cluster.kill("n1")
    bob = enter(cluster[2], "bob", "b", notes=True)
    cluster.pass_time(61)
    cluster.settle()
    assert not cluster.log.open_asks()
    assert bob.frames("note")
