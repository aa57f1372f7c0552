"""TLS handshakes: counting, timeouts, and bytes in any pieces, on both event loops."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from broadcast_tui.core.limits import AdmissionLimits, Limits
from broadcast_tui.server.connection import PeerConnection
from broadcast_tui.server.tls import ServerTls
from tests.support.certificates import Authority
from tests.support.plain import v1_client
from tests.support.raw_socket import RawSocket, raw_socket
from tests.support.running import eventually, in_time, running_server

try:
    from uvloop import new_event_loop
except ImportError:  # on Windows
    LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop]
else:
    LOOPS = [asyncio.new_event_loop, new_event_loop]

ASKING = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(params=LOOPS, ids=lambda loop: loop.__module__.partition(".")[0])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as running:
        yield running


def serving(authority: Authority) -> ServerTls:
    pair = authority.issue("server", "localhost", "127.0.0.1")
    return ServerTls(pair.cert, pair.key)


class TlsByHand:
    """A TLS client without sockets: the test sends each byte."""

    def __init__(self, authority: Authority, sock: RawSocket) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=authority.ca)
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    def written(self, data: bytes = b"") -> bytes:
        """The next bytes of the handshake, with `data` after the last ones."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        self._tls.write(data)
        return self._outgoing.read()

    async def receive(self) -> None:
        """Read data from the server."""
        self._incoming.write(await in_time(asyncio.get_running_loop().sock_recv(self._sock.sock, 65_536)))

    async def read(self) -> bytes:
        while True:
            try:
                return self._tls.read(65_536)
            except ssl.SSLWantReadError:
                await self.receive()


@pytest.mark.parametrize("piece", [1, 7, 100_000])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_handshake_in_pieces_followed_by_the_request(
    authority: Authority, runner: asyncio.Runner, piece: int, version: ssl.TLSVersion
) -> None:
    tls = serving(authority)
    tls._current.maximum_version = tls.context.maximum_version = version

    async def exchange() -> None:
        async with running_server(tls=tls) as server, raw_socket(server.port) as sock:
            client = TlsByHand(authority, sock)
            while sending := client.written(ASKING):
                for start in range(0, len(sending), piece):
                    await sock.send(sending[start : start + piece])
                    await asyncio.sleep(0)
                if client._tls.version() and not client._tls.pending():
                    break
                await client.receive()
            answer = b""
            while b"welcome" not in answer:
                answer += await client.read()
            assert answer.startswith(b"HTTP/1.1 101 ")
            assert server.connection_count == 1

    runner.run(exchange())


@pytest.mark.parametrize("limits", [
    AdmissionLimits(max_half_open=3, handshake_timeout_s=0),
    AdmissionLimits(max_half_open_per_ip=3, handshake_timeout_s=0, exempt_loopback=False),
], ids=["in all", "by address"])  # fmt: skip
@pytest.mark.parametrize("first_bytes", [b"", b"\x16\x03\x01"], ids=["silent", "begun"])
def test_unfinished_tls_handshake_counts_as_half_open(
    authority: Authority, runner: asyncio.Runner, limits: AdmissionLimits, first_bytes: bytes
) -> None:
    trusted, tls = ssl.create_default_context(cafile=authority.ca), serving(authority)

    async def exchange() -> None:
        async with running_server(tls=tls, admission=limits) as server, AsyncExitStack() as stack:
            admission = server._admission
            socks = [await stack.enter_async_context(raw_socket(server.port)) for _ in range(3)]
            for sock in socks:
                await sock.send(first_bytes)
            await eventually(lambda: admission.half_open == 3)
            async with v1_client(server.url, "ana", tls=trusted):
                assert admission.rejected == {"half_open": 1}
                await socks[0].read_to_end()
                assert admission.half_open == 2
            for sock in socks[1:]:
                sock.sock.close()
            await eventually(lambda: admission.half_open == 0)

    runner.run(exchange())


@pytest.mark.parametrize("first_bytes", [b"", b"\x16\x03\x01"], ids=["silent", "begun"])
def test_handshake_timeout_includes_tls(
    authority: Authority, runner: asyncio.Runner, first_bytes: bytes
) -> None:
    tls, limits = serving(authority), AdmissionLimits(handshake_timeout_s=2.0)

    async def exchange() -> None:
        async with running_server(tls=tls, admission=limits) as server, raw_socket(server.port) as sock:
            await sock.send(first_bytes)
            await eventually(lambda: server._admission.half_open == 1)
            server._admission.sweep(asyncio.get_running_loop().time() + 2.1)
            await sock.read_to_end()
            assert server._admission.rejected == {"timeout": 1}

    runner.run(exchange())


@pytest.mark.parametrize(
    "sent",
    [b"", b"\x16", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n", bytes(70_000)],
    ids=["nothing", "a byte", "a head", "no TLS", "zeros"],
)
@pytest.mark.parametrize("how", ["reset", "end"])
def test_disconnect_during_tls_handshake_leaves_no_state(
    authority: Authority, runner: asyncio.Runner, sent: bytes, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    tls = serving(authority)

    async def exchange() -> None:
        async with running_server(tls=tls) as server:
            async with raw_socket(server.port) as sock:
                await eventually(lambda: server._admission.half_open == 1)
                with suppress(ConnectionError):
                    await sock.send(sent)
                if how == "reset":
                    sock.reset()
            await eventually(lambda: server._admission.half_open == 0)

    with caplog.at_level("WARNING"):
        runner.run(exchange())
    assert caplog.records == []


def test_nothing_of_the_handshake_is_kept_by_an_open_connection(
    authority: Authority, runner: asyncio.Runner
) -> None:
    async def connect_and_post() -> None:
        tls = serving(authority)
        context = ssl.create_default_context(cafile=authority.ca)
        async with (
            running_server(limits=Limits(message_rate=0), tls=tls) as server,
            v1_client(server.url, "ana", tls=context) as ana,
        ):
            gc.collect()
            assert [found for found in gc.get_objects() if isinstance(found, PeerConnection)] == []
            long_text = "x" * 9_000
            for number in range(20):  # more than the buffer of a read takes
                await ana.say(f"{number} {long_text}")
            assert (await ana.until(message=f"19 {long_text}"))[-1]["sender"] == "ana"

    runner.run(connect_and_post())


MAPPED_BUFFERS = """
import ctypes
from broadcast_tui.server.tls_handshake import separate_buffers

class Info(ctypes.Structure):  # struct mallinfo2 of malloc.h
    _fields_ = [(f"field{number}", ctypes.c_size_t) for number in range(10)]

library = ctypes.CDLL(None)
library.mallinfo2.restype = Info
bytearray(20_000_000)  # glibc raises its threshold when this is freed
separate_buffers()
before = library.mallinfo2().field3
buffers = [bytearray(262_144) for _ in range(50)]
print(library.mallinfo2().field3 - before)
"""
"""Prints how many of 50 large blocks have pages of their own."""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="only glibc has such a threshold, and reports its effect since 2.33",
)
def test_large_buffers_have_pages_of_their_own() -> None:
    done = subprocess.run([sys.executable, "-c", MAPPED_BUFFERS], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 40
