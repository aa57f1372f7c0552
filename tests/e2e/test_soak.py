"""Hundreds of users who chat, join, leave, rename, search and disconnect: nothing grows.

`--soak 300` runs it for five minutes with 200 people.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.cli.program import Program, program
from tests.support import profile
from tests.support.hostile_load import ServerProcess, WriteOnlyClient
from tests.support.raw_socket import TEXT, frame
from tests.support.running import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PEOPLE = profile.by_profile(40, 200)
ROOMS = 20
PAUSE_S = (0.2, 1.8)
ACTIONS = {
    "chat": 50,
    "join": 8,
    "leave": 8,
    "rename": 8,
    "search": 6,
    "history": 6,
    "presence": 4,
    "typing": 4,
    "topic": 2,
    "drop": 4,
}
"""Actions by weight."""
GROWTH_BYTES_MAX = 4_000_000
SERVE = (
    *("serve", "--host", "127.0.0.1", "--port", "0", "--max-buffer-bytes", "1000000"),
    *("--watchdog", "--log-level", "warning"),
)
COUNTS_TASKS = """
import asyncio, signal, sys
from broadcast_tui.cli import main
from broadcast_tui.engine import dedup
dedup.DEDUP_S = 15.0
def report(*_):
    print("tasks", len(asyncio.all_tasks()), file=sys.stderr, flush=True)
signal.signal(signal.SIGUSR1, report)
main()
"""
"""A server that reports the number of its tasks on SIGUSR1. Its caches are soon full, so that leaks show."""


@dataclass(frozen=True, slots=True)
class Sample:
    at: float
    resident_bytes: int
    descriptors: int
    tasks: int


class Probe:
    """Measures a running server."""

    def __init__(self, running: Program, server: ServerProcess) -> None:
        self._running = running
        self._server = server

    async def sample(self) -> Sample:
        self._running.process.send_signal(signal.SIGUSR1)
        return Sample(
            asyncio.get_running_loop().time(),
            self._server.resident_bytes(),
            len(os.listdir(f"/proc/{self._server.pid}/fd")),
            await self._task_count(),
        )

    async def _task_count(self) -> int:
        assert self._running.process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = (await self._running.process.stderr.readline()).decode()
                assert line, self._running.err
                if line.startswith("tasks "):
                    return int(line.split()[1])
                self._running.err += line


class Person:
    """A user who does something about every second."""

    def __init__(self, port: int, number: int, seed: int) -> None:
        self._port = port
        self._number = number
        self._rng = Random(f"{seed}-{number}")
        self._rooms: list[str] = []
        self._count = 0

    async def live(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        client = await self._connect()
        while loop.time() < until:
            [action] = self._rng.choices(list(ACTIONS), list(ACTIONS.values()))
            if action == "drop" or client.transport.is_closing():
                client.transport.abort()
                client = await self._connect()
            else:
                client.send(json.dumps(self._request(action)))
            await asyncio.sleep(self._rng.uniform(*PAUSE_S))
        client.transport.abort()

    async def _connect(self) -> WriteOnlyClient:
        loop = asyncio.get_running_loop()
        self._rooms = ["lobby", f"room-{self._rng.randrange(ROOMS)}"]
        rooms = [{"room": room, "last": 20} for room in self._rooms]
        hello = {"type": "hello", "client_id": f"id-{self._number}", "rooms": rooms}
        hello["name"] = f"person{self._number}"
        _, client = await loop.create_connection(
            lambda: WriteOnlyClient(self._number), "127.0.0.1", self._port
        )
        client.transport.write(UPGRADE + frame(TEXT, json.dumps(hello).encode()))
        async with asyncio.timeout(PATIENCE_S):
            await client.greeted.wait()
        return client

    def _request(self, action: str) -> dict[str, object]:
        self._count += 1
        room, rng = self._rng.choice(self._rooms), self._rng
        other = f"room-{rng.randrange(ROOMS)}"
        match action:
            case "chat":
                text = f"{self._count} " + "word " * rng.choice((1, 5, 20, 200))
                nonce = f"{self._number}-{self._count}-{rng.randrange(10**9)}"
                return {"type": "message", "message": text, "room": room, "nonce": nonce}
            case "join":
                self._rooms = [*{*self._rooms, other}][-8:] or ["lobby"]
                return {"type": "join", "room": other, "last": 50}
            case "leave" if len(self._rooms) > 1:
                return {"type": "leave", "room": self._rooms.pop(), "reason": "lunch"}
            case "rename":
                return {"type": "rename", "name": f"person{self._number}.{rng.randrange(10)}"}
            case "search":
                return {"type": "search", "room": room, "query": rng.choice(("word", "wo", "1 word", "2"))}
            case "history":
                return {"type": "history", "room": room, "latest": True, "limit": 50}
            case "topic":
                return {"type": "topic", "room": room, "topic": f"topic {self._count}"}
            case "typing":
                return {"type": "typing", "room": room}
        return {"type": "presence", "room": room}


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: broadcast-tui.v1\r\n\r\n"
)


def growth(samples: list[Sample], measure: Callable[[Sample], float]) -> float:
    """Growth of a measure over the length of `samples`, by linear regression."""
    times = [sample.at for sample in samples]
    slope = statistics.linear_regression(times, [measure(sample) for sample in samples]).slope
    return slope * (times[-1] - times[0])


@pytest.mark.timeout(0)
async def test_busy_people_make_nothing_grow(tmp_path: Path, seed: int, soak_s: float) -> None:
    loop = asyncio.get_running_loop()
    history = str(tmp_path / "history.db")
    async with program(*SERVE, "--history", history, home=tmp_path, code=COUNTS_TASKS) as running:
        port = await running.port()
        probe = Probe(running, ServerProcess(port, running.process.pid))
        before = await probe.sample()
        until = loop.time() + soak_s
        samples: list[Sample] = []
        async with asyncio.timeout(soak_s + 60.0), asyncio.TaskGroup() as group:
            for number in range(PEOPLE):
                group.create_task(Person(port, number, seed).live(until))
            while loop.time() < until:
                await asyncio.sleep(max(0.5, soak_s / 60))
                samples.append(await probe.sample())
        second_half = samples[len(samples) // 2 :]
        print(f"seed {seed}: {before}, {samples[0]}, {second_half[0]}, {samples[-1]}")
        assert growth(second_half, lambda sample: sample.resident_bytes) < GROWTH_BYTES_MAX
        # A connection is one descriptor, and one task of the library. Those dropped are soon replaced.
        assert growth(second_half, lambda sample: sample.descriptors) < PEOPLE / 4
        assert growth(second_half, lambda sample: sample.tasks) < PEOPLE / 4
        after = await probe.sample()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while after.descriptors > before.descriptors + 3 or after.tasks > before.tasks:
                    await asyncio.sleep(0.1)
                    after = await probe.sample()
        assert after.descriptors <= before.descriptors + 3
        assert after.tasks <= before.tasks
        outcome = await running.stop(signal.SIGTERM)
    assert "held the event loop" not in outcome.err
    assert "Traceback" not in outcome.err
