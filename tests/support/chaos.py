"""A TCP proxy that misbehaves as networks do, by dice: the same seed throws the same for each connection.

What it does to a connection: latency, dribble (a few bytes at a time), stall, reset, cut in the middle
of what is passed on, and duplication: a second connection that says all that the first one says.
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


class Harm(StrEnum):
    NONE = "none"
    LATENCY = "latency"
    DRIBBLE = "dribble"
    STALL = "stall"
    RESET = "reset"
    CUT = "cut"
    DUPLICATE = "duplicate"


CHANCES = {
    Harm.NONE: 0.9,
    Harm.LATENCY: 0.05,
    Harm.DRIBBLE: 0.025,
    Harm.STALL: 0.01,
    Harm.RESET: 0.005,
    Harm.CUT: 0.01,
}
"""For each piece of data passed on."""
DUPLICATE_CHANCE = 0.2
"""For each connection."""
STALL_S = 2.0


class ChaosProxy:
    """Passes bytes between 127.0.0.1:`port` and 127.0.0.1:`target_port`; `done` counts its misdeeds."""

    def __init__(self, target_port: int, seed: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.calm = asyncio.Event()
        """Set: connections made from now on, and what is passed on from now on, are left alone."""
        self.done: Counter[Harm] = Counter()
        self.accepted_count = 0
        self._seed = seed
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Lose all connections at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted_count += 1
        name = f"{self._seed}-{self.accepted_count}"
        dice = Random(name)
        try:
            far_reader, far_writer = await self._open()
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        copies: list[asyncio.StreamWriter] = []
        tasks = set()
        if dice.random() < DUPLICATE_CHANCE and not self.calm.is_set():
            with contextlib.suppress(OSError):
                copy_reader, copy_writer = await self._open()
                self.done[Harm.DUPLICATE] += 1
                copies.append(copy_writer)
                self._writers.add(copy_writer)
                ends.add(copy_writer)
                tasks.add(asyncio.create_task(self._swallow(copy_reader)))
        ways = {
            asyncio.create_task(self._pass_on(reader, [far_writer, *copies], Random(f"{name}-up"))),
            asyncio.create_task(self._pass_on(far_reader, [writer], Random(f"{name}-down"))),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks |= ways
            for end in ends:
                end.transport.abort()
            self._writers -= ends
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.target_port)

    async def _swallow(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass

    async def _pass_on(
        self, reader: asyncio.StreamReader, writers: list[asyncio.StreamWriter], dice: Random
    ) -> None:
        """Until the connection ends, on its own or by what is done to it."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                harm = Harm.NONE
                [thrown] = dice.choices(list(CHANCES), list(CHANCES.values()))
                if not self.calm.is_set():
                    harm = thrown
                    self.done[harm] += 1
                match harm:
                    case Harm.LATENCY:
                        await asyncio.sleep(dice.uniform(0.0, 0.1))
                    case Harm.DRIBBLE:
                        data = await self._dribble(data, writers, dice)
                    case Harm.STALL:
                        await asyncio.sleep(dice.uniform(0.2, STALL_S))
                    case Harm.CUT:
                        await _write(writers, data[: dice.randrange(len(data))])
                        return
                    case Harm.RESET:
                        for writer in writers:
                            _reset(writer)
                        return
                await _write(writers, data)

    async def _dribble(self, data: bytes, writers: list[asyncio.StreamWriter], dice: Random) -> bytes:
        """Pass the beginning on in small pieces; the rest is returned."""
        for _ in range(20):
            size = dice.randint(1, 7)
            await _write(writers, data[:size])
            data = data[size:]
            await asyncio.sleep(0.002)
        return data


async def _write(writers: list[asyncio.StreamWriter], data: bytes) -> None:
    """To all; a copy that is gone is no matter."""
    first, *copies = writers
    for copy in copies:
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
async def chaos_proxy(target_port: int, seed: int) -> AsyncIterator[ChaosProxy]:
    """A proxy on a free port of 127.0.0.1."""
    proxy = ChaosProxy(target_port, seed)
    listener = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        proxy.cut()
