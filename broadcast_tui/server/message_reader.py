"""Parses what a client sends into messages, without I/O and almost without memory.

Almost all frames are short text messages, pings and pongs, each in one piece. This module parses those
itself, in a fifth of the time that `websockets` needs, and keeps nothing between them, where the library's
parser takes 2 KB. All others, such as fragments, close frames and whatever is invalid, go to that parser,
which is made for them and dropped once it is not in the middle of a message.

Invariant: the library gets each frame from its start, in order, and nothing after its end before that is due.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without a compiled version
    from websockets.utils import apply_mask

Message = tuple[bytes, bool]
"""A complete message, and whether it is text."""
_FINAL = 0x80
"""Bit of the first byte of the last frame of a message (RFC 6455 5.2)."""
_MASKED = 0x80
"""Bit of the second byte, which every client must set."""
_TEXT, _PING, _PONG = (_FINAL | opcode for opcode in (Opcode.TEXT, Opcode.PING, Opcode.PONG))
_CONTROL_BYTES_MAX = 125
_SIMPLE = frozenset((_TEXT, _PING, _PONG))
_OPCODES = frozenset(Opcode)

_log = logging.getLogger("broadcast_tui.websockets")


class MessageReader:
    """The receiving side of an open connection.

    Args:
        max_bytes: Maximum size of a message; None is unlimited.
        protocol: The library's protocol of the connection, to be used for its whole life.
        on_pong: Called with the data of each pong.
    """

    __slots__ = (
        "_at",
        "_fragments",
        "_is_between",
        "_is_incomplete",
        "_is_shared",
        "_missing",
        "_on_pong",
        "_output",
        "_received",
        "_size_max",
        "protocol",
    )

    def __init__(
        self,
        max_bytes: int | None,
        protocol: ServerProtocol | None = None,
        on_pong: Callable[[bytes], None] | None = None,
    ) -> None:
        self._size_max = sys.maxsize if max_bytes is None else max_bytes
        self.protocol = protocol
        """The library's protocol, if it is needed now. Once closing has begun, it remains."""
        self._is_shared = protocol is not None
        self._on_pong = on_pong
        self._received: bytes | bytearray = b""
        self._at = 0
        """Number of bytes of `_received` that have been parsed."""
        self._is_between = True
        """Whether the next byte begins a message, and the connection is open."""
        self._is_incomplete = False
        """Whether `_received` ends before the frame at `_at` does."""
        self._missing = 0
        """Number of bytes after `_at` that belong to the frame of which the library has the start."""
        self._fragments: tuple[bytearray, bool] | None = None
        """The start of a fragmented message, and whether it is text."""
        self._output: list[bytes] | None = None

    # -- state

    @property
    def is_open(self) -> bool:
        """Whether frames may still be sent."""
        return self.protocol is None or self.protocol.state is State.OPEN

    @property
    def has_unread(self) -> bool:
        """Whether `read` would get any further."""
        return self._at < len(self._received) and not self._is_incomplete

    @property
    def is_mid_message(self) -> bool:
        """Whether the client has sent part of a frame or message."""
        return self._is_incomplete or self._missing > 0 or self._fragments is not None

    def take_output(self) -> list[bytes]:
        """Remove and return the frames to send, such as pongs; `b""` is the end of the stream."""
        output, self._output = self._output or [], None
        return output

    # -- reading

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._is_incomplete = False
        if not self._received:
            self._received = data
        elif isinstance(self._received, bytearray):  # a frame may arrive in thousands of pieces
            del self._received[: self._at]
            self._received += data
            self._at = 0
        else:
            self._received = bytearray(memoryview(self._received)[self._at :])
            self._received += data
            self._at = 0

    def read(self) -> Message | None:
        """Parse one frame; returns the message that it completes, if any."""
        if not self._is_between:
            return self._pass_on()
        data, at = self._received, self._at
        available = len(data) - at
        if available < 2:
            self._is_incomplete = True
            return None
        opcode, size = data[at], data[at + 1] - _MASKED
        start = at + 6
        if size > _CONTROL_BYTES_MAX:
            if opcode != _TEXT:
                return self._pass_on()
            width = 2 if size == 126 else 8
            if available < 2 + width:
                self._is_incomplete = True
                return None
            size = int.from_bytes(data[at + 2 : at + 2 + width], "big")
            start += width
        if not 0 <= size <= self._size_max or opcode not in _SIMPLE:
            return self._pass_on()
        end = start + size
        if end > len(data):
            self._is_incomplete = True
            return None
        payload = apply_mask(data[start:end], data[start - 4 : start])
        self._advance(end)
        if opcode == _TEXT:
            return payload, True
        if opcode == _PING:
            self._send([bytes((_PONG, size)) + payload])
        elif self._on_pong is not None:
            self._on_pong(payload)
        return None

    def _advance(self, end: int) -> None:
        if end == len(self._received):
            self._received, self._at = b"", 0
        else:
            self._at = end

    # -- with the library

    def _pass_on(self) -> Message | None:
        """Pass the frame at `_at` to the library, or as much of it as has arrived."""
        data, at = self._received, self._at
        if not self._missing:
            self._missing = self._frame_bytes()
            if not self._missing:
                self._is_incomplete = True
                return None
        end = min(len(data), at + self._missing)
        self._missing -= end - at
        protocol = self._use_protocol()
        protocol.receive_data(bytes(data[at:end]))
        self._advance(end)
        message = None
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            message = self._collect(event)
        self._send(protocol.data_to_send())
        self._is_between = (
            not self._missing and protocol.current_size is None and protocol.state is State.OPEN
        )
        return message

    def _frame_bytes(self) -> int:
        """Size of the frame at `_at`, for the library; 0 if it is not known yet.

        All that has arrived belongs to a frame that the library rejects from its first two bytes, or that it
        discards since the connection is closing.
        """
        data, at = self._received, self._at
        available = len(data) - at
        if self.protocol is not None and self.protocol.eof_sent:
            return available
        if available < 2:
            return 0
        size = data[at + 1] - _MASKED
        if size < 0 or data[at] & 0x0F not in _OPCODES:
            return available
        width = 0 if size < 126 else 2 if size == 126 else 8
        if available < 2 + width:
            return 0
        if width:
            size = int.from_bytes(data[at + 2 : at + 2 + width], "big")
        return 2 + width + 4 + size

    def _collect(self, frame: Frame) -> Message | None:
        """The message that a frame completes."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                return bytes(frame.data), is_text
            self._fragments = bytearray(frame.data), is_text
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            fragments, is_text = self._fragments
            fragments += frame.data
            if frame.fin:
                self._fragments = None
                return bytes(fragments), is_text
        elif frame.opcode is Opcode.PONG and self._on_pong is not None:
            self._on_pong(bytes(frame.data))
        return None

    def _use_protocol(self) -> ServerProtocol:
        if self.protocol is None:
            self.protocol = ServerProtocol(state=State.OPEN, max_size=self._size_max, logger=_log)
        return self.protocol

    def rest(self) -> None:
        """Drop the library's protocol if it is not needed."""
        if self.protocol is not None and self._is_between and not self._is_shared:
            self.protocol.parser.close()  # it refers to the protocol, which could not be freed at once
            self.protocol = None

    # -- closing

    def close(self, code: int, reason: str) -> None:
        """Send a close frame. The connection must be open."""
        protocol = self._use_protocol()
        protocol.send_close(code, reason)
        self._send(protocol.data_to_send())
        self._is_between = False

    def receive_eof(self) -> None:
        """Handle the end of the stream from the client; may be called repeatedly."""
        protocol = self._use_protocol()
        protocol.receive_eof()
        self._send(protocol.data_to_send())
        self._is_between = False
        self._received, self._at, self._is_incomplete = b"", 0, False

    @property
    def close_code(self) -> int | None:
        """The close code of the side that closed first; None before."""
        protocol = self.protocol
        if protocol is None:
            return None
        if protocol.close_sent is not None and not protocol.close_rcvd_then_sent:
            return int(protocol.close_sent.code)
        return protocol.close_code

    def end(self) -> None:
        """Let reference counting free a closed connection and the library's protocol.

        The garbage collector rarely looks at old objects: thousands of closed connections would stay.
        """
        self._on_pong = None
        if self.protocol is not None:
            drop_tracebacks(self.protocol.parser_exc)
            self.protocol.parser.close()

    def _send(self, frames: list[bytes]) -> None:
        if self._output is None:
            self._output = frames
        else:
            self._output += frames


def drop_tracebacks(error: BaseException | None) -> None:
    """Drop the tracebacks of an error and its causes: their frames refer to the connection."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
