"""Members of rooms over several nodes: joins, leaves, renames, lists, away status, typing and topics."""

from __future__ import annotations

from typing import Any

import pytest

from broadcast_tui.core.hub.cluster import Member, RosterChanged
from broadcast_tui.core.limits import Limits
from tests.core.hub.test_cluster import enter, plain
from tests.support.hub_cluster import Client, HubCluster
from tests.support.hub_pair import World

UNLIMITED: dict[str, Any] = {"message_rate": 0, "message_burst": 0, "history_rate": 1_000}


@pytest.fixture
def cluster() -> HubCluster:
    return HubCluster(3)


def lines(client: Client, *kinds: str) -> list[str]:
    """The lines about members that have arrived."""
    kinds = kinds or ("join", "leave", "rename", "online")
    return [frame["message"] for frame in client.frames("system") if frame["event"] in kinds]


def listed(client: Client, room: str = "lobby") -> dict[str, tuple[int, str | None]]:
    """The members, with their connections and away messages, as the list of people says."""
    client.clear()
    client.send("presence", room=room, ref="p")
    client.node.cluster.settle()
    (answer,) = client.frames("presence")
    assert answer["online"] >= len(answer["members"])
    return {member["name"]: (member["connections"], member.get("away")) for member in answer["members"]}


def online(client: Client, room: str = "lobby") -> int:
    client.clear()
    client.send("presence", room=room, ref="p")
    client.node.cluster.settle()
    (answer,) = client.frames("presence")
    return int(answer["online"])


# -- joins and leaves


def test_a_join_and_a_leave_are_announced_on_all_nodes(cluster: HubCluster) -> None:
    ana, eve = enter(cluster[1], "ana", "a"), plain(cluster[3])
    bob = enter(cluster[2], "bob", "b")
    for other in (ana, eve):
        assert lines(other)[-1] == "bob has joined the chat. 3 client(s) online."
    assert bob.frames("welcome")[0]["rooms"][0]["online"] == 3
    assert lines(bob) == []
    bob.send("leave", room="lobby", reason="lunch", ref="l")
    cluster.settle()
    for other in (ana, eve):
        assert lines(other)[-1] == "bob has left the chat: lunch. 2 client(s) online."
    last = ana.frames("system")[-1]
    assert (last["name"], last["reason"], last["online"]) == ("bob", "lunch", 2)


def test_plain_clients_are_greeted_with_the_number_of_people_on_all_nodes(cluster: HubCluster) -> None:
    enter(cluster[1], "ana", "a")
    (greeting,) = plain(cluster[2]).frames("system")
    assert greeting["message"].endswith("2 client(s) online.")


def test_a_person_on_two_nodes_is_one_member(cluster: HubCluster) -> None:
    bob = enter(cluster[3], "bob", "b")
    first = enter(cluster[1], "ana", "a")
    bob.clear()
    second = enter(cluster[2], "ana", "a")
    assert lines(bob) == []
    for client in (bob, first, second):
        assert listed(client) == {"ana": (2, None), "bob": (1, None)}
    first.close()
    cluster.pass_time(30)
    cluster.settle()
    assert lines(bob) == []
    assert listed(bob) == {"ana": (1, None), "bob": (1, None)}
    second.close()
    cluster.pass_time(30)
    cluster.settle()
    assert lines(bob) == ["ana has left the chat. 1 client(s) online."]


def test_a_return_to_another_node_within_the_grace_period_is_silent(cluster: HubCluster) -> None:
    bob, eve = enter(cluster[2], "bob", "b"), enter(cluster[3], "eve", "e")
    ana = enter(cluster[1], "ana", "a")
    for client in (bob, eve):
        client.clear()
    ana.close()
    cluster.settle()
    assert listed(bob) == {"ana": (0, None), "bob": (1, None), "eve": (1, None)}
    cluster.pass_time(1)
    again = enter(cluster[2], "ana", "a")
    cluster.pass_time(30)
    cluster.settle()
    assert lines(bob) == lines(eve) == lines(again) == []
    for client in (bob, eve, again):
        assert listed(client) == {"ana": (1, None), "bob": (1, None), "eve": (1, None)}


def test_the_end_of_the_grace_period_is_announced_everywhere(cluster: HubCluster) -> None:
    bob, ana = enter(cluster[2], "bob", "b"), enter(cluster[1], "ana", "a")
    bob.clear()
    ana.close()
    cluster.settle()
    cluster.pass_time(cluster.limits.leave_grace_s)
    cluster.settle()
    assert lines(bob) == ["ana has left the chat. 1 client(s) online."]


def test_members_are_known_before_anyone_enters(cluster: HubCluster) -> None:
    enter(cluster[1], "ana", "a")
    enter(cluster[2], "eve", "e")
    bob = enter(cluster[3], "bob", "b")
    assert listed(bob) == {"ana": (1, None), "bob": (1, None), "eve": (1, None)}
    assert bob.frames("system") == []


def test_changes_while_a_room_is_idle_are_not_announced_later(cluster: HubCluster) -> None:
    first = enter(cluster[2], "bob", "b")
    first.send("message", room="lobby", message="hi", nonce="1")
    cluster.settle()
    first.send("leave", room="lobby", ref="l")
    cluster.settle()
    assert "lobby" in cluster[2].index.opened
    enter(cluster[1], "ana", "a")
    first.clear()
    first.send("join", room="lobby", ref="j")
    cluster.settle()
    assert first.frames("joined")[0]["online"] == 2
    assert lines(first) == []
    assert listed(first) == {"ana": (1, None), "bob": (1, None)}


def test_uncounted_connections_are_no_members_anywhere(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b")
    enter(cluster[1], "tail", "t", presence=False)
    assert lines(bob) == []
    assert listed(bob) == {"bob": (1, None)}


def test_a_large_room_gets_counts_on_all_nodes() -> None:
    cluster = HubCluster(2, Limits(**UNLIMITED, presence_detail_max=2))
    bob = enter(cluster[2], "bob", "b")
    bob.clear()
    for name in ("ana", "cy", "di", "eve"):
        enter(cluster[1], name, name)
    cluster.pass_time(1)
    cluster.settle()
    last = bob.frames("system")[-1]
    assert (last["event"], last["online"], last["message"]) == ("online", 5, "5 client(s) online.")


def test_the_members_of_a_dead_node_leave(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b")
    enter(cluster[1], "ana", "a")
    enter(cluster[1], "eve", "e")
    enter(cluster[3], "eve", "e")
    bob.clear()
    cluster.kill("n1")
    cluster.settle()
    assert lines(bob) == []
    assert listed(bob) == {"ana": (0, None), "bob": (1, None), "eve": (1, None)}
    cluster.pass_time(cluster.limits.leave_grace_s)
    cluster.settle()
    assert lines(bob) == ["ana has left the chat. 2 client(s) online."]
    assert listed(bob) == {"bob": (1, None), "eve": (1, None)}


def test_who_returns_from_a_dead_node_to_another_has_never_left(cluster: HubCluster) -> None:
    bob, eve = enter(cluster[2], "bob", "b"), enter(cluster[3], "eve", "e")
    ana = enter(cluster[1], "ana", "a")
    ana.send("away", text="lunch", ref="a")
    cluster.settle()
    bob.clear()
    cluster.kill("n1")
    cluster.pass_time(cluster.limits.leave_grace_s / 2)
    again = enter(cluster[3], "ana", "a")
    cluster.pass_time(cluster.limits.leave_grace_s)
    cluster.settle()
    assert lines(bob) == lines(again) == []
    for client in (bob, eve, again):
        assert listed(client) == {"ana": (1, "lunch"), "bob": (1, None), "eve": (1, None)}


def test_who_returns_to_a_node_that_knew_nothing_is_not_away(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b")
    ana = enter(cluster[1], "ana", "a")
    ana.send("away", text="lunch", ref="a")
    cluster.settle()
    cluster.kill("n1")
    again = enter(cluster[3], "ana", "a")
    assert [frame["away"] for frame in bob.frames("away")] == [True, False]
    assert listed(bob) == listed(again) == {"ana": (1, None), "bob": (1, None)}


def test_the_members_of_a_dead_node_leave_an_idle_room_at_once(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b")
    bob.send("message", room="lobby", message="hi", nonce="1")
    cluster.settle()
    enter(cluster[1], "ana", "a")
    bob.send("leave", room="lobby", ref="l")
    cluster.settle()
    cluster.kill("n1")
    bob.send("join", room="lobby", ref="j")
    cluster.settle()
    assert set(listed(bob)) == {"bob"}


def test_a_missed_change_is_made_up_for(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b")
    bob.clear()
    ana = cluster[1].connect()
    ana.send("hello", name="ana", client_id="a")
    for _ in range(3):
        cluster.run(cluster[1])
    cluster[2].lose_signals()
    enter(cluster[1], "eve", "e")
    assert set(listed(bob)) == {"ana", "bob", "eve"}
    cluster[2].load_rosters()
    assert set(listed(bob)) == {"ana", "bob", "eve"}


def test_a_change_that_does_not_follow_is_ignored(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b")
    port = cluster[2].hub.port
    port.receive_signal(RosterChanged("lobby", "x", 2, (Member("ana", "ana"),)), cluster.when)
    assert set(listed(bob)) == {"bob"}
    port.receive_signal(RosterChanged("lobby", "x", 1, (Member("ana", "ana"),)), cluster.when)
    assert set(listed(bob)) == {"ana", "bob"}
    port.roster_loaded("lobby", "x", 5, [Member("eve", "eve")], cluster.when)
    assert set(listed(bob)) == {"bob", "eve"}
    port.receive_signal(RosterChanged("lobby", "x", 6, (Member("eve", connections=0),)), cluster.when)
    assert set(listed(bob)) == {"bob"}


# -- this node's part


def test_many_changes_are_one_signal(cluster: HubCluster) -> None:
    node = cluster[1]
    enter(node, "first", "f")
    members = [node.connect(v1=False) for _ in range(100)]
    signals = node.hub.cluster.take_signals()
    assert [(type(signal), signal.version) for signal in signals if isinstance(signal, RosterChanged)] == [
        (RosterChanged, 2)
    ]
    (signal,) = signals
    assert isinstance(signal, RosterChanged)
    assert len(signal.members) == len(members)


def test_the_own_part_contains_what_was_not_sent(cluster: HubCluster) -> None:
    node = cluster[1]
    enter(node, "ana", "a")
    version, _ = node.hub.port.roster_of("lobby")
    node.connect(v1=False)
    later, members = node.hub.port.roster_of("lobby")
    assert (later, len(members)) == (version + 1, 2)
    assert node.hub.port.roster_of("lobby")[0] == later
    (signal,) = node.hub.cluster.take_signals()
    assert isinstance(signal, RosterChanged)
    assert signal.version == later
    assert node.hub.port.roster_of("elsewhere") == (0, ())


def test_versions_continue_after_a_room_was_closed(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b", ("dev",))
    for expected in ({"ana", "bob"}, {"bob"}, {"ana", "bob"}):
        if "ana" in expected:
            ana = enter(cluster[1], "ana", "a", ("dev",))
        else:
            ana.close()
            cluster.pass_time(30)
            cluster.settle()
            assert "dev" not in cluster[1].index.opened
        assert set(listed(bob, "dev")) == expected
    assert cluster[1].hub.port.roster_of("dev")[0] > 2


def test_a_single_server_sends_nothing() -> None:
    world = World()
    ana = world.user("ana")
    ana.cut()
    world.pass_time(30)
    assert not world.hub.cluster.has_work
    assert world.hub.port.roster_of("lobby") == (0, ())


# -- renames


def test_a_rename_is_announced_on_all_nodes(cluster: HubCluster) -> None:
    bob, eve = enter(cluster[2], "bob", "b"), plain(cluster[3])
    ana = enter(cluster[1], "ana", "a")
    for client in (bob, eve):
        client.clear()
    ana.send("rename", name="zoe", ref="r")
    cluster.settle()
    for client in (bob, eve):
        assert lines(client) == ["ana is now known as zoe. 3 client(s) online."]
    last = bob.frames("system")[-1]
    assert (last["event"], last["names"]) == ("rename", ["ana", "zoe"])
    assert set(listed(bob)) == {"bob", "zoe"}
    ana.send("rename", name="Zoe", ref="r")
    cluster.settle()
    assert lines(eve)[-1] == "zoe is now known as Zoe. 3 client(s) online."
    assert set(listed(bob)) == {"bob", "Zoe"}


def test_a_first_name_is_announced_to_v1_clients_on_all_nodes(cluster: HubCluster) -> None:
    bob, other = enter(cluster[2], "bob", "b"), plain(cluster[2])
    guest = plain(cluster[1])
    for client in (bob, other):
        client.clear()
    guest.send("message", sender="eve", message="hi")
    cluster.settle()
    assert lines(bob) == ["A client is now known as eve."]
    assert lines(other) == []
    assert set(listed(bob)) == {"bob", "eve"}


def test_a_rename_of_one_of_two_connections_makes_two_people(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b")
    enter(cluster[1], "ana", "a")
    second = enter(cluster[3], "ana", "a")
    third = enter(cluster[3], "ana", "a")
    bob.clear()
    second.send("rename", name="zoe", ref="r")
    cluster.settle()
    cluster.pass_time(1)
    cluster.settle()
    assert lines(bob) == [
        "ana is now known as zoe. 3 client(s) online.",
        "zoe has joined the chat. 3 client(s) online.",
    ]
    assert listed(bob) == {"ana": (2, None), "bob": (1, None), "zoe": (1, None)}
    third.send("rename", name="zoe", ref="r")
    cluster.settle()
    assert listed(bob) == {"ana": (1, None), "bob": (1, None), "zoe": (2, None)}


def test_a_join_and_a_rename_at_once(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b")
    bob.clear()
    ana = cluster[1].connect()
    ana.send("hello", name="ana", client_id="a")
    cluster[1].receive()
    cluster[1].collect()
    cluster[1].answer()
    ana.send("rename", name="zoe", ref="r")
    cluster.settle()
    assert set(listed(bob)) == {"bob", "zoe"}
    assert cluster.rosters["lobby"]["n1"].members.keys() == {"zoe"}


def test_two_spellings_of_a_name_become_one(cluster: HubCluster) -> None:
    nodes = [cluster[1], cluster[2]]
    for node in nodes:
        enter(node, "eve", "e")
    clients = [node.connect() for node in nodes]
    for client, name in zip(clients, ("ana", "Ana"), strict=True):
        client.send("hello", name=name, client_id="a")
    for node in nodes:
        while node.receive() | node.collect() or node.preparations:
            while node.preparations:
                node.answer()
    cluster.settle()
    bob = enter(cluster[3], "bob", "b")
    for client in (*clients, bob):
        assert set(listed(client)) == {"Ana", "bob", "eve"}
    clients[1].send("rename", name="ana", ref="r")
    cluster.settle()
    for client in (*clients, bob):
        assert set(listed(client)) == {"ana", "bob", "eve"}


# -- away status


def away(client: Client) -> list[tuple[str, bool, str]]:
    frames = client.frames("away")
    return [(frame["name"], frame["away"], frame.get("text", "")) for frame in frames]


def test_going_away_is_announced_once_on_all_nodes(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b", ("lobby", "dev"))
    eve = plain(cluster[2])
    ana = enter(cluster[1], "ana", "a", ("lobby", "dev"))
    ana.send("away", text="lunch", ref="a")
    cluster.settle()
    assert away(bob) == [("ana", True, "lunch")]
    assert eve.frames("away") == []
    for room in ("lobby", "dev"):
        assert listed(bob, room)["ana"] == (1, "lunch")
    ana.send("away", away=False, ref="a")
    cluster.settle()
    assert listed(bob)["ana"] == (1, None)
    ana.send("away", text="tea", ref="a")
    cluster.settle()
    ana.send("away", away=False, ref="a")
    cluster.settle()
    assert away(bob) == [("ana", True, "tea"), ("ana", False, "")]


def test_entering_while_away_is_announced_on_all_nodes(cluster: HubCluster) -> None:
    bob = enter(cluster[2], "bob", "b", ("dev",))
    ana = enter(cluster[1], "ana", "a", ("lobby",))
    ana.send("away", text="lunch", ref="a")
    cluster.settle()
    assert away(bob) == []
    ana.send("join", room="dev", ref="j")
    cluster.settle()
    assert away(bob) == [("ana", True, "lunch")]
    late = enter(cluster[3], "eve", "e", ("dev",))
    assert listed(late, "dev")["ana"] == (1, "lunch")


def test_a_person_on_two_nodes_has_one_away_status(cluster: HubCluster) -> None:
    bob = enter(cluster[3], "bob", "b")
    first, second = enter(cluster[1], "ana", "a"), enter(cluster[2], "ana", "a")
    first.send("away", text="lunch", ref="a")
    cluster.settle()
    assert away(second) == away(bob) == [("ana", True, "lunch")]
    second.send("away", away=False, ref="a")
    cluster.settle()
    assert away(bob)[1:] == [("ana", False, "")]
    assert away(first)[-1] == ("ana", False, "")
    for client in (bob, first, second):
        assert listed(client)["ana"] == (2, None)


def test_away_status_set_on_two_nodes_at_once_becomes_one(cluster: HubCluster) -> None:
    first, second = enter(cluster[1], "ana", "a"), enter(cluster[2], "ana", "a")
    for client, text in ((first, "lunch"), (second, "tea")):
        client.send("away", text=text, ref="a")
        client.node.receive()
    cluster.settle()
    assert listed(first) == listed(second) == {"ana": (2, "tea")}


def test_away_status_lasts_over_a_return_to_another_node(cluster: HubCluster) -> None:
    bob, ana = enter(cluster[3], "bob", "b"), enter(cluster[1], "ana", "a")
    ana.send("away", text="lunch", ref="a")
    cluster.settle()
    ana.close()
    cluster.settle()
    cluster.pass_time(1)
    again = enter(cluster[2], "ana", "a")
    cluster.pass_time(30)
    cluster.settle()
    assert listed(bob)["ana"] == listed(again)["ana"] == (1, "lunch")
    again.close()
    cluster.pass_time(30)
    cluster.settle()
    enter(cluster[2], "ana", "a")
    assert listed(bob)["ana"] == (1, None)


def test_a_rename_keeps_the_away_status_on_all_nodes(cluster: HubCluster) -> None:
    bob, ana = enter(cluster[2], "bob", "b"), enter(cluster[1], "ana", "a")
    ana.send("away", text="lunch", ref="a")
    cluster.settle()
    bob.clear()
    ana.send("rename", name="zoe", ref="r")
    cluster.settle()
    assert away(bob) == []
    assert listed(bob)["zoe"] == (1, "lunch")


def test_a_rename_of_one_of_two_connections_keeps_both_away_on_all_nodes(cluster: HubCluster) -> None:
    bob, eve = enter(cluster[1], "bob", "b"), enter(cluster[3], "eve", "e")
    first, second = enter(cluster[2], "ana", "a"), enter(cluster[1], "ana", "a")
    first.send("away", text="lunch", ref="a")
    cluster.settle()
    for client in (bob, eve, first, second):
        client.clear()
    first.send("rename", name="zoe", ref="r")
    cluster.settle()
    for client in (bob, eve, first, second):
        # Clients have given the status to zoe.
        assert away(client) == [("ana", True, "lunch")]
    second.send("rename", name="Zora", ref="r")
    cluster.settle()
    for client in (bob, eve, first, second):
        assert away(client)[1:] == []
        people = {"Zora": (1, "lunch"), "bob": (1, None), "eve": (1, None), "zoe": (1, "lunch")}
        assert listed(client) == people


def test_a_status_follows_the_last_line_about_a_rename_on_other_nodes(cluster: HubCluster) -> None:
    eve = enter(cluster[3], "eve", "e", ("lobby", "dev"))
    first = enter(cluster[2], "ana", "a", ("lobby", "dev"))
    enter(cluster[1], "ana", "a", ("lobby",))
    first.send("away", text="lunch", ref="a")
    cluster.settle()
    eve.clear()
    first.send("rename", name="zoe", ref="r")
    cluster.settle()
    frames = [frame for frame in eve.frames() if frame["type"] == "away" or frame.get("event") == "rename"]
    assert [frame["type"] for frame in frames] == ["system", "away"] * 2
    assert away(eve) == [("ana", True, "lunch")] * 2


def test_who_returns_before_the_leave_is_announced_is_not_away_on_other_nodes() -> None:
    cluster = HubCluster(2, Limits(**UNLIMITED, presence_burst=2, presence_rate=0.001, leave_grace_s=0))
    bob, ana = enter(cluster[2], "bob", "b"), enter(cluster[1], "ana", "a")
    ana.send("away", text="lunch", ref="a")
    cluster.settle()
    bob.clear()
    ana.close()
    cluster.settle()
    enter(cluster[1], "ana", "a")
    assert lines(bob) == []
    assert [frame["away"] for frame in bob.frames("away")] == [False]
    assert listed(bob)["ana"] == (1, None)


def test_who_takes_a_name_before_the_leave_is_announced_is_not_away_on_other_nodes() -> None:
    cluster = HubCluster(2, Limits(**UNLIMITED, presence_burst=3, presence_rate=0.001, leave_grace_s=0))
    bob, ana = enter(cluster[2], "bob", "b"), enter(cluster[1], "ana", "a")
    zoe = enter(cluster[1], "zoe", "z")
    ana.send("away", text="lunch", ref="a")
    cluster.settle()
    bob.clear()
    ana.close()
    cluster.settle()
    zoe.send("rename", name="ana", ref="r")
    cluster.settle()
    assert lines(bob) == ["zoe is now known as ana. 2 client(s) online."]
    assert [frame["away"] for frame in bob.frames("away")] == [False]


# -- typing and topics


def test_typing_is_relayed_to_v1_clients_on_all_nodes(cluster: HubCluster) -> None:
    bob, eve = enter(cluster[2], "bob", "b"), plain(cluster[2])
    ana, same = enter(cluster[1], "ana", "a"), enter(cluster[2], "ana", "a")
    ana.send("typing", room="lobby")
    cluster.settle()
    assert [frame["name"] for frame in bob.frames("typing")] == ["ana"]
    for client in (eve, same, ana):
        assert client.frames("typing") == []
    ana.send("typing", room="lobby")  # too soon
    cluster.settle()
    assert len(bob.frames("typing")) == 1


def test_typing_is_not_relayed_if_there_are_many_members_on_all_nodes() -> None:
    cluster = HubCluster(2, Limits(**UNLIMITED, typing_members_max=2))
    ana, bob = enter(cluster[1], "ana", "a"), enter(cluster[2], "bob", "b")
    enter(cluster[2], "eve", "e")
    ana.send("typing", room="lobby")
    cluster.settle()
    assert bob.frames("typing") == []


def test_a_topic_is_announced_once_on_all_nodes(cluster: HubCluster) -> None:
    ana, bob, eve = enter(cluster[1], "ana", "a"), enter(cluster[2], "bob", "b"), plain(cluster[2])
    ana.send("topic", room="lobby", topic="news", ref="t")
    cluster.settle()
    assert [(frame["topic"], frame["name"]) for frame in bob.frames("topic")] == [("news", "ana")]
    assert [frame["ref"] for frame in ana.frames("topic")] == ["t"]
    assert eve.frames("topic") == []
    late = enter(cluster[3], "cy", "c")
    assert late.frames("welcome")[0]["rooms"][0]["topic"] == "news"


# -- questions


def test_a_question_to_everyone_names_the_people_on_all_nodes(cluster: HubCluster) -> None:
    ana = enter(cluster[1], "ana", "a", notes=True)
    enter(cluster[2], "bob", "b")
    enter(cluster[3], "eve", "e")
    ask = {"choices": ["yes", "no"], "until_s": 60}
    ana.send("message", room="lobby", message="ok?", nonce="n", ask=ask)
    cluster.settle()
    (post,) = cluster.log.posts["lobby"]
    assert post.state.ask is not None
    assert post.state.ask.to == ("ana", "bob", "eve")
