"""Rejected connections: the reason is clear, and the client retries where that helps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from websockets.asyncio.server import ServerConnection

from broadcast_tui.client import BroadcastClient, ConnectError, connection
from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.core.session.updates import ConnectionState, DisconnectCause, NameDenied
from tests.client.watching import odd_server, started
from tests.support.plain import plain_client, v1_client
from tests.support.roles import promote
from tests.support.running import in_time, running_server


@pytest.mark.parametrize(
    ("name", "code"), [("Ben", "name_taken"), ("SYSTEM", "name_reserved"), ("a\tb", "bad_name")]
)
async def test_rejected_name_stops_attempts_until_renamed(name: str, code: str) -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ben"),
        started(server.port, name) as (
            ours,
            watcher,
        ),
    ):
        denied = await watcher.next_of(NameDenied)
        assert (denied.name, denied.code) == (name, code)
        refused = await watcher.state(ConnectionState.REFUSED)
        assert refused.reason == denied.reason
        assert refused.retry_in_s is None
        ours.rename("ana")
        await watcher.state(ConnectionState.ONLINE)
        assert ours.name == "ana"


async def test_connect_raises_for_a_rejected_name() -> None:
    async with running_server() as server, v1_client(server.url, "ben"):
        ours = BroadcastClient("127.0.0.1", server.port, name="ben")
        with pytest.raises(ConnectError, match="taken"):
            await in_time(ours.connect())
        assert ours.state is ConnectionState.CLOSED


async def test_closed_port_is_reported() -> None:
    async with running_server() as server:
        port = server.port
    with pytest.raises(ConnectError, match=f"no server at ws://127.0.0.1:{port}"):
        await in_time(BroadcastClient("127.0.0.1", port, name="ana").connect())


async def test_unknown_host_is_reported() -> None:
    with pytest.raises(ConnectError, match=r"no-such-host\.invalid"):
        await in_time(BroadcastClient("no-such-host.invalid", 1, name="ana").connect())


@pytest.mark.parametrize(
    ("host", "port"), [("localhost", 99_999), ("x" * 64, 1)], ids=["port out of range", "long label"]
)
async def test_an_impossible_address_is_reported(host: str, port: int) -> None:
    with pytest.raises(ConnectError, match="is not a valid server address"):
        await in_time(BroadcastClient(host, port, name="ana").connect())


async def test_other_websocket_server_is_rejected() -> None:
    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async with odd_server(echo, subprotocol=None) as port, started(port, "ana") as (_, watcher):
        refused = await watcher.state(ConnectionState.REFUSED)
        assert "does not speak broadcast-tui.v1" in refused.reason


@contextmanager
def http_server(status: int, version: str, content_type: str, body: bytes, **headers: str) -> Iterator[int]:
    """The port of a web server that gives the same response to every request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = version

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_redirect_to_another_server_is_not_followed(host: str) -> None:
    async with running_server() as server:
        target = f"ws://{host}:{server.port}/"
        with (
            http_server(302, "HTTP/1.1", "text/plain", b"", Location=target) as port,
            pytest.raises(ConnectError, match="redirects to") as failed,
        ):
            await in_time(BroadcastClient("127.0.0.1", port, name="ana").connect(retry=True))
        assert target in str(failed.value)
        assert server.connection_count == 0


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
@pytest.mark.parametrize("status", [200, 404, 500])
async def test_web_server_is_reported(status: int, version: str) -> None:
    page = b"<!DOCTYPE html>\n<html><body><h1>It works!</h1>\x1b[31m</body></html>"
    with http_server(status, version, "text/html", page) as port, pytest.raises(ConnectError) as failed:
        await in_time(BroadcastClient("127.0.0.1", port, name="ana").connect())
    reason = str(failed.value)
    assert "<" not in reason
    assert "\\n" not in reason
    assert reason.isprintable()
    assert "HTTP" in reason


async def test_reason_of_a_rejection_is_shown() -> None:
    async with (
        running_server(admission=AdmissionLimits(max_connections=1)) as server,
        plain_client(server.url),
        started(server.port, "ana") as (_, watcher),
    ):
        waiting = await watcher.state(ConnectionState.WAITING)
        assert waiting.reason.startswith("The server is full")
        assert waiting.retry_in_s is not None
        assert waiting.retry_in_s >= 30.0, "Retry-After is kept"


async def test_immediate_disconnect_is_retried() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with listener, started(listener.sockets[0].getsockname()[1], "ana") as (_, watcher):
        waiting = await watcher.state(ConnectionState.WAITING)
        assert waiting.reason
        assert waiting.reason.isprintable()
        await watcher.state(ConnectionState.CONNECTING)


async def test_unresponsive_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OPEN_TIMEOUT_S", 0.1)
    connections: list[asyncio.StreamWriter] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    listener = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with listener, started(listener.sockets[0].getsockname()[1], "ana") as (_, watcher):
        assert "did not answer" in (await watcher.state(ConnectionState.WAITING)).reason
        for writer in connections:
            writer.close()


@pytest.mark.parametrize("code", [4500, 4503, 4505, 4509])
async def test_permanent_close_codes_stop_reconnecting(code: int) -> None:
    async def kick(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(code, "You were \x1b[31mremoved.")

    async with odd_server(kick) as port, started(port, "ana") as (_, watcher):
        refused = await watcher.state(ConnectionState.REFUSED)
        assert refused.reason == "You were \\x1b[31mremoved."


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4403, 4404, 4408, 4429])
async def test_other_close_codes_are_retried(code: int) -> None:
    async def close(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(code, "")

    async with odd_server(close) as port, started(port, "ana") as (_, watcher):
        waiting = await watcher.state(ConnectionState.WAITING)
        assert str(code) in waiting.reason


@pytest.mark.parametrize(
    ("action", "cause", "reason"),
    [
        ("kick", DisconnectCause.KICKED, "ana kicked you: spam"),
        ("ban", DisconnectCause.OTHER, "You are banned: spam"),
    ],
)
async def test_only_a_kick_lets_the_user_rejoin(action: str, cause: DisconnectCause, reason: str) -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        started(server.port, "bob") as (_, watcher),
    ):
        await watcher.state(ConnectionState.ONLINE)
        promote(server, "ana")
        who = {"kick": "name", "ban": "who"}[action]
        await ana.send(action, **{who: "bob"}, reason="spam", ref="k")
        refused = await watcher.state(ConnectionState.REFUSED)
        assert (refused.cause, refused.reason) == (cause, reason)
