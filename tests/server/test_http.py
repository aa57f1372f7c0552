"""Plain HTTP on the port: health checks, the landing page, and hostile requests."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.connection import is_handshake
from broadcast_tui.server.web import pages
from tests.support.plain import plain_client
from tests.support.raw_socket import TEXT, frame, raw_socket
from tests.support.running import eventually, in_time, running_server


async def ask(server: BroadcastServer, path: str, method: str = "GET", *lines: str) -> tuple[str, str, str]:
    """Status line, headers and body of the response to a request."""
    async with raw_socket(server.port) as sock:
        head = "\r\n".join((f"{method} {path} HTTP/1.1", *(lines or ("Host: chat.example.org",))))
        await sock.send(head.encode() + b"\r\n\r\n")
        answer = (await sock.read_to_end()).decode()
    head, _, body = answer.partition("\r\n\r\n")
    status, _, rest = head.partition("\r\n")
    return status, rest, body


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz?probe=1"])
async def test_a_probe_is_answered_200(path: str) -> None:
    async with running_server() as server:
        status, head, body = await ask(server, path)
        assert status == "HTTP/1.1 200 OK"
        assert f"Content-Length: {len(body)}" in head
        assert body in ("ok\n", "ready\n")


async def test_stopping_server_is_alive_but_not_ready() -> None:
    async with running_server() as server, raw_socket(server.port) as silent:
        await silent.handshake()
        stopping = asyncio.create_task(server.stop_server())
        assert (await silent.read_close())[0] == 1001
        status, head, body = await ask(server, "/readyz")
        assert " 503 " in status
        assert "Retry-After: " in head
        assert body == "not ready: the server is stopping\n"
        assert " 200 " in (await ask(server, "/healthz"))[0]
        async with raw_socket(server.port) as late:
            assert " 503 " in await late.handshake()
        silent.reset()
        await in_time(stopping)


@asynccontextmanager
async def starting_server() -> AsyncIterator[BroadcastServer]:
    async with running_server() as server:
        server._admission.ready = False
        yield server


async def test_starting_server_is_not_ready() -> None:
    async with starting_server() as server:
        assert " 503 " in (await ask(server, "/readyz"))[0]


async def test_landing_page_shows_how_to_join() -> None:
    async with running_server() as server:
        status, head, body = await ask(server, "/")
        assert " 200 " in status
        assert "Content-Type: text/html; charset=utf-8" in head
        assert "broadcast-tui chat ws://chat.example.org\n" in body.replace("</pre>", "\n")
        assert "default-src 'none'" in head
        assert not re.search(r"(?:src|href|url\(|@import|<script)", body)


async def test_the_style_of_the_page_is_the_one_its_policy_allows() -> None:
    async with running_server() as server:
        _, head, body = await ask(server, "/")
        [style] = re.findall(r"<style>(.*?)</style>", body)
        assert f"'sha256-{pages.STYLE_HASH}'" in head
        assert style == pages.STYLE


@pytest.mark.parametrize(
    "host", ['x"><script>alert(1)</script>', "a  b", "x/../y", "ex\x1bample", "a,b", "x@y"]
)
async def test_invalid_host_is_not_displayed(host: str) -> None:
    async with running_server() as server:
        status, _, body = await ask(server, "/", "GET", f"Host: {host}")
        assert host not in body
        assert server.url in body or " 400 " in status


async def test_head_is_get_without_the_body() -> None:
    async with running_server() as server:
        for path in ("/", "/healthz", "/nothing"):
            status, head, body = await ask(server, path)
            assert (await ask(server, path, "HEAD"))[0] == status
            _, short_head, nothing = await ask(server, path, "HEAD")
            assert nothing == ""
            assert f"Content-Length: {len(body)}" in head
            assert f"Content-Length: {len(body)}" in short_head


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"])
@pytest.mark.parametrize("lines", [("Host: x",), ("Host: x", "Content-Length: 5")], ids=["bare", "body"])
async def test_other_methods_are_answered_405(method: str, lines: tuple[str, ...]) -> None:
    async with running_server() as server:
        status, head, _ = await ask(server, "/", method, *lines)
        assert " 405 " in status
        assert "Allow: GET, HEAD" in head


@pytest.mark.parametrize("path", ["/lobby", "/metrics", "//", "/../etc/passwd", "/%00", "/healthz/"])
async def test_an_unknown_path_is_answered_404(path: str) -> None:
    async with running_server() as server:
        assert " 404 " in (await ask(server, path))[0]


@pytest.mark.parametrize("path", ["/", "/lobby", "/healthz", "/any/where?x=1"])
async def test_websocket_is_available_on_every_path(path: str) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        assert " 101 " in await sock.handshake(path=path)


async def test_endless_request_gets_431() -> None:
    async with running_server() as server, plain_client(server.url), raw_socket(server.port) as sock:
        await sock.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        answer = b""
        for number in range(4):
            await sock.send(b"X-Filler-%d: " % number + b"x" * 5_000 + b"\r\n")
        answer = await sock.read_to_end()
        assert b" 431 " in answer


async def test_http_text_within_a_frame_is_data() -> None:
    async with running_server() as server, plain_client(server.url) as ana, raw_socket(server.port) as sock:
        await sock.handshake()
        payload = b'{"type":"message","message":"POST / HTTP/1.1"}'
        whole = frame(TEXT, payload)
        at = whole.index(b"POST ")
        await sock.send(whole[:at])
        await eventually(lambda: any(c.is_mid_message for c in server._runner.connections.values()))
        await sock.send(whole[at:])
        assert (await ana.next_of(type="message"))["message"] == "POST / HTTP/1.1"


async def test_data_after_an_invalid_request_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quick = AdmissionLimits(handshake_timeout_s=0.5)
    async with running_server(admission=quick) as server, raw_socket(server.port) as sock:
        await sock.send(b"nonsense\r\n\r\n")

        async def flood() -> None:
            while True:
                await sock.send(b"x" * 20_000)
                await asyncio.sleep(0)

        with pytest.raises(ConnectionError):
            await in_time(flood())
        await eventually(lambda: server._admission.half_open == 0)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_another_upgrade_is_an_ordinary_request() -> None:
    async with running_server() as server:
        lines = ("Host: x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
        assert " 200 " in (await ask(server, "/", "GET", *lines))[0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("Upgrade: websocket", True),
        ("UPGRADE:WebSocket", True),
        ("Upgrade : h2c,\twebsocket", True),
        ("Upgrade: ,,websocket, x", True),
        ("X: y\r\nUpgrade: h2c\r\nUpgrade: websocket", True),
        ("Upgrade: xwebsocket", False),
        ("Upgrade: websockets", False),
        ("Upgrade: h2c", False),
        ("X-Upgrade: websocket", False),
        ("X: Upgrade: websocket", False),
    ],
)
def test_a_handshake_is_known_by_its_upgrade(lines: str, expected: bool) -> None:
    head = f"GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n".encode()
    assert is_handshake(head) is expected
    assert not is_handshake(head.replace(b"GET", b"POST", 1))


header_values = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60
).filter(lambda value: not any("\x80" <= char <= "\x9f" for char in value))


@given(
    method=st.sampled_from(("GET", "HEAD", "POST")),
    path=st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=60),
    headers=st.lists(
        st.tuples(st.sampled_from(("Host", "Upgrade", "Origin", "Connection")), header_values), max_size=6
    ),
)
@example(method="GET", path="/", headers=[("Upgrade", ",,websocket")])
def test_upgrades_are_found_whatever_surrounds_them(
    method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    tokens = [token for name, value in headers if name == "Upgrade" for token in value.split(",")]
    expected = method == "GET" and any(token.strip(" \t").lower() == "websocket" for token in tokens)
    assert is_handshake(f"{method} /{path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")) is expected
