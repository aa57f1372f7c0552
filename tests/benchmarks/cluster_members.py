"""Many members in a simulated cluster: hubs in one process, without sockets, over a real Redis.

Every member joins one room. A room is on some of the nodes only; the messages of the control plane that a
join costs depend on how many.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.limits import Limits
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.redis_client import open_client
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server.cluster.link import ClusterLink
from broadcast_tui.server.cluster.redis_link import RedisLink
from broadcast_tui.server.runner import HubRunner
from tests.support.process_cost import resident_bytes
from tests.support.redis_server import RedisServer

UNLIMITED = Limits(message_rate=0, message_burst=0)
JOINS_AT_ONCE = 200
SAMPLE = 200
"""Joins that are counted, once everyone is there."""
QUIET_S = 1.0


class SharedLog(MemoryEngine):
    """The log of one node; nothing is posted in this measurement, so nodes need not share it."""

    def __init__(self) -> None:
        super().__init__()
        self._opened: set[str] = set()

    @property
    def is_shared(self) -> bool:
        return True

    async def open_room(self, room: str, *, refresh: bool = False) -> None:
        self._opened.add(room)

    def close_room(self, room: str) -> None:
        self._opened.discard(room)

    def is_open(self, room: str) -> bool:
        return room in self._opened


class SilentLink:
    """The transport of a member that never reads: what is written to it is dropped."""

    def __init__(self) -> None:
        self.joined = asyncio.Event()
        self.is_held = False

    fileno = -1

    def write_now(self, data: bytes) -> None:
        if b'"synced"' in data:
            self.joined.set()

    write = write_now

    def hold(self) -> None:
        self.is_held = True

    def release(self) -> None:
        self.is_held = False

    def end(self, code: int, reason: str) -> None:
        """Nothing is left to write."""


@dataclass
class Counts:
    """What the control plane has done so far."""

    signals: int
    """Signals that nodes have received."""
    published: int
    commands: int
    sent_bytes: int


@asynccontextmanager
async def simulated_cluster(redis: RedisServer, nodes: int) -> AsyncIterator[SimulatedCluster]:
    """Running nodes; stopped at the end."""
    settings = read_location(redis.url)
    async with AsyncExitStack() as stack:
        runners = []
        for number in range(nodes):
            client, engine = open_client(settings), SharedLog()
            stack.push_async_callback(client.aclose)
            link = RedisLink(settings, client, engine)
            runner = HubRunner(engine, UNLIMITED, f"n{number}", cluster=cast(ClusterLink, link))
            await runner.start()
            stack.push_async_callback(runner.stop)
            runners.append(runner)
        yield SimulatedCluster(redis, runners)


class SimulatedCluster:
    """Nodes in this process. `signals` counts what their hubs have received from each other."""

    def __init__(self, redis: RedisServer, runners: list[HubRunner]) -> None:
        self.redis = redis
        self.runners = runners
        self.signals = 0
        for runner in runners:
            self._count_signals(runner)

    def _count_signals(self, runner: HubRunner) -> None:
        receive = runner.hub.port.receive_signal

        def counted(*given: object) -> None:
            self.signals += 1
            receive(*given)  # type: ignore[arg-type]

        vars(runner.hub.port)["receive_signal"] = counted

    async def join(self, number: int, node: int, room: str) -> Peer:
        """Connect a member to a node; returns when the member is in the room."""
        runner = self.runners[node]
        link = SilentLink()
        # Each member has an address: those of one address share a budget.
        host = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        peer = runner.hub.open(link, v1=True, address=host, when=runner.instant())
        hello = {
            "type": "hello",
            "name": f"member{number}",
            "client_id": f"c{number}",
            "rooms": [{"room": room}],
        }
        runner.hub.receive(peer, json.dumps(hello).encode(), runner.instant())
        runner.wake()
        await link.joined.wait()
        return peer

    def counts(self) -> Counts:
        stats = self.redis.cli("INFO", "commandstats")
        publish = [
            line for line in stats.splitlines() if line.startswith(("cmdstat_publish", "cmdstat_spublish"))
        ]
        published = sum(int(line.split("calls=")[1].split(",")[0]) for line in publish)
        info = dict(
            line.split(":", 1) for line in self.redis.cli("INFO", "stats").splitlines() if ":" in line
        )
        return Counts(
            self.signals,
            published,
            int(info["total_commands_processed"]),
            int(info["total_net_output_bytes"]),
        )

    async def quiet(self) -> None:
        """Wait until no signal arrives any more."""
        before = -1
        while before != self.signals:
            before = self.signals
            await asyncio.sleep(QUIET_S)

    def redis_bytes(self) -> int:
        used = next(
            line for line in self.redis.cli("INFO", "memory").splitlines() if line.startswith("used_memory:")
        )
        return int(used.split(":")[1])


async def measure(cluster: SimulatedCluster, members: int, rooms: int, spread: int) -> str:
    """Fill rooms that are on `spread` nodes each; returns a line with the figures."""
    nodes = len(cluster.runners)
    slots = asyncio.Semaphore(JOINS_AT_ONCE)

    def place(number: int) -> tuple[int, str]:
        room = number % rooms
        return (room + number // rooms % spread) % nodes, f"room-{spread}-{room}"

    async def join(number: int) -> None:
        async with slots:
            await cluster.join(spread * 10_000_000 + number, *place(number))

    redis_before, own_before = cluster.redis_bytes(), resident_bytes(os.getpid())
    started = time.perf_counter()
    await asyncio.gather(*(join(number) for number in range(members)))
    took_s = time.perf_counter() - started
    await cluster.quiet()
    redis_bytes = (cluster.redis_bytes() - redis_before) / members
    own_bytes = (resident_bytes(os.getpid()) - own_before) / members
    idle = cluster.counts()
    await asyncio.sleep(QUIET_S)
    before = cluster.counts()
    idle_commands = before.commands - idle.commands
    started = time.perf_counter()
    for number in range(members, members + SAMPLE):
        await cluster.join(spread * 10_000_000 + number, *place(number))
    await cluster.quiet()
    lasted_s = time.perf_counter() - started
    after = cluster.counts()
    commands = after.commands - before.commands - idle_commands * lasted_s / QUIET_S
    return (
        f"{nodes} nodes, {members:,} members, {rooms:,} rooms on {spread} nodes each: a join is "
        f"{(after.published - before.published) / SAMPLE:.1f} messages to Redis, received "
        f"{(after.signals - before.signals) / SAMPLE:.1f} times, {commands / SAMPLE:.0f} commands, "
        f"{(after.sent_bytes - before.sent_bytes) / SAMPLE:,.0f} bytes from Redis; a member takes "
        f"{own_bytes:,.0f} bytes in all nodes and {redis_bytes:,.0f} in Redis; "
        f"{members / took_s:,.0f} joins/s in this one process"
    )
