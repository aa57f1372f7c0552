"""Nodes are restarted one after the other while people chat; nothing is lost, duplicated or reordered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from tests.e2e.conftest import ServerProcess
from tests.e2e.test_cluster_history import settled_logs, state_of
from tests.support.chaos import chaos_proxy
from tests.support.chaos_person import ROOMS
from tests.support.hopping_client import HoppingClient, faults_of_run, hopping_client
from tests.support.redis_server import EVERYSEC, RedisServer, needs_redis
from tests.support.running import PATIENCE_S

NODES = 3
CLIENTS = 12
OPTIONS = ("--message-rate", "0", "--max-new-per-minute", "0", "--drain-delay", "0.3")


async def chat(client: HoppingClient, rng: Random, ended: asyncio.Event) -> None:
    """Post in all rooms until the end, in bursts now and then."""
    number = 0
    while not ended.is_set():
        for _ in range(rng.choice((1, 1, 1, 20))):
            number += 1
            room = rng.choice(ROOMS)
            label = f"{client.name}/{room} {number}"
            await client.say(room, label, f"{label} " + "x" * rng.choice((1, 500)))
        await asyncio.sleep(rng.uniform(0.01, 0.1))


async def everybody_acknowledged(clients: Sequence[HoppingClient]) -> None:
    """Wait until each client has had another post acknowledged."""
    before = [len(client.acknowledged) for client in clients]
    async with asyncio.timeout(PATIENCE_S):
        for client, count in zip(clients, before, strict=True):
            async with client.changed:
                await client.changed.wait_for(lambda c=client, n=count: len(c.acknowledged) > n)  # type: ignore[misc]


@needs_redis
@pytest.mark.parametrize("is_shared", [False, True], ids=["balancer", "shared-port"])
async def test_a_rolling_restart_is_hardly_noticed(tmp_path: Path, seed: int, is_shared: bool) -> None:
    redis = RedisServer(tmp_path / "redis", *EVERYSEC)
    nodes = [ServerProcess(tmp_path / f"node-{number}.log") for number in range(NODES)]
    options = ["--history", redis.url, *OPTIONS]
    if is_shared:
        options.append("--share-port")
        for node in nodes:
            node.port = nodes[0].port
    async with AsyncExitStack() as stack:
        stack.callback(redis.stop)
        await asyncio.to_thread(redis.start)
        for node in nodes:
            stack.callback(node.stop)
            await asyncio.to_thread(node.start, *options)
        port = nodes[0].port
        if not is_shared:
            balancer = await stack.enter_async_context(chaos_proxy(*(node.port for node in nodes), seed=seed))
            balancer.calm.set()
            port = balancer.port
        clients = [
            await stack.enter_async_context(
                hopping_client(f"p{number}", port, ROOMS, Random(f"{seed}-{number}"))
            )
            for number in range(CLIENTS)
        ]
        ended = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    group.create_task(chat(client, Random(f"{seed}-{client.name}-posts"), ended))
                for node in nodes:
                    await everybody_acknowledged(clients)
                    await asyncio.to_thread(node.stop)
                    await everybody_acknowledged(clients)
                    await asyncio.to_thread(node.start, *options)
                await everybody_acknowledged(clients)
                ended.set()
            async with asyncio.timeout(2 * PATIENCE_S):
                logs = await settled_logs(nodes, clients, clients[:1])
        except BaseException as error:
            error.add_note("\n".join([f"again with: --seed {seed}", *map(state_of, clients)]))
            raise
        found, _ = faults_of_run(clients, logs)
        assert not found, f"--seed {seed}: {found[:20]}"
        assert all(client.counts["ConnectionClosedError"] >= 1 for client in clients), "nobody was on a node"
        for node in nodes:
            assert "Traceback" not in node.log.read_text()
            assert "stopping in 0.3 s" in node.log.read_text()
