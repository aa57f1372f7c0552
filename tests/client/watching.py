"""Shared by the tests of the client: reading its updates, and misbehaving servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, PostArrived, Update
from tests.support.running import PATIENCE_S

V1 = Subprotocol("broadcast-tui.v1")
U = TypeVar("U", bound=Update)

WELCOME = (
    '{"type":"welcome","name":"ana","node":"n1","time":"2025-08-30T10:30:40+00:00","ping":25,'
    '"limits":{"message_bytes":16384,"rate":10,"burst":30,"page":200,"rooms":32},'
    '"rooms":[{"room":"lobby","head":"k3f9-0","recovered":true,"missed":0,"online":1}]}'
)
SYNCED = '{"type":"synced","room":"lobby","id":"k3f9-0"}'


class Watcher:
    """Reads a client's updates; `seen` contains all read so far."""

    def __init__(self, client: BroadcastClient) -> None:
        self.seen: list[Update] = []
        self._batches = client.batches()
        self._unread: list[Update] = []

    async def next_of(self, kind: type[U], wanted: Callable[[U], bool] = lambda update: True) -> U:
        """The next update of a kind that is `wanted`; those before it are skipped."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    while self._unread:
                        update = self._unread.pop(0)
                        self.seen.append(update)
                        if isinstance(update, kind) and wanted(update):
                            return update
                    self._unread = list(await anext(self._batches))
        except (TimeoutError, StopAsyncIteration):
            raise AssertionError(f"no {kind.__name__} as wanted came, but {self.seen[-20:]}") from None

    async def state(self, state: ConnectionState) -> ConnectionChanged:
        return await self.next_of(ConnectionChanged, lambda change: change.state is state)

    async def post(self, text: str) -> PostArrived:
        return await self.next_of(PostArrived, lambda arrived: arrived.post.text == text)

    @property
    def posts(self) -> list[str]:
        """The texts of the posts read so far, in order."""
        return [update.post.text for update in self.seen if isinstance(update, PostArrived)]


@asynccontextmanager
async def started(
    port: int, name: str = "", *, client_id: str = "", last: int = 50, rooms: tuple[str, ...] = ("lobby",)
) -> AsyncIterator[tuple[BroadcastClient, Watcher]]:
    """A client that is connecting, and its watcher; closed at the end."""
    client = BroadcastClient("127.0.0.1", port, name=name, rooms=rooms, last=last, client_id=client_id)
    client.start()
    try:
        yield client, Watcher(client)
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await client.close()


@asynccontextmanager
async def online(
    port: int, name: str = "", *, client_id: str = "", last: int = 50, rooms: tuple[str, ...] = ("lobby",)
) -> AsyncIterator[tuple[BroadcastClient, Watcher]]:
    """As `started`, once it is online."""
    async with started(port, name, client_id=client_id, last=last, rooms=rooms) as (client, watcher):
        await watcher.state(ConnectionState.ONLINE)
        yield client, watcher


@asynccontextmanager
async def odd_server(
    handler: Callable[[ServerConnection], Awaitable[None]], *, subprotocol: Subprotocol | None = V1
) -> AsyncIterator[int]:
    """The port of a WebSocket server with the given handler."""
    async with serve(
        handler, "127.0.0.1", 0, subprotocols=[subprotocol] if subprotocol else None, close_timeout=1
    ) as server:
        yield server.sockets[0].getsockname()[1]
