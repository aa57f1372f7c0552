"""A WebSocket connection that hands its frames over at once and takes ready-made frames to write.

What it adds to `websockets` 17 (each is a measured defect of the plain class; see the tests):
- while the peer takes nothing we read nothing from it, so that pongs to a peer that never reads
  cannot pile up;
- ending never waits for the peer: close frame at once, transport aborted when its time is over;
- frames go from the socket to the receiver without a task switch, a bounded number a loop turn.
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
"""SO_SNDBUF: without it the kernel takes some 3 MB for a peer that never reads."""
USER_TIMEOUT_MS = 30_000
FRAMES_A_TURN = 64
TLS_RECORD = b"\x16\x03"
"""How a TLS handshake begins (RFC 8446 5.1), and no HTTP request."""
NO_TLS_HERE = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"
    b"This port has no TLS; use ws://.\n"
)
HEAD_BYTES_MAX = 16_384
"""Longest request for a WebSocket, in bytes; the library alone takes a megabyte from each stranger."""
_HEAD_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_OTHER_METHOD = re.compile(rb"(?!GET |HEAD )[A-Z]{3,10} ")

_log = logging.getLogger("broadcast_tui.websockets")


class PeerConnection(ServerConnection):
    """One connection; `last_received_at` and `blocked_at` are loop time in seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last_received_at = self.loop.time()
        self.blocked_at: float | None = None
        self.blocked_bytes = 0
        self.ended_at: float | None = None
        self.pinged_at: float | None = None
        self.identity: Identity | None = None
        """What the token of its handshake says, if it had one."""
        self.client_address = ""
        """Where the client is, behind proxies too; empty until it has asked for a WebSocket."""
        self.on_tcp_connected: Callable[[PeerConnection], None] | None = None
        """Told when the TCP connection is up, before any TLS."""
        self.on_frame: Callable[[bytes, bool], None] | None = None
        """Receiver of whole messages: data, and whether it was a text frame."""
        self.on_flow: Callable[[bool], None] | None = None
        """Told True when the peer takes no more, for now or for ever, False when it does again."""
        self._inbox: list[tuple[bytes, bool]] = []
        # What an idle connection holds is multiplied by thousands: a deque is 600 bytes, an adapter 500.
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
        """Write complete frames, past the library: allowed since no extension is ever negotiated here."""
        transport = self.transport
        if self.protocol.state is State.OPEN and not transport.is_closing():
            transport.write(data)

    @property
    def secure(self) -> bool:
        """Whether the peer came over TLS."""
        return self.transport.get_extra_info("ssl_object") is not None

    def send_ping(self) -> None:
        """Send a ping without waiting for anything."""
        if self.writable and not self.paused:
            self.pinged_at = self.loop.time()
            self.protocol.send_ping(b"")
            self.send_data()

    def end(self, code: int, reason: str) -> None:
        """Start closing; a peer that takes nothing is dropped at once. Never waits."""
        if self.ended_at is not None:
            return
        self.ended_at = self.loop.time()
        if self.paused or not self.writable:
            self.transport.abort()
            return
        self.protocol.send_close(code, reason.encode()[:120].decode(errors="ignore"))
        self.send_data()
        self._notify_flow()

    @property
    def close_code(self) -> int | None:
        """The code of whoever closed first; None if nobody has."""
        protocol = self.protocol
        if protocol.close_sent is not None and not protocol.close_rcvd_then_sent:
            return int(protocol.close_sent.code)
        return protocol.close_code

    def abort(self) -> None:
        """End the connection without a word, even one that is still being accepted."""
        self._is_aborted = True
        if hasattr(self, "transport"):
            self.transport.abort()

    # -- reading

    def start_receiving(self, on_frame: Callable[[bytes, bool], None]) -> None:
        """Hand over frames from now on, beginning with those that came early."""
        self.on_frame = on_frame
        self.request = self.response = None
        self._deliver_frames()

    def process_event(self, event: Event) -> None:
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
        self.last_received_at = self.loop.time()
        self.pinged_at = None
        is_asking = self.protocol.state is State.CONNECTING
        if is_asking and not self._head_bytes:
            if data.startswith(TLS_RECORD) and not self.secure:
                # Answered in clear, a TLS client knows at once that there is no TLS here; else it waits.
                self._answer(NO_TLS_HERE)
                return
            if _OTHER_METHOD.match(data):
                # With a body the library would end the connection without an answer.
                self._answer(method_not_allowed().serialize())
                return
        super().data_received(data)
        if is_asking:
            self._limit_head(data)
        elif self.protocol.state is not State.OPEN:
            self._notify_flow()
        if self._inbox and self.on_frame is not None:
            self._deliver_frames()

    def _limit_head(self, data: bytes) -> None:
        """Refuse a request that grows without an end."""
        self._head_bytes += len(data)
        if self.request is None and self._head_bytes > HEAD_BYTES_MAX:
            self._answer(_HEAD_TOO_LONG)

    def _answer(self, response: bytes) -> None:
        """End what is no WebSocket with an answer of our own."""
        self._head_bytes = HEAD_BYTES_MAX + 1
        if self.protocol.eof_sent:  # the library has given up on what it could not read
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.write(response)
            self.transport.close()

    def eof_received(self) -> None:
        super().eof_received()
        self._notify_flow()

    @property
    def mid_frame(self) -> bool:
        """Whether the peer has begun a frame and not finished it."""
        return bool(self.protocol.reader.buffer) or self._fragments is not None

    def _deliver_frames(self) -> None:
        """Hand over a bounded number of frames; reading rests while more are waiting."""
        inbox, on_frame = self._inbox, self.on_frame
        assert on_frame is not None
        turn = inbox[:FRAMES_A_TURN]
        del inbox[:FRAMES_A_TURN]
        for data, is_text in turn:
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
        """The TCP connection is up; over TLS, `connection_made` follows later, with another transport."""
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
        """The TCP connection has ended before its TLS handshake; harmless if that was said before."""
        if not self.connection_lost_waiter.done():
            self.connection_lost_waiter.set_result(None)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.blocked_at = self.loop.time()
        self.blocked_bytes = self.transport.get_write_buffer_size()
        if not self.transport.is_closing():
            self.transport.pause_reading()
        self._notify_flow()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.blocked_at = None
        if not self._inbox:
            self._resume_reading()
        self._notify_flow()

    def _notify_flow(self) -> None:
        if self.on_flow is not None:
            self.on_flow(self.paused or not self.writable)

    def stalled_for(self, now: float) -> float:
        """Seconds since the peer last took anything of what waits for it; 0.0 if nothing waits."""
        if self.blocked_at is None:
            return 0.0
        waiting = self.transport.get_write_buffer_size()
        if waiting < self.blocked_bytes:
            self.blocked_at = now
        self.blocked_bytes = waiting
        return now - self.blocked_at


def address_of(connection: PeerConnection) -> str:
    """`host:port` of the peer, for logs; `unknown` when the socket is already gone.

    Behind a proxy that is trusted, the host is the client's and the port the proxy's.
    """
    peername = cast("tuple[str, int] | None", connection.transport.get_extra_info("peername"))
    host = connection.client_address or (str(peername[0]) if peername else "")
    return f"{host}:{peername[1]}" if peername else host or "unknown"
