"""`/metrics`: each metric changes when it should, on a separate port."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.store_stats import StoreStats
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.metrics import MetricsListener, MetricsListenError
from tests.support.plain import v1_client
from tests.support.raw_socket import deaf_client, raw_socket
from tests.support.running import eventually, running_server


@asynccontextmanager
async def listening(server: BroadcastServer) -> AsyncIterator[MetricsListener]:
    listener = MetricsListener(server, "127.0.0.1", 0)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


async def ask(listener: MetricsListener, request: str = "GET /metrics") -> str:
    async with raw_socket(listener.port) as sock:
        await sock.send(f"{request} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return (await sock.read_to_end()).decode()


async def numbers(listener: MetricsListener) -> dict[str, float]:
    answer = await ask(listener)
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    lines = re.findall(r"^(broadcast_tui_.+?) (\S+)$", answer, re.MULTILINE)
    return {name.removeprefix("broadcast_tui_"): float(value) for name, value in lines}


async def test_each_number_moves_with_what_it_counts() -> None:
    async with (
        running_server(admission=AdmissionLimits(max_connections=2)) as server,
        listening(server) as listener,
    ):
        before = await numbers(listener)
        assert (before["connections"], before["rooms"], before["ready"]) == (0, 0, 1)
        async with v1_client(server.url, "ana") as ana, v1_client(server.url, "ben") as ben:
            async with raw_socket(server.port) as third:
                assert " 503 " in await third.handshake()
            for number in range(3):
                await ana.say("hello", nonce=f"n{number}")
            await ana.next_of(type="ack", nonce="n2")
            for _ in range(3):
                await ben.next_of(type="message")
            await ana.next_of(type="message", nonce="n2")
            await ana.say("hello", nonce="n2")
            assert (await ana.next_of(type="ack"))["dup"]
            await ana.send_raw("nonsense")
            await ana.next_of(type="error")
            now = await numbers(listener)
            assert (now["connections"], now["rooms"], now["ready"]) == (2, 1, 0)
            assert (now["posts_total"], now["deliveries_total"]) == (3, 6)
            assert now['connections_refused_total{reason="full"}'] == 1
            assert now['errors_total{code="bad_json"}'] == 1
            assert now["received_bytes_total"] > before["received_bytes_total"]
            assert now["sent_bytes_total"] > before["sent_bytes_total"] + 6 * len("hello")
            assert 1 <= now["append_seconds_count"] <= 4
            assert now['append_seconds_bucket{le="+Inf"}'] == now["append_seconds_count"]
        await eventually(lambda: server._runner.stats.lag.counts != [0] * 12)
        assert (await numbers(listener))["loop_lag_seconds_count"] > 0


class RemoteEngine(MemoryEngine):
    """An engine with the statistics of a remote one."""

    def __init__(self) -> None:
        super().__init__()
        self.store_stats = StoreStats(
            is_up=False, retries=1, repairs=2, forks=3, healed=4, waiting=7, expired=6, lost=5
        )


async def test_the_state_of_a_remote_store_is_exported() -> None:
    async with running_server(engine=RemoteEngine()) as server, listening(server) as listener:
        now = await numbers(listener)
    names = (
        "up",
        "retries_total",
        "repairs_total",
        "forks_total",
        "healed_total",
        "lost_total",
        "expired_total",
        "waiting",
    )
    assert [now[f"store_{name}"] for name in names] == [0, 1, 2, 3, 4, 5, 6, 7]


async def test_dropped_connection_is_counted_by_reason() -> None:
    from broadcast_tui.core.limits import Limits

    limits = Limits(message_rate=0, stall_timeout_s=0.2)
    async with (
        running_server(limits=limits) as server,
        listening(server) as listener,
        deaf_client(server.port),
        v1_client(server.url, "ana") as ana,
    ):
        while server.connection_count == 2:
            await ana.say("x" * 16_000, nonce="")
            await ana.next_of(type="message")
        assert (await numbers(listener))['connections_cut_total{reason="stopped reading"}'] == 1


async def test_the_main_port_has_no_metrics() -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 404 " in await sock.read_to_end()


@pytest.mark.parametrize(
    ("request_line", "status"), [("GET /", 404), ("POST /metrics", 405), ("HEAD /metrics", 200)]
)
async def test_metrics_port_serves_only_metrics(request_line: str, status: int) -> None:
    async with running_server() as server, listening(server) as listener:
        answer = await ask(listener, request_line)
        assert answer.startswith(f"HTTP/1.1 {status} ")
        assert "connections" not in answer


async def test_metrics_port_in_use_raises() -> None:
    async with running_server() as server:
        with pytest.raises(MetricsListenError, match="is in use"):
            await MetricsListener(server, "127.0.0.1", server.port).start()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9100", 200),
        ("127.0.0.1:9100", 200),
        ("[::1]:9100", 200),
        ("192.0.2.7", 200),
        ("prometheus.localhost", 200),
        ("rebound.example", 421),
        ("rebound.example:9100", 421),
        ("127.0.0.1.rebound.example", 421),
        ("localhost\r\nHost: rebound.example", 421),
        ("<script>", 421),
    ],
)
async def test_metrics_port_rejects_other_host_names_from_this_machine(host: str, status: int) -> None:
    async with (
        running_server() as server,
        listening(server) as listener,
        raw_socket(listener.port) as sock,
    ):
        await sock.send(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = (await sock.read_to_end()).decode()
        assert answer.startswith(f"HTTP/1.1 {status} ")
        assert ("connections" in answer) == (status == 200)
        assert "<script>" not in answer


async def test_notes_are_counted_by_kind() -> None:
    async with (
        running_server() as server,
        listening(server) as listener,
        v1_client(server.url, "ana", notes=True) as ana,
    ):
        await ana.say("hello", nonce="p")
        post = (await ana.next_of(type="ack", nonce="p"))["id"]
        for number, key in enumerate(("👍", "👍", "🎉")):  # the second one changes nothing
            await ana.send("note", note="react", re=post, key=key, nonce=f"n{number}")
        await ana.next_of(type="ack", nonce="n2")
        await ana.send("note", note="pin", re=post, nonce="n3")
        await ana.next_of(type="ack", nonce="n3")
        found = await numbers(listener)
        assert found['notes_total{kind="react"}'] == 2
        assert found['notes_total{kind="pin"}'] == 1
        assert found["posts_total"] == 1


async def test_health_checks_of_the_process_are_answered() -> None:
    async with running_server() as server, listening(server) as listener:
        for path in ("/healthz", "/readyz"):
            assert (await ask(listener, f"GET {path}")).startswith("HTTP/1.1 200 ")
        server._admission.ready = False
        assert (await ask(listener, "GET /readyz")).startswith("HTTP/1.1 503 ")
        assert (await ask(listener, "GET /healthz")).startswith("HTTP/1.1 200 ")
        assert (await ask(listener)).startswith("HTTP/1.1 503 ")
        server._admission.ready = True
