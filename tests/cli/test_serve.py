"""`broadcast-tui serve` from start to stop."""

from __future__ import annotations

import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from broadcast_tui.cli.serve import History
from tests.cli.program import program, run
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import raw_socket
from tests.support.redis_server import ALWAYS, RedisServer, needs_redis, running

ANY_PORT = ("serve", "--host", "127.0.0.1", "--port", "0")


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [(signal.SIGINT, 1001, "stop"), (signal.SIGTERM, 1012, "restart")],
    ids=["int", "term"],
)
async def test_signal_stops_the_server_gracefully(
    tmp_path: Path, number: signal.Signals, code: int, reason: str
) -> None:
    async with program(*ANY_PORT, home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        await server.line_with("Ctrl+C")
        async with plain_client(url) as plain, v1_client(url, "ana") as ana:
            server.process.send_signal(number)
            assert (await ana.next_of(type="drain"))["reason"] == reason
            assert (await ana.closed())[0] == code
            assert (await plain.closed())[0] == code
        outcome = await server.ended()
        assert outcome.status == 0
        assert "Traceback" not in outcome.err
        assert "Broadcast server stopped." in outcome.out


async def test_start_is_an_alias_of_serve(tmp_path: Path) -> None:
    async with program("start", *ANY_PORT[1:], home=tmp_path) as server:
        assert await server.port() > 0
        assert (await server.stop(signal.SIGINT)).status == 0


async def test_port_in_use_is_reported_with_the_option(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = str(taken.getsockname()[1])
        outcome = await run("serve", "--host", "127.0.0.1", "--port", port, home=tmp_path)
    assert outcome.status == 2
    assert outcome.out == ""
    [line] = outcome.err.splitlines()
    assert port in line
    assert "--port" in line


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a\x1b[31mb\nc"])
async def test_unavailable_host_is_reported_with_the_option(tmp_path: Path, host: str) -> None:
    outcome = await run("serve", "--host", host, "--port", "0", home=tmp_path)
    assert outcome.status == 2
    [line] = outcome.err.splitlines()
    assert "--host" in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--port", "99999"), "--port"),
        (("--port", "-1"), "--port"),
        (("--port", "http"), "--port"),
        (("--message-rate", "-1"), "--message-rate"),
        (("--message-rate", "nan"), "--message-rate"),
        (("--max-connections", "-1"), "--max-connections"),
        (("--max-message-bytes", "many"), "--max-message-bytes"),
        (("--log-level", "loud"), "--log-level"),
        (("--no-such-option",), "--no-such-option"),
        (("surplus",), "surplus"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
async def test_invalid_value_is_reported_with_the_option(
    tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    outcome = await run("serve", *arguments, home=tmp_path)
    assert outcome.status == 2
    assert outcome.out == ""
    [line] = outcome.err.splitlines()
    assert line.startswith("broadcast-tui: ")
    assert named in line


async def test_fraction_is_not_a_whole_number(tmp_path: Path) -> None:
    async with program(*ANY_PORT, "--max-message-bytes", "1.5", home=tmp_path) as server:
        assert await server.line() == ""
        outcome = await server.ended()
    assert outcome.status == 2
    assert "--max-message-bytes" in outcome.err


async def test_only_the_last_directory_of_the_history_path_is_created(tmp_path: Path) -> None:
    outcome = await run(*ANY_PORT, "--history", str(tmp_path / "a" / "b" / "x.db"), home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    [line] = outcome.err.splitlines()
    assert f"--history: No such directory: {tmp_path / 'a'}." in line
    assert not (tmp_path / "a").exists()
    async with program(*ANY_PORT, "--history", str(tmp_path / "a" / "x.db"), home=tmp_path) as server:
        await server.port()
        assert (tmp_path / "a" / "x.db").exists()


async def test_listening_on_all_interfaces_prints_a_warning(tmp_path: Path) -> None:
    async with program("serve", "--host", "0.0.0.0", "--port", "0", home=tmp_path) as server:
        await server.port()
        await server.log_line(r"Warning: 0\.0\.0\.0 .*--host localhost")
        assert (await server.stop(signal.SIGTERM)).status == 0


async def test_listening_on_loopback_prints_no_warning(tmp_path: Path) -> None:
    async with program("serve", "--port", "0", home=tmp_path) as server:
        await server.port()
        assert "arning" not in (await server.stop(signal.SIGTERM)).err


async def test_connections_and_broadcasts_are_logged(tmp_path: Path) -> None:
    async with program(*ANY_PORT, home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        time = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO +"
        async with plain_client(url) as ana:
            await server.log_line(time + r".*#1 unnamed \(127.*connected.* 1 client\(s\)$")
            await ana.say("the text itself is private", sender="Ana")
            await ana.next_of(type="message")
            await server.log_line(time + r"#1 is Ana$")
            await server.log_line(time + r"broadcast .*Ana in lobby to 1 client\(s\)$")
        await server.log_line(time + r".*Ana.*disconnected \(1000\), 0 client\(s\)$")
        outcome = await server.stop(signal.SIGTERM)
        assert "private" not in outcome.err
        assert "DEBUG" not in outcome.err


async def test_names_and_renames_are_logged(tmp_path: Path) -> None:
    async with (
        program(*ANY_PORT, home=tmp_path) as server,
        v1_client(f"ws://127.0.0.1:{await server.port()}", "ana") as ana,
    ):
        await server.log_line(r"INFO +#1 is ana$")
        await ana.send("rename", name="bea")
        await server.log_line(r"INFO +#1 ana is now bea$")


async def test_frames_are_logged_at_debug(tmp_path: Path) -> None:
    async with program(*ANY_PORT, "--log-level", "debug", home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        async with plain_client(url) as ana:
            await ana.say("look at me", sender="Ana")
            await ana.next_of(type="message")
        await server.log_line(r"DEBUG +< #\d+ .*look at me")
        await server.log_line(r"DEBUG +> lobby .*look at me")


async def test_log_level_error_hides_normal_events(tmp_path: Path) -> None:
    async with program(*ANY_PORT, "--log-level", "error", home=tmp_path) as server:
        async with plain_client(f"ws://127.0.0.1:{await server.port()}"):
            pass
        assert (await server.stop(signal.SIGTERM)).err == ""


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_hostile_text_is_escaped_in_the_log(tmp_path: Path, level: str) -> None:
    hostile = "\x1b]0;pwned\x07\x9b31m\u202e\r\n2025-01-01 00:00:00,000 ERROR forged"
    async with program(*ANY_PORT, "--log-level", level, home=tmp_path) as server:
        port = await server.port()
        url = f"ws://127.0.0.1:{port}"
        async with plain_client(url) as plain, v1_client(url, "ana", rooms=[{"room": "lobby"}]) as ana:
            await plain.say(hostile, sender=hostile)
            await plain.send_raw(hostile)
            await plain.send(hostile)
            await ana.send("rename", name=hostile)
            await ana.send("join", room=hostile, ref=hostile)
            await ana.say(hostile, nonce=hostile)
            async with raw_socket(port) as raw:
                await raw.send(b"GET /\x1b]0;x\x07\x9b HTTP/1.0\r\nX\x1b: \x1b\r\n\r\n")
                await raw.read_to_end()
            await plain.say("the end", sender="Plain")
            await plain.next_of(message="the end")
            if level == "debug":
                await server.log_line(r"\\x1b\]0;pwned")
        await server.log_line(r"disconnected .*, 0 client")
        outcome = await server.stop(signal.SIGTERM)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", outcome.err)
        assert not re.search(r"^2025-01-01", outcome.err, re.MULTILINE)
        lines = outcome.err.splitlines()
        assert [
            line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ", line)
        ] == []


async def test_options_apply_to_the_server(tmp_path: Path) -> None:
    options = ("--message-rate", "0.5", "--message-burst", "1", "--max-message-bytes", "10")
    async with program(*ANY_PORT, *options, "--max-connections", "1", home=tmp_path) as server:
        port = await server.port()
        async with plain_client(f"ws://127.0.0.1:{port}") as ana:
            await ana.say("longer than ten")
            assert (await ana.next_of(event="error"))["code"] == "too_long"
            await ana.say("one")
            await ana.say("two")
            assert (await ana.next_of(event="error"))["code"] == "rate_limited"
            async with raw_socket(port) as second:
                assert " 503 " in await second.handshake()


async def test_zero_means_unlimited(tmp_path: Path) -> None:
    options = ("--message-rate", "0", "--max-message-bytes", "0", "--max-connections", "0")
    async with (
        program(*ANY_PORT, *options, home=tmp_path) as server,
        plain_client(f"ws://127.0.0.1:{await server.port()}") as ana,
    ):
        for _ in range(50):
            await ana.say("quick")
        await ana.say("x" * 300_000)
        frames = await ana.until(message="x" * 300_000)
        assert [frame["message"] for frame in frames[:-1]] == ["quick"] * 50


@pytest.mark.parametrize(
    ("files", "options", "admitted"),
    [(64, (), 1), (256, (), 144), (256, ("--max-connections", "100"), 0), (4_096, (), 0)],
)
async def test_low_open_file_limit_is_reported(
    tmp_path: Path, files: int, options: tuple[str, ...], admitted: int
) -> None:
    few = ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh")
    command = ("serve", "--port", "0", "--history", "memory", *options)
    async with program(*command, home=tmp_path, before=few) as server:
        await server.port()
        outcome = await server.stop(signal.SIGTERM)
    assert ("open file limit" in outcome.err) == bool(admitted)
    if admitted:
        connections = "1 connection" if admitted == 1 else f"{admitted} connections"
        assert f"the open file limit of {files} allows only {connections}." in outcome.err


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("redis://me:s3cret@127.0.0.1:1", "Cannot connect to redis://127.0.0.1:1"),
        ("redis://me:s3cret@127.0.0.1?replcas=1", "--history: No such option in a Redis URL: replcas"),
        ("redis://me:s3cret@127.0.0.1:port", "--history: Invalid Redis URL: invalid host or port"),
        ("redis://127.0.0.1?password_file=/none", "--history: Cannot read the Redis password from /none"),
    ],
)
async def test_an_unusable_redis_is_one_line_without_the_password(
    tmp_path: Path, location: str, problem: str
) -> None:
    outcome = await run(*ANY_PORT, "--history", location, home=tmp_path)
    assert outcome.status == 2
    assert outcome.out == ""
    [line] = outcome.err.splitlines()
    assert problem in line
    assert "s3cret" not in line
    assert not [path for path in tmp_path.rglob("*") if "redis" in path.name]


@needs_redis
@pytest.mark.parametrize("is_typed", [True, False])
async def test_a_password_on_the_command_line_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_typed: bool
) -> None:
    server = RedisServer(tmp_path, *ALWAYS, password="s3cret")
    monkeypatch.setattr(sys, "argv", ["serve", f"--history={server.url}" if is_typed else "--config=x"])
    with running(server):
        warnings = await History(server.url, 30.0, None, 0).warnings()
    assert ["?password_file=PATH" in warning for warning in warnings] == [True] * is_typed
    assert "s3cret" not in "".join(warnings)


@pytest.mark.parametrize("history", [(), ("--history", "memory"), ("--history", "posts.db")])
async def test_only_servers_with_redis_share_a_port(tmp_path: Path, history: tuple[str, ...]) -> None:
    outcome = await run(*ANY_PORT, *history, "--share-port", home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    [line] = outcome.err.splitlines()
    assert line == (
        "broadcast-tui: --share-port: Only servers with --history redis://HOST:PORT can share a port."
    )


async def test_sigterm_is_delayed_for_load_balancers_and_sigint_is_not(tmp_path: Path) -> None:
    options = ("--drain-delay", "0.5", "--history", "off")
    for number, is_delayed in ((signal.SIGTERM, True), (signal.SIGINT, False)):
        async with program(*ANY_PORT, *options, home=tmp_path) as server:
            url = f"ws://127.0.0.1:{await server.port()}"
            await server.line_with("Ctrl+C")
            async with v1_client(url, "ana") as ana:
                server.process.send_signal(number)
                await ana.closed()
            assert ("stopping in 0.5 s" in (await server.ended()).err) == is_delayed


async def test_a_second_signal_ends_the_delay(tmp_path: Path) -> None:
    options = ("--drain-delay", "1h", "--history", "off")
    async with program(*ANY_PORT, *options, home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        await server.line_with("Ctrl+C")
        async with v1_client(url, "ana") as ana:
            server.process.send_signal(signal.SIGTERM)
            await server.log_line("stopping in 3600 s")
            server.process.send_signal(signal.SIGINT)
            assert (await ana.closed())[0] == 1012
        outcome = await server.ended()
        assert (outcome.status, outcome.out.splitlines()[-1]) == (0, "Broadcast server stopped.")
