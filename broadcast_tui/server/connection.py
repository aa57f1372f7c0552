"""A WebSocket connection until its handshake is complete. `OpenConnection` takes over from there.

The library's class does the handshake. What it lacks: limits of the head of a request, from the first byte;
HTTP requests, which are given away; and the start of TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from broadcast_tui.core.hub.auth import Identity
from broadcast_tui.core.hub.work_budget import UNLIMITED, request_price_s
from broadcast_tui.server import batch_send
from broadcast_tui.server.message_reader import drop_tracebacks

if TYPE_CHECKING:
    from broadcast_tui.server.open_connection import OpenConnection

SEND_BUFFER_BYTES = 131_072
"""SO_SNDBUF. By default, the kernel buffers about 3 MB for a peer that never reads."""
USER_TIMEOUT_MS = 30_000
TLS_RECORD = b"\x16\x03"
"""First bytes of a TLS handshake (RFC 8446 5.1), and of no HTTP request."""
_NOT_TLS_RESPONSE = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"
    b"This port does not use TLS. Connect with ws://.\n"
)
HEAD_BYTES_MAX = 16_384
"""Maximum size of a handshake request. The library allows a megabyte."""
HEAD_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_HANDSHAKE = re.compile(
    rb"GET [\s\S]*?\r\nupgrade[ \t]*:(?:[^\r\n]*,)?[ \t]*websocket[ \t]*(?:,[^\r\n]*)?\r\n", re.IGNORECASE
)
"""A request for a WebSocket upgrade, even an invalid one."""

_log = logging.getLogger("broadcast_tui.websockets")


class _NoTransport(asyncio.Transport):
    """The transport of a connection that has given its own away."""

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""


class PeerConnection(ServerConnection):
    """A connection to a peer until its handshake is complete."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opened: OpenConnection | None = None
        """What has replaced it after the handshake."""
        self.identity: Identity | None = None
        """Identity from the token of the handshake, if it had one."""
        self.client_address = ""
        """Address of the client, even behind a proxy; empty before the handshake."""
        self.rate_limit_key = ""
        """Key of that address for limits per address; empty if it is exempt."""
        self.on_tcp_connected: Callable[[PeerConnection], None] | None = None
        """Called when the TCP connection is established, before TLS."""
        self.on_http: Callable[[PeerConnection, bytes], None] | None = None
        """Called with the first bytes of a connection that asks for no WebSocket, to take it over."""
        self.budget = UNLIMITED
        """Server time for the requests of the TCP connection."""
        self.logger = self.protocol.logger = _log
        self.fileno = batch_send.NO_DESCRIPTOR
        """File descriptor of the socket if frames may be sent to it directly.

        Then the connection is blocked as soon as anything is in the write buffer of its transport.
        """
        self._is_aborted = False
        self.head_bytes = 0
        """Size of the handshake request so far."""
        self._head = bytearray()
        """The bytes of an incomplete request."""
        self._unread = b""
        """Frames that have arrived before anybody reads them."""

    @property
    def peer(self) -> str:
        """Address of the peer of the TCP connection."""
        peername = self.transport.get_extra_info("peername")
        return str(peername[0]) if peername else "unknown"

    @property
    def secure(self) -> bool:
        """Whether the connection uses TLS."""
        return self.transport.get_extra_info("ssl_object") is not None

    def abort(self) -> None:
        """Drop the connection without a close frame, even during its handshake."""
        self._is_aborted = True
        if hasattr(self, "transport"):
            self.transport.abort()

    # -- reading

    def data_received(self, data: bytes) -> None:
        """Process a part of the handshake. Frames after it wait until they are taken."""
        if self.protocol.state is State.CONNECTING:
            data = self._receive_head(data)
        if data:
            self._unread += data
            self.transport.pause_reading()

    def take_unread(self) -> bytes:
        """Remove and return the bytes that have been received after the handshake."""
        unread, self._unread = self._unread, b""
        return unread

    def _receive_head(self, data: bytes) -> bytes:
        """Collect the head of the first request, and return the bytes after it if they are frames.

        The library parses the head of a WebSocket handshake; everything else is given to `on_http`.
        """
        if self.request is not None:
            return data
        head = self._head
        if not head and data.startswith(TLS_RECORD) and not self.secure:
            # An unencrypted response fails a TLS client at once; otherwise it waits for a timeout.
            self._respond(_NOT_TLS_RESPONSE)
            return b""
        known = max(0, len(head) - 3)
        head += data
        end = head.find(b"\r\n\r\n", known)
        self.head_bytes = end + 4 if end >= 0 else len(head)
        if self.head_bytes > HEAD_BYTES_MAX:
            self._respond(HEAD_TOO_LONG)
        elif end >= 0:
            self._head = bytearray()
            if self.on_http is not None and not is_handshake(head):
                self.on_http(self, bytes(head))
                return b""
            super().data_received(bytes(head[: self.head_bytes]))
            return bytes(head[self.head_bytes :])
        return b""

    def give_over(self) -> asyncio.Transport:
        """End as a WebSocket connection, and return the transport for another protocol."""
        transport, self.transport = self.transport, _NoTransport()
        self.connection_lost(None)
        return transport

    def _respond(self, response: bytes) -> None:
        """Send a raw HTTP response and close."""
        self.budget.charge(request_price_s(self.head_bytes), self.loop.time())
        self._head = bytearray()
        if self.protocol.eof_sent:  # the library has already rejected the request
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.write(response)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unread = b""
        self._break_cycles()

    def _break_cycles(self) -> None:
        """Let reference counting free a closed connection.

        The garbage collector rarely looks at old objects: thousands of closed connections would stay.
        """
        self.on_http = self.on_tcp_connected = None
        vars(self.protocol).pop("select_subprotocol", None)  # a closure of the library
        for error in (self.protocol.parser_exc, self.protocol.handshake_exc, self.connection_exc):
            drop_tracebacks(error)
        self.protocol.parser.close()

    # -- transport

    def tcp_connected(self, transport: asyncio.Transport) -> None:
        """Set up the TCP connection. With TLS, `connection_made` follows later, with another transport."""
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        if self.on_tcp_connected is not None:
            self.on_tcp_connected(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not hasattr(self, "transport"):
            self.tcp_connected(cast("asyncio.Transport", transport))
            if self._is_aborted:
                super(ServerConnection, self).connection_made(transport)  # without a task for the handshake
                self.transport.abort()
                return
        super().connection_made(transport)
        sock = self.transport.get_extra_info("socket")
        if batch_send.IS_SUPPORTED and sock is not None and not self.secure:
            self.fileno = sock.fileno()
            self.transport.set_write_buffer_limits(0)
        if self._is_aborted:
            self.transport.abort()

    def handshake_failed(self) -> None:
        """Handle the end of the TCP connection during the TLS handshake; may be called repeatedly."""
        if not self.connection_lost_waiter.done():
            self.connection_lost_waiter.set_result(None)


def is_handshake(head: bytes | bytearray) -> bool:
    """Whether the head of a request asks for a WebSocket upgrade, even an invalid one."""
    return _HANDSHAKE.match(head, 0, head.find(b"\r\n\r\n") + 4) is not None


def address_of(connection: PeerConnection) -> str:
    """`host:port` of the peer; `unknown` if the socket is already closed.

    Behind a trusted proxy, the host is that of the client and the port that of the proxy.
    """
    peername = cast("tuple[str, int] | None", connection.transport.get_extra_info("peername"))
    host = connection.client_address or (str(peername[0]) if peername else "")
    return f"{host}:{peername[1]}" if peername else host or "unknown"
