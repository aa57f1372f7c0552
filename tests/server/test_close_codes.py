"""Each close code that the protocol lists is sent by a server, and clients know whether to reconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broadcast_tui.core.errors import CloseCode, may_reconnect
from broadcast_tui.core.hub import posting
from broadcast_tui.core.limits import Limits
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.token_store import TokenStore
from tests.support.plain import WireClient, plain_client, silent_v1_client, v1_client
from tests.support.raw_socket import TEXT, frame, raw_socket
from tests.support.running import eventually, running_server

Case = Callable[[AsyncExitStack, pytest.MonkeyPatch, Path], Awaitable[int]]
CASES: dict[CloseCode, Case] = {}


def sends(code: CloseCode) -> Callable[[Case], Case]:
    def add(case: Case) -> Case:
        CASES[code] = case
        return case

    return add


async def serve(stack: AsyncExitStack, **limits: object) -> BroadcastServer:
    return await stack.enter_async_context(running_server(limits=Limits(**limits)))  # type: ignore[arg-type]


async def plain(stack: AsyncExitStack, **limits: object) -> WireClient:
    server = await serve(stack, **limits)
    return await stack.enter_async_context(plain_client(server.url))


async def code_of(client: WireClient) -> int:
    return (await client.closed())[0]


@sends(CloseCode.GOING_AWAY)
async def stops(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    server = await serve(stack)
    client = await stack.enter_async_context(plain_client(server.url))
    _, code = await asyncio.gather(server.stop_server(), code_of(client))
    return code


@sends(CloseCode.RESTART)
async def restarts(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    server = await serve(stack)
    client = await stack.enter_async_context(plain_client(server.url))
    _, code = await asyncio.gather(server.stop_server(CloseCode.RESTART), code_of(client))
    return code


@sends(CloseCode.BINARY)
async def binary(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    client = await plain(stack)
    await client.send_raw(b"{}")
    return await code_of(client)


@sends(CloseCode.BAD_UTF8)
async def bad_utf8(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    client = await plain(stack)
    await client.send_raw(b"\xff", text=True)
    return await code_of(client)


@sends(CloseCode.TOO_BIG)
async def too_big(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    client = await plain(stack)
    await client.say("x" * 200_000)
    return await code_of(client)


@sends(CloseCode.INTERNAL)
async def internal(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    server = await serve(stack)
    client = await stack.enter_async_context(plain_client(server.url))

    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(server._runner.hub, "receive", broken)
    await client.say("x")
    return await code_of(client)


@sends(CloseCode.TRY_AGAIN_LATER)
async def overloaded(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    monkeypatch.setattr(posting, "PENDING_ENTRIES_MAX", 0)
    client = await plain(stack, max_refusals=3)
    for _ in range(5):
        await client.say("x")
    return await code_of(client)


@sends(CloseCode.HELLO_TIMEOUT)
async def no_hello(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    server = await serve(stack, hello_timeout_s=0.0)
    return await code_of(await stack.enter_async_context(silent_v1_client(server.url)))


@sends(CloseCode.TIMED_OUT)
async def no_pong(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    server = await serve(stack, ping_interval_s=0.05, ping_timeout_s=0.05)
    sock = await stack.enter_async_context(raw_socket(server.port))
    await sock.handshake()
    return (await sock.read_close())[0]


@sends(CloseCode.TOO_MANY_REQUESTS)
async def too_fast(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    client = await plain(stack, max_refusals=3, message_rate=0.1, message_burst=1)
    for _ in range(6):
        await client.say("x")
    return await code_of(client)


@sends(CloseCode.UNAUTHORIZED)
async def no_token(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    authenticator = TokenAuthenticator(TokenStore(tmp_path / "tokens.json"), needs_token=True)
    server = await stack.enter_async_context(running_server(authenticator=authenticator))
    client = await stack.enter_async_context(silent_v1_client(server.url))
    await client.send("hello", name="ana")
    return await code_of(client)


@sends(CloseCode.KICKED)
async def kicked(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    server = await serve(stack)
    client = await stack.enter_async_context(v1_client(server.url, "ana"))
    [peer] = server._runner.connections
    server._runner.hub.rejections.close_later(peer, CloseCode.KICKED, "You were kicked.")
    server._runner.wake()
    return await code_of(client)


@sends(CloseCode.TOO_MANY_ERRORS)
async def too_many_errors(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    client = await plain(stack, max_errors=2)
    for _ in range(3):
        await client.send_raw("nonsense")
    return await code_of(client)


@sends(CloseCode.REPLACED)
async def name_claimed(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    authenticator = TokenAuthenticator(TokenStore(tmp_path / "tokens.json"), needs_token=False)
    server = await stack.enter_async_context(running_server(authenticator=authenticator))
    client = await stack.enter_async_context(v1_client(server.url, "ana"))
    monkeypatch.setattr(authenticator, "is_reserved", lambda key: True)
    server._runner.close_expired()
    return await code_of(client)


@pytest.mark.parametrize("code", CASES)
async def test_code_is_sent(code: CloseCode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        assert await CASES[code](stack, monkeypatch, tmp_path) == code
    assert may_reconnect(code) == (not 4500 <= code < 4600)


def test_every_code_has_a_case() -> None:
    assert {*CASES} == {*CloseCode} - {CloseCode.ABNORMAL}


async def test_unfinished_frame_times_out() -> None:
    limits = Limits(ping_timeout_s=0.05)
    async with running_server(limits=limits) as server, raw_socket(server.port) as sock:
        await sock.handshake()
        await sock.send(frame(TEXT, b"x" * 1_000)[:100])
        assert (await sock.read_close()) == (4408, "Timed out: your client stopped in the middle of a frame.")
        await eventually(lambda: server.connection_count == 0)


async def test_client_that_reads_on_too_late_gets_the_code_after_its_data() -> None:
    limits = Limits(message_rate=0, stall_timeout_s=0.1)
    async with (
        running_server(limits=limits) as server,
        v1_client(server.url, "ana") as ana,
        raw_socket(server.port, receive_buffer_bytes=4_096) as slow,
    ):
        await slow.handshake()
        number = 0
        while server.connection_count == 2:
            await ana.say("x" * 16_000, nonce=f"n{number}")
            await ana.next_of(type="ack", nonce=f"n{number}")
            number += 1
        assert (await slow.read_close())[0] == CloseCode.TIMED_OUT
