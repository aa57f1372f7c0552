"""An open WebSocket connection, without a task: it passes messages on and writes prepared frames.

It replaces the object of `websockets` after the handshake, for measured reasons (see the tests):

- An idle connection takes a fraction of the memory, and a message a fraction of the time (see
  `message_reader`).
- Reading pauses while the write buffer is full, so that a peer that never reads cannot pile up pongs.
- Closing never waits for the peer: the close frame is sent at once, and the transport aborted later.
- Messages go from the socket to the handler without a task switch, for a limited time per turn. A single read
  from the socket may contain 40,000 frames, which take a third of a second to parse.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from typing import Protocol

from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.work_budget import UNLIMITED
from broadcast_tui.server.connection import PeerConnection
from broadcast_tui.server.message_reader import MessageReader
from broadcast_tui.server.turns import TurnScheduler

_PING = b"\x89\x00"
"""An empty ping (RFC 6455 5.5.2)."""


class MessageHandler(Protocol):
    """What the open connections of a server have in common."""

    read_buffer: memoryview
    """For the bytes of one read, between two callbacks of the event loop."""

    def receive(self, peer: Peer, data: bytes, is_text: bool) -> None:
        """Handle a complete message."""
        ...

    def set_blocked(self, peer: Peer, blocked: bool) -> None:
        """Stop to write to a connection, for now or forever, or go on."""
        ...

    def closed(self, connection: OpenConnection) -> None:
        """Handle the end of a TCP connection."""
        ...


class OpenConnection(asyncio.BaseProtocol):
    """A connection after its handshake. All `…_at` attributes are loop time in seconds.

    Args:
        websocket: The connection that has completed its handshake.
        keep: Whether `websocket` remains usable, for somebody who waits for its end or sends through it. This
            takes more memory. Otherwise it counts as closed.
    """

    __slots__ = (
        "_closed",
        "_handler",
        "_is_held",
        "_reader",
        "_turns",
        "_websocket",
        "blocked_at",
        "blocked_bytes",
        "budget",
        "ended_at",
        "fileno",
        "is_paused",
        "last_received_at",
        "loop",
        "peer",
        "pinged_at",
        "rate_limit_key",
        "transport",
        "write_now",
    )

    def __init__(
        self, websocket: PeerConnection, handler: MessageHandler, turns: TurnScheduler, *, keep: bool
    ) -> None:
        self.loop = websocket.loop
        self.transport: asyncio.Transport = websocket.transport
        self.write_now = self.transport.write
        """Valid for prepared frames since no extensions are negotiated."""
        self.fileno = websocket.fileno
        self.peer: Peer | None = None
        self.rate_limit_key = websocket.rate_limit_key
        """Key of the client's address for limits per address; empty if it is exempt."""
        self.budget = UNLIMITED
        """Server time for the requests of its address."""
        self.last_received_at = self.loop.time()
        self.blocked_at: float | None = None
        self.blocked_bytes = 0
        self.ended_at: float | None = None
        self.pinged_at: float | None = None
        self.is_paused = websocket.paused
        """Whether the write buffer is full."""
        protocol = websocket.protocol
        self._reader = (
            MessageReader(protocol.max_message_size, protocol, websocket.acknowledge_pings)
            if keep
            else MessageReader(protocol.max_message_size)
        )
        self._websocket = websocket if keep else None
        self._handler = handler
        self._turns = turns
        self._is_held = False
        self._closed: asyncio.Future[None] | None = None

    def take_over(self, websocket: PeerConnection) -> None:
        """Replace `websocket` as the protocol of its transport, with the bytes that it has not used."""
        self._reader.feed(websocket.take_unread())
        if self._websocket is None:
            websocket.give_over()
        self.transport.set_protocol(self)

    def start_receiving(self, peer: Peer) -> None:
        """Pass messages on from now on, starting with those that have already arrived."""
        self.peer = peer
        self.budget = peer.budget
        self._submit()

    # -- writing

    @property
    def writable(self) -> bool:
        """Whether frames may still be sent."""
        return self._reader.is_open and not self.transport.is_closing()

    def hold(self) -> None:
        """Stop passing messages on. Reading pauses as soon as some are waiting."""
        self._is_held = True

    def release(self) -> None:
        """Pass messages on, beginning with those that are waiting."""
        self._is_held = False
        self._submit()

    def _send_output(self) -> None:
        """Write what the protocol requires, such as the pongs of a flood of pings, at once."""
        frames = self._reader.take_output()
        if not frames or self.transport.is_closing():
            return
        if data := b"".join(frames):
            self.transport.write(data)
        if b"" in frames:  # the end of the stream
            if self.transport.can_write_eof():
                with contextlib.suppress(OSError, RuntimeError):
                    self.transport.write_eof()
            else:  # TLS
                self.transport.close()

    def send_ping(self) -> None:
        """Send a ping, unless the write buffer is full. Never waits."""
        if self.writable and not self.is_paused:
            self.pinged_at = self.loop.time()
            self.transport.write(_PING)

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
        self._reader.close(code, reason.encode()[:120].decode(errors="ignore"))
        self._send_output()
        self._notify_flow()

    @property
    def close_code(self) -> int | None:
        """The close code of the side that closed first; None before, or if neither did."""
        return self._reader.close_code

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        self.transport.abort()

    # -- reading

    @property
    def is_mid_message(self) -> bool:
        """Whether the peer has sent part of a frame or message."""
        return self._reader.is_mid_message

    def data_received(self, data: bytes) -> None:
        """Process received bytes in the next turn of the connection, which may be now."""
        self.last_received_at = self.loop.time()
        self.pinged_at = None
        self._reader.feed(data)
        self._submit()

    def _submit(self) -> None:
        can_process = self.peer is not None and not self._is_held and self._reader.has_unread
        if not (can_process and self._turns.submit(self)):
            self._update_reading()

    def process(self, deadline: float) -> bool:
        """Parse received bytes and pass on complete messages until `deadline`; returns whether more is left.

        `deadline` is in seconds of `time.perf_counter`.
        """
        reader, peer = self._reader, self.peer
        assert peer is not None
        self.last_received_at = self.loop.time()
        has_more = False
        while reader.has_unread and not self._is_held:
            message = reader.read()
            if message is not None:
                self._handler.receive(peer, *message)
            if perf_counter() > deadline:
                has_more = reader.has_unread and not self._is_held
                break
        self._send_output()
        reader.rest()
        if not reader.is_open:
            self._notify_flow()
        if not has_more:
            self._update_reading()
        return has_more

    def _update_reading(self) -> None:
        """Read while nothing waits to be processed or, beyond the write buffer, to be written."""
        if self.transport.is_closing():
            return
        if self._reader.has_unread or self.is_paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # -- transport

    def eof_received(self) -> None:
        """Handle the end of the stream. The transport closes itself."""
        self._reader.receive_eof()
        self._send_output()
        self._notify_flow()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the TCP connection."""
        if self._reader.protocol is not None:
            self._reader.receive_eof()
        self._notify_flow()  # before the transport closes the socket
        self._turns.remove(self)
        self._handler.closed(self)
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            websocket.connection_lost(exc)
        self._reader.end()
        self.peer = None
        if self._closed is not None:
            self._closed.set_result(None)

    def closed_future(self) -> asyncio.Future[None]:
        """Done when the connection has closed, which it must not have before the first call."""
        if self._closed is None:
            self._closed = self.loop.create_future()
        return self._closed

    def pause_writing(self) -> None:
        """Handle a full write buffer: pause reading too."""
        self.is_paused = True
        self.blocked_at = self.loop.time()
        self.blocked_bytes = self.transport.get_write_buffer_size()
        if self._websocket is not None:
            self._websocket.pause_writing()
        self._update_reading()
        self._notify_flow()

    def resume_writing(self) -> None:
        """Handle a write buffer that has drained: resume reading."""
        self.is_paused = False
        self.blocked_at = None
        if self._websocket is not None:
            self._websocket.resume_writing()
        self._update_reading()
        self._notify_flow()

    def _notify_flow(self) -> None:
        if self.peer is not None:
            self._handler.set_blocked(self.peer, self.is_paused or not self.writable)

    def stalled_for(self, now: float) -> float:
        """Seconds since the peer last read anything from a full write buffer; 0.0 if it is not full."""
        if self.blocked_at is None:
            return 0.0
        buffered = self.transport.get_write_buffer_size()
        if buffered < self.blocked_bytes:
            self.blocked_at = now
        self.blocked_bytes = buffered
        return now - self.blocked_at


class TlsConnection(OpenConnection, asyncio.BufferedProtocol):
    """An open connection whose transport decrypts into a buffer that all of them share.

    Otherwise, the transport would allocate 256 KB for each read. As in `WatchedConnection`, a watchdog may
    replace the methods.
    """

    def get_buffer(self, sizehint: int) -> memoryview:
        """The buffer for the next bytes, which are used before it is asked for again."""
        return self._handler.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Process bytes that are in the buffer."""
        self.data_received(bytes(self._handler.read_buffer[:nbytes]))


class WatchedConnection(OpenConnection):
    """An open connection whose methods a watchdog may replace."""


def connection_class(*, is_secure: bool, is_watched: bool) -> type[OpenConnection]:
    """The class of an open connection with this kind of transport, and of server."""
    if is_secure:
        return TlsConnection
    return WatchedConnection if is_watched else OpenConnection
