"""Kicks, bans and mutes: permissions, targets and durations."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.errors import CloseCode
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.hub.moderation import STEP_PEERS
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.sanctions import SANCTION_MAX_S, Sanction, Sanctions, end_time, parse_network
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.network import parse_ip
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.protocol.codec import encode
from tests.support.hub_pair import Wire, World, read_frames
from tests.support.roles import give_role

AT = datetime(2026, 1, 1, tzinfo=UTC)


def come(
    world: World,
    name: str,
    *,
    address: str = "192.0.2.7:4000",
    client_id: str = "",
    v1: bool = True,
    identity: Identity | None = None,
) -> Wire:
    """A connection that has said hello and read what comes of it."""
    wire = Wire()
    wire.peer = world.hub.open(wire, v1=v1, address=address, when=world.when, identity=identity)
    if v1:
        ask(world, wire, commands.Hello(name, client_id or f"id-{name}"))
    return wire


def peer_of(wire: Wire) -> Peer:
    assert wire.peer is not None
    return wire.peer


def ask(world: World, wire: Wire, command: commands.Command) -> list[dict[str, object]]:
    """What a connection is sent after a command of its own."""
    world.hub.receive(peer_of(wire), encode(command), world.when)
    world.step()
    return read_frames(wire)


def codes(frames: list[dict[str, object]]) -> list[object]:
    return [frame["code"] for frame in frames if "code" in frame]


def an_admin(world: World) -> Wire:
    wire = come(world, "root2", address="198.51.100.1:1")
    give_role(peer_of(wire), "admin")
    return wire


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("lunch.", "lunch"), (" a\n\x1b[31mb ", "a [31mb"), ("x" * 300, "x" * 120), ("\u200b", ""), ("", "")],
)
def test_leave_reason_is_one_short_sanitized_line(reason: str, expected: str) -> None:
    world = World()
    bob, ana = come(world, "bob"), come(world, "ana")
    read_frames(ana)
    ask(world, bob, commands.Leave("lobby", "r", reason))
    (left,) = [frame for frame in read_frames(ana) if frame.get("event") == "leave"]
    why = f": {expected}" if expected else ""
    assert left["message"] == f"bob has left the chat{why}. 1 client(s) online."
    assert left.get("reason", "") == expected


@pytest.mark.parametrize("silenced", ["mute", "reader"])
def test_muted_person_leaves_without_a_reason(silenced: str) -> None:
    world = World()
    bob, ana, admin = come(world, "bob"), come(world, "ana"), an_admin(world)
    if silenced == "mute":
        ask(world, admin, commands.Mute("bob"))
    else:
        give_role(peer_of(bob), "reader")
    read_frames(ana)
    ask(world, bob, commands.Leave("lobby", "r", "unheard"))
    assert "unheard" not in str(read_frames(ana))


EVERY_ACT = (
    commands.Kick("bob", ref="r"),
    commands.Ban("bob", ref="r"),
    commands.Ban("192.0.2.7", ref="r"),
    commands.Unban("bob", ref="r"),
    commands.Mute("bob", ref="r"),
    commands.Unmute("bob", ref="r"),
    commands.ListBans("r"),
)


@pytest.mark.parametrize("role", ["member", "reader"])
@pytest.mark.parametrize("act", EVERY_ACT, ids=lambda act: type(act).__name__)
def test_only_admins_moderate(role: str, act: commands.Command) -> None:
    world = World()
    bob, mallory = come(world, "bob"), come(world, "mallory")
    give_role(peer_of(mallory), role)
    [error] = [frame for frame in ask(world, mallory, act) if frame["type"] == "error"]
    assert (error["code"], error["ref"]) == ("forbidden", "r")
    assert "Only admins" in str(error["message"])
    assert peer_of(bob).closing is None
    assert world.hub.effects.audit_lines == []


def test_admins_can_list_bans_and_mutes() -> None:
    world = World()
    admin = an_admin(world)
    [nobody] = ask(world, admin, commands.ListBans("r"))
    assert nobody == {"type": "bans", "ref": "r", "items": [], "truncated": False}
    for act in (
        commands.Mute("Bob", 60, "calm down"),
        commands.Ban("192.0.2.0/24"),
        commands.Ban("mallory", 3),
    ):
        ask(world, admin, act)
        world.pass_time(1)
    world.pass_time(3)
    [listed] = ask(world, admin, commands.ListBans("r"))
    by = peer_of(admin).sender
    until = (AT + timedelta(seconds=60)).isoformat(timespec="microseconds")
    assert listed["items"] == [
        {"action": "mute", "kind": "name", "who": "Bob", "by": by, "reason": "calm down", "until": until},
        {"action": "ban", "kind": "address", "who": "192.0.2.0/24", "by": by},
    ]


def test_long_list_of_bans_contains_the_newest() -> None:
    world = World(Limits(presence_list_max=2))
    admin = an_admin(world)
    for number in range(3):
        ask(world, admin, commands.Ban(f"mallory{number}"))
        world.pass_time(1)
    [listed] = ask(world, admin, commands.ListBans("r"))
    assert [item["who"] for item in listed["items"]] == ["mallory1", "mallory2"]  # type: ignore[attr-defined]
    assert listed["truncated"] is True


@pytest.mark.parametrize("act", EVERY_ACT[:3] + EVERY_ACT[4:5], ids=lambda act: type(act).__name__)
def test_admins_do_not_moderate_each_other(act: commands.Command) -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob")
    give_role(peer_of(bob), "admin")
    assert codes(ask(world, admin, act)) == ["forbidden"]
    assert peer_of(bob).closing is None


def test_plain_client_cannot_moderate() -> None:
    world = World()
    plain = come(world, "", v1=False)
    give_role(peer_of(plain), "admin")
    assert [f["code"] for f in ask(world, plain, commands.Kick("x")) if f.get("event") == "error"] == [
        "bad_frame"
    ]


def test_kick_closes_all_connections_of_a_name_and_is_announced() -> None:
    world = World()
    admin, ben = an_admin(world), come(world, "ben")
    bobs = [come(world, "bob", client_id="b"), come(world, "bob", client_id="b")]
    read_frames(ben)
    [done] = [f for f in ask(world, admin, commands.Kick("B0B", "spam.", "r")) if f["type"] == "moderated"]
    assert (done["ref"], done["action"], done["who"], done["connections"]) == ("r", "kick", "bob", 2)
    assert done["addresses"] == ["192.0.2.7"]
    for bob in bobs:
        assert peer_of(bob).closing == (CloseCode.KICKED, "root2 kicked you: spam")
    assert "root2 kicked bob: spam." in [frame["message"] for frame in read_frames(ben)]
    (line,) = world.hub.effects.audit_lines
    assert line.text == "#1 root2 (198.51.100.1:1) kicked bob (2 connection(s)): spam"
    by = {"user": "root2", "address": "198.51.100.1", "connection": 1}
    assert line.fields == {"event": "kick", "target": "bob", "count": 2, "reason": "spam", **by}
    for bob in bobs:
        world.hub.close(peer_of(bob), world.when)
    world.step()
    assert [f["event"] for f in read_frames(ben)] == ["leave"]
    assert peer_of(come(world, "bob", client_id="other")).name == "bob"


def test_guest_can_be_kicked_but_not_banned_by_number() -> None:
    world = World()
    admin, guest = an_admin(world), come(world, "", v1=False)
    label = peer_of(guest).sender
    assert ask(world, admin, commands.Ban(label))[-1]["code"] == "bad_name"
    assert peer_of(guest).closing is None
    ask(world, admin, commands.Kick(label))
    assert peer_of(guest).closing is not None


def test_unknown_target_is_an_error() -> None:
    world = World()
    admin = an_admin(world)
    acts = (commands.Kick("nix"), commands.Unban("nix"), commands.Unmute("nix"), commands.Ban("\u200b"))
    for act in acts:
        assert codes(ask(world, admin, act)) == ["unknown_person"]


@pytest.mark.parametrize("back_as", ["bob", "B0B", "\u0432\u043e\u044c"], ids=ascii)
def test_ban_closes_connections_and_covers_look_alikes(back_as: str) -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob")
    ask(world, admin, commands.Ban("bob", 3600.0, "spam"))
    assert peer_of(bob).closing == (CloseCode.KICKED, "You are banned for another 1 h: spam")
    world.hub.close(peer_of(bob), world.when)
    again = come(world, back_as, client_id="another")
    assert peer_of(again).closing is not None
    assert peer_of(again).closing == (CloseCode.KICKED, "You are banned for another 1 h: spam.")
    world.pass_time(3601)
    assert peer_of(come(world, "bob")).closing is None


def test_ban_covers_the_client_id_under_another_name() -> None:
    world = World()
    admin, _ = an_admin(world), come(world, "bob", client_id="bobs")
    ask(world, admin, commands.Ban("bob"))
    for name in ("carl", ""):
        assert peer_of(come(world, name, client_id="bobs")).closing is not None
    assert peer_of(come(world, "dora", client_id="doras")).closing is None
    ask(world, admin, commands.Unban("BOB"))
    assert peer_of(come(world, "carl", client_id="bobs")).closing is None


def test_plain_client_with_a_banned_name_is_closed_at_its_first_message() -> None:
    world = World()
    admin = an_admin(world)
    ask(world, admin, commands.Ban("bob"))
    plain = come(world, "", v1=False)
    ask(world, plain, commands.Say("hi", "bob"))
    assert peer_of(plain).closing is not None
    assert world.log.last_seq("lobby") == 0


@pytest.mark.parametrize("v1", [True, False])
@pytest.mark.parametrize(("role", "is_out"), [(Role.READER, True), (Role.MEMBER, True), (Role.ADMIN, False)])
def test_ban_applies_to_token_holders_but_not_to_admins(v1: bool, role: Role, is_out: bool) -> None:
    world = World()
    ask(world, an_admin(world), commands.Ban("bob", reason="spam"))
    bob = peer_of(come(world, "bob", v1=v1, identity=Identity("t1", "bob", role)))
    if is_out:
        assert bob.closing == (CloseCode.KICKED, "You are banned: spam.")
        assert not bob.subscriptions
    else:
        assert bob.closing is None
        assert bob.name == "bob"


def test_rename_to_a_banned_name_fails_without_closing() -> None:
    world = World()
    admin, carl = an_admin(world), come(world, "carl")
    ask(world, admin, commands.Ban("bob"))
    assert [f["code"] for f in ask(world, carl, commands.Rename("bob")) if f["type"] == "error"] == ["banned"]
    assert (peer_of(carl).closing, peer_of(carl).name) == (None, "carl")


@pytest.mark.parametrize("who", ["192.0.2.7", "192.0.2.0/24", "::ffff:192.0.2.7"])
def test_ban_of_an_address_closes_only_its_connections(who: str) -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob")
    other = come(world, "ann", address="203.0.113.1:7")
    ask(world, admin, commands.Ban(who))
    assert peer_of(bob).closing is not None
    assert peer_of(other).closing is None
    assert world.hub.moderation.sanctions.find_by_address("192.0.2.7", world.when.at) is not None
    ask(world, admin, commands.Unban(who))
    assert world.hub.moderation.sanctions.find_by_address("192.0.2.7", world.when.at) is None


@pytest.mark.parametrize("who", ["127.0.0.1", "::1", "0.0.0.0/0", "::/0", "10.0.0.0/7"])
def test_loopback_and_very_large_networks_cannot_be_banned(who: str) -> None:
    world = World()
    assert codes(ask(world, an_admin(world), commands.Ban(who))) == ["bad_frame"]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("10.0.0.0/33", "Invalid network: 10.0.0.0/33. The number after / must be between 0 and 32."),
        ("2001:db8::/129", "Invalid network: 2001:db8::/129. The number after / must be between 0 and 128."),
        ("10.0.0/8", "Invalid address: 10.0.0/8. "),
        ("bob/24", "Invalid address: bob/24. "),
        ("300.1.1.1", "Invalid address: 300.1.1.1. "),
        ("10.0.0.", "Invalid address: 10.0.0.. "),
        ("10.0.0.*", "Invalid address: 10.0.0.*. "),
        ("1.2.3.4.5", "Invalid address: 1.2.3.4.5. "),
        ("10.0.0.1-10.0.0.9", "Invalid address: 10.0.0.1-10.0.0.9. "),
        ("10.0.0.1 \u2013 9", "Invalid address: 10.0.0.1 \u2013 9. "),
        ("192.0.2.7:8765", "Invalid address: 192.0.2.7:8765. "),
        ("2001:db8::g", "Invalid address: 2001:db8::g. "),
    ],
)
def test_invalid_network_is_not_banned_as_a_name(who: str, expected: str) -> None:
    world = World()
    admin = an_admin(world)
    for act in (commands.Ban(who, ref="r"), commands.Unban(who, ref="r")):
        [error] = ask(world, admin, act)
        assert (error["code"], error["ref"]) == ("bad_frame", "r")
        assert str(error["message"]).startswith(expected)
        assert "\n" not in str(error["message"])
    assert codes(ask(world, admin, commands.Mute(who))) == ["bad_name"]
    assert world.hub.moderation.sanctions.all(world.when.at) == []


def test_mute_of_an_address_is_rejected() -> None:
    world = World()
    assert codes(ask(world, an_admin(world), commands.Mute("192.0.2.7"))) == ["bad_name"]


def test_name_that_resembles_a_number_can_be_banned_while_in_use() -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "1.2.3")
    ask(world, admin, commands.Ban("1.2.3"))
    assert peer_of(bob).closing is not None
    ask(world, admin, commands.Unban("1.2.3"))
    assert world.hub.moderation.sanctions.all(world.when.at) == []


def test_loopback_can_be_banned_if_a_proxy_there_is_trusted() -> None:
    world = World()
    world.hub.moderation.protects_loopback = False
    admin, bob = an_admin(world), come(world, "bob", address="127.0.0.1:7")
    ask(world, admin, commands.Ban("127.0.0.1"))
    assert peer_of(bob).closing is not None
    assert codes(ask(world, admin, commands.Ban("0.0.0.0/0"))) == ["bad_frame"]


def test_muted_person_can_only_read_until_the_mute_ends() -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob")
    ask(world, admin, commands.Mute("bob", 600.0))
    assert peer_of(bob).closing is None
    [error] = [f for f in ask(world, bob, commands.Say("hi", nonce="n")) if f["type"] == "error"]
    assert (error["code"], error["nonce"], error.get("temporary", False)) == ("muted", "n", False)
    assert error["message"] == "You are muted for another 10 min."
    ask(world, admin, commands.Say("read this"))
    assert "read this" in [frame.get("message") for frame in read_frames(bob)]
    world.pass_time(601)
    assert [f["type"] for f in ask(world, bob, commands.Say("hi", nonce="m"))][-1] == "message"


@pytest.mark.parametrize("as_guest", [False, True])
def test_muted_person_cannot_be_renamed(as_guest: bool) -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "" if as_guest else "bob", client_id="bobs")
    ask(world, admin, commands.Mute(peer_of(bob).sender, 600.0))
    read_frames(bob)
    [error] = ask(world, bob, commands.Rename("Go to evil.example", ref="r"))
    assert (error["code"], error["ref"], error["retry_after"]) == ("muted", "r", 600.0)
    assert read_frames(admin) == []
    world.pass_time(601)
    assert [frame["type"] for frame in ask(world, bob, commands.Rename("carl"))] == ["renamed"]


def test_muted_client_cannot_come_back_under_another_name() -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob", client_id="bobs")
    ask(world, admin, commands.Mute("bob", 600.0, "spam"))
    ask(world, bob, commands.Leave("lobby"))
    world.hub.close(peer_of(bob), world.when)
    world.pass_time(6)
    read_frames(admin)
    again = Wire()
    again.peer = world.hub.open(again, v1=True, address="test", when=world.when)
    [error] = ask(world, again, commands.Hello("Go to evil.example", "bobs"))
    assert (error["code"], error["message"]) == (
        "muted",
        "You are muted for another 10 min: spam. Connect as bob to read.",
    )
    assert "evil" not in str(read_frames(admin))
    for name in ("B0B", ""):
        back = come(world, name, client_id="bobs")
        assert peer_of(back).welcomed
        world.hub.close(peer_of(back), world.when)
    assert peer_of(come(world, "carl", client_id="other")).name == "carl"
    world.pass_time(601)
    assert peer_of(come(world, "dora", client_id="bobs")).name == "dora"


def test_mute_does_not_change_the_name_of_a_token() -> None:
    world = World()
    admin, _ = an_admin(world), come(world, "bob", client_id="bobs")
    ask(world, admin, commands.Mute("bob"))
    ana = come(world, "", client_id="bobs", identity=Identity("t1", "ana", Role.MEMBER))
    assert peer_of(ana).name == "ana"
    assert codes(ask(world, ana, commands.Say("hi", nonce="n"))) == ["muted"]


def test_muted_name_is_not_announced_for_a_plain_client() -> None:
    world = World()
    admin = an_admin(world)
    ask(world, admin, commands.Mute("bob"))
    plain = come(world, "", v1=False)
    world.step()
    read_frames(admin)
    ask(world, plain, commands.Say("hi", sender="bob"))
    assert read_frames(admin) == []


def test_mute_applies_to_a_reconnected_plain_client() -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "", v1=False)
    ask(world, bob, commands.Say("hi", sender="bob"))
    ask(world, admin, commands.Mute("bob"))
    world.hub.close(peer_of(bob), world.when)
    again = come(world, "", v1=False)
    for _ in range(2):
        assert codes(ask(world, again, commands.Say("heard?", sender="bob"))) == ["muted"]
    assert "heard?" not in [frame.get("message") for frame in read_frames(admin)]


@pytest.mark.parametrize(
    "command",
    [commands.SetTopic("buy", ref="r"), commands.SetAway(True, "buy", ref="r")],
    ids=lambda command: type(command).__name__,
)
def test_mute_applies_to_topics_and_away_messages(command: commands.Command) -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob")
    ask(world, admin, commands.Mute("bob"))
    read_frames(bob)
    [error] = ask(world, bob, command)
    assert (error["code"], error["ref"]) == ("muted", "r")
    assert read_frames(admin) == []


def test_muted_person_can_be_away_without_a_message_and_typing_is_dropped() -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob")
    ask(world, bob, commands.Typing())
    assert [frame["type"] for frame in read_frames(admin)][-1] == "typing"
    ask(world, admin, commands.Mute("bob"))
    read_frames(bob)
    world.pass_time(60)
    assert ask(world, bob, commands.Typing()) == []
    assert [frame["type"] for frame in ask(world, bob, commands.SetAway(ref="r"))] == ["away"]
    assert [frame["type"] for frame in read_frames(admin)] == ["away"]


def test_unmuted_person_can_post_again() -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob")
    ask(world, admin, commands.Mute("bob"))
    ask(world, bob, commands.Rename("carl"))
    ask(world, admin, commands.Unmute("bob"))
    assert "root2 unmuted bob." in [frame.get("message") for frame in read_frames(bob)]
    assert "message" in [frame["type"] for frame in ask(world, bob, commands.Say("hi"))]


@pytest.mark.parametrize("act", [commands.Kick("bob"), commands.Ban("bob"), commands.Mute("bob")])
def test_admin_gets_one_reply_and_no_notice(act: commands.Command) -> None:
    world = World()
    admin, _ = an_admin(world), come(world, "bob")
    read_frames(admin)
    assert [frame["type"] for frame in ask(world, admin, act)] == ["moderated"]


def test_reasons_are_sanitized_everywhere() -> None:
    world = World()
    admin, bob = an_admin(world), come(world, "bob")
    ask(world, admin, commands.Kick("bob", "a\x1b]0;x\x07\nb\u202ec"))
    assert peer_of(bob).closing == (CloseCode.KICKED, "root2 kicked you: a]0;x bc")
    assert all(line.text.isprintable() for line in world.hub.effects.audit_lines)


def sanction(name: str, until: datetime | None = None, at: datetime = AT) -> Sanction:
    return Sanction("ban", "name", name, name, "ana", at, until)


def test_expired_sanctions_are_removed() -> None:
    kept = Sanctions([sanction("a", AT + timedelta(seconds=5)), sanction("b")])
    assert [s.key for s in kept.all(AT)] == ["a", "b"]
    assert [s.key for s in kept.all(AT + timedelta(seconds=5))] == ["b"]
    assert kept.find_by_person("ban", "b", "", AT) is not None


def test_expired_ban_does_not_hide_one_in_force() -> None:
    soon, later = AT + timedelta(seconds=2), AT + timedelta(seconds=3)
    one = Sanction("ban", "address", "203.0.113.7/32", "203.0.113.7", "ana", AT, soon)
    wide = Sanction("ban", "address", "203.0.113.0/24", "203.0.113.0/24", "ana", AT)
    assert Sanctions([one, wide]).find_by_address("203.0.113.7", later) == wide
    names = [
        Sanction("ban", "name", "a", "a", "ana", AT, soon, clients=("id",)),
        Sanction("ban", "name", "b", "b", "ana", AT, clients=("id",)),
    ]
    assert Sanctions(names).find_by_person("ban", "c", "id", later) == names[1]


def test_invalid_address_in_the_file_is_ignored() -> None:
    kept = Sanctions([Sanction("ban", "address", "nonsense", "nonsense", "ana", AT)])
    assert kept.all(AT) == []
    assert kept.find_by_address("192.0.2.7", AT) is None


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8::1", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("2001:db8::1/128", "2001:db8::1/128"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("bob", "None"),
        ("", "None"),
        ("1", "None"),
    ],
)
def test_addresses_and_networks_are_parsed(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


def test_very_long_sanction_is_permanent() -> None:
    assert end_time(0, AT) is None
    assert end_time(SANCTION_MAX_S * 2, AT) is None
    assert end_time(float("inf"), AT) is None
    assert end_time(1, AT) == AT + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (commands.Unban("bob"), "bob is not banned."),
        (commands.Unmute("bob"), "bob is not muted."),
    ],
)
def test_lifting_a_sanction_that_is_not_in_force_is_an_error(
    command: commands.Unban | commands.Unmute, message: str
) -> None:
    world = World()
    (error,) = ask(world, an_admin(world), command)
    assert (error["code"], error["message"]) == ("unknown_person", message)


# Many sanctions and connections


def executed_lines(work: Callable[[], object]) -> int:
    """The number of lines of Python that `work` executes.

    Without garbage collections, which call functions of other packages at any time.
    """
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    gc.disable()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


@pytest.mark.parametrize("host", ["10.0.9.1", "2001:db8::1", "192.0.2.7"])
def test_finding_a_sanction_takes_as_long_among_many_as_among_few(host: str) -> None:
    def lines(count: int) -> int:
        networks = [f"10.0.{number}.0/24" for number in range(100, 100 + count)]
        sanctions = Sanctions(Sanction("ban", "address", key, key, "root", AT) for key in networks)
        for number in range(count):
            clients = (f"client-{number}",)
            sanctions.add(Sanction("mute", "name", f"name{number}", "x", "root", AT, None, "", clients))
        sanctions.find_by_address(host, AT)  # the parsed address is cached
        return executed_lines(
            lambda: (
                sanctions.find_by_address(host, AT), sanctions.find_by_person("mute", "ana", "id-ana", AT)
            )
        )  # fmt: skip

    assert lines(100) == lines(3)


NETWORKS = st.sampled_from(
    ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "10.1.2.4/32", "2001:db8::/32", "2001:db8::/64", "::/16")
)


@given(st.lists(st.tuples(st.booleans(), NETWORKS)))
def test_a_ban_covers_the_addresses_of_its_network_until_it_is_lifted(
    steps: list[tuple[bool, str]],
) -> None:
    sanctions, banned = Sanctions(), set[str]()
    for is_ban, key in steps:
        if is_ban:
            sanctions.add(Sanction("ban", "address", key, key, "root", AT))
            banned.add(key)
        else:
            assert sanctions.lift("ban", key) == (key in banned)
            banned.discard(key)
    for host in (
        "10.1.2.3",
        "::ffff:10.1.2.4",
        "10.1.9.9",
        "10.9.9.9",
        "2001:db8::7%eth0",
        "[2001:db8:9::1]",
    ):
        address = parse_ip(host)
        assert address is not None
        covered = any(address in ip_network(key) for key in banned)
        assert (sanctions.find_by_address(host, AT) is not None) == covered
    assert len(sanctions._networks) <= len(banned)


def test_client_ids_of_replaced_and_lifted_mutes_are_forgotten() -> None:
    sanctions = Sanctions()
    for clients in (("one", "two"), ("two", "three")):
        sanctions.add(Sanction("mute", "name", "ana", "ana", "root", AT, None, "", clients))
    found = [
        sanctions.find_by_person("mute", "", client, AT) is not None for client in ("one", "two", "three")
    ]
    assert found == [False, True, True]
    assert sanctions.find_by_person("ban", "", "two", AT) is None
    sanctions.lift("mute", "ana")
    assert not sanctions._clients


def test_bans_of_a_reloaded_file_are_enforced_in_steps() -> None:
    world = World(Limits(max_rooms_total=0, work_rate=0))
    wires = [come(world, f"user{number}x", address=f"192.0.2.{number % 250}:1") for number in range(300)]
    admin = an_admin(world)
    ban = Sanction("ban", "address", "192.0.2.0/24", "192.0.2.0/24", "root", AT)
    world.hub.moderation.sanctions.replace([ban])
    steps = sum(1 for _ in world.hub.moderation.enforce_steps(world.when))
    assert steps >= 300 // STEP_PEERS
    assert all(peer_of(wire).closing == (CloseCode.KICKED, "You are banned") for wire in wires)
    assert peer_of(admin).closing is None
