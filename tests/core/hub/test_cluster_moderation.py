"""Kicks, bans and mutes of people on several nodes: counts, exemptions, client ids, addresses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broadcast_tui.core.errors import CloseCode
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.hub.cluster import Kicked, ShareSanction
from tests.core.hub.test_authorization import StubAuthenticator
from tests.core.hub.test_cluster import codes, enter, plain
from tests.support.hub_cluster import Client, HubCluster

ROOT, BOSS = Identity("t-root", "root2", Role.ADMIN), Identity("t-boss", "boss", Role.ADMIN)


@pytest.fixture
def cluster() -> HubCluster:
    return HubCluster(3, authenticator=StubAuthenticator(ROOT, BOSS, needs_token=False))


def admin(cluster: HubCluster, number: int, identity: Identity = ROOT) -> Client:
    client = cluster[number].connect(identity=identity, address="198.51.100.1:1")
    client.send("hello", name=identity.name)
    cluster.settle()
    return client


def person(cluster: HubCluster, number: int, name: str, client_id: str, address: str) -> Client:
    client = cluster[number].connect(address=address)
    client.send("hello", name=name, client_id=client_id)
    cluster.settle()
    return client


def act(client: Client, type_: str, **fields: Any) -> dict[str, Any]:
    """The reply to an action."""
    client.clear()
    client.send(type_, ref="m", **fields)
    client.node.cluster.settle()
    (reply,) = [frame for frame in client.frames() if frame.get("ref") == "m"]
    return reply


def notices(client: Client) -> list[str]:
    return [frame["message"] for frame in client.frames("system") if frame["event"] == "notice"]


def test_a_kick_closes_the_connections_on_all_nodes(cluster: HubCluster) -> None:
    root, eve = admin(cluster, 1), plain(cluster[3])
    anas = [person(cluster, number, "ana", "a", f"192.0.2.{number}:9") for number in (1, 2, 3)]
    bob = enter(cluster[2], "bob", "b")
    eve.clear()
    reply = act(root, "kick", name="Ana", reason="spam")
    assert (reply["action"], reply["who"], reply["connections"]) == ("kick", "ana", 3)
    assert reply["addresses"] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    for ana in anas:
        assert ana.close_code == CloseCode.KICKED
        assert ana.wire.peer is not None
        assert ana.wire.peer.closing == (CloseCode.KICKED, "root2 kicked you: spam")
        assert notices(ana) == []
    for client in (bob, eve):
        assert notices(client) == ["root2 kicked ana: spam."]
    cluster.pass_time(1)
    cluster.settle()
    leaves = [frame for frame in eve.frames("system") if frame["event"] == "leave"]
    assert [frame["name"] for frame in leaves] == ["ana"]
    assert cluster[1].hub.effects.take_audit_lines()[-1].text.endswith("kicked ana (3 connection(s)): spam")


def test_a_guest_on_another_node_can_be_kicked(cluster: HubCluster) -> None:
    root, guest = admin(cluster, 1), plain(cluster[2])
    assert guest.wire.peer is not None
    assert act(root, "kick", name=guest.wire.peer.sender.upper())["connections"] == 1
    assert guest.close_code == CloseCode.KICKED


def test_nobody_on_any_node_is_an_unknown_user(cluster: HubCluster) -> None:
    root = admin(cluster, 1)
    reply = act(root, "kick", name="ana")
    assert (reply["code"], reply["message"]) == ("unknown_person", "No such user: ana.")
    assert act(root, "kick", name="192.0.2.1")["code"] == "unknown_person"


@pytest.mark.parametrize(
    ("type_", "fields"),
    [("kick", {"name": "boss"}), ("ban", {"who": "boss"}), ("mute", {"name": "boss"})],
)
def test_admins_on_other_nodes_are_exempt(cluster: HubCluster, type_: str, fields: dict[str, str]) -> None:
    root, boss = admin(cluster, 1), admin(cluster, 2, BOSS)
    reply = act(root, type_, **fields)
    assert (reply["code"], reply["message"]) == ("forbidden", "Cannot moderate boss: admins are exempt.")
    assert boss.close_code is None
    assert not cluster.sanctions


def test_a_network_with_an_admin_on_another_node_cannot_be_banned(cluster: HubCluster) -> None:
    root, boss = admin(cluster, 1), admin(cluster, 2, BOSS)
    assert act(root, "ban", who="198.51.100.0/24")["code"] == "forbidden"
    assert boss.close_code is None


def test_a_signal_never_closes_an_admin(cluster: HubCluster) -> None:
    boss = admin(cluster, 2, BOSS)
    for who, is_network in (("boss", False), ("198.51.100.1", True)):
        cluster[2].hub.port.receive_signal(Kicked(who, "?", is_network), cluster.when)
    assert boss.close_code is None


def test_a_ban_includes_the_client_ids_of_other_nodes(cluster: HubCluster) -> None:
    root = admin(cluster, 1)
    ana = person(cluster, 2, "ana", "a", "192.0.2.2:9")
    alias = person(cluster, 3, "alias", "a", "192.0.2.3:9")
    local_alias = person(cluster, 1, "other", "a", "192.0.2.4:9")
    reply = act(root, "ban", who="ana", reason="spam")
    assert (reply["who"], reply["connections"]) == ("ana", 1)
    assert ana.close_code == alias.close_code == local_alias.close_code == CloseCode.KICKED
    assert [sanction.clients for sanction in cluster.sanctions] == [("a",)]
    for number in (1, 2, 3):
        again = person(cluster, number, "innocent", "a", "192.0.2.9:9")
        assert codes(again)[:1] == ["banned"]
        assert again.close_code == CloseCode.KICKED


def test_a_ban_of_a_network_closes_the_connections_on_all_nodes(cluster: HubCluster) -> None:
    root = admin(cluster, 1)
    near = [person(cluster, number, f"p{number}", "", f"192.0.2.{number}:9") for number in (1, 2, 3)]
    far = person(cluster, 2, "bob", "b", "203.0.113.1:9")
    reply = act(root, "ban", who="192.0.2.0/24", seconds=60)
    assert (reply["connections"], reply["addresses"]) == (3, ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    assert [client.close_code for client in near] == [CloseCode.KICKED] * 3
    assert far.close_code is None
    assert notices(far) == ["root2 banned 192.0.2.0/24 for 1 min."]


def test_a_guest_on_another_node_cannot_be_banned_by_name(cluster: HubCluster) -> None:
    root, guest = admin(cluster, 1), plain(cluster[2])
    assert guest.wire.peer is not None
    reply = act(root, "ban", who=guest.wire.peer.sender)
    assert reply["code"] == "bad_name"
    assert reply["message"].endswith("ban the address 192.0.2.1.")


def test_a_mute_applies_on_all_nodes_until_it_is_lifted_on_another(cluster: HubCluster) -> None:
    root, boss = admin(cluster, 1), admin(cluster, 3, BOSS)
    ana = person(cluster, 2, "ana", "a", "192.0.2.2:9")
    assert act(root, "mute", name="ana", seconds=600)["connections"] == 1
    assert notices(ana) == ["root2 muted ana for 10 min."]
    ana.send("message", room="lobby", message="hi", nonce="1")
    cluster.settle()
    assert codes(ana) == ["muted"]
    assert act(root, "mute", name="192.0.2.2")["code"] == "bad_name"
    assert act(boss, "unmute", name="ana")["connections"] == 1
    assert notices(ana)[1:] == ["boss unmuted ana."]
    ana.send("message", room="lobby", message="hi", nonce="2")
    cluster.settle()
    assert ana.frames("ack")
    assert act(boss, "unmute", name="ana")["code"] == "unknown_person"


def test_an_admin_gets_the_reply_when_the_mute_is_in_force_everywhere(cluster: HubCluster) -> None:
    root, node = admin(cluster, 1), cluster[1]
    ana = person(cluster, 2, "ana", "a", "192.0.2.2:9")
    root.clear()
    root.send("mute", name="ana", ref="m")
    node.receive()
    for expected in (0, 1):
        node.collect()
        node.answer()
        node.write()
        assert len(root.frames("moderated")) == expected
    assert not cluster.sanctions
    ana.send("message", room="lobby", message="hi", nonce="1")
    cluster.run(cluster[2])
    assert codes(ana) == ["muted"]


def test_more_sanctions_of_other_nodes_than_possible_are_ignored(
    cluster: HubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = admin(cluster, 1)
    monkeypatch.setattr("broadcast_tui.core.hub.sanctions.SANCTIONS_MAX", 1)
    assert act(root, "ban", who="ana")["action"] == "ban"
    assert act(root, "ban", who="bob")["code"] == "try_later"
    change = ShareSanction("ban", "eve", msgspec.structs.replace(cluster.sanctions[0], key="eve"))
    cluster[2].hub.port.apply_sanction(change, cluster.when)
    assert len(cluster[2].hub.moderation.sanctions.all(cluster.when.at)) == 1


def test_while_other_nodes_cannot_be_asked_nothing_is_done(cluster: HubCluster) -> None:
    root = admin(cluster, 1)
    ana = person(cluster, 1, "ana", "a", "192.0.2.2:9")
    cluster[1].is_up = False
    reply = act(root, "ban", who="ana")
    assert (reply["code"], reply["temporary"]) == ("try_later", True)
    assert ana.close_code is None
    assert not cluster.sanctions


def test_only_admins_ask_other_nodes(cluster: HubCluster) -> None:
    ana = person(cluster, 1, "ana", "a", "192.0.2.2:9")
    ana.send("kick", name="bob", ref="m")
    cluster[1].receive()
    assert not cluster[1].hub.cluster.has_work
    cluster.settle()
    assert codes(ana) == ["forbidden"]
