"""The same bytes sent to many sockets, compiled and interpreted."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.limits import Limits
from broadcast_tui.server import batch_send
from broadcast_tui.server.batch_send import NO_DESCRIPTOR
from tests.server.conftest import SendEach
from tests.support.plain import V1, v1_client
from tests.support.raw_socket import deaf_client, raw_socket
from tests.support.running import eventually, running_server

pytestmark = pytest.mark.skipif(not batch_send.IS_SUPPORTED, reason="sockets have no file descriptors here")

LONG_TEXT = "x" * 4_000


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Three connected pairs: a side that sends, which is non-blocking, and one that receives."""
    made = [socket.socketpair() for _ in range(3)]
    for sender, _ in made:
        sender.setblocking(False)
    yield made
    for pair in made:
        for end in pair:
            end.close()


def test_all_sockets_get_the_bytes(
    send_each: SendEach, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    assert send_each([sender.fileno() for sender, _ in pairs], b"hello") == []
    assert [receiver.recv(99) for _, receiver in pairs] == [b"hello"] * 3
    assert send_each([], b"hello") == []


def test_sockets_that_did_not_take_everything_are_reported(
    send_each: SendEach, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    (full, full_reader), (open_end, open_reader), (closed, closed_reader) = pairs
    big = bytes(4_000_000)
    filenos = [full.fileno(), NO_DESCRIPTOR, closed.fileno()]
    closed_reader.close()
    (first, taken), none, error = send_each(filenos, big)
    assert first == 0
    assert 0 < taken < len(big)
    assert none == (1, 0)
    assert error == (2, 0)
    assert send_each([full.fileno(), open_end.fileno()], b"more") == [(0, 0)]
    assert open_reader.recv(99) == b"more"
    received = 0
    while received < taken:
        received += len(full_reader.recv(1_000_000))
    assert received == taken


@pytest.mark.usefixtures("used_send_each")
async def test_slow_readers_get_every_post_once_and_in_order() -> None:
    async with (
        running_server(limits=Limits(message_rate=0)) as server,
        deaf_client(server.port) as slow,
        v1_client(server.url, "ana") as ana,
    ):
        for number in range(100):
            await ana.say(f"{number} {LONG_TEXT}", nonce=f"n{number}")
        await ana.until(message=f"99 {LONG_TEXT}")
        assert any(peer.blocked for peer in server._runner.connections)
        numbers: list[int] = []
        while len(numbers) < 100:
            _, payload = await slow.read_frame()
            event = json.loads(payload)
            if event["type"] == "message":
                numbers.append(int(event["message"].split()[0]))
        assert numbers == list(range(100))


@pytest.mark.usefixtures("used_send_each")
async def test_a_slow_reader_of_two_rooms_gets_every_post_once_and_each_room_in_order() -> None:
    rooms = [{"room": "lobby"}, {"room": "dev"}]
    async with (
        running_server(limits=Limits(message_rate=0)) as server,
        deaf_client(server.port, V1) as slow,
        v1_client(server.url, "ana", rooms=rooms) as ana,
    ):
        await slow.send_text(json.dumps({"type": "hello", "name": "bob", "rooms": rooms}))
        peers = server._runner.connections
        await eventually(lambda: any(peer.name == "bob" and _fast_rooms(peer) == 2 for peer in peers))
        for number in range(100):
            await ana.say(f"{number} {LONG_TEXT}", room=rooms[number % 2]["room"], nonce=f"n{number}")
        await ana.until(message=f"99 {LONG_TEXT}")
        assert any(peer.blocked and not _is_fast(peer) for peer in peers)
        numbers: dict[str, list[int]] = {"lobby": [], "dev": []}
        while sum(map(len, numbers.values())) < 100:
            _, payload = await slow.read_frame()
            event = json.loads(payload)
            if event["type"] == "message":
                numbers[event["room"]].append(int(event["message"].split()[0]))
        assert numbers == {"lobby": list(range(0, 100, 2)), "dev": list(range(1, 100, 2))}
        await eventually(lambda: all(_fast_rooms(peer) == 2 for peer in peers))


async def test_nothing_is_sent_to_the_socket_of_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as server, raw_socket(server.port) as client:
        await client.handshake()
        await eventually(lambda: any(_is_fast(peer) for peer in server._runner.connections))
        connection, *_ = server._runner.connections.values()
        transport, lost_while_open = connection.transport, []
        report = server._runner.set_blocked

        def set_blocked(peer: Peer, blocked: bool) -> None:
            report(peer, blocked)
            lost_while_open.append((blocked, _is_fast(peer), transport.get_extra_info("socket").fileno()))

        monkeypatch.setattr(server._runner, "set_blocked", set_blocked)
        client.reset()
        await connection.closed_future()
        blocked, is_fast, fileno = lost_while_open[-1]
        assert blocked
        assert not is_fast
        assert fileno >= 0  # not closed yet, so that no other connection can have its number


def _is_fast(peer: Peer) -> bool:
    return _fast_rooms(peer) > 0


def _fast_rooms(peer: Peer) -> int:
    return sum(subscription.fast for subscription in peer.subscriptions.values())
