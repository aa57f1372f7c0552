"""Threats from strangers that no other module covers; `tests/THREATS.md` lists all."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broadcast_tui.core.limits import Limits
from broadcast_tui.server import BroadcastServer
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import TEXT, frame, raw_socket
from tests.support.running import eventually, running_server

ROOT = Path(__file__).parents[2]
THREATS = (ROOT / "tests" / "THREATS.md").read_text("utf-8")


async def test_unknown_keys_are_not_relayed() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as mallory,
        plain_client(server.url) as plain,
        v1_client(server.url, "ana") as ana,
    ):
        await mallory.send_raw(
            '{"type":"message","message":"lo","message":"hi","s\\u0065nder":"SYSTEM","sender":"mallory",'
            '"timestamp":"1999-01-01T00:00:00+00:00","id":"x-1","event":"welcome","admin":true,"role":"admin",'
            '"name":"ana","online":999,"code":"x"}'
        )
        for client in (plain, ana):
            got = await client.next_of(type="message")
            assert set(got) <= {"type", "message", "sender", "timestamp", "id", "room", "nonce"}
            assert (got["message"], got["sender"]) == ("hi", "mallory")
            assert not got["timestamp"].startswith("1999")
            assert got["id"] != "x-1"


async def test_later_frame_cannot_change_the_identity() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as mallory,
        v1_client(server.url, "ana") as ana,
    ):
        await mallory.say("hi", sender="mallory")
        await mallory.say("I am ana", sender="ana")
        await ana.say("no", sender="mallory")
        posts = [await ana.next_of(type="message") for _ in range(3)]
        assert {(post["message"], post["sender"]) for post in posts} == {
            ("hi", "mallory"),
            ("I am ana", "mallory"),
            ("no", "ana"),
        }


async def test_compression_is_never_negotiated() -> None:
    async with running_server() as server, raw_socket(server.port) as sock:
        head = await sock.handshake(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
        assert " 101 " in head
        assert "extensions" not in head.lower()
        await sock.send(b"\xc1" + frame(TEXT, b"x")[1:])
        assert (await sock.read_close())[0] == 1002


async def test_internal_error_closes_one_connection_with_one_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as mallory,
        plain_client(server.url) as ana,
    ):
        receive = server._runner.hub.receive

        def broken(peer: object, data: bytes, when: object) -> None:
            if b"bug" in data:
                raise KeyError("a bug")
            receive(peer, data, when)  # type: ignore[arg-type]

        monkeypatch.setattr(server._runner.hub, "receive", broken)
        for _ in range(20):
            await mallory.send_raw('{"bug":1}')
        assert (await mallory.closed())[0] == 1011
        await ana.say("still here")
        await ana.next_of(type="message", message="still here")
        assert sum(record.exc_info is not None for record in caplog.records) <= 20
        assert len({record.getMessage() for record in caplog.records if record.exc_info}) == 1


async def test_writes_to_closed_connections_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio alone writes `socket.send() raised exception.` for each write after an abort."""
    caplog.set_level(logging.DEBUG, "asyncio")
    limits = Limits(message_rate=0)
    async with running_server(limits=limits) as server, AsyncExitStack() as stack:
        ana = await stack.enter_async_context(v1_client(server.url, "ana"))
        socks = [await stack.enter_async_context(raw_socket(server.port)) for _ in range(20)]
        for sock in socks:
            await sock.handshake()
        for number in range(400):
            if number % 20 == 0 and socks:
                socks.pop().reset()
            await ana.say(f"post {number}", nonce=f"n{number}")
        await ana.next_of(type="ack", nonce="n399")
        await eventually(lambda: server.connection_count == 1)
        assert "socket.send() raised" not in caplog.text


async def test_ping_flood_does_not_delay_others() -> None:
    async with (
        running_server() as server,
        raw_socket(server.port) as mallory,
        v1_client(server.url, "ana") as ana,
    ):
        await mallory.handshake()
        for _ in range(20):
            await mallory.send(frame(0x9, b"x" * 125) * 500)
            await ana.say("hello", nonce="n")
            await ana.next_of(type="ack")


def test_default_host_is_loopback_only() -> None:
    assert BroadcastServer().host == "localhost"


@pytest.mark.parametrize("payload", [
    '{"type":"message","message":"x","z":[' + ",".join(["[]"] * 20_000) + "]}",
    '{"type":"message","message":"x","z":' + "9" * 4_301 + "}",
    '{"type":"message","message":"a\\u0000b"}',
], ids=["many empty lists", "4,301 digits", "NUL"])  # fmt: skip
async def test_hostile_json_is_handled_like_any_other(payload: str) -> None:
    async with running_server() as server, plain_client(server.url) as mallory:
        await mallory.send_raw(payload)
        answer = await mallory.next_frame()
        assert answer["type"] == "message" or answer["code"] in ("bad_frame", "bad_json")
        assert "\x00" not in json.dumps(answer)
        await mallory.say("and on")
        await mallory.next_of(message="and on")


async def test_anonymous_connections_leave_no_state() -> None:
    async with running_server() as server:
        for _ in range(200):
            async with raw_socket(server.port) as sock:
                await sock.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        await eventually(lambda: server._admission.half_open == 0)
        await asyncio.sleep(0)
        assert server.connection_count == 0
        assert len(server._admission._half_open_by_address) == 0


def rows() -> list[tuple[str, str]]:
    """Threat and test of each row of the table."""
    found = re.findall(r"^\| ([^|]+) \| ((?:`[^`]+`(?:, )?)+) \|$", THREATS, re.MULTILINE)
    return [(threat, test) for threat, tests in found for test in re.findall(r"`([^`]+)`", tests)]


def test_threat_list_is_parsed() -> None:
    lines = [line for line in THREATS.splitlines() if line.startswith("| ") and "---" not in line]
    titles = [line for line in lines if line.startswith("| threat")]
    assert len({threat for threat, _ in rows()}) == len(lines) - len(titles) > 50


@pytest.mark.parametrize(("threat", "test"), rows(), ids=lambda value: value.replace(" ", "-")[:60])
def test_each_threat_has_its_test(threat: str, test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in names, threat
