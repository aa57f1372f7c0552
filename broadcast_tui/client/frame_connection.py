"""A client's connection that hands over the messages of one read together, without a queue or a task switch.

`websockets` 17 takes 8 us to read a frame and 5 more to hand it over. A flood is text frames: those are
taken apart here, in 1 us, and all others are left to the library.

Invariants: the library is given whole frames only, so what follows them is the beginning of a frame;
messages are handed over in the order in which they came.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event, State

from broadcast_tui.client.security import CertificateMismatchError
from broadcast_tui.core.protocol.codec import frame_extent, text_frames
from broadcast_tui.core.protocol.handshake import fingerprint

READ_BYTES = 65_536
"""Most that is taken from the socket before others of this loop get a turn: some 300 posts, 2 ms."""


class FrameConnection(ClientConnection):
    """A connection whose messages go to who calls `start_receiving`; `recv` gets none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_messages: Callable[[list[bytes]], None] | None = None
        self._messages: list[bytes] = []
        self._fragments: bytearray | None = None
        self._rest = b""
        """The beginning of a frame."""

    def start_receiving(self, on_messages: Callable[[list[bytes]], None]) -> None:
        """Hand over the messages of each read from now on, beginning with those that came early."""
        self._on_messages = on_messages
        self._hand_over()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if hasattr(transport, "max_size"):  # asyncio's own; TLS and uvloop have bounds of their own
            transport.max_size = READ_BYTES

    def data_received(self, data: bytes) -> None:
        data, self._rest = self._rest + data, b""
        start = 0
        while self.protocol.state is State.CONNECTING and start < len(data):
            # Line by line, so that the library gets nothing of the frames after the head.
            end = data.find(b"\n", start) + 1 or len(data)
            super().data_received(data[start:end])
            start = end
        if self.protocol.state is State.OPEN:
            start = self._take_frames(data, start)
        if self.protocol.state is State.OPEN:
            self._rest = data[start:]
        elif start < len(data):
            super().data_received(data[start:])
        self._hand_over()

    def _take_frames(self, data: bytes, start: int) -> int:
        """Take in the frames in `data` from `start` on; returns where the first begins that is not whole."""
        while self.protocol.state is State.OPEN:
            if self._fragments is None:
                messages, start = text_frames(data, start)
                self._messages += messages
            head, end = frame_extent(data, start)
            if not head:
                break
            if end - head > (self.protocol.max_message_size or end):
                end = len(data)  # the library refuses it when it sees the head
            if end > len(data):
                break
            super().data_received(data[start:end])
            start = end
        return start

    def eof_received(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            super().data_received(rest)
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
            self._messages.append(bytes(self._fragments))
            self._fragments = None

    def _hand_over(self) -> None:
        if self._messages and self._on_messages is not None:
            messages, self._messages = self._messages, []
            self._on_messages(messages)


def connection_factory(pin: str) -> Callable[..., FrameConnection]:
    """What makes connections: such that check the fingerprint, if there is one."""
    if not pin:
        return FrameConnection
    return lambda *args, **kwargs: PinnedConnection(pin, *args, **kwargs)


class PinnedConnection(FrameConnection):
    """A connection that sends nothing to a server whose certificate has another fingerprint than `pin`."""

    def __init__(self, pin: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pin = pin

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        tls = self.transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if not certificate or not hmac.compare_digest(fingerprint(certificate), self._pin):
            raise CertificateMismatchError
        await super().handshake(*args, **kwargs)
