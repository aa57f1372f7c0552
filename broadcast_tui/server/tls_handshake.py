"""The door before a connection over TLS: it stands from TCP to the end of the TLS handshake.

A listener with `ssl=` tells of a connection only once its handshake is over, so that those who never end
theirs count nowhere. Here each counts from the moment it is up, and TLS is begun when its client begins.

Invariants: a connection is `up` once, then either `connection_made` or `handshake_failed` once; whatever
was received reaches TLS, and then the connection, in order.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from websockets.server import ServerProtocol

from broadcast_tui.server.connection import PeerConnection

SHUTDOWN_TIMEOUT_S = 2.0
NEVER_S = 86_400.0
"""The admission cuts who is late, counts it and leaves a line; the loop's own timer must not be first."""


class TlsHandshakeProtocol(asyncio.Protocol):
    """The protocol of a TCP connection that is to become `connection`, with the certificate of `context`."""

    def __init__(self, connection: PeerConnection, context: ssl.SSLContext) -> None:
        self._connection = connection
        self._context = context
        self._received: list[bytes] = []
        """Encrypted at first; once TLS is on, what came before the connection could be made."""
        self._upgrade: asyncio.Task[None] | None = None
        self._is_handed_over = False

    @property
    def protocol(self) -> ServerProtocol:
        """Read by websockets from whatever its factory made."""
        return self._connection.protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connection.tcp_connected(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if self._upgrade is None:
            loop = self._connection.loop
            self._transport.pause_reading()
            self._upgrade = loop.create_task(self._begin())
            # start_tls first gives the transport another protocol, and soon calls that one: just behind
            # that call it is ready for what has come already, and nothing has been read since.
            loop.call_soon(loop.call_soon, self._pass_on)

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_handed_over:
            self._connection.connection_lost(error)
        else:
            self._connection.handshake_failed()

    async def _begin(self) -> None:
        """Bring the TLS handshake to its end, and put the connection in our place."""
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
        except OSError:  # no TLS, none that we speak, or gone: of no interest to anyone here
            secured = None
        if secured is None or secured.is_closing():
            connection.handshake_failed()
            return
        self._is_handed_over = True
        secured.set_protocol(connection)
        connection.connection_made(secured)
        for data in self._received:
            connection.data_received(data)

    def _pass_on(self) -> None:
        """Give TLS what came before it, in the way that the loop would."""
        tls = self._transport.get_protocol()
        if tls is self:  # it could not even begin
            return
        # uvloop's is none by its type.
        tls = cast("asyncio.BufferedProtocol", tls)
        received, self._received = b"".join(self._received), []
        while received:
            buffer = memoryview(tls.get_buffer(len(received)))
            size = min(len(buffer), len(received))
            buffer[:size] = received[:size]
            tls.buffer_updated(size)
            received = received[size:]
