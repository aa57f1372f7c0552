"""The parser of received frames yields what the library's parser yields, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from broadcast_tui.core.errors import CloseCode
from broadcast_tui.server.message_reader import Message, MessageReader
from tests.support.raw_socket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

SIZE_MAX = 200


class LibraryReader:
    """The same with nothing but the library's parser."""

    def __init__(self, size_max: int | None) -> None:
        self._protocol = ServerProtocol(state=State.OPEN, max_size=size_max)
        self._fragments: list[Frame] = []
        self.messages: list[Message] = []
        self.sent = b""

    def feed(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._fragments.append(event)
                if event.fin:
                    parts, self._fragments = self._fragments, []
                    data = b"".join(part.data for part in parts)
                    self.messages.append((data, parts[0].opcode is Opcode.TEXT))
        self.sent += b"".join(self._protocol.data_to_send())

    @property
    def state(self) -> tuple[bool, bool, object]:
        protocol = self._protocol
        return protocol.state is State.OPEN, protocol.eof_sent, protocol.close_sent


class OurReader:
    """The reader under test, used as a connection uses it."""

    def __init__(self, size_max: int | None, protocol: ServerProtocol | None = None) -> None:
        self.reader = MessageReader(size_max, protocol)
        self.messages: list[Message] = []
        self.sent = b""
        self._has_ended = False

    def feed(self, data: bytes) -> None:
        self.reader.feed(data)
        while self.reader.has_unread:
            message = self.reader.read()
            if message is not None:
                self.messages.append(message)
        output = self.reader.take_output()
        self.sent += b"".join(output)
        self._has_ended |= b"" in output
        self.reader.rest()

    @property
    def state(self) -> tuple[bool, bool, object]:
        protocol = self.reader.protocol
        return self.reader.is_open, self._has_ended, protocol.close_sent if protocol is not None else None


def masked(opcode: int, payload: bytes, mask: bytes, *, final: bool = True, width: int = 0) -> bytes:
    """A frame with a mask; its size takes `width` bytes besides the usual one, or as few as possible."""
    plain = frame(opcode, payload, final=final, masked=False)
    head = plain[: len(plain) - len(payload)]
    if width:
        head = bytes((head[0], 126 if width == 2 else 127)) + len(payload).to_bytes(width, "big")
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((head[0], head[1] | 0x80)) + head[2:] + mask + body


masks = st.binary(min_size=4, max_size=4)
short = st.binary(max_size=60)
payloads = st.binary(max_size=SIZE_MAX + 20) | st.sampled_from([b"", b"x" * 125, b"x" * 126, b"x" * SIZE_MAX])
texts = st.builds(masked, st.just(TEXT), payloads, masks, width=st.sampled_from([0, 0, 0, 2, 8]))
control = st.builds(masked, st.sampled_from([PING, PONG]), st.binary(max_size=125), masks)
data_frames = st.builds(
    masked, st.sampled_from([TEXT, BINARY, CONTINUATION]), payloads, masks, final=st.booleans()
)
first_parts = st.builds(masked, st.sampled_from([TEXT, BINARY]), short, masks, final=st.just(False))
middle_parts = st.builds(masked, st.just(CONTINUATION), short, masks, final=st.just(False))
fragmented = st.builds(
    lambda first, between, last: first + b"".join(between) + last,
    first_parts,
    st.lists(control | middle_parts, max_size=4),
    st.builds(masked, st.just(CONTINUATION), short, masks),
)
codes = [b"\x03\xe8", b"\x03\xe8bye", b"\x03\xe8\xff", b"\x03\xed", b"\x03"]
closing = st.builds(masked, st.just(CLOSE), st.binary(max_size=4) | st.sampled_from(codes), masks)
invalid = st.one_of(
    st.builds(masked, st.integers(0, 15), st.binary(max_size=130), masks, final=st.booleans()),
    st.builds(frame, st.sampled_from([TEXT, PING]), st.binary(max_size=130), masked=st.just(False)),
    st.builds(masked, st.sampled_from([0x41, 0x21, 0x11, 0x49]), st.binary(max_size=9), masks),
    st.builds(masked, st.sampled_from([PING, PONG, CLOSE]), payloads, masks, width=st.sampled_from([2, 8])),
    st.binary(max_size=20),
)
streams = st.lists(texts | texts | control | fragmented, max_size=8).flatmap(
    lambda valid: st.lists(data_frames | closing | invalid | texts, max_size=4).map(
        lambda rest: b"".join((*valid, *rest))
    )
)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """`data` in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@given(streams, st.lists(st.integers(0, 100_000), max_size=12), st.sampled_from([SIZE_MAX, 60, None]))
def test_a_stream_cut_anywhere_is_read_as_by_the_library(
    stream: bytes, places: list[int], size_max: int | None
) -> None:
    library, ours, shared = (
        LibraryReader(size_max),
        OurReader(size_max),
        OurReader(size_max, ServerProtocol(state=State.OPEN, max_size=size_max)),
    )
    for piece in cut(stream, places):
        for reader in (library, ours, shared):
            reader.feed(piece)
        for reader in (ours, shared):
            assert reader.messages == library.messages
            assert reader.sent == library.sent
            assert reader.state == library.state


@given(streams)
def test_a_stream_that_comes_byte_by_byte_is_read_as_by_the_library(stream: bytes) -> None:
    library, ours = LibraryReader(SIZE_MAX), OurReader(SIZE_MAX)
    for at in range(len(stream)):
        for reader in (library, ours):
            reader.feed(stream[at : at + 1])
        assert (ours.messages, ours.sent, ours.state) == (library.messages, library.sent, library.state)


def test_no_parser_remains_between_messages() -> None:
    ours = OurReader(SIZE_MAX)
    ours.feed(frame(TEXT, b"a", final=False))
    assert ours.reader.is_mid_message
    assert ours.reader.protocol is not None
    ours.feed(frame(PING, b"p") + frame(CONTINUATION, b"b") + frame(TEXT, b"c"))
    assert ours.messages == [(b"ab", True), (b"c", True)]
    assert ours.sent == b"\x8a\x01p"
    assert ours.reader.protocol is None
    assert not ours.reader.is_mid_message


def test_an_incomplete_frame_needs_no_parser() -> None:
    ours = OurReader(SIZE_MAX)
    whole = frame(TEXT, b"x" * 150)
    for at in range(len(whole) - 1):
        ours.feed(whole[at : at + 1])
        assert ours.reader.protocol is None
        assert ours.reader.is_mid_message
    ours.feed(whole[-1:])
    assert ours.messages == [(b"x" * 150, True)]
    assert not ours.reader.is_mid_message


@pytest.mark.parametrize(
    "sent", [b"", frame(TEXT, b"half")[:5], frame(TEXT, b"a", final=False)], ids=["nothing", "half", "part"]
)
def test_a_connection_can_be_closed_in_the_middle_of_a_message(sent: bytes) -> None:
    ours = OurReader(SIZE_MAX)
    ours.feed(sent)
    ours.reader.close(CloseCode.GOING_AWAY, "bye")
    assert ours.reader.take_output() == [b"\x88\x05\x03\xe9bye"]
    assert not ours.reader.is_open
    assert ours.reader.close_code == CloseCode.GOING_AWAY


def test_the_code_is_that_of_the_side_that_closes_first() -> None:
    ours = OurReader(SIZE_MAX)
    assert ours.reader.close_code is None
    ours.feed(frame(CLOSE, b"\x0f\xa0"))
    ours.reader.receive_eof()
    assert ours.reader.close_code == 4000


def test_pongs_are_passed_on_even_within_a_message() -> None:
    pongs: list[bytes] = []
    reader = MessageReader(None, ServerProtocol(state=State.OPEN), pongs.append)
    mask = b"mask"
    reader.feed(masked(Opcode.PONG, b"1", mask))
    reader.feed(masked(Opcode.TEXT, b"a", mask, final=False))
    reader.feed(masked(Opcode.PONG, b"2", mask))
    reader.feed(masked(Opcode.CONT, b"b", mask))
    messages = []
    while reader.has_unread:
        messages.append(reader.read())
    assert pongs == [b"1", b"2"]
    assert messages[-1] == (b"ab", True)
