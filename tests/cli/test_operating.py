"""Operating a running server: reload, metrics, log."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path

import pytest

from broadcast_tui.cli.logs import FIELDS
from tests.cli.program import program, run
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import raw_socket

ANY_PORT = ("serve", "--port", "0", "--host", "127.0.0.1", "--history", "memory")
TOKEN = "tkn-1234567890-secret"


async def fetch(port: int, path: str) -> str:
    async with raw_socket(port) as sock:
        await sock.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return (await sock.read_to_end()).decode()


async def test_sighup_applies_limits_and_an_invalid_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text("max-message-bytes = 100\n")
    async with program(*ANY_PORT, "--config", str(path), home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        async with v1_client(url, "ana") as ana:

            async def taken(size: int) -> bool:
                await ana.say("x" * size, nonce=f"n{size}")
                return bool((await ana.next_of(nonce=f"n{size}"))["type"] != "error")

            assert not await taken(150)
            path.write_text("max-message-bytes = 200\n")
            server.process.send_signal(signal.SIGHUP)
            await server.log_line(r"reloaded: .*, bans, tokens and certificate \(0 active tokens\)")
            assert await taken(151)
            assert not await taken(201)
            path.write_text("max-mesage-bytes = 300\n")
            server.process.send_signal(signal.SIGHUP)
            await server.log_line(r"ERROR +reload failed: .*Did you mean max-message-bytes\?")
            assert await taken(152)
            assert not await taken(202)
            path.write_text('log-level = "error"\ntrusted-proxy = "nonsense"\n')
            server.process.send_signal(signal.SIGHUP)
            await server.log_line(r"reload failed: .*/server\.toml:2: Invalid network: 'nonsense'")
            path.write_text('message-rate = "x"\nprot = 1\n')
            server.process.send_signal(signal.SIGHUP)
            await server.log_line(
                r"reload failed: .*/server\.toml:1: .*'x' is not a number.*\n"
                r".*reload failed: .*/server\.toml:2: Unknown option prot"
            )
            path.write_text('log-level = "debug"\nauth = "token"\n')
            server.process.send_signal(signal.SIGHUP)
            await server.log_line(r"(?s)INFO +reloaded: .*INFO +reloaded: ")
            await server.log_line(r"WARNING +restart the server to apply changes of: auth$")
            await ana.say("x" * 1_000, nonce="last")
            await server.log_line(r"DEBUG .*xxxx")
        outcome = await server.stop(signal.SIGTERM)
        assert outcome.status == 0
        assert "Traceback" not in outcome.err


async def test_metrics_have_their_own_port(tmp_path: Path) -> None:
    async with program(*ANY_PORT, "--metrics-port", "0", home=tmp_path) as server:
        port = await server.port()
        line = await server.line_with("Metrics are at ")
        assert line.startswith("Metrics are at http://localhost:")
        metrics_port = int(line.rsplit(":", 1)[1].partition("/")[0])
        async with plain_client(f"ws://127.0.0.1:{port}"):
            assert "\nbroadcast_tui_connections 1.0\n" in await fetch(metrics_port, "/metrics")
        assert " 404 " in await fetch(port, "/metrics")
        assert (await server.stop(signal.SIGTERM)).status == 0


async def test_a_used_metrics_port_is_reported_before_the_server_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        options = ("--metrics-host", "127.0.0.1", "--metrics-port", str(taken.getsockname()[1]))
        outcome = await run(*ANY_PORT, *options, home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    [line] = outcome.err.splitlines()
    assert "in use" in line
    assert "--metrics-port" in line


async def test_a_server_that_cannot_start_has_no_metrics(tmp_path: Path) -> None:
    directory = tmp_path / "taken.db"
    directory.mkdir()
    outcome = await run(*ANY_PORT, "--metrics-port", "0", "--history", str(directory), home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1


async def test_without_a_port_there_are_no_metrics(tmp_path: Path) -> None:
    async with program(*ANY_PORT, home=tmp_path) as server:
        await server.port()
        outcome = await server.stop(signal.SIGTERM)
        assert "Metrics" not in outcome.out


async def test_json_log_has_one_object_per_line(tmp_path: Path) -> None:
    options = ("--log-format", "json", "--log-level", "debug")
    async with program(*ANY_PORT, *options, home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        async with plain_client(url) as ana:
            await ana.say("evil\x1b]0;x\x07\n2026-01-01 INFO forged", sender="An\x1ba")
            await ana.send_raw("\x1b\x9b\u202e not json")
            await ana.next_of(event="error")
        await server.log_line(r"disconnected .*, 0 client")
        lines = (await server.stop(signal.SIGTERM)).err.splitlines()
        for line in lines:
            entry = json.loads(line)
            assert set(entry) - set(FIELDS) == {"time", "level", "logger", "message"}
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", entry["time"])
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", "".join(map(str, entry.values())))


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_logs_contain_no_token_and_posts_at_debug_only(tmp_path: Path, level: str) -> None:
    async with program(*ANY_PORT, "--log-level", level, home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        async with v1_client(url, "ana") as ana, plain_client(url) as plain:
            await ana.send("hello", name="ana", token=TOKEN)
            await ana.send_raw('{"token":"' + TOKEN + '","type":"hello","name":5}')
            await ana.send_raw('{"type":"hello","\\u0074oken":"' + TOKEN + '"')
            await ana.send("search", query="needle", ref="s")
            await ana.send("topic", topic="a secret topic", ref="t")
            await ana.say("what was said", nonce="n")
            await ana.next_of(type="ack")
            await plain.next_of(type="message")
            async with raw_socket(int(url.rsplit(":", 1)[1])) as sock:
                await sock.handshake(path=f"/?token={TOKEN}", Authorization=f"Bearer {TOKEN}")
        await server.log_line(r"disconnected .*, 0 client")
        err = (await server.stop(signal.SIGTERM)).err
        assert TOKEN not in err
        assert ("what was said" in err) == (level == "debug")
        assert ("a secret topic" in err) == (level == "debug")
