"""HTTP requests, handshakes and TLS are charged to the budget of server time of their address."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.core.limits import AdmissionLimits, Limits
from broadcast_tui.server import BroadcastServer, metrics
from broadcast_tui.server.connection import PeerConnection
from broadcast_tui.server.metrics import MetricsListener
from broadcast_tui.server.tls import ServerTls
from tests.support.certificates import Authority
from tests.support.raw_socket import raw_socket
from tests.support.running import eventually, running_server

PROXIED = AdmissionLimits(trusted_proxies=("127.0.0.1",), max_new_per_minute=0)
FEW = Limits(work_rate=1e-6, work_burst_s=0.01)
"""A budget for a few requests, which is not refilled during a test."""
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
REQUESTS = {
    "page": ("GET / ", "", 200),
    "unknown page": ("GET /nothing ", "", 404),
    "health check of a client": ("GET /healthz ", "", 200),
    "foreign origin": ("GET / ", UPGRADE + "Origin: https://example.org\r\n", 403),
    "invalid handshake": ("GET / ", UPGRADE.replace("13", "12"), 400),
    "accepted handshake": ("GET / ", UPGRADE, 101),
}
FLOOD = 200


async def ask(port: int, line: str, headers: str = "", address: str = "192.0.2.7") -> str:
    """The response to a request through a proxy, which adds the address; empty if it was dropped."""
    forwarded = f"X-Forwarded-For: {address}\r\n" if address else ""
    async with raw_socket(port) as sock:
        with contextlib.suppress(ConnectionError):
            await sock.send(f"{line}HTTP/1.1\r\nHost: localhost\r\n{forwarded}{headers}\r\n".encode())
            return await sock.read_head()
    return ""


def status_of(response: str) -> int:
    return int(response.split()[1]) if response else 0


async def answers_before(status: int, port: int, line: str, headers: str = "", address: str = "") -> int:
    """The number of responses before one with a status (0: dropped without one), which must come."""
    for count in range(FLOOD):
        if status_of(await ask(port, line, headers, address)) == status:
            return count
    pytest.fail(f"no {status} within {FLOOD} requests")


@pytest.mark.parametrize("kind", REQUESTS)
async def test_request_above_the_budget_is_rejected_for_its_address_only(kind: str) -> None:
    line, headers, status = REQUESTS[kind]
    async with running_server(limits=FEW, admission=PROXIED) as server:
        assert status_of(await ask(server.port, line, headers)) == status
        assert await answers_before(429, server.port, line, headers, "192.0.2.7") > 2
        rejection = await ask(server.port, line, headers)
        assert status_of(rejection) == 429
        assert "Retry-After: " in rejection
        assert status_of(await ask(server.port, line, headers, "192.0.2.8")) == status
        assert server._admission.rejected["work"] >= 2


async def test_banned_handshakes_are_charged() -> None:
    async with running_server(limits=FEW, admission=PROXIED) as server:
        sanctions = server._runner.hub.moderation.sanctions
        at = datetime.now(UTC)
        sanctions.add(Sanction("ban", "address", "192.0.2.7/32", "192.0.2.7", "root", at))
        assert status_of(await ask(server.port, "GET / ", UPGRADE)) == 403
        assert await answers_before(429, server.port, "GET / ", UPGRADE, "192.0.2.7") > 2


async def test_long_heads_cost_more() -> None:
    headers = "".join(f"X-{number}: {'y' * 100}\r\n" for number in range(100))
    async with running_server(limits=FEW, admission=PROXIED) as server:
        short = await answers_before(429, server.port, "GET / ", "", "192.0.2.7")
        assert await answers_before(429, server.port, "GET / ", headers, "192.0.2.8") < short


async def test_the_budget_is_the_one_of_the_requests_of_connections() -> None:
    async with running_server(limits=FEW, admission=PROXIED) as server:
        server._runner.hub.budgets.of("192.0.2.7").charge(0.02, server._runner.instant().now)
        assert status_of(await ask(server.port, "GET / ")) == 429
        assert status_of(await ask(server.port, "GET / ", UPGRADE)) == 429


@pytest.mark.parametrize("path", ["/healthz", "/readyz?from=balancer"])
async def test_health_checks_of_a_load_balancer_are_always_answered(path: str) -> None:
    async with running_server(limits=FEW, admission=PROXIED) as server:
        await answers_before(429, server.port, "GET / ", "", "")
        for _ in range(FLOOD):
            assert status_of(await ask(server.port, f"GET {path} ", "", "")) == 200
        assert status_of(await ask(server.port, "GET / ", "", "")) == 429


async def test_clients_on_this_machine_are_exempt() -> None:
    async with running_server(limits=FEW) as server:
        for _ in range(FLOOD):
            assert status_of(await ask(server.port, "GET / ", "", "")) == 200
        assert status_of(await ask(server.port, "GET / ", UPGRADE, "")) == 101


# Connections without a proxy


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> str:
    """Lets connections of this machine count as those of a remote address, which is returned."""
    monkeypatch.setattr(PeerConnection, "peer", "192.0.2.7")
    return "192.0.2.7"


async def connections_before_drop(server: BroadcastServer, data: bytes) -> int:
    """The number of connections that send `data` and stay open before one is dropped at once."""
    admitted = server._admission
    admitted.rejected.clear()
    for count in range(FLOOD):
        async with raw_socket(server.port) as sock:
            with contextlib.suppress(ConnectionError):
                await sock.send(data)
            await eventually(lambda: admitted.half_open > 0 or admitted.rejected["work"] > 0)
        if admitted.rejected.pop("work", 0):
            return count
        await eventually(lambda: admitted.half_open == 0)
    pytest.fail(f"none of {FLOOD} connections was dropped")


@pytest.mark.usefixtures("remote")
async def test_address_that_goes_on_is_dropped_without_a_response() -> None:
    async with running_server(limits=FEW) as server:
        rejected_from = await answers_before(429, server.port, "GET / ")
        assert rejected_from < await answers_before(0, server.port, "GET / ") + rejected_from
        assert server._admission.half_open == 0
        server._runner.hub.budgets.of("192.0.2.7").refund(1.0)
        assert status_of(await ask(server.port, "GET / ")) == 200


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(("line", "status"), [("POST / ", 405), ("BREW / ", 400)])
async def test_error_responses_are_charged(line: str, status: int) -> None:
    async with running_server(limits=FEW) as server:
        assert status_of(await ask(server.port, line)) == status
        requests = await answers_before(0, server.port, line)
        server._runner.hub.budgets.of("192.0.2.7").refund(1.0)
        assert requests < await connections_before_drop(server, b"")


@pytest.mark.usefixtures("remote")
async def test_tls_handshakes_are_charged_when_they_start(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("server", "localhost", "127.0.0.1")
    hello = b"\x16\x03\x01\x02\x00\x01\x00"
    async with running_server(limits=FEW, tls=ServerTls(pair.cert, pair.key)) as server:
        silent = await connections_before_drop(server, b"")
        server._runner.hub.budgets.of("192.0.2.7").refund(1.0)
        assert await connections_before_drop(server, hello) < silent / 2


# Metrics


async def test_scrapes_of_a_remote_address_are_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server(limits=FEW) as server:
        listener = MetricsListener(server, "127.0.0.1", 0)
        await listener.start()
        try:
            for _ in range(5):
                assert status_of(await ask(listener.port, "GET /metrics ")) == 200
            monkeypatch.setattr(metrics, "is_loopback", lambda _: False)
            assert await answers_before(429, listener.port, "GET /metrics ") > 0
        finally:
            await listener.stop()
