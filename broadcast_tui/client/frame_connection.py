"""A client connection that delivers all messages of one read together, without a queue or task switch.

`websockets` 17 needs 8 µs to parse a frame and 5 µs more to deliver it. Busy rooms consist of text frames:
this module parses those in 1 µs each and passes all other frames to the library.

Invariants: the library gets whole frames only, so it is always at a frame boundary; messages are
delivered in the order received.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event, State

from broadcast_tui.client.security import CertificateMismatchError
from broadcast_tui.core.protocol.codec import frame_extent, text_frames
from broadcast_tui.core.protocol.handshake import fingerprint

READ_BYTES = 65_536
"""Maximum read size, so that other tasks get their turn: about 300 posts, 2 ms."""
SLICE_S = 0.005
"""Longest time for which received data is processed before other tasks get their turn."""
GROUP_MAX = 32
"""Maximum number of messages delivered, or of other frames passed to the library, between two looks at the
clock."""
GROUP_BYTES = 32_768
"""The same in bytes of messages."""
RESPONSE_BYTES_MAX = 262_144
"""Maximum size of the HTTP response to the handshake, with its body."""
PONG_BYTES_MAX = 1_048_576
"""Maximum number of bytes waiting to be written; pings of a server that reads nothing cannot exceed it."""


class FrameConnection(ClientConnection):
    """A connection that delivers messages to the callback of `start_receiving`; `recv` gets none.

    Received data is processed in slices of `SLICE_S`. While there is unprocessed data, or `set_paused` says
    so, nothing is read.
    """

    clock = staticmethod(time.monotonic)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_messages: Callable[[list[bytes]], None] | None = None
        self._messages: deque[bytes] = deque()
        self._fragments: bytearray | None = None
        self._unparsed = bytearray()
        """Received data that was not parsed yet; at its end, the start of an incomplete frame."""
        self._needed = 0
        """Length of `unparsed` from which parsing makes sense: the incomplete frame is whole then."""
        self._response_bytes = 0
        self._response_line = b""
        self._has_headers = False
        """Whether the HTTP response is complete up to its body."""
        self._is_paused = False
        self._resuming: asyncio.Handle | None = None
        """The next slice, if there is unprocessed data."""
        self._closing: asyncio.TimerHandle | None = None

    def start_receiving(self, on_messages: Callable[[list[bytes]], None]) -> None:
        """Deliver the messages of each read from now on, starting with those already received."""
        self._on_messages = on_messages
        self._process()

    def set_paused(self, paused: bool) -> None:
        """Stop delivering and reading, or continue."""
        if paused != self._is_paused:
            self._is_paused = paused
            if paused:
                self.transport.pause_reading()
            elif self._resuming is None:
                self._resume_later()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if hasattr(transport, "max_size"):  # only plain asyncio; TLS and uvloop have their own limits
            transport.max_size = READ_BYTES

    def connection_lost(self, exc: Exception | None) -> None:
        for handle in (self._resuming, self._closing):
            if handle is not None:
                handle.cancel()
        self._resuming = None
        super().connection_lost(exc)
        self._is_paused = False
        # The last messages of a connection are few: it was read in slices until now.
        while self._messages:
            self._deliver_group()

    def data_received(self, data: bytes) -> None:
        start = self._pass_response(data) if self.protocol.state is State.CONNECTING else 0
        self._unparsed += data[start:] if start else data
        if self._resuming is None and len(self._unparsed) >= self._needed:
            self._process()

    def _pass_response(self, data: bytes) -> int:
        """Pass the HTTP response in `data` to the library; returns where the frames after it start.

        Its headers are passed line by line, so that the library does not get the frames. A body belongs to
        an error and is passed at once: nothing follows it.
        """
        start = 0
        while self.protocol.state is State.CONNECTING and start < len(data):
            end = len(data) if self._has_headers else data.find(b"\n", start) + 1 or len(data)
            line, start = data[start:end], end
            self._response_bytes += len(line)
            if self._response_bytes > RESPONSE_BYTES_MAX:
                self.transport.abort()
                return len(data)
            super().data_received(line)
            self._response_line += line if not self._has_headers else b""
            if line.endswith(b"\n"):
                self._has_headers |= self._response_line in (b"\r\n", b"\n")
                self._response_line = b""
        return start

    def _process(self) -> None:
        """Parse and deliver for `SLICE_S` at most; schedule the rest."""
        deadline = self.clock() + SLICE_S
        while not self._is_paused:
            if self._messages and self._on_messages is not None:
                self._deliver_group()
            elif not self._parse():
                break
            if self.clock() >= deadline:
                self._resume_later()
                return
        if self.protocol.state is State.CLOSING and self._closing is None:
            # The library waits for the server to close the TCP connection, however long that takes.
            delay_s = self.close_timeout if self.close_timeout is not None else 0.0
            self._closing = self.loop.call_later(delay_s, self.transport.abort)

    def _resume_later(self) -> None:
        self.transport.pause_reading()
        self._resuming = self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._resuming = None
        self._process()
        if self._resuming is None and not self._is_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _parse(self) -> bool:
        """Parse some of the received data; false if there is no complete frame."""
        if len(self._unparsed) < max(self._needed, 1):
            return False
        data, self._needed = bytes(self._unparsed), 0
        start = self._parse_frames(data) if self._expects_frames else 0
        if not self._expects_frames and start < len(data):
            super().data_received(data[start:])  # the library discards it
            start = len(data)
        del self._unparsed[:start]
        return start > 0

    @property
    def _expects_frames(self) -> bool:
        """Whether the library still parses frames: not after a close frame of the server or an error."""
        protocol = self.protocol
        if protocol.state is State.CLOSING:
            return protocol.close_rcvd is None and protocol.parser_exc is None
        return protocol.state is State.OPEN

    def _parse_frames(self, data: bytes) -> int:
        """Parse frames at the start of `data`; returns the start of the first one that was not parsed.

        Once this side has sent a close frame, only the server's close frame counts. All other frames are
        skipped: to parse a flood of them and to answer its pings would delay the end.
        """
        start = 0
        for _ in range(GROUP_MAX):
            is_open = self.protocol.state is State.OPEN
            if not (is_open or self._expects_frames):
                break
            if is_open and self._fragments is None:
                messages, start = text_frames(data, start)
                self._messages += messages
            head, end = frame_extent(data, start)
            if head and end - head > (self.protocol.max_message_size or end):
                end = len(data)  # the library rejects it from its header
            if not head or end > len(data):
                self._needed = end - start if head else 0
                break
            if is_open or data[start] & 0x0F == Opcode.CLOSE:
                super().data_received(data[start:end])
            start = end
        if self.transport.get_write_buffer_size() > PONG_BYTES_MAX:
            self.transport.abort()
        return start

    def eof_received(self) -> None:
        self.set_paused(False)
        while self._parse():
            pass
        if self._unparsed:
            super().data_received(bytes(self._unparsed))
            self._unparsed.clear()
        super().eof_received()

    def process_event(self, event: Event) -> None:
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        if event.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += event.data
        else:
            self._fragments = bytearray(event.data)
        if event.fin:
            if self.protocol.state is State.OPEN:
                self._messages.append(bytes(self._fragments))
            self._fragments = None

    def _deliver_group(self) -> None:
        """Deliver the first messages, at most `GROUP_MAX` or `GROUP_BYTES`."""
        group: list[bytes] = []
        size = 0
        while self._messages and len(group) < GROUP_MAX and size < GROUP_BYTES:
            group.append(self._messages.popleft())
            size += len(group[-1])
        if self._on_messages is not None:
            self._on_messages(group)


def connection_factory(pin: str) -> Callable[..., FrameConnection]:
    """The class of connections to create, bound to the fingerprint to check if there is one."""
    if not pin:
        return FrameConnection
    return lambda *args, **kwargs: PinnedConnection(pin, *args, **kwargs)


class PinnedConnection(FrameConnection):
    """A connection that sends nothing unless the server's certificate has the fingerprint `pin`."""

    def __init__(self, pin: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pin = pin

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        tls = self.transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if not certificate or not hmac.compare_digest(fingerprint(certificate), self._pin):
            raise CertificateMismatchError
        await super().handshake(*args, **kwargs)
