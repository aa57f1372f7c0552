"""A WebSocket connection without tasks: it passes frames to a callback and writes prepared frames.

Differences from the base class in `websockets` 17, each for a measured defect (see the tests):

- Reading pauses while the write buffer is full, so that a peer that never reads cannot pile up pongs.
- Closing never waits for the peer: the close frame is sent at once, and the transport aborted later.
- Frames go from the socket to the callback without a task switch, for a limited time per turn. A single read
  from the socket may contain 40,000 frames, which take a third of a second to parse.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Event, State

from broadcast_tui.core.hub.auth import Identity
from broadcast_tui.core.hub.work_budget import UNLIMITED, WorkBudget, request_price_s
from broadcast_tui.server import batch_send
from broadcast_tui.server.turns import TurnScheduler

SEND_BUFFER_BYTES = 131_072
"""SO_SNDBUF. By default, the kernel buffers about 3 MB for a peer that never reads."""
USER_TIMEOUT_MS = 30_000
PIECE_BYTES = 2_048
"""Bytes that are parsed between two looks at the clock: at most 340 frames."""
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
        self.on_http: Callable[[PeerConnection, bytes], None] | None = None
        """Called with the first bytes of a connection that asks for no WebSocket, to take it over."""
        self.on_frame: Callable[[bytes, bool], None] | None = None
        """Called with each complete message, and whether it is text."""
        self.on_flow: Callable[[bool], None] | None = None
        """Called with True when writing must stop, for now or forever, and with False when it may resume."""
        self.budget = UNLIMITED
        """Server time for the requests of its address; before the handshake, that of the TCP connection."""
        self._turns: TurnScheduler | None = None
        self._inbox: list[tuple[bytes, bool]] = []
        self._unparsed = b""
        self._parsed_bytes = 0
        """Number of bytes of `_unparsed` that have been parsed."""
        # Saves memory in thousands of idle connections: a deque takes 600 bytes, a logger adapter 500.
        self.drain_waiters = []  # type: ignore[assignment]  # only appended to and removed from
        self.logger = self.protocol.logger = _log
        self._fragments: bytearray | None = None
        self._fragments_text = True
        self.fileno = batch_send.NO_DESCRIPTOR
        """File descriptor of the socket if frames may be sent to it directly.

        Then the connection is blocked as soon as anything is in the write buffer of its transport.
        """
        self._is_aborted = False
        self._is_held = False
        self.head_bytes = 0
        """Size of the handshake request so far."""
        self._head = bytearray()
        """The bytes of an incomplete request."""

    # -- writing

    @property
    def writable(self) -> bool:
        """Whether frames may still be sent."""
        return self.protocol.state is State.OPEN and not self.transport.is_closing()

    def hold(self) -> None:
        """Stop passing frames to the callback. Reading pauses as soon as some are waiting."""
        self._is_held = True

    def release(self) -> None:
        """Pass frames on, beginning with those that are waiting."""
        self._is_held = False
        self._submit()

    def write(self, data: bytes) -> None:
        """Write complete frames, bypassing the library. Valid since no extensions are negotiated."""
        transport = self.transport
        if self.protocol.state is State.OPEN and not transport.is_closing():
            transport.write(data)

    def send_data(self) -> None:
        """Write what the library wants to send, such as the pongs of a flood of pings, at once."""
        writes = self.protocol.writes
        if len(writes) > 1 and all(writes):  # an empty one stands for the end of the stream
            self.protocol.writes = [b"".join(writes)]
        super().send_data()

    @property
    def peer(self) -> str:
        """Address of the peer of the TCP connection."""
        peername = self.transport.get_extra_info("peername")
        return str(peername[0]) if peername else "unknown"

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

    def start_receiving(
        self, on_frame: Callable[[bytes, bool], None], turns: TurnScheduler, budget: WorkBudget
    ) -> None:
        """Pass frames to a callback from now on, starting with those that have already arrived."""
        self.on_frame = on_frame
        self.request = self.response = None
        self._turns, self.budget = turns, budget
        self._submit()

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
        """Process received bytes in the next turn of the connection, which may be now."""
        self.last_received_at = self.loop.time()
        self.pinged_at = None
        if self.protocol.state is State.CONNECTING:
            data = self._receive_head(data)
        if data:
            self._unparsed = self._unparsed[self._parsed_bytes :] + data
            self._parsed_bytes = 0
            self._submit()

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

    def _submit(self) -> None:
        if self._turns is not None and not self._is_held and (self._inbox or self._unparsed):
            self._turns.submit(self)
        self._update_reading()

    def process(self, deadline: float) -> bool:
        """Parse received bytes and pass on complete messages until `deadline`; returns whether more is left.

        `deadline` is in seconds of `time.perf_counter`.
        """
        self.last_received_at = self.loop.time()
        while True:
            if self._inbox and not self._is_held and not self._pass_on(deadline):
                return True
            if self._is_held or not self._unparsed:
                self._update_reading()
                return False
            start = self._parsed_bytes
            end = self._parsed_bytes = start + PIECE_BYTES
            piece = self._unparsed if not start and end >= len(self._unparsed) else self._unparsed[start:end]
            if end >= len(self._unparsed):
                self._unparsed, self._parsed_bytes = b"", 0
            super().data_received(piece)
            if self.protocol.state is not State.OPEN:
                self._notify_flow()
            # Pings and fragments leave the inbox empty.
            if self._unparsed and perf_counter() > deadline:
                return True

    def _pass_on(self, deadline: float) -> bool:
        """Pass on messages until `deadline`; returns whether that was not reached."""
        on_frame = self.on_frame
        assert on_frame is not None
        inbox, self._inbox = self._inbox, []
        for count, (data, is_text) in enumerate(inbox, 1):
            on_frame(data, is_text)
            if self._is_held or perf_counter() > deadline:
                self._inbox = inbox[count:]
                return not (self._inbox or self._unparsed)
        return True

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
        self._notify_flow()  # before the transport closes the socket
        self._inbox, self._unparsed, self._parsed_bytes = [], b"", 0
        if self._turns is not None:
            self._turns.remove(self)
        self._break_cycles()

    def _break_cycles(self) -> None:
        """Let reference counting free a closed connection.

        The garbage collector rarely looks at old objects: thousands of closed connections would stay.
        """
        self.on_frame = self.on_flow = self.on_http = self.on_tcp_connected = None
        vars(self.protocol).pop("select_subprotocol", None)  # a closure of the library
        for error in (self.protocol.parser_exc, self.connection_exc):
            if error is not None:
                error.__traceback__ = None
        self.protocol.parser.close()

    def eof_received(self) -> None:
        super().eof_received()
        self._notify_flow()

    @property
    def mid_frame(self) -> bool:
        """Whether the peer has sent part of a frame or message."""
        return bool(self.protocol.reader.buffer) or self._fragments is not None

    def _update_reading(self) -> None:
        """Read while nothing waits to be processed or, beyond the write buffer, to be written."""
        if self.transport.is_closing():
            return
        if self._inbox or self._unparsed or self.paused:
            self.transport.pause_reading()
        else:
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
            if self._is_aborted:
                super(ServerConnection, self).connection_made(transport)  # without a task for the handshake
                return
        super().connection_made(transport)
        self.write_now = self.transport.write
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

    def pause_writing(self) -> None:
        """Handle a full write buffer: pause reading too."""
        super().pause_writing()
        self.blocked_at = self.loop.time()
        self.blocked_bytes = self.transport.get_write_buffer_size()
        self._update_reading()
        self._notify_flow()

    def resume_writing(self) -> None:
        """Handle a write buffer that has drained: resume reading."""
        super().resume_writing()
        self.blocked_at = None
        self._update_reading()
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
