"""Parsing of server addresses."""

from __future__ import annotations

import pytest

from broadcast_tui.client import AddressError, BroadcastClient, parse_address
from broadcast_tui.client.address import Address, SecretInAddressError
from broadcast_tui.core.errors import BroadcastError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("chat.example", "wss://Chat.Example.:8765/dev"),
        ("ws://127.0.0.1:1", "ws://[::ffff:127.0.0.1]:1"),
        ("[2001:db8:0::1]:1", "wss://[2001:DB8::1]:1"),
        ("ws://b\u00fccher.example", "ws://xn--bcher-kva.example"),
    ],
)
def test_spellings_of_one_server_share_a_key(one: str, other: str) -> None:
    assert parse_address(one).server_key == parse_address(other).server_key


def test_servers_have_different_keys() -> None:
    addresses = (
        "localhost",
        "127.0.0.1",
        "127.0.0.2",
        "localhost:1",
        "[::1]",
        "localhost.example",
        "a..b",
        "\u00df." * 99,
    )
    keys = {parse_address(address).server_key for address in addresses}
    assert len(keys) == len(addresses)


@pytest.mark.parametrize(
    ("text", "url", "room"),
    [
        ("", "ws://localhost:8765", "lobby"),
        ("localhost", "ws://localhost:8765", "lobby"),
        ("example.org", "ws://example.org:8765", "lobby"),
        ("example.org:9000", "ws://example.org:9000", "lobby"),
        (":9000", "ws://localhost:9000", "lobby"),
        ("example.org/dev", "ws://example.org:8765", "dev"),
        ("example.org:9000/Dev", "ws://example.org:9000", "dev"),
        ("  example.org  ", "ws://example.org:8765", "lobby"),
        ("ws://example.org", "ws://example.org:8765", "lobby"),
        ("ws://example.org/", "ws://example.org:8765", "lobby"),
        ("ws://example.org:1/dev/", "ws://example.org:1", "dev"),
        ("WS://EXAMPLE.org:1", "ws://example.org:1", "lobby"),
        ("wss://example.org:443/dev", "wss://example.org:443", "dev"),
        ("127.0.0.1:65535", "ws://127.0.0.1:65535", "lobby"),
        ("[::1]:9000", "ws://[::1]:9000", "lobby"),
        ("ws://[2001:db8::1]/dev", "ws://[2001:db8::1]:8765", "dev"),
        ("localhost/%C3%BCber", "ws://localhost:8765", "über"),
        ("localhost/#dev", "ws://localhost:8765", "lobby"),
        ("http://example.org", "ws://example.org:80", "lobby"),
        ("https://example.org/", "wss://example.org:443", "lobby"),
        ("https://example.org:8765/", "wss://example.org:8765", "lobby"),
        ("http://192.168.1.5:8765/rooms/Dev", "ws://192.168.1.5:8765", "dev"),
        ("HTTPS://[2001:db8::1]/rooms/dev/", "wss://[2001:db8::1]:443", "dev"),
        ("http://localhost:8765/rooms/", "ws://localhost:8765", "lobby"),
    ],
)
def test_missing_address_parts_have_defaults(text: str, url: str, room: str) -> None:
    address = parse_address(text)
    assert (address.url, address.room) == (url, room)


@pytest.mark.parametrize(
    "text",
    [
        "http://example.org/dev", "https://example.org:8765/room/dev", "ftp://x",
        "example.org:99999", "example.org:port",
        "example.org:-1", "ws://[::1", "ws://user:secret@example.org", "user@example.org", "exa mple.org",
        "ws://example.org:8765/a\tb", "ws://exam\nple.org",
    ],
)  # fmt: skip
def test_invalid_address_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_address(text)
    assert "ws://localhost:8765" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["localhost/a b", "localhost/-x", "localhost/a/b", "localhost/" + "x" * 49])
def test_invalid_room_in_an_address_is_rejected(text: str) -> None:
    with pytest.raises(BroadcastError):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("example.org", False),
     ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("127.evil.example", False),
     ("127.0.0.1.evil.example", False), ("evil.localhost", False)],
)  # fmt: skip
def test_is_local(host: str, local: bool) -> None:
    assert Address(host, 1).is_local is local


def test_client_accepts_a_full_address() -> None:
    client = BroadcastClient("ws://example.org:9000/dev")
    assert (client.url, client.rooms) == ("ws://example.org:9000", ("dev",))


def test_client_normalizes_room_names() -> None:
    assert BroadcastClient(rooms=["#Dev"]).rooms == ("dev",)


def test_client_rejects_an_invalid_room() -> None:
    with pytest.raises(BroadcastError):
        BroadcastClient(rooms=["a b"])


PIN = "sha256:" + "A" * 43
TOKEN = "bt_" + "k" * 43


def test_invite_has_a_pin_and_an_optional_token() -> None:
    address = parse_address(f"wss://chat.example.org:9000/dev#pin={PIN}&token={TOKEN}")
    assert (address.host, address.port, address.room) == ("chat.example.org", 9000, "dev")
    assert (address.pin, address.token) == (PIN, TOKEN)
    assert address.url == "wss://chat.example.org:9000", "what is shown and sent has neither"
    assert TOKEN not in repr(address)


@pytest.mark.parametrize(
    "text",
    [
        f"wss://host/lobby?token={TOKEN}",
        f"wss://host/lobby?access_token={TOKEN}&x=1",
        "ws://host/?TOKEN=other",
        f"wss://host/{TOKEN}",
        f"wss://{TOKEN}@host",
        f"wss://ana:{TOKEN}@host",
        f"host?key={TOKEN}",
    ],
)
def test_token_in_a_sent_part_of_the_address_is_rejected(text: str) -> None:
    with pytest.raises(SecretInAddressError, match="must not contain a token") as refused:
        parse_address(text)
    assert TOKEN not in str(refused.value)


def test_errors_do_not_repeat_a_token() -> None:
    for text in (
        f"ftp://host#token={TOKEN}",
        f"http://host/x#token={TOKEN}",
        f"ws://host:x#token={TOKEN}",
        f"wss://a b#token={TOKEN}",
    ):
        with pytest.raises(AddressError) as refused:
            parse_address(text)
        assert TOKEN[3:] not in str(refused.value)


def test_a_pin_needs_tls() -> None:
    with pytest.raises(AddressError, match="wss://"):
        parse_address(f"ws://host#pin={PIN}")


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("localhost", "http://localhost:8765/rooms/lobby"),
        ("wss://[2001:db8::1]:443/dev", "https://[2001:db8::1]:443/rooms/dev"),
        ("example.org/über", "http://example.org:8765/rooms/%C3%BCber"),
        (f"example.org#token={TOKEN}", f"http://example.org:8765/rooms/lobby#token={TOKEN}"),
        (
            f"wss://example.org:1/a-b.c#pin={PIN}&token={TOKEN}",
            f"https://example.org:1/rooms/a-b.c#pin={PIN}&token={TOKEN}",
        ),
    ],
)
def test_link_is_understood_by_browsers_and_by_this_program(text: str, link: str) -> None:
    address = parse_address(text)
    assert address.link == link
    assert parse_address(link) == address


@pytest.mark.parametrize("path", ["room/dev", "dev", "rooms/a/b", "hooks/x", "Rooms/dev"])
def test_other_pages_are_no_rooms(path: str) -> None:
    with pytest.raises(BroadcastError):
        parse_address(f"http://example.org/{path}")


@pytest.mark.parametrize(
    "link", ["http://u:p@h/rooms/a", f"http://h/rooms/{TOKEN}", f"https://h/?token={TOKEN}"]
)
def test_secrets_are_only_in_the_fragment_of_a_link(link: str) -> None:
    with pytest.raises(SecretInAddressError):
        parse_address(link)


def test_pin_in_a_link_requires_tls() -> None:
    with pytest.raises(AddressError, match="wss://"):
        parse_address(f"http://example.org/rooms/dev#pin={PIN}")


@pytest.mark.parametrize(
    ("text", "room"),
    [
        ("example.org", ""),
        ("ws://example.org:1/", ""),
        ("http://localhost:8765/rooms/", ""),
        ("example.org/lobby", "lobby"),
        ("https://example.org/rooms/Lobby/", "lobby"),
        (f"wss://example.org/lobby#pin={PIN}", "lobby"),
        ("example.org/dev", "dev"),
    ],
)
def test_a_room_is_explicit_if_it_was_written(text: str, room: str) -> None:
    assert parse_address(text).explicit_room == room


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("localhost", "broadcast-tui chat localhost:8765"),
        ("192.168.1.5/dev", "broadcast-tui chat 192.168.1.5:8765/dev"),
        ("ws://[fd00::5]:9000/dev", "broadcast-tui chat [fd00::5]:9000/dev"),
        ("wss://h.example", "broadcast-tui chat 'wss://h.example:8765/lobby'"),
        (f"ws://h.example#token={TOKEN}", f"broadcast-tui chat 'ws://h.example:8765/lobby#token={TOKEN}'"),
    ],
)
def test_command_for_others_leads_to_the_same_address(text: str, command: str) -> None:
    address = parse_address(text)
    assert address.command == command
    assert parse_address(command.removeprefix("broadcast-tui chat ").strip("'")) == address


@pytest.mark.parametrize("text", ["::1", "2001:db8::1", "ws://::1:8765", "fe80::1%eth0/dev", "::1#token=x"])
def test_brackets_are_suggested_for_ipv6(text: str) -> None:
    with pytest.raises(AddressError, match=r"Write an IPv6 address in brackets, such as \[::1\]:8765\.$"):
        parse_address(text)
