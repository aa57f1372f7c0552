"""A client for raw frames of both protocols: JSON objects in and out."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.running import PATIENCE_S

Frame = dict[str, Any]
V1 = Subprotocol("broadcast-tui.v1")


class WireClient:
    """One connection. `frames` contains all frames read so far; reading continues after them."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []

    async def send(self, type: str, **fields: object) -> None:
        await self.send_raw(json.dumps({"type": type, **fields}))

    async def send_raw(self, data: str | bytes, *, text: bool | None = None) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.send(data, text=text)

    async def say(self, message: str, **fields: object) -> None:
        await self.send("message", message=message, **fields)

    async def until(self, **fields: object) -> list[Frame]:
        """Read frames up to the first that has all of `fields`, and return them."""
        read: list[Frame] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    data = await self.socket.recv()
                    assert isinstance(data, str), "the server sends text frames only"
                    frame = json.loads(data)
                    self.frames.append(frame)
                    read.append(frame)
                    if all(frame.get(key) == value for key, value in fields.items()):
                        return read
        except TimeoutError:
            raise AssertionError(f"no frame with {fields} came, but {read}") from None
        except ConnectionClosed as closed:
            raise AssertionError(f"{closed} before a frame with {fields}, after {read}") from None

    async def next_of(self, **fields: object) -> Frame:
        """The next frame that has all of `fields`; those before it are skipped."""
        return (await self.until(**fields))[-1]

    async def next_frame(self) -> Frame:
        """The next frame of any kind."""
        return await self.next_of()

    async def closed(self) -> tuple[int, str]:
        """Read to the end; returns the close code (1006: none came) and the reason."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    self.frames.append(json.loads(await self.socket.recv()))
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (1006, "")

    async def settle(self) -> list[Frame]:
        """All frames in transit: those before the answer to a request. v1 only."""
        self._asked = getattr(self, "_asked", 0) + 1
        ref = f"settle-{self._asked}"
        await self.send("presence", room="lobby", ref=ref)
        return (await self.until(ref=ref))[:-1]

    def drop(self) -> None:
        """Abort the connection."""
        self.socket.transport.abort()


@asynccontextmanager
async def plain_client(
    url: str, *, token: str = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[WireClient]:
    """A plain client that has read its welcome."""
    async with _connected(url, token=token, tls=tls) as client:
        await client.next_of(type="system", event="welcome")
        yield client


@asynccontextmanager
async def v1_client(
    url: str,
    name: str = "",
    *,
    client_id: str = "",
    rooms: Sequence[Frame] = ({"room": "lobby"},),
    token: str = "",
    tls: ssl.SSLContext | None = None,
    **hello: object,
) -> AsyncIterator[WireClient]:
    """A v1 client that has sent hello and read its welcome, but nothing after it."""
    async with silent_v1_client(url, token=token, tls=tls) as client:
        about = {"name": name, "client_id": client_id or f"id-of-{name}", **hello}
        await client.send("hello", **about, rooms=list(rooms))
        await client.next_of(type="welcome")
        yield client


@asynccontextmanager
async def silent_v1_client(
    url: str, *, token: str = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[WireClient]:
    """A v1 client that has not sent hello."""
    async with _connected(url, V1, token=token, tls=tls) as client:
        assert client.socket.subprotocol == V1
        yield client


@asynccontextmanager
async def _connected(
    url: str, *subprotocols: Subprotocol, token: str, tls: ssl.SSLContext | None
) -> AsyncIterator[WireClient]:
    secured: dict[str, Any] = {"ssl": tls} if tls is not None else {}
    socket = await connect(
        url,
        subprotocols=subprotocols or None,
        compression=None,
        open_timeout=PATIENCE_S,
        close_timeout=2.0,
        ping_interval=None,
        max_size=None,
        max_queue=None,
        proxy=None,
        additional_headers={"Authorization": f"Bearer {token}"} if token else None,
        **secured,
    )
    try:
        yield WireClient(socket)
    finally:
        await socket.close()
        socket.transport.abort()
