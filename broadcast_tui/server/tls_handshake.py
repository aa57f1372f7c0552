"""TLS handshakes of accepted TCP connections.

A listener with `ssl=` reports a connection only after its TLS handshake, so that unfinished handshakes could
not be limited. Here every TCP connection is counted at once, and TLS starts with the first bytes from the
client.

Invariants: `tcp_connected` is called once, followed by either `connection_made` or `handshake_failed`.
Received bytes reach TLS, and then the connection, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ssl
import sys
from typing import cast

from websockets.server import ServerProtocol

from broadcast_tui.core.hub.work_budget import TLS_HANDSHAKE_S
from broadcast_tui.server.connection import PeerConnection

SHUTDOWN_TIMEOUT_S = 2.0
NEVER_S = 86_400.0
"""Timeout of the loop. Admission drops late clients earlier, and counts and logs them."""
_M_MMAP_THRESHOLD = -3
"""A parameter of mallopt(3)."""
_MMAP_BYTES = 131_072
"""Its initial value, which glibc raises when a larger block has been freed."""


def separate_buffers() -> None:
    """Let glibc give each buffer of a TLS connection memory pages of its own, as it does at first.

    For each connection, uvloop allocates 256 KB, and uses the first page. Later, glibc would take that from
    the heap, with pages that have been used before: 20 KB of memory that are wasted.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)


class TlsHandshakeProtocol(asyncio.Protocol):
    """Protocol of a TCP connection until TLS is established; then `connection` takes over."""

    def __init__(self, connection: PeerConnection, context: ssl.SSLContext) -> None:
        self._connection = connection
        # The TCP transport of uvloop refers to this object for its whole life.
        connection.connection_lost_waiter.add_done_callback(self._release)
        self._has_ended = False
        self._context = context
        self._received: list[bytes] = []
        """Encrypted bytes at first; decrypted ones between the end of the handshake and `connection_made`."""
        self._upgrade: asyncio.Task[None] | None = None
        self._is_replaced = False

    @property
    def protocol(self) -> ServerProtocol:
        """The protocol of the connection; websockets reads it from the object that its factory returns."""
        return self._connection.protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connection.tcp_connected(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if self._upgrade is None:
            loop = self._connection.loop
            self._connection.budget.charge(TLS_HANDSHAKE_S, loop.time())
            self._transport.pause_reading()
            self._upgrade = loop.create_task(self._start_tls())
            # start_tls replaces the transport's protocol and schedules its connection_made. A callback after
            # that one can feed it the bytes that have already arrived, before any further read.
            loop.call_soon(loop.call_soon, self._feed_tls)

    def connection_lost(self, error: Exception | None) -> None:
        if self._has_ended:
            return
        if self._is_replaced:
            self._connection.connection_lost(error)
        else:
            self._connection.handshake_failed()

    def _release(self, _: asyncio.Future[None]) -> None:
        """Let the connection be freed when it has ended, or has been replaced after its handshake."""
        self._has_ended = True
        del self._connection, self._upgrade

    async def _start_tls(self) -> None:
        """Perform the TLS handshake, then let the connection take over."""
        connection = self._connection
        try:
            secured = await connection.loop.start_tls(
                self._transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=NEVER_S,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )
        except OSError:  # not TLS, an unsupported version, or disconnected
            secured = None
        if secured is None or secured.is_closing():
            connection.handshake_failed()
            return
        self._is_replaced = True
        secured.set_protocol(connection)
        connection.connection_made(secured)
        for data in self._received:
            # HTTP may have taken over from the connection.
            cast("asyncio.Protocol", secured.get_protocol()).data_received(data)

    def _feed_tls(self) -> None:
        """Feed TLS the bytes that arrived before it started, as the loop would."""
        tls = self._transport.get_protocol()
        if tls is self:  # start_tls failed at once
            return
        # The type of uvloop's protocol does not declare it.
        tls = cast("asyncio.BufferedProtocol", tls)
        received, self._received = b"".join(self._received), []
        while received:
            buffer = memoryview(tls.get_buffer(len(received)))
            size = min(len(buffer), len(received))
            buffer[:size] = received[:size]
            tls.buffer_updated(size)
            received = received[size:]
