"""A WebSocket connection without tasks: it passes frames to a callback and writes prepared frames.

Differences from the base class in `websockets` 17, each for a measured defect (see the tests): - Reading
pauses while the write buffer is full, so that a peer that never reads cannot pile up pongs. - Closing never
waits for the peer: the close frame is sent at once, and the transport aborted after a timeout. - Frames go
from the socket to the callback without a task switch, a limited number per loop turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Callable
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Event, State

from broadcast_tui.core.hub.auth import Identity
from broadcast_tui.server.http import method_not_allowed

SEND_BUFFER_BYTES = 131_072
"""SO_SNDBUF. By default, the kernel buffers about 3 MB for a peer that never reads."""
USER_TIMEOUT_MS = 30_000
FRAMES_PER_TURN = 64
TLS_RECORD = b"\x16\x03"
"""First bytes of a TLS handshake (RFC 8446 5.1), and of no HTTP request."""
_NOT_TLS_RESPONSE = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"
    b"This port does not use TLS. Connect with ws://.\n"
)
HEAD_BYTES_MAX = 16_384
"""Maximum size of a handshake request. The library allows a megabyte."""
_HEAD_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_OTHER_METHOD = re.compile(rb"(?!GET |HEAD )[A-Z]{3,10} ")

_log = logging.getLogger("broadcast_tui.websockets")


class PeerConnection(ServerConnection):
    """A connection to a peer. All `…_at` attributes are loop time in seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last_received_at = self.loop.time()
        self.blocked_at: float | None = None
        self.blocked_bytes = 0
        self.ended_at: float | None = None
        self.pinged_at: float | None = None
        self.identity: Identity | None = None
        """Identity from the token of the handshake, if it had one."""
        self.client_address = ""
        """Address of the client, even behind a proxy; empty before the handshake."""
        self.rate_limit_key = ""
        """Key of that address for limits per address; empty if it is exempt."""
        self.on_tcp_connected: Callable[[PeerConnection], None] | None = None
        """Called when the TCP connection is established, before TLS."""
        self.on_frame: Callable[[bytes, bool], None] | None = None
        """Called with each complete message, and whether it is text."""
        self.on_flow: Callable[[bool], None] | None = None
        """Called with True when writing must stop, for now or forever, and with False when it may resume."""
        self._inbox: list[tuple[bytes, bool]] = []
        # Saves memory in thousands of idle connections: a deque takes 600 bytes, a logger adapter 500.
        self.drain_waiters = []  # type: ignore[assignment]  # only appended to and removed from
        self.logger = self.protocol.logger = _log
        self._fragments: bytearray | None = None
        self._fragments_text = True
        self._is_aborted = False
        self._head_bytes = 0

    # -- writing

    @property
    def writable(self) -> bool:
        """Whether frames may still be sent."""
        return self.protocol.state is State.OPEN and not self.transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write complete frames, bypassing the library. Valid since no extensions are negotiated."""
        transport = self.transport
        if self.protocol.state is State.OPEN and not transport.is_closing():
            transport.write(data)

    @property
    def secure(self) -> bool:
        """Whether the connection uses TLS."""
        return self.transport.get_extra_info("ssl_object") is not None

    def send_ping(self) -> None:
        """Send a ping, unless the write buffer is full. Never waits."""
        if self.writable and not self.paused:
            self.pinged_at = self.loop.time()
            self.protocol.send_ping(b"")
            self.send_data()

    def end(self, code: int, reason: str) -> None:
        """Send a close frame, after the data in the write buffer. Never waits.

        A peer that does not read never gets it: the caller aborts the connection after a timeout.
        """
        if self.ended_at is not None:
            return
        self.ended_at = self.loop.time()
        if not self.writable:
            self.transport.abort()
            return
        self.protocol.send_close(code, reason.encode()[:120].decode(errors="ignore"))
        self.send_data()
        self._notify_flow()

    @property
    def close_code(self) -> int | None:
        """The close code of the side that closed first; None before."""
        protocol = self.protocol
        if protocol.close_sent is not None and not protocol.close_rcvd_then_sent:
            return int(protocol.close_sent.code)
        return protocol.close_code

    def abort(self) -> None:
        """Drop the connection without a close frame, even during its handshake."""
        self._is_aborted = True
        if hasattr(self, "transport"):
            self.transport.abort()

    # -- reading

    def start_receiving(self, on_frame: Callable[[bytes, bool], None]) -> None:
        """Pass frames to a callback from now on, starting with those that have already arrived."""
        self.on_frame = on_frame
        self.request = self.response = None
        self._deliver_frames()

    def process_event(self, event: Event) -> None:
        """Collect data frames in the inbox, instead of the base class's queue."""
        if isinstance(event, Request):
            super().process_event(event)
            return
        assert isinstance(event, Frame)
        if event.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += event.data
            if event.fin:
                data, self._fragments = bytes(self._fragments), None
                self._inbox.append((data, self._fragments_text))
        elif event.opcode is Opcode.TEXT or event.opcode is Opcode.BINARY:
            is_text = event.opcode is Opcode.TEXT
            if event.fin:
                self._inbox.append((bytes(event.data), is_text))
            else:
                self._fragments, self._fragments_text = bytearray(event.data), is_text

    def data_received(self, data: bytes) -> None:
        """Parse received bytes and pass on complete messages."""
        self.last_received_at = self.loop.time()
        self.pinged_at = None
        is_handshaking = self.protocol.state is State.CONNECTING
        if is_handshaking and not self._head_bytes:
            if data.startswith(TLS_RECORD) and not self.secure:
                # An unencrypted response fails a TLS client at once; otherwise it waits for a timeout.
                self._respond(_NOT_TLS_RESPONSE)
                return
            if _OTHER_METHOD.match(data):
                # The library drops a request with a body without a response.
                self._respond(method_not_allowed().serialize())
                return
        super().data_received(data)
        if is_handshaking:
            self._limit_head(data)
        elif self.protocol.state is not State.OPEN:
            self._notify_flow()
        if self._inbox and self.on_frame is not None:
            self._deliver_frames()

    def _limit_head(self, data: bytes) -> None:
        """Reject a handshake request that is too long."""
        self._head_bytes += len(data)
        if self.request is None and self._head_bytes > HEAD_BYTES_MAX:
            self._respond(_HEAD_TOO_LONG)

    def _respond(self, response: bytes) -> None:
        """Send a raw HTTP response and close."""
        self._head_bytes = HEAD_BYTES_MAX + 1
        if self.protocol.eof_sent:  # the library has already rejected the request
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.write(response)
            self.transport.close()

    def eof_received(self) -> None:
        super().eof_received()
        self._notify_flow()

    @property
    def mid_frame(self) -> bool:
        """Whether the peer has sent part of a frame or message."""
        return bool(self.protocol.reader.buffer) or self._fragments is not None

    def _deliver_frames(self) -> None:
        """Pass on up to `FRAMES_PER_TURN` messages; reading pauses while more are waiting."""
        inbox, on_frame = self._inbox, self.on_frame
        assert on_frame is not None
        batch = inbox[:FRAMES_PER_TURN]
        del inbox[:FRAMES_PER_TURN]
        for data, is_text in batch:
            on_frame(data, is_text)
        if inbox and not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_soon(self._deliver_frames)
        elif not self.paused:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

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
        super().connection_made(transport)
        self.write_now = self.transport.write
        if self._is_aborted:
            self.transport.abort()

    def handshake_failed(self) -> None:
        """Handle the end of the TCP connection during the TLS handshake; may be called repeatedly."""
        if not self.connection_lost_waiter.done():
            self.connection_lost_waiter.set_result(None)

    def pause_writing(self) -> None:
        """Handle a full write buffer: pause reading too."""
        super().pause_writing()
        self.blocked_at = self.loop.time()
        self.blocked_bytes = self.transport.get_write_buffer_size()
        if not self.transport.is_closing():
            self.transport.pause_reading()
        self._notify_flow()

    def resume_writing(self) -> None:
        """Handle a write buffer that has drained: resume reading."""
        super().resume_writing()
        self.blocked_at = None
        if not self._inbox:
            self._resume_reading()
        self._notify_flow()

    def _notify_flow(self) -> None:
        if self.on_flow is not None:
            self.on_flow(self.paused or not self.writable)

    def stalled_for(self, now: float) -> float:
        """Seconds since the peer last read anything from a full write buffer; 0.0 if it is not full."""
        if self.blocked_at is None:
            return 0.0
        buffered = self.transport.get_write_buffer_size()
        if buffered < self.blocked_bytes:
            self.blocked_at = now
        self.blocked_bytes = buffered
        return now - self.blocked_at


def address_of(connection: PeerConnection) -> str:
    """`host:port` of the peer; `unknown` if the socket is already closed.

    Behind a trusted proxy, the host is that of the client and the port that of the proxy.
    """
    peername = cast("tuple[str, int] | None", connection.transport.get_extra_info("peername"))
    host = connection.client_address or (str(peername[0]) if peername else "")
    return f"{host}:{peername[1]}" if peername else host or "unknown"
