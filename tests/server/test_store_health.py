"""A server that has not reached its store for a while is not ready, until it reaches it again."""

from __future__ import annotations

import pytest

from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.store_stats import StoreStats
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.store_health import StoreHealth
from tests.support.plain import v1_client
from tests.support.raw_socket import raw_socket
from tests.support.running import eventually, running_server


def test_only_an_outage_of_ten_seconds_without_a_break_is_reported() -> None:
    up = True
    health = StoreHealth(lambda: up)
    health.check(0.0)
    up = False
    for now in (1.0, 5.0, 10.9):
        health.check(now)
        assert health.reason == ""
    up = True
    health.check(10.95)
    up = False
    health.check(11.0)
    health.check(20.9)
    assert health.reason == ""
    health.check(23.4)
    assert health.reason == "Redis has been unreachable for 12 s"
    up = True
    health.check(23.6)
    assert health.reason == ""


class RemoteEngine(MemoryEngine):
    """An engine whose store may be unreachable."""

    def __init__(self) -> None:
        super().__init__()
        self.store_stats = StoreStats()


async def answer(server: BroadcastServer, path: str) -> str:
    async with raw_socket(server.port) as sock:
        await sock.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return (await sock.read_to_end()).decode()


async def test_readiness_follows_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.server.store_health.UNREACHABLE_S", 0.5)
    engine = RemoteEngine()
    async with running_server(engine=engine) as server:
        assert " 200 " in await answer(server, "/readyz")
        engine.store_stats.is_up = False
        await eventually(lambda: server._admission.not_ready_reason != "")
        response = await answer(server, "/readyz")
        assert response.startswith("HTTP/1.1 503 ")
        assert "not ready: Redis has been unreachable" in response
        assert " 200 " in await answer(server, "/healthz")
        async with v1_client(server.url, "ana"):
            pass
        engine.store_stats.is_up = True
        await eventually(lambda: server._admission.not_ready_reason == "")
        assert " 200 " in await answer(server, "/readyz")
