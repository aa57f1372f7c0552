"""Turns of connections that send: bounded in time, fair among addresses, and paid from their budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from websockets.server import ServerProtocol

from broadcast_tui.core.hub.work_budget import UNLIMITED, WorkBudget
from broadcast_tui.core.limits import Limits, SharedLimits
from broadcast_tui.server import open_connection as connection_module
from broadcast_tui.server import runner
from broadcast_tui.server.open_connection import OpenConnection
from broadcast_tui.server.turns import ROUND_S, TURN_S, TurnScheduler
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import CONTINUATION, PING, PONG, TEXT, frame, raw_socket
from tests.support.running import eventually, running_server


class FakeLoop:
    """An event loop whose iterations and time the test controls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_later(self, delay: float, callback: Callable[..., None], *args: object) -> None:
        self.later.append((self.now + delay, callback, args))

    def iterate(self) -> None:
        due, self.soon = self.soon, []
        for callback in due:
            callback()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [entry for entry in self.later if entry[0] <= self.now]
        self.later = [entry for entry in self.later if entry[0] > self.now]
        for _, callback, args in due:
            callback(*args)


class Client:
    """A connection whose frames take a millisecond each."""

    def __init__(self, world: World, key: str = "", frames: int = 1, budget: WorkBudget = UNLIMITED) -> None:
        self.world = world
        self.rate_limit_key = key
        self.budget = budget
        self.left = frames
        self.done = 0

    def process(self, deadline: float) -> bool:
        while self.left:
            self.left -= 1
            self.done += 1
            self.world.clock += 0.001
            self.world.order.append(self)
            if self.world.clock > deadline:
                break
        return self.left > 0

    def send(self, frames: int = 0) -> bool:
        self.left += frames
        return self.world.turns.submit(self)


class World:
    def __init__(self) -> None:
        self.clock = 0.0
        self.loop = FakeLoop()
        self.order: list[Client] = []
        self.turns = TurnScheduler(cast("asyncio.AbstractEventLoop", self.loop), clock=lambda: self.clock)

    def iterate(self, times: int = 1) -> float:
        """Run iterations of the loop; returns the longest."""
        longest = 0.0
        for _ in range(times):
            started = self.clock
            self.loop.iterate()
            longest = max(longest, self.clock - started)
        return longest


FRAME_S = 0.001


def test_data_is_processed_at_once() -> None:
    world = World()
    assert Client(world).send()
    assert Client(world, "192.0.2.1", 2).send()
    assert len(world.order) == 3


def test_one_connection_gets_a_short_turn() -> None:
    world = World()
    flood = Client(world, "192.0.2.1", 1_000)
    assert not flood.send()
    assert flood.done * FRAME_S <= TURN_S + FRAME_S
    assert world.iterate(50) <= ROUND_S + TURN_S
    assert 0 < flood.left < 900
    world.iterate(1_000)
    assert flood.left == 0


def test_an_iteration_is_bounded_however_many_connections_send() -> None:
    world = World()
    started = world.clock
    for number in range(200):
        Client(world, f"192.0.2.{number}", 100).send()
    assert world.clock - started <= ROUND_S + TURN_S
    assert world.iterate(20) <= ROUND_S + TURN_S


@pytest.mark.parametrize("floods", [1, 30, 200])
def test_occasional_message_goes_before_floods(floods: int) -> None:
    world = World()
    for number in range(floods):
        Client(world, f"192.0.{number % 2}.{number // 2}", 10_000).send()
    world.iterate(floods)
    world.turns._used_s = ROUND_S
    ana = Client(world, "198.51.100.7")
    assert not ana.send()
    waited_from = len(world.order)
    world.iterate(2)
    assert world.order.index(ana) - waited_from <= 5


def test_addresses_get_equal_shares_whatever_their_number_of_connections() -> None:
    world = World()
    many = [Client(world, "192.0.2.1", 10_000) for _ in range(32)]
    one = Client(world, "192.0.2.2", 10_000)
    for client in (*many, one):
        client.send()
    world.iterate(500)
    total = sum(client.done for client in many)
    assert total == pytest.approx(one.done, rel=0.1)
    assert max(client.done for client in many) - min(client.done for client in many) <= 10


def test_exempt_connections_take_turns_as_connections() -> None:
    world = World()
    clients = [Client(world, "", 10_000) for _ in range(10)]
    for client in clients:
        client.send()
    world.iterate(500)
    assert min(client.done for client in clients) > 0.8 * max(client.done for client in clients)


def test_messages_that_keep_coming_do_not_starve_a_flood() -> None:
    world = World()
    flood = Client(world, "192.0.2.1", 10_000)
    flood.send()
    for number in range(300):
        for part in range(5):
            Client(world, f"198.51.{part}.{number % 250}").send()
        world.iterate()
    assert flood.done > 60


def budget() -> WorkBudget:
    return WorkBudget(SharedLimits(Limits(work_rate=0.1, work_burst_s=0.1)))


def test_time_of_turns_is_charged_and_an_address_in_debt_waits() -> None:
    world = World()
    flood = Client(world, "192.0.2.1", 10_000, budget())
    flood.send()
    world.iterate(1_000)
    assert 0.1 <= flood.done * FRAME_S <= 0.11
    for _ in range(100):
        world.loop.pass_time(0.1)
        world.iterate(50)
    assert flood.done * FRAME_S == pytest.approx(0.1 + 10.0 * 0.1, rel=0.2)


def test_others_do_not_wait_for_an_address_in_debt() -> None:
    world = World()
    flood = Client(world, "192.0.2.1", 10_000, budget())
    flood.send()
    world.iterate(1_000)
    ana = Client(world, "192.0.2.2", 1, budget())
    assert ana.send()
    late = Client(world, "192.0.2.1", 1, flood.budget)
    assert not late.send()
    world.loop.pass_time(1.0)
    world.iterate(100)
    assert late.done == 1


def test_closed_connection_gets_no_turn() -> None:
    world = World()
    flood = Client(world, "192.0.2.1", 10_000)
    flood.send()
    world.turns.remove(flood)
    done = flood.done
    world.iterate(10)
    assert flood.done == done
    assert not world.turns._flows
    assert world.loop.soon == []
    flood.left = 1
    assert flood.send()


# Connections


async def test_one_read_with_thousands_of_frames_takes_many_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library parses all frames of a read at once, which took a third of a second."""
    largest = 0
    receive_data = ServerProtocol.receive_data

    def measure(protocol: ServerProtocol, data: bytes) -> None:
        nonlocal largest
        largest = max(largest, len(data))
        receive_data(protocol, data)

    monkeypatch.setattr(ServerProtocol, "receive_data", measure)
    async with running_server() as server, raw_socket(server.port) as sock, plain_client(server.url) as ana:
        await sock.handshake()
        tiny = frame(PING, b"") * 20_000
        await asyncio.gather(sock.send(tiny), ana.say("hello"))
        await ana.next_of(type="message", message="hello")
        await sock.send(frame(TEXT, b'{"type":"message","message":"in ', final=False))
        await sock.send(frame(CONTINUATION, b"", final=False) * 5_000 + frame(CONTINUATION, b'bits"}'))
        await ana.next_of(type="message", message="in bits")
    assert 0 < largest < 1_000  # that of the handshake


@pytest.mark.parametrize(
    "flood",
    [
        frame(PING, b"") * 10_000,
        frame(TEXT, b"", final=False) + frame(CONTINUATION, b"", final=False) * 10_000,
    ],
    ids=["pings", "fragments"],
)
async def test_turn_ends_without_a_complete_message(flood: bytes) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.handshake()
        await eventually(lambda: server.connection_count == 1)
        [connection] = server._runner.connections.values()
        connection._reader.feed(flood)
        turns = 1
        while connection.process(deadline=0.0):
            turns += 1
        assert turns >= 10_000


async def test_turn_ends_between_the_messages_of_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.handshake()
        await eventually(lambda: server.connection_count == 1)
        [connection] = server._runner.connections.values()
        received: list[bytes] = []
        monkeypatch.setattr(server._runner, "receive", lambda peer, data, is_text: received.append(data))
        connection._reader.feed(b"".join(frame(TEXT, b"%d" % number) for number in range(50)))
        counts = []
        while connection.process(deadline=0.0):
            counts.append(len(received))
        assert received == [b"%d" % number for number in range(50)]
        assert counts == list(range(1, 50))


async def test_frames_sent_with_the_handshake_take_turns_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as server, raw_socket(server.port) as sock, plain_client(server.url) as ana:
        posts = b"".join(frame(TEXT, b'{"type":"message","message":"%d"}' % number) for number in range(20))
        request = (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        for start in range(0, len(request + posts), 177):
            await sock.send((request + posts)[start : start + 177])
        seen = [(await ana.next_of(type="message"))["message"] for _ in range(20)]
        assert seen == [str(number) for number in range(20)]


async def test_turn_ends_between_frames_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 10.0
        return now

    monkeypatch.setattr(connection_module, "perf_counter", clock)
    limits = Limits(message_rate=0)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        for number in range(50):
            await ana.say("x" * 5_000, nonce=str(number))
        for number in range(50):
            await ana.next_of(type="ack", nonce=str(number))


@pytest.mark.parametrize("flood", [frame(PING, b""), frame(PONG, b"")], ids=["pings", "pongs"])
async def test_turn_ends_between_control_frames(flood: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """They never reach the inbox, and a read of them took a third of a second."""
    turns: list[int] = []
    receive_data, process = ServerProtocol.receive_data, OpenConnection.process

    def count_pieces(protocol: ServerProtocol, data: bytes) -> None:
        if turns:
            turns[-1] += 1
        receive_data(protocol, data)

    def count_turns(connection: OpenConnection, deadline: float) -> bool:
        turns.append(0)
        return process(connection, deadline)

    monkeypatch.setattr(ServerProtocol, "receive_data", count_pieces)
    monkeypatch.setattr(OpenConnection, "process", count_turns)
    monkeypatch.setattr(connection_module, "perf_counter", lambda: float("inf"))
    async with running_server() as server, raw_socket(server.port) as sock, plain_client(server.url) as ana:
        await sock.handshake()
        await sock.send(flood * 20_000 + frame(TEXT, b'{"type":"message","message":"hello"}'))
        await ana.next_of(type="message", message="hello")
    assert max(turns) == 1


async def test_connection_that_closes_while_it_waits_leaves_no_state() -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.handshake()
        await sock.send(frame(PING, b"x" * 100) * 2_000)
        sock.reset()
        await eventually(lambda: server.connection_count == 0)
        await eventually(lambda: not server._runner.turns._flows)


async def test_the_loop_runs_between_parts_of_the_periodic_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CHECK_TURN_S", 0.0)
    monkeypatch.setattr(runner, "CHECKED_TOGETHER", 1)
    async with (
        running_server() as server,
        plain_client(server.url),
        plain_client(server.url),
        plain_client(server.url),
    ):
        turn_count = 0
        checks = asyncio.create_task(server._runner._check())
        while not checks.done():
            await asyncio.sleep(0)
            turn_count += 1
        assert turn_count > len(server._runner.connections)
