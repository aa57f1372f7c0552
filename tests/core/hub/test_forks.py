"""New epochs of a room: what connections are told, and that nothing of a former epoch is mixed in."""

from __future__ import annotations

from typing import Any

import pytest

from broadcast_tui.core.hub.cluster import CompareRoom, Need
from broadcast_tui.core.hub.history import BackfillRead
from broadcast_tui.core.hub.resuming import LEAD_MAX, resume
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.post import Fork, Position
from broadcast_tui.core.protocol import commands
from tests.support.hub_cluster import Client, HubCluster, Node
from tests.support.model_log import ModelLog


@pytest.fixture
def cluster() -> HubCluster:
    return HubCluster(2)


def enter(node: Node, name: str = "", since: str = "", **more: Any) -> Client:
    """A v1 connection in the lobby."""
    client = node.connect()
    room = {"room": "lobby", "since": since} if since else {"room": "lobby"}
    client.send("hello", **{"name": name, "client_id": f"id-{name}", "epochs": True, "rooms": [room]} | more)
    node.cluster.settle()
    return client


def plain(node: Node) -> Client:
    client = node.connect(v1=False)
    node.cluster.settle()
    return client


def post(cluster: HubCluster, *texts: str) -> None:
    """Posts of somebody on the second node."""
    author = enter(cluster[2], "zoe")
    for text in texts:
        author.send("message", room="lobby", message=text, nonce=f"nonce of {text}")
    cluster.settle()
    author.close()
    cluster.settle()


def story(client: Client) -> list[str]:
    """What a connection got about the log."""
    lines = []
    for frame in client.frames():
        match frame["type"]:
            case "message":
                lines.append(f"{frame.get('id', '')} {frame['message']}")
            case "epoch":
                lines.append(f"epoch {frame['from']} {frame['to']}")
            case "gap":
                forked = " forked" if frame.get("forked") else ""
                lines.append(f"gap {frame['reason']} {frame['from']} {frame['to']}{forked}")
            case "system" if frame["event"] == "notice":
                lines.append(frame["message"])
    return lines


# -- connections that are there


def test_connections_at_the_fork_are_told_the_new_epoch(cluster: HubCluster) -> None:
    new, old, script = enter(cluster[1]), enter(cluster[1], epochs=False), plain(cluster[1])
    post(cluster, "one", "two")
    cluster.fork("lobby", 2, "e2")
    post(cluster, "three")
    assert story(new) == ["e1-1 one", "e1-2 two", "epoch e1-2 e2-2", "e2-3 three"]
    assert story(old) == ["e1-1 one", "e1-2 two", "gap epoch e1-3 e2-2", "e2-3 three"]
    assert story(script) == ["e1-1 one", "e1-2 two", "e2-3 three"]


def test_connections_above_the_fork_learn_what_is_lost(cluster: HubCluster) -> None:
    new, old, script = enter(cluster[1]), enter(cluster[1], epochs=False), plain(cluster[1])
    post(cluster, "one", "two", "three")
    cluster.fork("lobby", 1, "e2")
    post(cluster, "four")
    assert story(new)[3:] == ["gap epoch e1-2 e2-1 forked", "e2-2 four"]
    assert story(old)[3:] == ["gap epoch e1-2 e2-1", "e2-2 four"]
    assert story(script)[3:] == ["The server lost 2 message(s) that you have received.", "e2-2 four"]


def test_nothing_in_common(cluster: HubCluster) -> None:
    client = enter(cluster[1])
    post(cluster, "one")
    cluster.fork("lobby", 0, "e2")
    post(cluster, "two")
    assert story(client)[1:] == ["gap epoch e1-1 e2-0 forked", "e2-1 two"]


def test_a_slow_connection_gets_the_rest_in_the_new_epoch(cluster: HubCluster) -> None:
    client = enter(cluster[1])
    post(cluster, "one")
    assert client.wire.peer is not None
    client.wire.peer.blocked = True
    post(cluster, "two", "three")
    cluster.fork("lobby", 2, "e2")
    post(cluster, "four")
    client.wire.peer.blocked = False
    cluster[1].hub.effects.dirty_peers.add(client.wire.peer)
    cluster.settle()
    assert story(client) == ["e1-1 one", "epoch e1-1 e2-1", "e2-2 two", "e2-3 four"]


@pytest.mark.parametrize("seq", [0, 1])
def test_a_replay_ends_with_the_log_that_has_lost_its_end(cluster: HubCluster, seq: int) -> None:
    """Otherwise the connection would have something to write for ever, and the tail would wait for it."""
    post(cluster, "one", "two", "three")
    client = cluster[1].connect()
    peer = client.wire.peer
    assert peer is not None
    peer.blocked = True
    client.send("hello", epochs=True, rooms=[{"room": "lobby", "since": "e1-0"}])
    cluster.settle()
    cluster.fork("lobby", seq, "e2")
    cluster.settle()
    peer.blocked = False
    cluster[1].hub.effects.dirty_peers.add(peer)
    cluster.settle()
    assert not peer.has_pending
    assert [frame["id"] for frame in client.frames("synced")] == [f"e2-{seq}"]
    post(cluster, "four")
    assert story(client)[-1] == f"e2-{seq + 1} four"


def test_several_forks_in_a_row(cluster: HubCluster) -> None:
    client = enter(cluster[1])
    post(cluster, "one", "two", "three")
    cluster.fork("lobby", 2, "e2")
    cluster.fork("lobby", 1, "e3")
    post(cluster, "four")
    assert story(client)[3:] == ["gap epoch e1-3 e2-2 forked", "gap epoch e2-2 e3-1 forked", "e3-2 four"]


def test_a_room_that_was_left_follows_too(cluster: HubCluster) -> None:
    client = enter(cluster[1])
    post(cluster, "one", "two")
    client.send("leave", room="lobby", ref="r1")
    cluster.settle()
    cluster.fork("lobby", 1, "e2")
    cluster.settle()
    client.send("join", room="lobby", since="e1-2", ref="r2")
    cluster.settle()
    post(cluster, "three")
    assert story(client)[2:] == ["gap epoch e1-2 e2-1 forked", "e2-2 three"]


def test_own_posts_keep_their_nonces_across_a_fork(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana")
    assert client.wire.peer is not None
    client.wire.peer.blocked = True
    for text in ("one", "two"):
        client.send("message", room="lobby", message=text, nonce=text)
    cluster.settle()
    cluster.fork("lobby", 1, "e2")
    client.send("message", room="lobby", message="three", nonce="three")
    cluster.settle()
    client.wire.peer.blocked = False
    cluster[1].hub.effects.dirty_peers.add(client.wire.peer)
    cluster.settle()
    got = [(frame["id"], frame.get("nonce")) for frame in client.frames("message")]
    assert got == [("e2-1", "one"), ("e2-2", "three")]


# -- a room ahead of its tail


def test_an_ack_follows_the_news_of_its_epoch(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana")
    post(cluster, "one", "two")
    client.clear()
    cluster.fork("lobby", 1, "e2")
    node = cluster[1]
    node.tail.clear()  # it arrives late
    client.send("message", room="lobby", message="three", nonce="n3")
    cluster.settle()
    node.tail.append(Fork("lobby", "e1", "e2", 1))
    cluster.settle()
    kinds = [(frame["type"], frame.get("id")) for frame in client.frames() if frame["type"] != "system"]
    assert kinds == [("gap", None), ("ack", "e2-2"), ("message", "e2-2")]


def test_who_enters_ahead_of_the_tail_gets_the_new_epoch(cluster: HubCluster) -> None:
    client = enter(cluster[1])
    post(cluster, "one", "two")
    stale = list(cluster.log.entries["lobby"])
    cluster.fork("lobby", 1, "e2")
    waiting = [*stale, *cluster[1].tail]
    cluster[1].tail.clear()
    late = enter(cluster[1], since="e1-1")
    assert story(late) == ["epoch e1-1 e2-1"]
    assert story(client)[2:] == ["gap epoch e1-2 e2-1 forked"]
    cluster[1].tail.extend(waiting)  # entries of before the fork, and the fork itself
    post(cluster, "three")
    assert story(late) == ["epoch e1-1 e2-1", "e2-2 three"]
    assert story(client)[2:] == ["gap epoch e1-2 e2-1 forked", "e2-2 three"]


def test_an_entry_of_an_epoch_without_a_fork(cluster: HubCluster) -> None:
    client = enter(cluster[1])
    cluster.fork("lobby", 0, "e2")
    for node in cluster.nodes.values():
        node.tail.clear()
    post(cluster, "one")
    assert story(client) == ["epoch e1-0 e2-0", "e2-1 one"]


def test_acks_are_awaited_for_entries_of_a_new_epoch(cluster: HubCluster) -> None:
    enter(cluster[1])
    post(cluster, "one", "two")
    hub, [first, second] = cluster[1].hub, cluster.log.entries["lobby"]
    hub.rooms.by_name["lobby"].appended_seq = 2
    assert hub.are_appended([first, second, Fork("lobby", "e1", "e2", 1)])
    cluster.fork("lobby", 1, "e2")
    assert not hub.are_appended([Fork("lobby", "e1", "e2", 1), cluster.log.entries["lobby"][0]])


# -- reads


def test_a_backfill_of_the_former_epoch_is_not_used() -> None:
    cluster = HubCluster(2)
    client = enter(cluster[1])
    post(cluster, "one", "two", "three")
    node, lobby = cluster[1], cluster[1].hub.rooms.by_name["lobby"]
    lobby.drop_buffers()
    late = node.connect()
    late.send("hello", rooms=[{"room": "lobby", "last": 3}], epochs=True)
    node.receive()
    node.collect()
    for _ in range(2):
        if node.preparations:
            node.answer()
        node.collect()
    [read] = node.hub.effects.take_reads()
    assert isinstance(read, BackfillRead)
    stale = cluster.log.read(read)
    cluster.fork("lobby", 2, "e2")
    node.follow()
    node.hub.reads.done(read, stale)
    post(cluster, "four")
    assert story(late) == ["epoch e1-0 e2-0", "e2-1 one", "e2-2 two", "e2-3 four"]
    assert story(client)[3:] == ["gap epoch e1-3 e2-2 forked", "e2-3 four"]


def test_a_page_of_history_is_read_again(cluster: HubCluster) -> None:
    client = enter(cluster[1])
    post(cluster, "one", "two", "three")
    client.clear()
    node = cluster[1]
    client.send("history", room="lobby", before="e1-4", ref="h")
    client.send("search", room="lobby", query="o", before="e1-3", ref="s")
    node.receive()
    reads = node.hub.effects.take_reads()
    stale = [cluster.log.read(read) for read in reads]
    cluster.fork("lobby", 1, "e2")
    for read, entries in zip(reads, stale, strict=True):
        node.hub.reads.done(read, entries)
    cluster.settle()
    assert story(client) == ["gap epoch e1-2 e2-1 forked"]
    assert [frame["type"] for frame in client.frames()] == ["gap", "history", "search"]
    [page], [found] = client.frames("history"), client.frames("search")
    assert [item["id"] for item in page["items"]] == ["e2-1"]
    assert [item["id"] for item in found["items"]] == ["e2-1"]


def test_a_page_of_a_lost_thread_is_empty(cluster: HubCluster) -> None:
    client = enter(cluster[1])
    post(cluster, "one", "two")
    node = cluster[1]
    client.send("history", room="lobby", root="e1-2", ref="h")
    node.receive()
    [read] = node.hub.effects.take_reads()
    stale = cluster.log.read(read)
    cluster.fork("lobby", 1, "e2")
    node.hub.reads.done(read, stale)
    cluster.settle()
    [page] = client.frames("history")
    assert (page["items"], page["more"]) == ([], False)


# -- commands


def test_ids_of_former_epochs_are_understood(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana", notes=True)
    client.send("message", room="lobby", message="one", nonce="n1")
    client.send("message", room="lobby", message="two", nonce="n2")
    cluster.settle()
    cluster.fork("lobby", 1, "e2")
    cluster.settle()
    client.send("note", note="edit", room="lobby", re="e1-1", message="uno", nonce="n3")
    client.send("note", note="edit", room="lobby", re="e1-2", message="due", nonce="n4")
    cluster.settle()
    assert [post.text for post in cluster.log.posts["lobby"]] == ["uno"]
    assert [frame["nonce"] for frame in client.frames("ack")] == ["n1", "n2", "n3"]
    assert [(frame["nonce"], frame["code"]) for frame in client.frames("error")] == [("n4", "no_such_post")]


def test_commands_about_lost_posts_that_wait_for_the_engine(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana")
    for number in (1, 2):
        client.send("message", room="lobby", message=f"post {number}", nonce=f"n{number}")
    cluster.settle()
    node = cluster[1]
    client.send("note", note="react", key="👍", room="lobby", re="e1-2", nonce="n3")
    client.send("message", message="a reply", room="lobby", re="e1-2", nonce="n4")
    client.send("message", message="another one", room="lobby", re="e1-1", nonce="n5")
    node.receive()
    cluster.fork("lobby", 1, "e2")
    cluster.settle()
    found = [(post.text, post.re) for post in cluster.log.posts["lobby"]]
    assert found == [("post 1", 0), ("a reply", 0), ("another one", 1)]
    assert [frame["nonce"] for frame in client.frames("ack")] == ["n1", "n2", "n4", "n5"]
    assert [(frame["nonce"], frame["code"]) for frame in client.frames("error")] == [("n3", "no_such_post")]


def test_summaries_of_lost_votes_are_repeated(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana", notes=True)
    for number in (1, 2):
        client.send("message", room="lobby", message=f"post {number}", nonce=f"n{number}")
    cluster.settle()
    client.send("note", note="react", key="👍", room="lobby", re="e1-1", nonce="n3")
    cluster.settle()
    client.send("note", note="react", key="👍", room="lobby", re="e1-2", nonce="n4")
    cluster.settle()
    assert len(client.frames("note")) == 2
    cluster.fork("lobby", 1, "e2")
    client.send("note", note="react", key="👍", room="lobby", re="e2-1", nonce="n5")
    cluster.settle()
    client.clear()
    cluster.pass_time(1.5)
    cluster.settle()
    [note] = client.frames("note")
    assert (note["id"], note["re"]) == ("e2-2", "e2-1")


def test_lost_questions_are_not_closed(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana", notes=True)
    client.send("message", room="lobby", message="post", nonce="n1")
    ask = {"choices": ["yes", "no"], "until_s": 60}
    client.send("message", room="lobby", message="lost?", nonce="n2", ask=ask)
    cluster.settle()
    cluster.fork("lobby", 1, "e2")
    cluster.settle()
    client.send(
        "message", room="lobby", message="kept?", nonce="n3", ask={"choices": ["yes", "no"], "until_s": 600}
    )
    cluster.settle()
    cluster.pass_time(100)
    cluster.settle()
    [kept] = [post for post in cluster.log.posts["lobby"] if post.state.ask is not None]
    assert not kept.state.closed
    cluster.pass_time(600)
    cluster.settle()
    assert cluster.log.posts["lobby"][1].state.closed


def test_a_stale_question_of_the_tail_is_not_remembered(cluster: HubCluster) -> None:
    client = enter(cluster[1], "ana", notes=True)
    ask = {"choices": ["yes", "no"], "until_s": 60}
    client.send("message", room="lobby", message="lost?", nonce="n2", ask=ask)
    cluster.settle()
    [lost] = cluster.log.entries["lobby"]
    cluster.fork("lobby", 0, "e2")
    cluster.settle()
    cluster[1].tail.append(lost)
    cluster.settle()
    client.send(
        "message", room="lobby", message="kept?", nonce="n3", ask={"choices": ["yes", "no"], "until_s": 600}
    )
    cluster.settle()
    cluster.pass_time(100)
    cluster.settle()
    [kept] = cluster.log.posts["lobby"]
    assert kept.text == "kept?"
    assert not kept.state.closed


# -- resuming


def test_who_comes_back_from_a_former_epoch(cluster: HubCluster) -> None:
    post(cluster, "one", "two", "three")
    here = enter(cluster[1])
    cluster.fork("lobby", 2, "e2")
    post(cluster, "four")
    assert story(here) == ["gap epoch e1-3 e2-2 forked", "e2-3 four"]
    below, at, above = (enter(cluster[1], since=f"e1-{seq}") for seq in (1, 2, 3))
    assert story(below) == ["epoch e1-1 e2-1", "e2-2 two", "e2-3 four"]
    assert story(at) == ["epoch e1-2 e2-2", "e2-3 four"]
    assert story(above) == ["gap epoch e1-3 e2-2 forked", "e2-3 four"]
    states = [client.frames("welcome")[0]["rooms"][0] for client in (below, at, above)]
    assert [(state["head"], state["recovered"], state["missed"]) for state in states] == [
        ("e2-3", True, 2), ("e2-3", True, 1), ("e2-3", False, 1),
    ]  # fmt: skip
    old = enter(cluster[1], since="e1-1", epochs=False)
    assert story(old) == ["gap epoch e1-2 e2-1", "e2-2 two", "e2-3 four"]


def test_who_is_ahead_of_this_node_gets_nothing_twice(cluster: HubCluster) -> None:
    post(cluster, "one")
    behind = enter(cluster[1])
    author = enter(cluster[2], "zoe")
    for text in ("two", "three"):
        author.send("message", room="lobby", message=text, nonce=text)
    cluster[2].receive()
    cluster[2].append()
    client = cluster[1].connect()
    client.send("hello", rooms=[{"room": "lobby", "since": "e1-3"}], epochs=True)
    node = cluster[1]
    node.receive()
    node.collect()
    while node.preparations:
        node.answer()
        node.collect()
    node.write()
    state = client.frames("welcome")[0]["rooms"][0]
    assert (state["head"], state["recovered"], state["missed"]) == ("e1-3", True, 0)
    assert [frame["id"] for frame in client.frames("synced")] == ["e1-3"]
    post(cluster, "four")
    assert story(client) == ["e1-4 four"]
    assert story(behind) == ["e1-2 two", "e1-3 three", "e1-4 four"]


@pytest.mark.parametrize(
    ("since", "is_compared"), [("e2-1", False), ("e1-1", False), ("e9-1", True), ("", False)]
)
def test_an_epoch_that_is_unknown_here_is_looked_up_first(
    cluster: HubCluster, since: str, is_compared: bool
) -> None:
    post(cluster, "one")
    enter(cluster[1])
    cluster.fork("lobby", 1, "e2")
    cluster.settle()
    node, client = cluster[1], cluster[1].connect()

    def asked() -> list[Need]:
        node.receive()
        node.collect()
        needs = [need for preparation in node.preparations for need in preparation.needs]
        while node.preparations:
            node.answer()
        return [need for need in needs if isinstance(need, CompareRoom)]

    expected = [CompareRoom("lobby")] if is_compared else []
    client.send("hello", rooms=[{"room": "lobby", "since": since}], epochs=True)
    assert asked() + asked() == expected
    cluster.settle()
    client.send("join", room="lobby", since=since)
    assert asked() == expected
    client.send("join", room="elsewhere", since=since)  # which is read when it is opened
    assert asked() == []


def at(since: str, *, log: ModelLog, is_shared: bool = True, follows_epochs: bool = True) -> list[Any]:
    """Cursor, whether it is recovered, and the events of a connection that enters the lobby."""
    start = resume(
        commands.RoomRequest("lobby", since), "lobby", log.last_seq("lobby"), log,
        replay_max=2, is_shared=is_shared, follows_epochs=follows_epochs,
    )  # fmt: skip
    told = [
        (type(event).__name__, event.start, event.end, *([event.forked] if hasattr(event, "forked") else []))
        for event in start.events
    ]
    return [start.cursor, start.recovered, *told]


@pytest.fixture
def log() -> ModelLog:
    """Five entries of the lobby in `e3`, of which `e2` had three, and `e1` two."""
    cluster = HubCluster(2)
    post(cluster, *"abcd")
    cluster.log.fork("lobby", 2, "e2")
    post(cluster, *"ef")
    cluster.log.fork("lobby", 3, "e3")
    post(cluster, *"gh")
    assert cluster.log.last_seq("lobby") == 5
    return cluster.log


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("e3-4", [4, True]),
        ("e2-3", [3, True, ("Epoch", "e2-3", "e3-3")]),
        ("e2-4", [3, False, ("Gap", "e2-4", "e3-3", True)]),
        ("e1-2", [2, True, ("Epoch", "e1-2", "e3-2")]),
        ("e1-9", [2, False, ("Gap", "e1-3", "e3-2", True)]),
        ("e9-7", [3, False, ("Gap", "e9-1", "e3-3", True)]),
        ("e3-7", [7, True]),
        (f"e3-{LEAD_MAX + 6}", [5, False, ("Gap", "e3-6", "e3-5", True)]),
        ("nonsense", [3, False, ("Gap", "nonsense", "e3-3", False)]),
    ],
)
def test_positions_of_a_shared_log(log: ModelLog, since: str, expected: list[Any]) -> None:
    assert at(since, log=log) == expected


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("e2-3", [3, False, ("Gap", "e2-4", "e3-3", False)]),
        ("e2-4", [3, False, ("Gap", "e2-4", "e3-3", False)]),
        ("e9-7", [3, False, ("Gap", "e9-1", "e3-3", False)]),
    ],
)
def test_positions_of_clients_without_epochs(log: ModelLog, since: str, expected: list[Any]) -> None:
    assert at(since, log=log, follows_epochs=False) == expected


def test_positions_below_the_first_entry(log: ModelLog) -> None:
    log.trim("lobby", 4)
    trimmed = ("Gap", "e3-4", "e3-4", False)
    assert at("e2-3", log=log) == [4, False, ("Epoch", "e2-3", "e3-3"), trimmed]
    assert at("e2-3", log=log, follows_epochs=False) == [4, False, ("Gap", "e2-4", "e3-4", False)]
    assert at("e2-4", log=log) == [4, False, ("Gap", "e2-4", "e3-4", True)]
    assert at("e3-3", log=log) == [4, False, trimmed]


@pytest.mark.parametrize("since", ["e9-1", "e3-6", "nonsense"])
def test_positions_of_a_single_server(log: ModelLog, since: str) -> None:
    assert at(since, log=log, is_shared=False) == [3, False, ("Gap", since, "e3-3", False)]


@pytest.mark.parametrize("since", ["e1-2", "e2-3", "e2-4"])
@pytest.mark.parametrize("follows_epochs", [True, False])
def test_positions_of_the_source_of_a_copy(log: ModelLog, since: str, follows_epochs: bool) -> None:
    """The log of a single server has former epochs if it is a copy of another one."""
    expected = at(since, log=log, follows_epochs=follows_epochs)
    assert at(since, log=log, is_shared=False, follows_epochs=follows_epochs) == expected


# -- direct messages


def test_the_head_of_direct_messages_follows(cluster: HubCluster) -> None:
    limits = Limits(message_rate=0, message_burst=0)
    assert limits.idle_room_s > 0
    ana, bob = enter(cluster[1], "ana"), enter(cluster[2], "bob")
    ana.send("direct", name="bob", ref="d")
    cluster.settle()
    room = ana.frames("direct")[0]["room"]
    ana.send("join", room=room, ref="j")
    for number in (1, 2):
        ana.send("message", room=room, message=f"hi {number}", nonce=f"n{number}")
    cluster.settle()
    assert [frame["head"] for frame in bob.frames("direct")] == ["e1-1", "e1-2"]
    cluster.fork(room, 1, "e2")
    for node in cluster.nodes.values():
        node.hub.deliver([Fork(room, "e1", "e2", 1)])
    assert Position.parse(cluster[2].hub.directs._rooms[room].head) == Position("e2", 1)
