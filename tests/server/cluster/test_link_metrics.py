"""The metrics of the link to the other nodes."""

from __future__ import annotations

import asyncio
import logging

import pytest

from broadcast_tui.server.cluster import redis_link
from broadcast_tui.server.cluster.commands import UnavailableError
from broadcast_tui.server.cluster.nodes import Beat
from tests.server.cluster.test_shared_lists import create
from tests.server.cluster.test_two_servers import two_servers
from tests.server.test_metrics import listening, numbers
from tests.support.plain import v1_client
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import PATIENCE_S, eventually, running_server

pytestmark = needs_redis


async def test_nodes_commands_and_messages_are_counted(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b), listening(a) as listener:
        link = a.cluster
        assert link is not None
        await eventually(lambda: link.live_node_count == 2)
        before = await numbers(listener)
        assert (before["cluster_up"], before["cluster_nodes"], before["ready"]) == (1, 2, 1)
        await create(store.url, "ana")
        await eventually(lambda: link.stats.messages > before["cluster_messages_total"])
        async with v1_client(a.url, "bob"):
            now = await numbers(listener)
        assert now["cluster_commands_total"] > before["cluster_commands_total"]
        assert now["cluster_command_seconds_count"] > before["cluster_command_seconds_count"]
        assert now["cluster_command_seconds_sum"] < PATIENCE_S
        await b.stop_server()
        await eventually(lambda: link.live_node_count == 1)
        assert (await numbers(listener))["cluster_nodes"] == 1


async def test_outages_are_counted_and_logged_once(
    store: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with two_servers(store.url) as (a, _), listening(a) as listener:
        link = a.cluster
        assert link is not None
        store.pause()
        try:
            with caplog.at_level(logging.WARNING, "broadcast_tui.server"):
                await eventually(lambda: not link.is_up)
                now = await numbers(listener)
        finally:
            store.resume()
        assert (now["cluster_up"], now["cluster_outages_total"]) == (0, 1)
        assert caplog.text.count("cannot reach the other nodes") in (1, 2), "once for each server"
        await eventually(lambda: link.is_up)
        now = await numbers(listener)
        assert (now["cluster_up"], now["cluster_outages_total"]) == (1, 1)


async def test_the_lease_is_not_renewed_all_the_time_in_an_outage(
    store: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = 0

    async def beat(*, is_new: bool = False) -> Beat:
        nonlocal beats
        beats += 1
        raise UnavailableError()

    async with two_servers(store.url) as (a, _):
        link = a.cluster
        assert link is not None
        monkeypatch.setattr(redis_link, "RETRY_S", 3600.0)
        monkeypatch.setattr(link.nodes, "beat", beat)
        link._beat_now.set()
        await eventually(lambda: not link.is_up)
        for _ in range(50):
            await asyncio.sleep(0)
        assert beats == 2, "the second one follows at once"


async def test_a_server_of_its_own_has_no_such_metrics() -> None:
    async with running_server() as server, listening(server) as listener:
        assert not [name for name in await numbers(listener) if name.startswith("cluster_")]
