"""A Redis server, perhaps with a replica, and server processes that share it; all of them can fail.

Nodes and the replica reach the primary through proxies, so that a failover or a cut replication is a change
of a proxy, as it would be with Sentinel or a load balancer.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.request import urlopen

from tests.e2e.conftest import ServerProcess
from tests.support.ports import unused_port
from tests.support.proxy import Proxy, running_proxy
from tests.support.redis_server import EVERYSEC, RedisServer
from tests.support.running import PATIENCE_S

NODES = 3
PASSWORD = "swordfish-4711"


@dataclass(frozen=True)
class Setting:
    """How durable the storage is: a row of the durability table in docs/server.md."""

    row: str = "`appendfsync everysec`"
    """The first cell of the row."""
    redis: tuple[str, ...] = EVERYSEC
    """Options of the Redis servers."""
    url: str = ""
    """Options of the URL that nodes get."""
    has_replica: bool = False
    may_lose: bool = False
    """Whether acknowledged posts may be lost in a failure; then they are announced."""


class ClusterWorld:
    """The processes of a cluster, and what can happen to them."""

    def __init__(
        self,
        directory: Path,
        setting: Setting,
        rng: Random,
        fronts: Sequence[Proxy],
        copying: Proxy,
        primary: RedisServer,
    ) -> None:
        self.nodes: list[ServerProcess] = []
        self.metrics_ports: list[int] = []
        self.primary = primary
        self.replica: RedisServer | None = None
        self.fronts = fronts
        """Between nodes and primary; each is for some of the nodes."""
        self.done: list[str] = []
        """What has happened, in order."""
        self._copying = copying
        self._directory = directory
        self._setting = setting
        self._rng = rng

    @property
    def node_ports(self) -> list[int]:
        return [node.port for node in self.nodes]

    def node_options(self, node: ServerProcess) -> tuple[str, ...]:
        front = self.fronts[self.nodes.index(node) % len(self.fronts)]
        address = f"{self.primary.url_at(front.port)}{self._setting.url}"
        # What is deleted because there is more than that is not lost, so that nothing is deleted here.
        options = ("--history", address, "--keep-posts", "0", "--keep-days", "0")
        metrics = "--metrics-port", str(self.metrics_ports[self.nodes.index(node)])
        return (*options, *metrics, "--message-rate", "0", "--log-level", "warning")

    async def start(self, nodes: int) -> None:
        await asyncio.to_thread(self.primary.start)
        if self._setting.has_replica:
            self.replica = RedisServer(
                self._directory / "redis-b", *self._setting.redis, password=self.primary.password
            )
            await asyncio.to_thread(self.replica.start)
            await asyncio.to_thread(self.replica.follow, self._copying.port)
        for number in range(nodes):
            node = ServerProcess(self._directory / f"node-{number}.log")
            self.nodes.append(node)
            self.metrics_ports.append(unused_port())
            await asyncio.to_thread(node.start, *self.node_options(node))

    async def stop(self) -> None:
        for node in self.nodes:
            await asyncio.to_thread(node.stop)
        for redis in (self.primary, self.replica):
            if redis is not None:
                redis.stop()

    async def wait_healed(self) -> None:
        """Wait until no change waits for a post that another node has to store again.

        Each node must have stored something since the last failure: before that, it heals the rest.
        """
        for port in self.metrics_ports:
            while not await asyncio.to_thread(_has_healed, port):
                await asyncio.sleep(0.1)

    async def wait_announced(self) -> None:
        """Wait until all reactions and answers are announced.

        Those that a killed node has left behind are announced by another one, after some seconds.
        """
        while await asyncio.to_thread(self.primary.cli, "--scan", "--pattern", "*:pend:*"):
            await asyncio.sleep(0.1)

    # -- failures

    async def kill_node(self) -> None:
        """Kill a node and restart it."""
        node = self._rng.choice(self.nodes)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(self._rng.uniform(0.0, 0.5))
        await self._restart(node)

    async def _restart(self, node: ServerProcess) -> None:
        """Start a node, again if Redis does not respond to it in time, as a supervisor does."""
        while True:
            before = len(node.log.read_text())
            try:
                await asyncio.to_thread(node.start, *self.node_options(node))
            except AssertionError:
                if "does not respond" not in node.log.read_text()[before:]:
                    raise
                await asyncio.to_thread(node.kill)
            else:
                return

    async def freeze_node(self, length_s: float = 1.5) -> None:
        """Stop a node from running, and let it go on."""
        node = self._rng.choice(self.nodes)
        node.pause()
        await asyncio.sleep(length_s)
        node.resume()

    async def freeze_node_beyond_its_lease(self) -> None:
        await self.freeze_node(12.0)

    async def kill_redis(self) -> None:
        """Kill the primary and restart it with its files."""
        await asyncio.to_thread(self.primary.kill)
        await asyncio.sleep(self._rng.uniform(0.1, 0.7))
        await asyncio.to_thread(self.primary.start)
        if self.replica is not None:
            await asyncio.to_thread(self.replica.wait_synced)

    async def pause_redis(self, length_s: float = 3.0) -> None:
        self.primary.pause()
        await asyncio.sleep(length_s)
        self.primary.resume()

    async def cut_redis_off(self) -> None:
        """Abort all connections of nodes to the primary."""
        for front in self.fronts:
            front.cut()

    async def partition_nodes(self, length_s: float = 12.0) -> None:
        """Let no data pass between two of the nodes and the primary, for longer than their leases."""
        self.fronts[0].flowing.clear()
        await asyncio.sleep(length_s)
        self.fronts[0].flowing.set()

    async def fail_over(self) -> None:
        """Cut the replication, kill the primary a second later, and promote the replica."""
        old, new = self.primary, self.replica
        assert new is not None
        self._copying.flowing.clear()
        await asyncio.sleep(1.0)
        await asyncio.to_thread(old.kill)
        _turn(self._copying, new.port)
        self._copying.flowing.set()
        await asyncio.to_thread(new.promote)
        for front in self.fronts:
            _turn(front, new.port)
        self.primary, self.replica = new, old
        await asyncio.to_thread(old.start, "--replicaof", "127.0.0.1", str(self._copying.port))
        await asyncio.to_thread(old.wait_synced)

    async def split(self) -> None:
        """Promote the replica while the primary goes on: for two seconds, some nodes have another primary."""
        old, new = self.primary, self.replica
        assert new is not None
        _turn(self._copying, new.port)
        await asyncio.to_thread(new.promote)
        for front in self.fronts[1:]:
            _turn(front, new.port)
        await asyncio.sleep(2.0)
        self.primary, self.replica = new, old
        await asyncio.to_thread(old.follow, self._copying.port)
        _turn(self.fronts[0], new.port)

    async def flush(self) -> None:
        await asyncio.to_thread(self.primary.cli, "FLUSHALL")

    async def restart_empty(self) -> None:
        """Kill the primary and restart it without its files."""
        await asyncio.to_thread(self.primary.kill)
        shutil.rmtree(self.primary.directory)
        await asyncio.to_thread(self.primary.start)

    async def back_up(self) -> None:
        """Copy the files of the primary, which is restarted for it."""
        await asyncio.to_thread(self.primary.kill)
        shutil.copytree(
            self.primary.directory,
            self._directory / "backup",
            ignore=shutil.ignore_patterns("*.sock"),
            dirs_exist_ok=True,
        )
        await asyncio.to_thread(self.primary.start)

    async def restore(self) -> None:
        """Restart the primary with the files of the last backup."""
        await asyncio.to_thread(self.primary.kill)
        shutil.rmtree(self.primary.directory)
        shutil.copytree(self._directory / "backup", self.primary.directory)
        await asyncio.to_thread(self.primary.start)

    async def fail(self, failures: Sequence[str], until: float, pause_s: tuple[float, float]) -> None:
        """Let one of the failures happen after another, by their names, until a time of the event loop."""
        loop = asyncio.get_running_loop()
        number = 0
        while (left_s := until - loop.time()) > 1.0:
            await asyncio.sleep(min(left_s, self._rng.uniform(*pause_s)))
            # The first round has each of them, so that a short run has all.
            name = failures[number] if number < len(failures) else self._rng.choice(failures)
            number += 1
            self.done.append(name)
            await getattr(self, name)()


def _has_healed(metrics_port: int) -> bool:
    with urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=PATIENCE_S) as metrics:
        values = dict(line.rsplit(maxsplit=1) for line in metrics.read().decode().splitlines())
    return float(values["broadcast_tui_store_waiting"]) == 0


def _turn(proxy: Proxy, port: int) -> None:
    """Let a proxy pass everything to another port; what is in transit is lost."""
    proxy.target_port = port
    proxy.cut()


@asynccontextmanager
async def cluster_world(
    directory: Path, setting: Setting, seed: int, *, nodes: int = NODES
) -> AsyncIterator[ClusterWorld]:
    """A running cluster; stopped at the end."""
    primary = RedisServer(directory / "redis-a", *setting.redis, password=PASSWORD)
    async with AsyncExitStack() as stack:
        fronts = [await stack.enter_async_context(running_proxy(primary.port)) for _ in range(2)]
        copying = await stack.enter_async_context(running_proxy(primary.port))
        world = ClusterWorld(directory, setting, Random(f"{seed}-world"), fronts, copying, primary)
        stack.push_async_callback(world.stop)
        await world.start(nodes)
        yield world
