from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from broadcast_tui.client.frame_connection import (
    GROUP_MAX,
    PONG_BYTES_MAX,
    READ_BYTES,
    SLICE_S,
    FrameConnection,
)
from broadcast_tui.core.protocol.codec import text_frames
from tests.support.profile import by_profile

MAX_BYTES = 70_000


class Wire(asyncio.Transport):
    """A transport that collects the written data."""

    max_size = 262_144

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.waiting = 0
        self.is_paused = False
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def write_eof(self) -> None: ...

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        self.is_aborted = True


class Client:
    """A `FrameConnection` that has sent its handshake, and the server's response."""

    def __init__(self) -> None:
        protocol = ClientProtocol(parse_uri("ws://localhost/"), max_size=MAX_BYTES)
        self.connection = FrameConnection(protocol, close_timeout=0.01)
        self.now = 0.0
        self.connection.clock = lambda: self.now
        self.wire = Wire()
        self.connection.connection_made(self.wire)
        protocol.send_request(protocol.connect())
        server = ServerProtocol()
        server.receive_data(b"".join(protocol.data_to_send()))
        [request] = server.events_received()
        server.send_response(server.accept(request))  # type: ignore[arg-type]
        self.answer = b"".join(server.data_to_send())
        self.batches: list[list[bytes]] = []

    @property
    def messages(self) -> list[bytes]:
        return [message for batch in self.batches for message in batch]

    def receive(self, data: bytes, cuts: list[int] = []) -> None:  # noqa: B006
        places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for start, end in itertools.pairwise(places):
            if start < end:
                self.connection.data_received(data[start:end])


async def made() -> Client:
    return Client()


def framed(opcode: Opcode, data: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


texts = st.sampled_from([b"", b"{}", b"x" * 125, b"y" * 126, b"z" * 300, b"long" * 16_500])
whole = st.tuples(st.just(Opcode.TEXT), texts)
control = st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.sampled_from([b"", b"p" * 125]))
binary = st.tuples(st.just(Opcode.BINARY), st.sampled_from([b"\0\xff", b"b" * 200]))
fragments = st.lists(st.sampled_from([b"", b"part", b"q" * 200]), min_size=2, max_size=4)


@given(
    st.lists(whole | whole | control | binary | fragments, max_size=12),
    st.lists(st.integers(0, 300_000), max_size=12),
    st.booleans(),
)
@settings(max_examples=by_profile(100, 2_000))
def test_messages_do_not_depend_on_read_boundaries(sent: list[Any], cuts: list[int], early: bool) -> None:
    client = asyncio.run(made())
    if early:
        client.connection.start_receiving(client.batches.append)
    data, wanted, pings = client.answer, [], 0
    for item in sent:
        if isinstance(item, list):
            for n, part in enumerate(item):
                opcode = Opcode.CONT if n else Opcode.TEXT
                data += framed(opcode, part, fin=n == len(item) - 1)
                data += framed(Opcode.PING, b"between")
                pings += 1
            wanted.append(b"".join(item))
        else:
            opcode, payload = item
            data += framed(opcode, payload)
            pings += opcode is Opcode.PING
            if opcode in (Opcode.TEXT, Opcode.BINARY):
                wanted.append(payload)
    client.receive(data, cuts)
    client.connection.start_receiving(client.batches.append)
    assert client.messages == wanted
    assert client.connection.protocol.state is State.OPEN
    assert client.wire.written.count(b"\x8a") >= pings


async def test_messages_of_one_read_are_delivered_together() -> None:
    client = Client()
    client.connection.start_receiving(client.batches.append)
    client.receive(client.answer + framed(Opcode.TEXT, b"a") * 3)
    client.receive(framed(Opcode.TEXT, b"b") * 2 + b"\x81")
    client.receive(b"\x01c")
    assert client.batches == [[b"a"] * 3, [b"b"] * 2, [b"c"]]


async def test_reads_are_bounded() -> None:
    assert Client().wire.max_size == READ_BYTES


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param(framed(Opcode.TEXT, b"x" * (MAX_BYTES + 1))[:30], 1009, id="too long, by its head"),
        pytest.param(b"\x81\x81maskx", 1002, id="masked"),
        pytest.param(framed(Opcode.CONT, b"x"), 1002, id="a fragment of nothing"),
        pytest.param(
            framed(Opcode.TEXT, b"x", fin=False) + framed(Opcode.TEXT, b"y"), 1002, id="between fragments"
        ),
        pytest.param(b"\xc1\x01x", 1002, id="reserved bit"),
        pytest.param(b"\x83\x01x", 1002, id="unknown opcode"),
    ],
)
async def test_protocol_errors_close_as_in_the_library(bad: bytes, code: int) -> None:
    client = Client()
    client.connection.start_receiving(client.batches.append)
    client.receive(client.answer + framed(Opcode.TEXT, b"before") + bad + framed(Opcode.TEXT, b"after"))
    close = client.connection.protocol.close_sent
    assert close is not None
    assert close.code == code
    assert client.messages == [b"before"]


async def test_rejected_handshake_is_parsed_by_the_library() -> None:
    client = Client()
    client.receive(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n\r\nno\nway\n", [30, 60])
    assert client.connection.response is not None
    assert (client.connection.response.status_code, client.connection.response.body) == (401, b"no\nway\n")


async def test_eof_within_a_frame_ends_the_connection() -> None:
    client = Client()
    client.connection.start_receiving(client.batches.append)
    client.receive(client.answer + b"\x81\x05he")
    client.connection.eof_received()
    assert client.connection.protocol.state is State.CLOSED
    assert client.messages == []


async def test_a_frame_that_arrives_byte_by_byte_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    client.connection.start_receiving(client.batches.append)
    client.receive(client.answer)
    parsed = 0

    def count(data: bytes, start: int = 0) -> tuple[list[bytes], int]:
        nonlocal parsed
        parsed += 1
        return text_frames(data, start)

    monkeypatch.setattr("broadcast_tui.client.frame_connection.text_frames", count)
    frame = framed(Opcode.TEXT, b"x" * 50_000)
    client.receive(frame, list(range(len(frame))))
    assert client.messages == [b"x" * 50_000]
    assert parsed < 20


async def test_received_data_is_processed_in_slices() -> None:
    client = Client()
    client.receive(client.answer)

    def receive(messages: list[bytes]) -> None:
        client.batches.append(messages)
        client.now += SLICE_S  # as if each group took the whole slice

    client.connection.start_receiving(receive)
    sent = [str(number).encode() for number in range(10 * GROUP_MAX)]
    client.receive(b"".join(framed(Opcode.TEXT, text) for text in sent))
    slices = 0
    while len(client.messages) < len(sent):
        assert client.wire.is_paused
        assert len(client.messages) <= (slices + 1) * GROUP_MAX
        slices += 1
        await asyncio.sleep(0)
    assert client.messages == sent
    await asyncio.sleep(0)
    assert not client.wire.is_paused


async def test_a_flood_of_pings_is_processed_in_slices_and_answered_within_bounds() -> None:
    client = Client()
    client.receive(client.answer)
    client.connection.start_receiving(client.batches.append)
    ticks = itertools.count()
    client.connection.clock = lambda: next(ticks) * SLICE_S
    client.receive(framed(Opcode.PING, b"") * 10 * GROUP_MAX)
    assert client.wire.is_paused
    assert client.wire.written.count(b"\x8a") <= 2 * GROUP_MAX
    client.wire.waiting = PONG_BYTES_MAX + 1
    await asyncio.sleep(0)
    assert client.wire.is_aborted


async def test_a_paused_connection_delivers_and_reads_nothing() -> None:
    client = Client()
    client.receive(client.answer)
    client.connection.start_receiving(client.batches.append)
    client.connection.set_paused(True)
    assert client.wire.is_paused
    client.receive(framed(Opcode.TEXT, b"later"))
    assert client.messages == []
    client.connection.set_paused(False)
    await asyncio.sleep(0)
    assert client.messages == [b"later"]
    assert not client.wire.is_paused


@pytest.mark.parametrize("line", [b"\n", b"x", b"\r\n", b"0" * 1_000])
async def test_endless_handshake_response_is_aborted(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    calls = 0
    receive = ClientConnection.data_received

    def count(connection: ClientConnection, data: bytes) -> None:
        nonlocal calls
        calls += 1
        receive(connection, data)

    monkeypatch.setattr(ClientConnection, "data_received", count)
    client.receive(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\n")
    sent = 0
    while not client.wire.is_aborted:
        client.connection.data_received(line * (10_000 // len(line)))
        sent += 1
        assert sent < 100
    assert calls < 150


async def test_server_that_does_not_close_is_aborted() -> None:
    client = Client()
    client.connection.start_receiving(client.batches.append)
    client.receive(client.answer + b"\x83\x01x")
    async with asyncio.timeout(20):
        while not client.wire.is_aborted:
            await asyncio.sleep(0.01)


async def test_a_closing_connection_skips_a_flood_up_to_the_close_frame() -> None:
    client = Client()
    client.receive(client.answer)
    client.connection.start_receiving(client.batches.append)
    closing = asyncio.create_task(client.connection.close())
    await asyncio.sleep(0)
    written_bytes = len(client.wire.written)
    ticks = itertools.count()
    client.connection.clock = lambda: next(ticks) * SLICE_S
    flood = framed(Opcode.PING, b"") * GROUP_MAX + framed(Opcode.TEXT, b"x") * GROUP_MAX
    client.receive(flood * 10 + framed(Opcode.CLOSE, b"\x03\xe8") + flood)
    turns = 0
    while client.connection.protocol.close_rcvd is None:
        assert client.wire.is_paused
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 10
    assert len(client.wire.written) == written_bytes
    assert client.messages == []
    client.connection.connection_lost(None)
    await closing


async def test_a_closing_connection_does_not_buffer_a_long_frame() -> None:
    client = Client()
    client.receive(client.answer)
    client.connection.start_receiving(client.batches.append)
    closing = asyncio.create_task(client.connection.close())
    await asyncio.sleep(0)
    for _ in range(10):
        client.receive(b"\x81\x7f" + (2**40).to_bytes(8, "big") + b"x" * MAX_BYTES)
        assert not client.connection._unparsed
    client.connection.connection_lost(None)
    await closing
