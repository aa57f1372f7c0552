"""Access control with real programs: tokens, invites and TLS."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import ssl
import sys
from pathlib import Path

import pytest
import segno

from broadcast_tui.cli.token import expiry
from broadcast_tui.client.storage.credentials import Credentials
from broadcast_tui.core.protocol.handshake import fingerprint
from broadcast_tui.qr_code import qr_lines
from tests.cli.program import EXECUTED, Outcome, Program, program, run
from tests.server.test_tls import certificate_at, client_hello
from tests.support.certificates import Authority
from tests.support.plain import silent_v1_client, v1_client
from tests.support.raw_socket import raw_socket
from tests.support.running import in_time

ANY_PORT = ("serve", "--host", "127.0.0.1", "--port", "0", "--history", "memory")
TOKEN = r"bt_[A-Za-z0-9_-]{43}"


def one_line(outcome: Outcome, status: int) -> str:
    """The only line on standard error of a program that exited with `status`."""
    assert outcome.status == status, outcome
    [line] = outcome.err.splitlines()
    assert line.startswith("broadcast-tui: ")
    return line


async def create(home: Path, name: str, *options: str) -> str:
    outcome = await run("token", "create", name, *options, home=home)
    assert outcome.status == 0, outcome.err
    return outcome.out.strip()


# -- tokens


async def test_token_is_printed_once_and_never_listed(tmp_path: Path) -> None:
    outcome = await run("token", "create", "ana", "--role", "reader", "--expires", "30d", home=tmp_path)
    assert re.fullmatch(TOKEN + "\n", outcome.out), "standard output is the token alone"
    token = outcome.out.strip()
    assert "not shown again" in outcome.err
    listed = await run("token", "list", home=tmp_path)
    found = re.fullmatch(r"([0-9a-f]{8})  reader  until \d{4}-\d\d-\d\d \d\d:\d\d UTC +ana\n", listed.out)
    assert found
    [heading] = listed.err.splitlines()
    assert [heading.index(word) for word in ("ID", "ROLE", "VALID", "NAME")] == [
        listed.out.index(word) for word in (found[1], "reader", "until", "ana")
    ]
    assert token not in listed.out + outcome.err
    assert (await run("token", "revoke", found[1], home=tmp_path)).out == f"Revoked {found[1]} of ana.\n"
    assert (await run("token", "list", home=tmp_path)).out == ""


async def test_second_token_of_a_name_is_reported_and_keeps_the_role(tmp_path: Path) -> None:
    await create(tmp_path, "ana", "--role", "admin")
    line = one_line(await run("token", "create", "ana", home=tmp_path), 2)
    assert line.endswith("ana has a token as admin. Use --role admin or --role member.")
    outcome = await run("token", "create", "ana", "--role", "admin", home=tmp_path)
    assert re.fullmatch(TOKEN + "\n", outcome.out)
    assert "ana now has 2 tokens." in outcome.err
    await create(tmp_path, "ana", "--role", "member")
    await create(tmp_path, "ana")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("create", "SYSTEM"), "reserved"),
        (("create", "a\x1b[31mb"), "letters"),
        (("create", "ana", "--role", "boss"), "--role"),
        (("create", "ana", "--expires", "soon"), "--expires"),
        (("create", "ana", "--expires", "0d"), "--expires"),
        (("create", "ana", "--expires", "999999w"), "--expires"),
        (("revoke", "nobody"), "No token has the id or name 'nobody'. List"),
        (("create", "ana", "--tokens", "/dev/null/x"), "--tokens"),
    ],
    ids=" ".join,
)
async def test_token_command_errors_are_one_line(tmp_path: Path, words: tuple[str, ...], named: str) -> None:
    line = one_line(await run("token", *words, home=tmp_path), 2)
    assert named in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("text", "hours"), [("90m", 1.5), ("12h", 12), ("30d", 720), ("8w", 1344), ("1 D", 24)]
)
def test_durations_are_parsed_with_their_unit(text: str, hours: float) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert expiry(text, now) == now + timedelta(hours=hours)


async def test_send_and_tail_pass_a_token_and_give_advice_without_one(tmp_path: Path) -> None:
    token, reader = await create(tmp_path, "ana"), await create(tmp_path, "rita", "--role", "reader")
    files = {"right": token, "wrong": "bt_" + "x" * 43, "reader": reader, "empty": " \n", "odd": "two words"}
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n")
        (tmp_path / name).chmod(0o600)
    async with program(*ANY_PORT, "--auth", "token", "--log-level", "debug", home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"

        def given(name: str) -> tuple[str, str]:
            return "--token-file", str(tmp_path / name)

        sent = await run("send", "hello", "--url", url, "--wait", *given("right"), home=tmp_path)
        assert (sent.status, sent.err) == (0, "")
        assert (await run("tail", url, *given("reader"), home=tmp_path)).out.endswith(" ana: hello\n")
        for words in (("send", "hello", "--url", url), ("tail", url)):
            for options in ((), given("wrong")):
                line = one_line(await run(*words, *options, home=tmp_path), 4)
                assert "--token-file" in line
                assert "BROADCAST_TUI_TOKEN" in line
                assert files["wrong"] not in line
        refused = await run("send", "hello", "--url", url, "--wait", *given("reader"), home=tmp_path)
        assert "read-only" in one_line(refused, 3)
        for name in ("missing", "empty", "odd"):
            line = one_line(await run("tail", url, *given(name), home=tmp_path), 2)
            assert "token" in line
        logged = (await server.stop(signal.SIGTERM)).err
    assert "DEBUG" in logged
    assert not re.search(TOKEN, logged)
    assert not any(content[3:] in logged for content in (token, reader))


async def test_token_is_read_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await create(tmp_path, "ana")
    async with program(*ANY_PORT, "--auth", "token", home=tmp_path) as server:
        port = await server.port()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "broadcast_tui", "send", "hi", "--wait", "--url", f"127.0.0.1:{port}"),
            stderr=asyncio.subprocess.PIPE,
            env={**Program.environment(tmp_path), "BROADCAST_TUI_TOKEN": token},
        )
        _, errors = await in_time(process.communicate())
        assert (process.returncode, errors) == (0, b"")


async def test_token_on_the_command_line_is_not_repeated_in_errors(tmp_path: Path) -> None:
    token = "bt_" + "k" * 43
    for words in (
        ("chat", f"ws://localhost:8765?token={token}"),
        ("tail", "ws://localhost", f"wss://h#token={token}"),
        ("tail", f"ftp://localhost#token={token}"),
        ("token", "list", token),
        ("serve", f"--token={token}"),
    ):
        assert token[3:] not in one_line(await run(*words, home=tmp_path), 2)


async def test_revoking_ends_live_connections_of_a_running_server(tmp_path: Path) -> None:
    token = await create(tmp_path, "ana")
    async with program(*ANY_PORT, "--auth", "token", home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        async with v1_client(url, token=token) as ana:
            assert (await run("token", "revoke", "ana", home=tmp_path)).status == 0
            assert (await ana.closed())[0] == 4500
        async with silent_v1_client(url) as ana:
            await ana.send("hello", token=token)
            assert (await ana.closed())[0] == 4500
        assert (await server.stop(signal.SIGTERM)).status == 0


# -- TLS and invites


async def invited(home: Path, port: int, *options: str) -> list[str]:
    """The words of the command line that `invite` prints."""
    outcome = await run("invite", "--port", str(port), *options, home=home)
    assert outcome.status == 0, outcome.err
    return shlex.split(outcome.out.splitlines()[0])


async def test_invite_is_sufficient_to_join(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    options = ("--tls", "self-signed", "--auth", "token", "--log-level", "debug")
    async with program(*ANY_PORT, *options, home=here) as server:
        port = await server.port()
        printed = shlex.split((await server.line_with("Others join with")).partition(": ")[2])
        assert printed == await invited(here, port)
        program_name, command, url = await invited(here, port, "--token", "ana", "--room", "dev")
        assert (program_name, command) == ("broadcast-tui", "chat")
        assert re.fullmatch(
            rf"wss://127\.0\.0\.1:{port}/dev#pin=sha256:[A-Za-z0-9_-]{{43}}&token={TOKEN}", url
        )
        sent = await run("send", "hello", "--url", url, "--wait", home=there)
        assert (sent.status, sent.err) == (0, "")
        assert (await run("tail", url, home=there)).out.endswith(" ana: hello\n")
        without = url.partition("&")[0]
        assert "token" in one_line(await run("tail", without, home=there), 4)
        bare = one_line(await run("tail", without.partition("#")[0], home=there), 4)
        assert "invite" in bare
        changed = one_line(
            await run("tail", re.sub("pin=sha256:.{43}", "pin=sha256:" + "A" * 43, url), home=there), 4
        )
        assert "does not match the invite" in changed
        plain = one_line(await run("tail", f"ws://127.0.0.1:{port}", home=there), 4)
        assert "wss://" in plain
        logged = (await server.stop(signal.SIGTERM)).err
        assert not re.search(TOKEN, logged)


async def test_invite_for_another_host_with_qr_code(tmp_path: Path) -> None:
    async with program(*ANY_PORT, "--tls", "self-signed", home=tmp_path) as server:
        port = await server.port()
        [*_, url] = await invited(tmp_path, port, "--host", "chat.example.org")
        assert url.startswith(f"wss://chat.example.org:{port}/lobby#pin=")
        shown = await run("invite", "--port", str(port), "--qr", home=tmp_path)
        link, *lines = shown.out.splitlines()[1:]
        assert re.fullmatch(rf"https://127\.0\.0\.1:{port}/rooms/lobby#pin=sha256:[\w-]{{43}}", link)
        assert len({len(line) for line in lines}) == 1
        assert set("".join(lines)) <= set(" ▀▄█")
        assert len(lines) <= 23


@pytest.mark.parametrize("host", ["a b", "a/b", "user@host", "h#x", "a:1"])
async def test_invite_for_an_invalid_host_creates_no_token(tmp_path: Path, host: str) -> None:
    async with program(*ANY_PORT, home=tmp_path) as server:
        port = str(await server.port())
        await server.line_with("Ctrl+C")
        outcome = await run("invite", "--port", port, "--host", host, "--token", "ana", home=tmp_path)
        assert f"--host: Invalid host name or address: {host!r}" in one_line(outcome, 2)
        assert outcome.out == (await run("token", "list", home=tmp_path)).out == ""


async def test_invite_without_a_server_gives_advice(tmp_path: Path) -> None:
    assert "broadcast-tui serve" in one_line(await run("invite", "--port", "1", home=tmp_path), 2)


def test_qr_code_is_the_same_on_dark_and_light_terminals() -> None:
    colored, plain = qr_lines("wss://host", colors=True), qr_lines("wss://host", colors=False)
    assert all(line.startswith("\x1b[38;5;16;48;5;231m") and line.endswith("\x1b[0m") for line in colored)
    turned = str.maketrans(" ▀▄█", "█▄▀ ")
    assert [line.removeprefix("\x1b[38;5;16;48;5;231m").removesuffix("\x1b[0m").translate(turned)
            for line in colored] == plain  # fmt: skip


@pytest.mark.parametrize(
    "text", ["wss://host", "wss://a.longer.example.org:8765/lobby#pin=sha256:" + "A" * 43]
)
def test_qr_code_has_the_modules_of_its_text(text: str) -> None:
    upper, lower = set("▀█"), set("▄█")
    light = [
        [char in half for char in line] for line in qr_lines(text, colors=False) for half in (upper, lower)
    ]
    matrix = segno.make(text, error="l", micro=False).matrix
    for y, row in enumerate(matrix):
        assert [not module for module in row] == light[y + 2][2 : 2 + len(row)]
    assert all(light[0] + light[1]), "the quiet zone is light"


async def test_certificate_is_reloaded_on_sighup(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "127.0.0.1")
    options = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    async with program(*ANY_PORT, *options, home=tmp_path) as server:
        port = await server.port()
        url = f"wss://127.0.0.1:{port}"
        sent = await run("send", "hi", "--wait", "--url", url, "--ca", str(authority.ca), home=tmp_path)
        assert (sent.status, sent.err) == (0, "")
        assert "add --ca FILE" in one_line(await run("send", "hi", "--wait", "--url", url, home=tmp_path), 4)
        assert "#" not in (await invited(tmp_path, port))[2], "a renewal must not break invites"
        before = await certificate_at(port)
        async with v1_client(url, "ana", tls=ssl.create_default_context(cafile=authority.ca)) as ana:
            authority.issue("server", "127.0.0.1")
            server.process.send_signal(signal.SIGHUP)
            await server.log_line(r"reloaded the certificate: sha256:")
            after = await certificate_at(port)
            assert fingerprint(after) != fingerprint(before)
            pair.cert.write_text("nonsense")
            server.process.send_signal(signal.SIGHUP)
            await server.log_line(r"ERROR +reload failed: .*server\.pem")
            assert len(re.findall(r"INFO +reloaded: ", server.err)) == 1
            assert await certificate_at(port) == after
            await ana.say("still here", nonce="n")
            await ana.next_of(type="ack")
        assert (await server.stop(signal.SIGTERM)).status == 0


async def test_self_signed_certificate_is_reused(tmp_path: Path) -> None:
    shown = set()
    for _ in range(2):
        async with program(*ANY_PORT, "--tls", "self-signed", home=tmp_path) as server:
            shown.add(fingerprint(await certificate_at(await server.port())))
            await server.stop(signal.SIGTERM)
    assert len(shown) == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--tls-key", "x"), "--tls-cert"),
        (("--tls-cert", "/no/such"), "/no/such"),
        (("--tls-cert", "x", "--tls", "self-signed"), "not both"),
        (("--tls", "maybe"), "--tls"),
        (("--auth", "maybe"), "--auth"),
        (("--tokens", "/dev/null/x"), "/dev/null/x"),
    ],
    ids=" ".join,
)
async def test_invalid_security_options_are_reported_in_one_line(
    tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    assert named in one_line(await run(*ANY_PORT, *options, home=tmp_path), 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "broadcast-tui serve --host 0.0.0.0 --auth token --tls self-signed"),
        (("--tls", "self-signed"), "broadcast-tui serve --host 0.0.0.0 --auth token'"),
        (("--auth", "token"), "--tls self-signed"),
        (("--auth", "token", "--tls", "self-signed"), ""),
    ],
    ids=["open", "open with TLS", "token without TLS", "closed"],
)
async def test_listening_on_other_interfaces_prints_advice(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    async with program("serve", "--host", "0.0.0.0", "--port", "0", *options, home=tmp_path) as server:
        await server.port()
        await server.line_with("Ctrl+C")
        outcome = await server.stop(signal.SIGTERM)
    warnings = [line for line in outcome.err.splitlines() if line.startswith("Warning")]
    assert says in "".join(warnings)
    assert bool(warnings) is bool(says)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_stalled_tls_peers_use_less_than_1_mb_each_and_are_dropped(tmp_path: Path) -> None:
    """Half of the peers stall within the TLS handshake, half after it."""
    count = 40
    options = ("--tls", "self-signed", "--handshake-timeout", "3")
    async with program(*ANY_PORT, *options, home=tmp_path, code=EXECUTED) as server:
        port = await server.port()
        await certificate_at(port)
        before = resident_bytes(server)
        hello = client_hello()
        stalled = []
        for number in range(count):
            connecting = raw_socket(port)
            sock = await connecting.__aenter__()
            stalled.append((connecting, sock))
            await sock.send(hello if number % 2 else hello[:20])
        await certificate_at(port)
        assert resident_bytes(server) - before < count * 1_000_000
        async with asyncio.timeout(15):
            await asyncio.gather(*(sock.read_to_end() for _, sock in stalled))
        for connecting, _ in stalled:
            await connecting.__aexit__(None, None, None)
        logged = (await server.stop(signal.SIGTERM)).err
    assert "Traceback" not in logged
    assert len(logged.splitlines()) < 10, "they do not fill the log either"


def resident_bytes(server: Program) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


async def test_server_info_contains_no_secret(tmp_path: Path) -> None:
    token = await create(tmp_path, "ana")
    async with program(*ANY_PORT, "--auth", "token", home=tmp_path) as server:
        port = await server.port()
        await server.line_with("Ctrl+C")
        [path] = (tmp_path / "broadcast-tui").glob(f"server-{port}.json")
        assert token not in path.read_text()
        assert json.loads(path.read_text())["needs_token"] is True


async def test_forget_deletes_credentials_by_address(tmp_path: Path) -> None:
    kept = Credentials(tmp_path / "broadcast-tui")
    kept.save_pin("wss://localhost:1", "sha256:" + "A" * 43)
    for message in (
        "Deleted the credentials of wss://localhost:1.",
        "No credentials saved for wss://localhost:1.",
    ):
        outcome = await run("forget", "wss://localhost:1/dev", home=tmp_path)
        assert (outcome.status, outcome.out, outcome.err) == (0, "", message + "\n")
    assert kept.pin("wss://localhost:1") == ""


async def test_an_unusable_generated_certificate_is_reported_without_advice_about_given_ones(
    tmp_path: Path,
) -> None:
    file = tmp_path / "broadcast-tui" / "self-signed.pem"
    file.parent.mkdir()
    file.write_text("nonsense")
    outcome = await run(*ANY_PORT, "--tls", "self-signed", home=tmp_path)
    text = f"--tls self-signed: {file} is not a certificate and its key in PEM format."
    assert one_line(outcome, 2) == f"broadcast-tui: {text}"
