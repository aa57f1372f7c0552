"""HTTP requests: hostile forms, origins and hosts, bodies, errors, and headers of every response."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.core.limits import AdmissionLimits
from tests.server.web.conftest import BODY_BYTES_MAX, TestRoutes
from tests.support.http_requests import Answer, ask, read_answer, request
from tests.support.raw_socket import raw_socket
from tests.support.running import PATIENCE_S, in_time, running_server

SECRET = "k3yZq"
"""Part of hostile requests that no response may repeat."""
POST = f"POST /echo/{SECRET} HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
HOSTILE = {
    "length and chunked": f"{POST}Content-Length: 5\r\n{CHUNKED}\r\n0\r\n\r\n",
    "chunked and length": f"{POST}{CHUNKED}Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": f"{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "equal lengths": f"{POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "list of lengths": f"{POST}Content-Length: 5, 5\r\n\r\nhello",
    "signed length": f"{POST}Content-Length: +5\r\n\r\nhello",
    "negative length": f"{POST}Content-Length: -5\r\n\r\nhello",
    "hexadecimal length": f"{POST}Content-Length: 0x5\r\n\r\nhello",
    "huge length": f"{POST}Content-Length: {'9' * 400}\r\n\r\nhello",
    "folded header": f"{POST}X-Fold: a\r\n {SECRET}\r\nContent-Length: 0\r\n\r\n",
    "folded length": f"{POST}Content-Length:\r\n 5\r\n\r\nhello",
    "space before colon": f"{POST}Content-Length : 5\r\n\r\nhello",
    "unknown encoding": f"{POST}Transfer-Encoding: {SECRET}\r\n\r\nhello",
    "gzip, chunked": f"{POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two encodings": f"{POST}{CHUNKED}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "obscured chunked": f"{POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": f"{POST.replace('/1.1', '/1.0')}{CHUNKED}\r\n0\r\n\r\n",
    "announced trailer": f"{POST}{CHUNKED}Trailer: X-{SECRET}\r\n\r\n0\r\nX-{SECRET}: 1\r\n\r\n",
    "invalid chunk": f"{POST}{CHUNKED}\r\n{SECRET}\r\n\r\n",
    "absolute form": f"GET http://{SECRET}.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "authority form": f"CONNECT {SECRET}.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "asterisk form": "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "relative path": f"GET {SECRET} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two hosts": f"GET / HTTP/1.1\r\nHost: localhost\r\nHost: {SECRET}\r\n\r\n",
    "no version": f"GET /{SECRET}\r\n\r\n",
    "other version": f"GET /{SECRET} HTTP/2.0\r\n\r\n",
    "unknown method": f"{SECRET} / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "null byte": f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\x00\r\n\r\n",
    "bare carriage return": f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\rY: z\r\n\r\n",
    "header without name": f"GET / HTTP/1.1\r\nHost: localhost\r\n: {SECRET}\r\n\r\n",
    "path that is not UTF-8": "GET /echo/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "upgrade of a post": f"{POST}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": f"{SECRET}\r\n\r\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_request_gets_400_and_has_no_effect(
    kind: str, routes: TestRoutes, caplog: pytest.LogCaptureFixture
) -> None:
    smuggled = request("POST", "/echo/smuggled", body=b"x").decode()
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.send((HOSTILE[kind] + smuggled).encode("latin-1"))
        answer = await sock.read_to_end()
        assert answer.count(b"HTTP/1.") == 1
        assert answer.split()[1] == b"400"
        assert SECRET.encode() not in answer
        assert answer.rstrip().endswith(b"}")
        assert routes.posts == 0 or kind == "invalid chunk"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_chunked_bodies_are_read_and_trailers_ignored(routes: TestRoutes) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        head = request("POST", "/echo/a", "Transfer-Encoding: chunked")
        await sock.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Late: 1\r\n\r\n")
        assert (await read_answer(sock)).body == b"a:abcde"
        await sock.send(request("GET", "/address"))
        assert (await read_answer(sock)).status == 200


async def test_every_response_has_the_security_headers(routes: TestRoutes) -> None:
    async with running_server() as server:
        answers = [
            await ask(server.port, request(method, target))
            for method, target in (
                ("GET", "/"), ("HEAD", "/"), ("GET", "/healthz"), ("GET", "/address"), ("GET", "/nothing"),
                ("PUT", "/"), ("GET", "/broken"), ("BREW", "/"),
            )
        ]  # fmt: skip
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 404, 405, 500, 400]
    for answer in answers:
        assert "server" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers


async def test_head_is_get_without_the_body(routes: TestRoutes) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        for _ in range(2):
            await sock.send(request("HEAD", "/address"))
            answer = await read_answer(sock, has_body=False)
            assert (answer.status, answer.headers["content-length"]) == (200, "9")


async def test_defect_is_answered_500_and_logged_once(
    routes: TestRoutes, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server() as server:
        answer = await ask(server.port, request("GET", "/broken"))
    assert (answer.status, answer.code) == (500, "internal")
    assert b"secret" not in answer.body
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None


# Origins and hosts


async def post(port: int, *lines: str, host: str = "localhost") -> Answer:
    return await ask(port, request("POST", "/echo/a", *lines, body=b"x", host=host))


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost:8765", "localhost:8765", 200),
        ("http://evil.example", "localhost", 403),
        ("null", "localhost", 403),
        ("http://rebound.example", "rebound.example", 403),
        ("http://localhost:1", "localhost:2", 403),
    ],
)
async def test_foreign_origin_is_rejected_before_it_has_an_effect(
    routes: TestRoutes, origin: str, host: str, status: int
) -> None:
    async with running_server() as server:
        answer = await post(server.port, f"Origin: {origin}", host=host)
        assert answer.status == status
        assert routes.posts == (1 if status == 200 else 0)
        assert "access-control-allow-origin" not in answer.headers
        preflight = ("Access-Control-Request-Method: POST", f"Origin: {origin}")
        asked = await ask(server.port, request("OPTIONS", "/echo/a", *preflight, host=host))
        assert asked.status == (405 if status == 200 else 403)


async def test_listed_origin_may_post_and_read(routes: TestRoutes) -> None:
    limits = AdmissionLimits(origins=("https://chat.example.org",))
    async with running_server(admission=limits) as server:
        for origin, allowed in (("https://chat.example.org", True), ("https://evil.example", False)):
            lines = (f"Origin: {origin}", "Access-Control-Request-Method: POST")
            preflight = await ask(server.port, request("OPTIONS", "/echo/a", *lines))
            assert preflight.status == (204 if allowed else 403)
            assert preflight.headers.get("access-control-allow-methods") == ("POST" if allowed else None)
            answer = await post(server.port, f"Origin: {origin}")
            assert answer.status == (200 if allowed else 403)
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
            assert "access-control-allow-credentials" not in answer.headers
        nothing = await ask(server.port, request("OPTIONS", "/nothing", "Origin: https://chat.example.org"))
        assert nothing.status == 404


@pytest.mark.parametrize(
    ("host", "lines", "status"),
    [
        ("localhost:1", (), 200),
        ("127.0.0.1", (), 200),
        ("[::1]:8765", (), 200),
        ("", (), 400),
        ("rebound.example", (), 421),
        ("rebound.example:80", (), 421),
        ("chat.example.org", (), 200),
        ("x<y", (), 421),
        ("rebound.example", ("X-Forwarded-For: 192.0.2.7",), 200),
    ],
)
async def test_host_of_a_request_on_this_machine_is_checked(
    routes: TestRoutes, host: str, lines: tuple[str, ...], status: int
) -> None:
    limits = AdmissionLimits(origins=("https://chat.example.org",), trusted_proxies=("127.0.0.1",))
    async with running_server(admission=limits) as server:
        answer = await post(server.port, *lines, host=host)
        assert answer.status == status
        assert routes.posts == (status == 200)


async def test_banned_address_is_told_so(routes: TestRoutes) -> None:
    limits = AdmissionLimits(trusted_proxies=("127.0.0.1",))
    async with running_server(admission=limits) as server:
        ban = Sanction("ban", "address", "192.0.2.7/32", "192.0.2.7", "root", datetime.now(UTC))
        server._runner.hub.moderation.sanctions.add(ban)
        answer = await post(server.port, "X-Forwarded-For: 192.0.2.7")
        assert (answer.status, answer.code) == (403, "banned")
        assert (await post(server.port, "X-Forwarded-For: 192.0.2.8")).status == 200
        assert routes.posts == 1


# Bodies


@pytest.mark.parametrize(("size", "status"), [(0, 200), (BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_are_bounded(routes: TestRoutes, size: int, status: int, chunked: bool) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        body = b"x" * size
        if chunked:
            pieces = [body[start : start + 1_000] for start in range(0, size, 1_000)]
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            await sock.send(request("POST", "/echo/a", "Transfer-Encoding: chunked") + chunks)
        else:
            await sock.send(request("POST", "/echo/a", body=body))
        answer = await read_answer(sock)
        assert answer.status == status
        assert answer.body == b"a:" + body if status == 200 else answer.code == "too_long"
        if status == 413:
            assert await sock.read_to_end() == b""


async def test_endless_body_is_cut(routes: TestRoutes) -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.send(request("POST", "/echo/a", "Transfer-Encoding: chunked"))
        piece = b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000)
        async with asyncio.timeout(PATIENCE_S):  # the rest is read for a limited time, however fast it is
            assert await sock.send_until_cut(piece, 10_000_000, lambda: 0) == 0


async def test_slow_body_is_cut(routes: TestRoutes) -> None:
    routes.body_timeout_s = 0.3
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.send(request("POST", "/echo/a", "Content-Length: 1000"))

        async def dribble() -> None:
            while True:
                await sock.send(b"x")
                await asyncio.sleep(0.02)

        sending = asyncio.create_task(dribble())
        answer = await read_answer(sock)
        assert (answer.status, answer.code) == (408, "timeout")
        assert await sock.read_to_end() == b""
        with pytest.raises(ConnectionError):
            await in_time(sending)


async def test_compressed_body_is_not_accepted(routes: TestRoutes) -> None:
    async with running_server() as server:
        assert (await post(server.port, "Content-Encoding: gzip")).status == 415
        assert (await post(server.port, "Content-Encoding: identity")).status == 200


async def test_client_that_expects_it_is_told_to_continue(routes: TestRoutes) -> None:
    async with running_server() as server:
        async with raw_socket(server.port) as sock:
            await sock.send(request("POST", "/echo/a", "Expect: 100-continue", "Content-Length: 2"))
            assert (await sock.read_head()).startswith("HTTP/1.1 100 ")
            await sock.send(b"hi")
            assert (await read_answer(sock)).body == b"a:hi"
        async with raw_socket(server.port) as sock:
            length = f"Content-Length: {BODY_BYTES_MAX + 1}"
            await sock.send(request("POST", "/echo/a", "Expect: 100-continue", length))
            assert (await read_answer(sock)).status == 413
