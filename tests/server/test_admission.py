"""Admission: limits in total and per address, rates, half-open connections, origins, proxies.

Tests per address connect through a trusted proxy, so that one machine can have many addresses.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.core.network import is_loopback
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.admission import is_allowed_origin
from broadcast_tui.server.client_address import NetworkError, client_address, parse_networks
from broadcast_tui.server.listen import ACCEPTS_PER_TURN
from tests.server.test_tls_handshake import LOOPS
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import RawSocket, raw_socket
from tests.support.running import PATIENCE_S, eventually, in_time, running_server

PROXY = ("127.0.0.1",)
DEFAULT = AdmissionLimits(trusted_proxies=PROXY)


async def come(stack: AsyncExitStack, server: BroadcastServer, address: str = "", **headers: str) -> str:
    """Connect one more client that stays; returns the head of the response."""
    sock = await stack.enter_async_context(raw_socket(server.port))
    if address:
        headers["X_Forwarded_For"] = address
    return await sock.handshake(**headers)


def status_of(head: str) -> int:
    return int(head.split()[1])


def retry_after(head: str) -> int:
    [line] = [line for line in head.splitlines() if line.startswith("Retry-After: ")]
    return int(line.split()[1])


# In all


async def test_full_server_responds_503_with_retry_after() -> None:
    limits = AdmissionLimits(max_connections=2)
    async with running_server(admission=limits) as server, plain_client(server.url):
        async with v1_client(server.url, "ana"), AsyncExitStack() as stack:
            head = await come(stack, server)
            assert status_of(head) == 503
            assert retry_after(head) > 0
            sock = await stack.enter_async_context(raw_socket(server.port))
            await sock.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"not ready: the server is full" in await sock.read_to_end()
        await eventually(lambda: server.connection_count == 1)
        async with plain_client(server.url):
            pass


async def test_handshakes_that_fail_do_not_use_up_the_connections() -> None:
    async with running_server(admission=AdmissionLimits(max_connections=1)) as server:
        for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n"):
            for _ in range(3):
                async with raw_socket(server.port) as sock:
                    await sock.send(request)
                    await sock.read_to_end()
        async with plain_client(server.url):
            pass


def test_some_file_descriptors_are_reserved_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    from broadcast_tui.server import admission

    for files in (70, 256, 1_024, 20_000):
        monkeypatch.setattr(admission, "open_files_max", lambda files=files: files)
        limited = admission.Admission(AdmissionLimits())
        assert 0 < limited.max_connections + limited.max_half_open <= files - 64
    assert admission.Admission(AdmissionLimits(max_connections=10)).max_connections == 10
    monkeypatch.setattr(admission, "open_files_max", lambda: 256)
    assert admission.Admission(AdmissionLimits(max_connections=10_000)).max_connections < 256
    assert admission.Admission(AdmissionLimits(max_connections=0)).max_connections == 0


# By address


@pytest.mark.parametrize(("before", "status"), [(30, 101), (31, 101), (32, 429)])
async def test_connections_of_one_address_by_default(before: int, status: int) -> None:
    async with running_server(admission=DEFAULT) as server, AsyncExitStack() as stack:
        for _ in range(before):
            assert status_of(await come(stack, server, "192.0.2.7")) == 101
        head = await come(stack, server, "192.0.2.7")
        assert status_of(head) == status
        if status == 429:
            assert retry_after(head) > 0
        assert status_of(await come(stack, server, "192.0.2.8")) == 101


async def test_closed_connection_frees_a_place_for_its_address() -> None:
    limits = AdmissionLimits(trusted_proxies=PROXY, max_connections_per_ip=1)
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        async with raw_socket(server.port) as first:
            await first.handshake(X_Forwarded_For="192.0.2.7")
            assert status_of(await come(stack, server, "192.0.2.7")) == 429
        await eventually(lambda: server.connection_count == 0)
        assert status_of(await come(stack, server, "192.0.2.7")) == 101


@pytest.mark.parametrize(("before", "status"), [(58, 101), (59, 101), (60, 429)])
async def test_new_connections_of_one_address_a_minute_by_default(before: int, status: int) -> None:
    limits = AdmissionLimits(trusted_proxies=PROXY, max_connections_per_ip=0)
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        server._admission._rates.take("192.0.2.7", 0.0)
        bucket = server._admission._rates._buckets.use("192.0.2.7")
        bucket._rate, bucket._tokens = 1e-6, bucket._burst
        for _ in range(before):
            assert status_of(await come(stack, server, "192.0.2.7")) == 101
        head = await come(stack, server, "192.0.2.7")
        assert status_of(head) == status
        if status == 429:
            assert retry_after(head) > 0


async def test_hosts_of_one_ipv6_network_count_as_one() -> None:
    limits = AdmissionLimits(trusted_proxies=PROXY, max_connections_per_ip=2)
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        assert status_of(await come(stack, server, "2001:db8::1")) == 101
        assert status_of(await come(stack, server, "2001:db8::ffff:2")) == 101
        assert status_of(await come(stack, server, "2001:db8:0:0:1::3")) == 429
        assert status_of(await come(stack, server, "2001:db8:0:1::1")) == 101


async def test_clients_on_this_machine_are_exempt_and_zero_is_no_limit() -> None:
    few = AdmissionLimits(max_connections_per_ip=1, max_new_per_minute=1, max_half_open_per_ip=1)
    async with running_server(admission=few) as server, AsyncExitStack() as stack:
        for _ in range(5):
            assert status_of(await come(stack, server)) == 101
    none = AdmissionLimits(
        trusted_proxies=PROXY, max_connections=0, max_connections_per_ip=0, max_new_per_minute=0,
        max_half_open=0, max_half_open_per_ip=0, handshake_timeout_s=0,
    )  # fmt: skip
    async with running_server(admission=none) as server, AsyncExitStack() as stack:
        for _ in range(100):
            assert status_of(await come(stack, server, "192.0.2.7")) == 101


async def test_the_addresses_remembered_are_bounded() -> None:
    async with running_server(admission=DEFAULT) as server:
        for number in range(10_500):
            server._admission._rates.take(f"2001:db8:0:{number:x}::/64", float(number))
        assert len(server._admission._rates) == 10_000
        assert len(server._admission._log_limiter._seen) <= 1_000


# Half-open


async def half_open(stack: AsyncExitStack, server: BroadcastServer) -> RawSocket:
    sock = await stack.enter_async_context(raw_socket(server.port))
    await sock.send(b"GET / HT")
    return sock


@pytest.mark.parametrize("limits", [
    AdmissionLimits(max_half_open=3),
    AdmissionLimits(max_half_open_per_ip=3, exempt_loopback=False),
], ids=["in all", "by address"])  # fmt: skip
async def test_excess_half_open_connection_drops_the_oldest(limits: AdmissionLimits) -> None:
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        socks = [await half_open(stack, server) for _ in range(3)]
        await eventually(lambda: len(server._admission._half_open) == 3)
        assert server._admission.rejected["half_open"] == 0
        async with plain_client(server.url):
            pass
        await socks[0].read_to_end()
        assert server._admission.rejected["half_open"] == 1
        for sock in socks[1:]:
            await sock.send(
                b"TP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert (await in_time(sock.read_frame()))[0]


@pytest.mark.parametrize(("count", "lost"), [(999, 0), (1_000, 0), (1_001, 1)])
async def test_half_open_connections_in_all_by_default(count: int, lost: int) -> None:
    limits = AdmissionLimits(handshake_timeout_s=0)
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(raw_socket(server.port))
        admission = server._admission
        await eventually(lambda: admission.half_open + admission.rejected["half_open"] == count)
        assert admission.rejected["half_open"] == lost


@pytest.mark.parametrize("limits", [AdmissionLimits(exempt_loopback=False)])
@pytest.mark.parametrize(("count", "lost"), [(19, 0), (20, 0), (21, 1)])
async def test_half_open_connections_of_one_address_by_default(
    limits: AdmissionLimits, count: int, lost: int
) -> None:
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        for _ in range(count):
            await half_open(stack, server)
        await eventually(lambda: len(server._admission._half_open) == count - lost)
        await eventually(lambda: server._admission.rejected["half_open"] == lost)


async def accept_at_once(count: int) -> list[int]:
    """The numbers of connections that a server accepts in each iteration of its loop, of `count` at once."""
    accepted = [0]
    async with running_server() as server, AsyncExitStack() as stack:
        for _ in range(count):  # the loop does not run meanwhile
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S))
        async with asyncio.timeout(PATIENCE_S):
            while sum(accepted) < count:
                await asyncio.sleep(0)
                accepted.append(server._admission.half_open - sum(accepted))
    return accepted


@pytest.mark.parametrize("new_event_loop", LOOPS)
def test_connections_that_arrive_at_once_are_accepted_a_few_at_a_time(
    new_event_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert 0 < max(runner.run(accept_at_once(200))) <= ACCEPTS_PER_TURN


async def test_only_late_handshakes_are_dropped() -> None:
    async with running_server() as server, AsyncExitStack() as stack:
        slow, quick = await half_open(stack, server), await stack.enter_async_context(raw_socket(server.port))
        await quick.handshake()
        await eventually(lambda: len(server._admission._half_open) == 1)
        now = server._runner._loop.time()
        server._admission.sweep(now + 4.5)
        assert len(server._admission._half_open) == 1
        server._admission.sweep(now + 5.1)
        await slow.read_to_end()
        assert server._admission.rejected == {"timeout": 1}
        assert (await quick.read_frame())[0]


async def test_slow_bytes_do_not_extend_the_deadline() -> None:
    limits = AdmissionLimits(handshake_timeout_s=0.3)
    async with running_server(admission=limits) as server, raw_socket(server.port) as sock:

        async def dribble() -> None:
            while True:
                await sock.send(b"X")
                await asyncio.sleep(0.05)

        with pytest.raises(ConnectionError):
            await in_time(dribble())
        assert server._admission.rejected == {"timeout": 1}


# Origins


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 101),
        ({"Origin": "http://localhost", "Host": "localhost"}, 101),
        ({"Origin": "http://127.0.0.1:8765", "Host": "127.0.0.1:8765"}, 101),
        ({"Origin": "HTTP://LocalHost:80/", "Host": "localhost"}, 101),
        ({"Origin": "https://chat.example.org", "Host": "localhost"}, 101),
        ({"Origin": "http://evil.example", "Host": "localhost"}, 403),
        ({"Origin": "http://localhost:8000", "Host": "localhost:8765"}, 403),
        ({"Origin": "null", "Host": "localhost"}, 403),
        ({"Origin": "", "Host": "localhost"}, 403),
        ({"Origin": "file://", "Host": "localhost"}, 403),
        ({"Origin": "http://localhost@evil.example", "Host": "localhost"}, 403),
        ({"Origin": "http://[::1", "Host": "localhost"}, 403),
        ({"Origin": "http://rebound.example", "Host": "rebound.example"}, 403),
        ({"Origin": "http://chat.example", "Host": "chat.example", "X_Forwarded_For": "192.0.2.7"}, 101),
        ({"Origin": "http://evil.example", "Host": "chat.example", "X_Forwarded_For": "192.0.2.7"}, 403),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else str(value),
)
async def test_foreign_origins_are_rejected(headers: dict[str, str], status: int) -> None:
    limits = AdmissionLimits(trusted_proxies=PROXY, origins=("https://chat.example.org",))
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        head = await come(stack, server, **headers)
        assert status_of(head) == status


def test_two_origins_are_invalid_and_a_star_matches_any() -> None:
    two = ["http://localhost", "http://localhost"]
    assert not is_allowed_origin(two, ["localhost"], (), local=True)
    assert is_allowed_origin(["http://evil.example"], ["localhost"], ("*",), local=True)


# Proxies


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("192.0.2.7", ["203.0.113.9"], [], "192.0.2.7"),
        ("192.0.2.7", ["203.0.113.9"], ["10.0.0.0/8"], "192.0.2.7"),
        ("10.0.0.1", ["203.0.113.9"], ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9"], ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.9,10.0.0.2"], ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], ["10.0.0.0/8"], "10.0.0.3"),
        ("10.0.0.1", [], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9:4711"], ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], ["10.0.0.0/8"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], ["10.0.0.0/8"], "203.0.113.9"),
        ("::1", ["::ffff:203.0.113.9"], ["::1"], "203.0.113.9"),
        ("unknown", ["203.0.113.9"], ["10.0.0.0/8"], "unknown"),
        ("10.0.0.1", ["127.0.0.1"], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", ["::1"], ["10.0.0.0/8", "::1"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, 127.0.0.1"], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, 127.0.0.1"], ["10.0.0.0/8", "127.0.0.1"], "203.0.113.9"),
        ("127.0.0.1", ["203.0.113.9, 127.0.0.1"], ["127.0.0.1"], "203.0.113.9"),
        ("127.0.0.1", ["unknown"], ["127.0.0.1"], "127.0.0.1"),
    ],
)
def test_the_client_behind_proxies(
    peer: str, forwarded: list[str], trusted: list[str], expected: str
) -> None:
    assert client_address(peer, forwarded, parse_networks(trusted)) == expected


@given(
    st.lists(st.text(max_size=30) | st.sampled_from(["127.0.0.1", "::1", "::ffff:127.0.0.1"]), max_size=4),
    st.booleans(),
)
def test_client_of_a_remote_proxy_never_has_a_loopback_address(forged: list[str], also_local: bool) -> None:
    trusted = parse_networks(["10.0.0.0/8", *(["127.0.0.0/8", "::1"] if also_local else [])])
    assert not is_loopback(client_address("10.0.0.1", forged, trusted))


@pytest.mark.parametrize("forwarded", ["", "unknown", "127.0.0.1", "_hidden, 10.0.0.300"])
async def test_connection_through_a_local_proxy_is_never_exempt(forwarded: str) -> None:
    limits = AdmissionLimits(trusted_proxies=PROXY, max_connections_per_ip=2)
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        for status in (101, 101, 429):
            assert status_of(await come(stack, server, forwarded)) == status
        assert status_of(await come(stack, server, "192.0.2.8")) == 101


async def test_direct_client_on_this_machine_is_exempt_beside_a_remote_proxy() -> None:
    limits = AdmissionLimits(trusted_proxies=("10.0.0.0/8",), max_connections_per_ip=1)
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        for _ in range(3):
            assert status_of(await come(stack, server, "192.0.2.8")) == 101


async def test_loopback_can_be_banned_while_a_local_proxy_is_trusted() -> None:
    async with running_server(admission=DEFAULT) as server:
        assert not server._runner.hub.moderation.protects_loopback
        server.set_limits(server.limits, AdmissionLimits(trusted_proxies=("10.0.0.0/8",)))
        assert server._runner.hub.moderation.protects_loopback


@given(st.lists(st.text(max_size=30) | st.ip_addresses().map(str), max_size=6), st.ip_addresses().map(str))
def test_client_cannot_forge_its_address(forged: list[str], real: str) -> None:
    proxy = "198.51.100.1"
    assert client_address(real, forged, ()) == client_address(real, (), ())
    through = client_address(proxy, [*forged, real], parse_networks([proxy]))
    own = client_address(real, (), ())
    if own != proxy:
        assert through == (proxy if is_loopback(own) else own)


@pytest.mark.parametrize("network", ["", "everyone", "10.0.0.0/33", "0.0.0.0/0", "::/0"])
def test_invalid_or_universal_network_is_rejected(network: str) -> None:
    with pytest.raises(NetworkError, match=r"^[^\n]+\.$"):
        parse_networks([network])


# Logs and changes


async def test_repeated_rejections_are_logged_once_with_a_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.audit")
    limits = AdmissionLimits(trusted_proxies=PROXY, max_connections_per_ip=1)
    async with running_server(admission=limits) as server, AsyncExitStack() as stack:
        for _ in range(50):
            await come(stack, server, "192.0.2.7")
        assert server._admission.rejected["per_address"] == 49
        lines = [record.getMessage() for record in caplog.records if record.name == "broadcast_tui.audit"]
        assert lines == ["connection from 192.0.2.7 rejected: per_address"]


async def test_client_behind_a_proxy_is_logged_with_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.server")
    async with running_server(admission=DEFAULT) as server, AsyncExitStack() as stack:
        await come(stack, server, "203.0.113.9")
        await eventually(lambda: "(203.0.113.9:" in caplog.text)


async def test_new_limits_apply_at_once() -> None:
    async with running_server(admission=DEFAULT) as server, AsyncExitStack() as stack:
        assert status_of(await come(stack, server, "192.0.2.7")) == 101
        server._admission.set_limits(AdmissionLimits(trusted_proxies=PROXY, max_connections_per_ip=1))
        assert status_of(await come(stack, server, "192.0.2.7")) == 429
