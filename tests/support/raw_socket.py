"""A WebSocket client without a library, to send invalid data or to read nothing."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.support.running import PATIENCE_S

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RECEIVE_BUFFER_BYTES = 4096


def frame(opcode: int, payload: bytes, *, final: bool = True, masked: bool = True) -> bytes:
    """One WebSocket frame as a client sends it (RFC 6455 5.2), with a mask of zeros."""
    size = len(payload)
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if final else 0) | opcode])
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65_536:
        head += bytes([mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([mask_bit | 127]) + size.to_bytes(8, "big")
    return head + (b"\0\0\0\0" if masked else b"") + payload


class RawSocket:
    """A TCP connection; only `read`, `read_frame` and `read_to_end` read from it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def send_text(self, text: str) -> None:
        await self.send(frame(TEXT, text.encode()))

    async def send_until_cut(self, data: bytes, times: int, measure: Callable[[], int]) -> int:
        """Send `data` until the other side closes the connection; returns the maximum of `measure`."""
        worst = 0
        try:
            for _ in range(times):
                await self.send(data)
                worst = max(worst, measure())
        except ConnectionError:
            return worst
        raise AssertionError(f"{times * len(data)} bytes were taken, and the connection is still up")

    async def handshake(self, subprotocol: str = "", path: str = "/", headers: str = "", **named: str) -> str:
        """Open a WebSocket; returns the head of the response.

        Args:
            headers: Complete lines with line ends.
            named: Headers, such as `X_Forwarded_For`; `Host` replaces the default.
        """
        extra = headers + (f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else "")
        host = named.pop("Host", "localhost")
        extra += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
        )
        await self.send(request.encode())
        return await self.read_head()

    async def read_head(self) -> str:
        """The head of the response."""
        while b"\r\n\r\n" not in self._buffer:
            await self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head.decode("latin-1")

    async def read_exactly(self, count: int) -> bytes:
        """The next `count` bytes."""
        return await self._take(count)

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        first, size = await self._take(2)
        if size == 126:
            size = int.from_bytes(await self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(await self._take(8), "big")
        return first & 0x0F, await self._take(size)

    async def read_close(self) -> tuple[int, str]:
        """Code and reason of the close frame; frames before it are skipped."""
        while True:
            opcode, payload = await self.read_frame()
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    async def read(self, count: int) -> bytes:
        """The next `count` bytes."""
        return await self._take(count)

    async def read_to_end(self) -> bytes:
        """All data until the other side closes or resets the connection."""
        data, self._buffer = self._buffer, b""
        try:
            while True:
                await self._fill()
                data, self._buffer = data + self._buffer, b""
        except ConnectionError:
            return data

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._fill()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def _fill(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            data = await asyncio.get_running_loop().sock_recv(self.sock, 65_536)
        if not data:
            raise ConnectionResetError("the other side ended the connection")
        self._buffer += data


@asynccontextmanager
async def raw_socket(port: int, *, receive_buffer_bytes: int = 0) -> AsyncIterator[RawSocket]:
    """A TCP connection to 127.0.0.1 that is not a WebSocket yet; 0: the system's buffer size."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        yield RawSocket(sock)
    finally:
        sock.close()


@asynccontextmanager
async def deaf_client(port: int, subprotocol: str = "") -> AsyncIterator[RawSocket]:
    """A WebSocket client with a small receive buffer that reads nothing after its handshake."""
    async with raw_socket(port, receive_buffer_bytes=RECEIVE_BUFFER_BYTES) as sock:
        head = await sock.handshake(subprotocol)
        assert " 101 " in head
        yield sock
