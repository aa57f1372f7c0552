"""Log lines that peers cause: one for each event, but not without bound for one address."""

from __future__ import annotations

import logging

import pytest

from broadcast_tui.cli.logs import FIELDS
from broadcast_tui.core.limits import AdmissionLimits, Limits
from tests.support.plain import v1_client
from tests.support.raw_socket import raw_socket
from tests.support.running import eventually, running_server

LIMITS = Limits(message_rate=0, message_burst=0, history_rate=0)


async def test_each_event_of_a_peer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.server")
    async with running_server(limits=LIMITS) as server:
        async with v1_client(server.url, "ana") as ana:
            for number in range(3):
                await ana.say("hello", nonce=str(number))
                await ana.next_of(type="ack", nonce=str(number))
            await ana.say("hello", nonce="2")
            await ana.next_of(type="ack", dup=True)
            await ana.send("rename", name="anna")
            await ana.next_of(type="renamed")
        await eventually(lambda: "disconnected" in caplog.text)
        epoch = server._engine.epoch_of("lobby")
    lines = [line for line in caplog.messages if not line.startswith(("listening", "stop"))]
    assert [line.replace(lines[0].split("(")[1].split(")")[0], "HOST") for line in lines] == [
        "#1 unnamed (HOST) connected, 1 client(s)",
        "#1 is ana",
        *[f"broadcast {epoch}-{number} from ana in lobby to 1 client(s)" for number in (1, 2, 3)],
        "#1 ana is now anna",
        "#1 anna (HOST) disconnected (1000), 0 client(s)",
    ]
    records = [record.__dict__ for record in caplog.records]
    fields = [{key: record[key] for key in FIELDS if key in record} for record in records[1:-2]]
    about = {"address": "127.0.0.1", "connection": 1}
    posts = {"event": "posted", "user": "ana", "room": "lobby", "recipients": 1, "count": 1, **about}
    assert fields == [
        {"event": "connected", "user": "", "count": 1, **about},
        {"event": "renamed", "user": "ana", **about},
        *[{"id": f"{epoch}-{number}", **posts} for number in (1, 2, 3)],
        {"event": "renamed", "user": "anna", "former": "ana", **about},
        {"event": "disconnected", "user": "anna", "code": 1000, "count": 0, **about},
    ]


async def test_log_of_one_address_is_bounded_and_summarized(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.server")
    admission = AdmissionLimits(trusted_proxies=("127.0.0.1",), max_new_per_minute=0)
    async with running_server(limits=LIMITS, admission=admission) as server:
        async with v1_client(server.url, "ana") as ana:
            for number in range(1_000):
                await ana.send("rename", name=f"ana{number % 2}")
            await ana.next_of(type="renamed", name="ana1")
            await ana.settle()
            async with raw_socket(server.port) as other:
                await other.handshake(X_Forwarded_For="198.51.100.7")
                await eventually(lambda: "198.51.100.7" in caplog.text)
        assert sum(map(len, caplog.messages)) < 30_000
        server._runner.activity._clock = lambda: 1e9
        await eventually(lambda: "more line(s) about loopback suppressed" in caplog.text)
