"""A cluster beside a single node, in one run: fan-out, latency on other nodes, appends, and many members.

Needs redis-server, two processor cores, and the load generator of fanout.py. Servers are pinned to one core
and the generator to the other; Redis runs where there is room. Everything is measured in turn, and printed as
medians and ratios. Believe the ratios.

    python -m tests.benchmarks.cluster                       # all
    python -m tests.benchmarks.cluster fanout append --repeat 3
    python -m tests.benchmarks.cluster single --baseline ../other-checkout
    python -m tests.benchmarks.cluster members --members 200000 --rooms 1000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from websockets.asyncio.client import ClientConnection, connect

from broadcast_tui.core.post import NewPost
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.registry import StorageOptions, engine_for
from tests.benchmarks import cluster_members
from tests.benchmarks.figures import LAB, greeted, medians
from tests.benchmarks.tables import Table, parse_options
from tests.support.plain import V1
from tests.support.ports import unused_port
from tests.support.process_cost import processor_s, resident_bytes
from tests.support.redis_server import EVERYSEC, RedisServer

PROGRAM = Path(sys.executable).parent / "broadcast-tui"
CLIENTS = 500
MESSAGES = {1: 400, 8: 2_500, 64: 8_000}
"""Messages of a run, by window: each run takes about as long."""
ROOM = "lobby"


@dataclass
class Options:
    repeat: int
    baseline: Path | None
    members: int
    rooms: int
    nodes: int


# -- processes


@contextmanager
def redis() -> Iterator[RedisServer]:
    """A Redis server that syncs its file once a second."""
    with TemporaryDirectory() as directory:
        server = RedisServer(Path(directory), *EVERYSEC)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def node(history: str, port: int, *options: str, program: Path = PROGRAM) -> Iterator[int]:
    """A server on core 0, which is ready; its process id."""
    words = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port), "--message-rate", "0"]
    server = subprocess.Popen(
        ["taskset", "-c", "0", *words, "--history", history, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdout is not None
    try:
        if not server.stdout.readline():
            sys.exit(f"{' '.join(words)} did not start")
        yield server.pid
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
        server.stdout.close()


class Serving(NamedTuple):
    """Running nodes that share a port, and the process of their Redis server, or 0."""

    port: int
    process_ids: list[int]
    redis_id: int = 0


@contextmanager
def serving(kind: str, program: Path = PROGRAM) -> Iterator[Serving]:
    """Nodes of a kind: memory, sqlite, redis, or several on Redis, such as "2 nodes"."""
    port = unused_port()
    with ExitStack() as stack:
        if kind in ("memory", "sqlite"):
            directory = stack.enter_context(TemporaryDirectory())
            history = kind if kind == "memory" else f"{directory}/history.db"
            yield Serving(port, [stack.enter_context(node(history, port, program=program))])
            return
        store = stack.enter_context(redis())
        count = int(kind.removesuffix(" nodes")) if kind != "redis" else 1
        shared = ("--share-port",) if count > 1 else ()
        pids = [stack.enter_context(node(store.url, port, *shared)) for _ in range(count)]
        yield Serving(port, pids, store.process_id)


def fan_out(port: int, window: int, clients: int = CLIENTS) -> dict[str, float]:
    """One run of the load generator on core 1."""
    words = [str(word) for word in (LAB / "fanload", port, clients, MESSAGES[window], 64, window, 0, "", "/")]
    done = subprocess.run(["taskset", "-c", "1", *words], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    if result["missing"] or result["gaps"]:
        print(f"window {window}: {result['missing']:.0f} missing, {result['gaps']:.0f} out of order")
    return result


def report(table: Table, title: str, found: dict[str, float], unit: str) -> None:
    """Add medians, and their ratios to the first one."""
    (first, base), *others = found.items()
    shown = [f"{first} {base:,.2f} {unit}"]
    shown += [f"{kind} {value / base:.2f} times" for kind, value in others]
    table.add(title, ", ".join(shown))


# -- measures


def measure_fanout(options: Options, table: Table) -> None:
    """One node on Redis against one on SQLite, and two nodes that share a port."""
    for window in MESSAGES:

        def rate(kind: str, window: int = window) -> float:
            with serving(kind) as running:
                return fan_out(running.port, window)["deliveries_per_s"]

        found = medians(("sqlite", "redis", "2 nodes"), options.repeat, rate)
        report(table, f"Fan-out to {CLIENTS} connections, window {window}", found, "/s")


def measure_latency(options: Options, table: Table) -> None:
    """100 posts/s: delivery on another node against delivery on the node of the author."""
    runs = [asyncio.run(_latencies()) for _ in range(options.repeat)]
    for name, index in (("p50", 50), ("p99", 99)):
        same, other = (
            statistics.median(sorted(took)[len(took) * index // 100] for took in place)
            for place in zip(*runs, strict=True)
        )
        shown = f"{same:.2f} ms on the same node, {other:.2f} ms on another: {other - same:+.2f} ms"
        table.add(f"Delivery at 100 posts/s, {name}", shown)


async def _latencies(count: int = 1_000) -> tuple[list[float], list[float]]:
    """Milliseconds from sending to receiving on the same node and on another."""
    ports = unused_port(), unused_port()
    took: tuple[list[float], list[float]] = [], []
    with ExitStack() as stack:
        store = stack.enter_context(redis())
        for port in ports:
            stack.enter_context(node(store.url, port))
        readers = [await _joined(port) for port in ports]
        author = await _joined(ports[0])

        async def read(reader: ClientConnection, into: list[float]) -> None:
            while len(into) < count:
                frame = json.loads(await reader.recv())
                if frame["type"] == "message":
                    into.append((time.perf_counter() - float(frame["message"])) * 1_000)

        async def ignore() -> None:
            async for _ in author:
                pass

        ignoring = asyncio.create_task(ignore())
        reading = [asyncio.create_task(read(*pair)) for pair in zip(readers, took, strict=True)]
        due = time.perf_counter()
        for number in range(count):
            due += 0.01
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            text = f"{time.perf_counter():.7f}"
            await author.send(
                json.dumps({"type": "message", "room": ROOM, "message": text, "nonce": str(number)})
            )
        async with asyncio.timeout(30):
            await asyncio.gather(*reading)
        ignoring.cancel()
        for connection in (*readers, author):
            await connection.close()
    return took


async def _joined(port: int) -> ClientConnection:
    connection = await connect(
        f"ws://127.0.0.1:{port}", subprotocols=[V1], compression=None, ping_interval=None, proxy=None
    )
    await connection.send(json.dumps({"type": "hello", "rooms": [{"room": ROOM}]}))
    while json.loads(await connection.recv())["type"] != "synced":
        pass
    return connection


def measure_costs(options: Options, table: Table) -> None:
    """Processor time of a post and of a delivery, and what they say of more nodes."""
    few, window = 20, 64
    posts = MESSAGES[window]

    def costs(kind: str, clients: int) -> tuple[float, float]:
        """Microseconds of a post on one node and in Redis, in a run with this many connections."""
        with serving(kind) as running:
            watched = [*running.process_ids, running.redis_id]
            before = [processor_s(process_id) for process_id in watched]
            fan_out(running.port, window, clients)
            *nodes, store = (processor_s(pid) - was for pid, was in zip(watched, before, strict=True))
        return sum(nodes) / len(nodes) / posts * 1e6, store / posts * 1e6

    runs = [
        (costs("redis", few), costs("redis", CLIENTS), costs("2 nodes", CLIENTS))
        for _ in range(options.repeat)
    ]
    small, large, store_one, store_two = (
        statistics.median(found)
        for found in zip(*((a[0], b[0], b[1], c[1]) for a, b, c in runs), strict=True)
    )
    delivery = max(0.0, (large - small) / (CLIENTS - few))
    post = max(0.0, small - few * delivery)
    copy = max(0.0, store_two - store_one)
    title = f"Processor time of a post, window {window}"
    table.add(f"{title}, on a node", f"{post:.0f} µs, and {delivery:.2f} µs for each delivery")
    table.add(f"{title}, in Redis", f"{store_one - copy:.0f} µs, and {copy:.1f} µs for each node")
    one = 1 / (post + delivery * CLIENTS)
    for count in (2, 4, 16):
        node_rate, redis_rate = 1 / (post + delivery * CLIENTS / count), 1 / (store_one + copy * (count - 1))
        first = "the nodes" if node_rate < redis_rate else "Redis"
        table.add(
            f"Estimate for {count} nodes with a core each, one room of {CLIENTS}",
            f"{min(node_rate, redis_rate) / one:.1f} times one node; {first} saturate first; "
            f"Redis would reach {redis_rate / one:.1f} times",
        )


def measure_append(options: Options, table: Table) -> None:
    """Posts a second that an engine stores, one batch after another."""
    for size, batches in ((1, 2_000), (100, 200)):

        def rate(kind: str, size: int = size, batches: int = batches) -> float:
            with ExitStack() as stack:
                directory = Path(stack.enter_context(TemporaryDirectory()))
                url = stack.enter_context(redis()).url if kind == "redis" else str(directory / "history.db")
                return asyncio.run(_append(url, Path(url), size, batches))

        found = medians(("sqlite", "redis"), options.repeat, rate)
        report(table, f"Appends in batches of {size}", found, "posts/s")


async def _append(location: str, path: Path, size: int, batches: int) -> float:
    engine: Engine = engine_for(location).create(StorageOptions(location, path, 0, 0, 0))
    await engine.start()
    await engine.open_room(ROOM)
    following = asyncio.create_task(_follow(engine))
    text = "a message of fifty-four characters, as people write it"
    started = time.perf_counter()
    for number in range(batches):
        await engine.append(
            [
                NewPost(ROOM, "ana", text, datetime.now(UTC), client_id="client", nonce=f"{number}.{place}")
                for place in range(size)
            ]
        )
    took_s = time.perf_counter() - started
    await engine.close()
    await following
    return size * batches / took_s


async def _follow(engine: Engine) -> None:
    while await engine.new_entries.wait():
        engine.new_entries.take()


def measure_single(options: Options, table: Table) -> None:
    """A single node without Redis against another checkout: fan-out, memory and start."""
    if options.baseline is None:
        print("single node against an earlier one: give its checkout, which needs a .venv, with --baseline")
        return
    programs = {"before": options.baseline / ".venv" / "bin" / "broadcast-tui", "now": PROGRAM}
    for history in ("memory", "sqlite"):
        for window in MESSAGES:

            def rate(which: str, history: str = history, window: int = window) -> float:
                with serving(history, programs[which]) as running:
                    return fan_out(running.port, window)["deliveries_per_s"]

            found = medians(list(programs), options.repeat, rate)
            report(table, f"Single node, {history}, window {window}", found, "/s")

    def resident(which: str) -> float:
        with serving("memory", programs[which]) as running:
            connections = [greeted(running.port) for _ in range(1_000)]
            time.sleep(1)
            found = resident_bytes(running.process_ids[0]) / 1024 / 1_000
            for connection in connections:
                connection.close()
            return found

    def start_s(which: str) -> float:
        started = time.perf_counter()
        with serving("memory", programs[which]) as running:
            socket.create_connection(("127.0.0.1", running.port)).close()
            return time.perf_counter() - started

    found = medians(list(programs), options.repeat, resident)
    report(table, "Resident memory with 1,000 connections", found, "MB")
    report(table, "Start until it accepts", medians(list(programs), 3 * options.repeat, start_s), "s")


def measure_members(options: Options, table: Table) -> None:
    """Many members in a simulated cluster: messages of the control plane, and memory."""
    for spread in sorted({1, min(4, options.nodes), options.nodes}):
        # A process of its own, whose memory is that of the members.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            table.add(f"Members of rooms on {spread} nodes", pool.submit(_members, options, spread).result())


def _members(options: Options, spread: int) -> str:
    async def run() -> str:
        async with cluster_members.simulated_cluster(store, options.nodes) as cluster:
            return await cluster_members.measure(cluster, options.members, options.rooms, spread)

    with redis() as store:
        return asyncio.run(run())


MEASURES: dict[str, Callable[[Options, Table], None]] = {
    "fanout": measure_fanout,
    "latency": measure_latency,
    "append": measure_append,
    "costs": measure_costs,
    "members": measure_members,
    "single": measure_single,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measures", nargs="*", choices=[*MEASURES, []], help="by default all")
    parser.add_argument("--repeat", type=int, default=5, help="runs a median is taken of")
    parser.add_argument("--baseline", type=Path, help="checkout of an earlier version, with a .venv")
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=20)
    given = parse_options(parser)
    options = Options(given.repeat, given.baseline, given.members, given.rooms, given.nodes)
    table = Table("cluster", "Measurement", "Result")
    for name in given.measures or MEASURES:
        MEASURES[name](options, table)
    if given.write:
        table.write()


if __name__ == "__main__":
    main()
