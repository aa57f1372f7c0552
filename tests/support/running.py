"""A `BroadcastServer` for the duration of a test, and waiting for its state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from broadcast_tui.core.limits import AdmissionLimits, Limits
from broadcast_tui.engine.base import Engine
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.tls import ServerTls

T = TypeVar("T")

PATIENCE_S = 20.0
"""Timeout of everything a test waits for."""


@asynccontextmanager
async def running_server(
    *,
    port: int = 0,
    limits: Limits | None = None,
    engine: Engine | None = None,
    admission: AdmissionLimits | None = None,
    authenticator: TokenAuthenticator | None = None,
    tls: ServerTls | None = None,
) -> AsyncIterator[BroadcastServer]:
    """A server on 127.0.0.1 and a free port; stopped at the end."""
    server = BroadcastServer(
        "127.0.0.1",
        port,
        limits=limits,
        engine=engine,
        admission=admission,
        authenticator=authenticator,
        tls=tls,
    )
    await server.start_server()
    try:
        yield server
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await server.stop_server(deadline_s=5.0)


def waiting_bytes(server: BroadcastServer) -> int:
    """The largest write buffer of all connections, in bytes."""
    connections = server._runner.connections.values()
    return max((connection.transport.get_write_buffer_size() for connection in connections), default=0)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, where no frame or event reports it."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def in_time(work: Awaitable[T]) -> T:
    """The result of `work`; fails after `PATIENCE_S`."""
    async with asyncio.timeout(PATIENCE_S):
        return await work
