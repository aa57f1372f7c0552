"""A TCP proxy between client and server that can cut, stall and refuse connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Forwards data to `target_port` of 127.0.0.1, which may change between connections."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.refusing = False
        """Whether new connections are aborted."""
        self.accepted_count = 0
        self.flowing = asyncio.Event()
        """When cleared, connections stay open and forward nothing."""
        self.flowing.set()
        self.answering = asyncio.Event()
        """When cleared, what the server sends is not passed on."""
        self.answering.set()
        self.came = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Abort all connections, and lose data in transit."""
        for writer in self._writers:
            writer.transport.abort()

    async def accepted(self, count: int) -> None:
        """Wait until `count` connections have been accepted."""
        async with asyncio.timeout(20.0), self.came:
            await self.came.wait_for(lambda: self.accepted_count >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted_count += 1
        async with self.came:
            self.came.notify_all()
        if self.refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, far_writer, self.flowing))
                group.create_task(self._pass_on(far_reader, writer, self.flowing, self.answering))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()
            self._writers -= {writer, far_writer}

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *gates: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                for gate in gates:
                    await gate.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()


@asynccontextmanager
async def running_proxy(target_port: int) -> AsyncIterator[Proxy]:
    """A proxy on a free port of 127.0.0.1."""
    proxy = Proxy(target_port)
    listener = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        proxy.flowing.set()
        proxy.answering.set()
        proxy.cut()
