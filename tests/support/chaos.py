"""A TCP proxy with network faults, random but repeatable for each connection by a seed.

With several targets, it passes each connection to one of them, as a load balancer does.

Faults: latency, dribble (a few bytes at a time), stall, reset, cut in the middle
of forwarded data, and duplication: a second connection that sends the same as the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    NONE = "none"
    LATENCY = "latency"
    DRIBBLE = "dribble"
    STALL = "stall"
    RESET = "reset"
    CUT = "cut"
    DUPLICATE = "duplicate"


CHANCES = {
    Fault.NONE: 0.9,
    Fault.LATENCY: 0.05,
    Fault.DRIBBLE: 0.025,
    Fault.STALL: 0.01,
    Fault.RESET: 0.005,
    Fault.CUT: 0.01,
}
"""Probabilities for each piece of forwarded data."""
DUPLICATE_CHANCE = 0.2
"""Probability for each connection."""
STALL_S = 2.0


class ChaosProxy:
    """Forwards data between `port` and one of `target_ports` of 127.0.0.1; `done` counts the faults."""

    def __init__(self, target_ports: tuple[int, ...], seed: int) -> None:
        self.target_ports = target_ports
        self.port = 0
        self.calm = asyncio.Event()
        """When set, there are no more faults."""
        self.done: Counter[Fault] = Counter()
        self.accepted_count = 0
        self._seed = seed
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Abort all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted_count += 1
        name = f"{self._seed}-{self.accepted_count}"
        rng = Random(name)
        target = rng.choice(self.target_ports) if len(self.target_ports) > 1 else self.target_ports[0]
        try:
            far_reader, far_writer = await _open(target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        duplicates: list[asyncio.StreamWriter] = []
        tasks = set()
        if rng.random() < DUPLICATE_CHANCE and not self.calm.is_set():
            with contextlib.suppress(OSError):
                duplicate_reader, duplicate_writer = await _open(target)
                self.done[Fault.DUPLICATE] += 1
                duplicates.append(duplicate_writer)
                self._writers.add(duplicate_writer)
                ends.add(duplicate_writer)
                tasks.add(asyncio.create_task(self._discard(duplicate_reader)))
        directions = {
            asyncio.create_task(self._forward(reader, [far_writer, *duplicates], Random(f"{name}-up"))),
            asyncio.create_task(self._forward(far_reader, [writer], Random(f"{name}-down"))),
        }
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks |= directions
            for end in ends:
                end.transport.abort()
            self._writers -= ends
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _discard(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass

    async def _forward(
        self, reader: asyncio.StreamReader, writers: list[asyncio.StreamWriter], rng: Random
    ) -> None:
        """Forward data until the connection ends, by itself or by a fault."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                fault = Fault.NONE
                [drawn] = rng.choices(list(CHANCES), list(CHANCES.values()))
                if not self.calm.is_set():
                    fault = drawn
                    self.done[fault] += 1
                match fault:
                    case Fault.LATENCY:
                        await asyncio.sleep(rng.uniform(0.0, 0.1))
                    case Fault.DRIBBLE:
                        data = await self._dribble(data, writers, rng)
                    case Fault.STALL:
                        await asyncio.sleep(rng.uniform(0.2, STALL_S))
                    case Fault.CUT:
                        await _write(writers, data[: rng.randrange(len(data))])
                        return
                    case Fault.RESET:
                        for writer in writers:
                            _reset(writer)
                        return
                await _write(writers, data)

    async def _dribble(self, data: bytes, writers: list[asyncio.StreamWriter], rng: Random) -> bytes:
        """Forward the beginning in small pieces; returns the rest."""
        for _ in range(20):
            size = rng.randint(1, 7)
            await _write(writers, data[:size])
            data = data[size:]
            await asyncio.sleep(0.002)
        return data


async def _open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def _write(writers: list[asyncio.StreamWriter], data: bytes) -> None:
    """Write to all; duplicates that are closed are skipped."""
    first, *duplicates = writers
    for copy in duplicates:
        if not copy.transport.is_closing():
            copy.write(data)
    first.write(data)
    await first.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def chaos_proxy(*target_ports: int, seed: int) -> AsyncIterator[ChaosProxy]:
    """A proxy on a free port of 127.0.0.1."""
    proxy = ChaosProxy(target_ports, seed)
    listener = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        proxy.cut()
