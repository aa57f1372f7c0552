"""Invites with a link and a QR code: `serve --qr`, `invite --qr`, and the invites of a chat."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from broadcast_tui.cli.chat_invites import make_invite
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.cli.security import network_host
from broadcast_tui.cli.server_info import ServerInfo, choose_port
from broadcast_tui.cli.token import create, list_tokens, revoke
from broadcast_tui.client import parse_address
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.qr_code import qr_lines
from broadcast_tui.server.token_store import TokenStore
from tests.cli.program import program, run
from tests.support.ports import unused_port

PIN = "sha256:" + "A" * 43


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of this user's servers."""
    monkeypatch.setattr("broadcast_tui.cli.chat_invites.data_path", lambda: tmp_path)
    return tmp_path


def info(tokens: Path, host: str = "192.168.1.5", **changes: bool) -> ServerInfo:
    facts = {"secure": False, "needs_token": True, **changes}
    return ServerInfo(host=host, port=8765, pin=PIN if facts["secure"] else "", tokens=str(tokens), **facts)


@pytest.mark.parametrize("url", ["ws://192.168.1.5:8765", "ws://localhost:8765"])
def test_each_invite_has_a_token_of_its_own(data: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = data / "tokens.json"
    info(file, secure=True).save(data)
    links = [make_invite(url, "dev", "bob").link for _ in range(2)]
    assert links[0] != links[1]
    store = TokenStore(file)
    store.load()
    for link in links:
        address = parse_address(link)
        assert (address.url, address.room, address.pin) == ("wss://192.168.1.5:8765", "dev", PIN)
        identity = store.find(address.token, datetime.now(UTC))
        assert identity is not None
        assert (identity.name, identity.role) == ("bob", Role.MEMBER)
    assert capsys.readouterr() == ("", "")


def test_notes_say_who_can_use_a_link(data: Path) -> None:
    info(data / "tokens.json").save(data)
    invite = make_invite("ws://192.168.1.5:8765", "lobby", "")
    assert invite.link == "http://192.168.1.5:8765/rooms/lobby"
    assert "/invite NAME" in invite.note
    assert "token of bob" in make_invite("ws://192.168.1.5:8765", "lobby", "bob").note
    info(data / "tokens.json", needs_token=False).save(data)
    assert make_invite("ws://localhost:8765", "lobby", "").note == ""
    info(data / "tokens.json", "127.0.0.1", needs_token=False).save(data)
    assert "serve --host" in make_invite("ws://localhost:8765", "lobby", "").note


@pytest.mark.parametrize("url", ["ws://chat.example.org:8765", "ws://localhost:1", "wss://192.168.1.6:8765"])
def test_token_is_not_created_for_a_server_elsewhere(data: Path, url: str) -> None:
    info(data / "tokens.json").save(data)
    assert make_invite(url, "lobby", "").link.startswith(url.replace("ws", "http", 1))
    with pytest.raises(UsageError, match="--token NAME"):
        make_invite(url, "lobby", "bob")
    assert not (data / "tokens.json").exists()


@pytest.mark.parametrize("name", ["SYSTEM", "a\x1b[31mb"])
def test_invalid_name_gets_no_token(data: Path, name: str) -> None:
    info(data / "tokens.json").save(data)
    with pytest.raises(UsageError):
        make_invite("ws://localhost:8765", "lobby", name)


def test_qr_listens_in_the_network_unless_a_host_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.cli.security.outward_address", lambda: "192.168.1.5")
    assert network_host("localhost") == "192.168.1.5"
    assert [network_host(host) for host in ("127.0.0.1", "0.0.0.0", "h.example")] == [
        *("127.0.0.1", "0.0.0.0", "h.example")
    ]
    monkeypatch.setattr("broadcast_tui.cli.security.outward_address", lambda: "")
    with pytest.raises(UsageError, match="--host"):
        network_host("localhost")


async def test_serve_prints_link_and_code(tmp_path: Path) -> None:
    options = ("--host", "127.0.0.1", "--port", "0", "--history", "off", "--qr")
    async with program("serve", *options, home=tmp_path) as server:
        port = await server.port()
        link = f"http://127.0.0.1:{port}/rooms/lobby"
        await server.line_with("Ctrl+C")
        assert "\n".join([link, *qr_lines(link, colors=False)]) in server.out
        # The text of the code is an address for terminals too.
        sent = await run("send", "hello", "--url", link, "--name", "ana", "--wait", home=tmp_path)
        assert (sent.status, sent.err) == (0, "")
        await server.stop(signal.SIGTERM)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--qr",), "--serve"),
        (("--kiosk",), "--name"),
        (("--kiosk", "--name", "ken", "--serve"), "serve"),
        (("--kiosk", "--name", "ken", "-"), "address"),
        (("--kiosk", "--name", "ken"), "ssh -t"),
    ],
)
async def test_contradicting_options_of_the_chat(
    tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    outcome = await run("chat", *options, home=tmp_path)
    assert outcome.status == 2
    [line] = outcome.err.splitlines()
    assert named in line


def known(data: Path, port: int, age_s: int = 0) -> None:
    """A server that was started on a port some time ago."""
    replace(info(data / "tokens.json", "127.0.0.1"), port=port).save(data)
    file = data / f"server-{port}.json"
    os.utime(file, (file.stat().st_mtime - age_s,) * 2)


@contextmanager
def listening(*ports: int) -> Iterator[None]:
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def test_port_is_that_of_the_server_that_runs(data: Path) -> None:
    first, second, third = (unused_port() for _ in range(3))
    assert choose_port(data, None) == 8765
    assert choose_port(data, 1) == 1
    known(data, first, age_s=10)
    known(data, second, age_s=20)
    assert choose_port(data, None) == first, "the last one that was started"
    with listening(second):
        assert choose_port(data, None) == second
    known(data, third, age_s=30)
    with listening(second, third), pytest.raises(UsageError, match=f"--port .*{max(second, third)}"):
        choose_port(data, None)
    (data / "server-x.json").write_text("{}")
    (data / "server-1.json").write_text("{")
    assert choose_port(data, None) == first


def test_a_token_is_for_the_running_servers_that_ask_for_it(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("broadcast_tui.cli.token.data_path", lambda: data)
    first, second, third = (unused_port() for _ in range(3))
    known(data, first, age_s=30)
    known(data, second, age_s=20)
    known(data, third, age_s=10)
    replace(info(data / "tokens.json", "127.0.0.1", needs_token=False), port=third).save(data)

    def ports() -> list[int]:
        create("mia", tokens=str(data / "tokens.json"))
        lines = [line for line in capsys.readouterr().err.splitlines() if "enters it" in line]
        return sorted(int(line.rpartition(":")[2]) for line in lines)

    assert ports() == [third], "the last one that was started"
    with listening(third):
        assert ports() == [third]
    with listening(second, third):
        assert ports() == [second]
    with listening(first, second, third):
        assert ports() == sorted((first, second))


def test_a_token_is_for_the_server_on_a_port(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("broadcast_tui.cli.token.data_path", lambda: data)
    known(data, 9001)
    replace(info(data / "other.json", "127.0.0.1"), port=9002).save(data)
    create("mia", port=9002, host="chat.example.org")
    assert "asked by: broadcast-tui chat chat.example.org:9002\n" in capsys.readouterr().err
    store = TokenStore(data / "other.json")
    store.load()
    assert [entry.name for entry in store.entries] == ["mia"]
    list_tokens(port=9002)
    assert "mia" in capsys.readouterr().out
    create("ken", tokens=str(data / "tokens.json"), host="::1")
    assert "asked by: broadcast-tui chat [::1]:9001\n" in capsys.readouterr().err
    revoke("mia", port=9002)
    assert capsys.readouterr().out.endswith(" of mia.\n")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"port": 1}, "No server was started on port 1"),
        ({"port": 9001, "tokens": "other.json"}, "--tokens: The server on port 9001 has its tokens in "),
        ({"host": "no host"}, "--host: Invalid host name or address: 'no host'"),
        ({"host": "h.example", "tokens": "other.json"}, "--host: No server with these tokens"),
    ],
)
def test_no_token_is_created_for_a_server_that_is_not_there(
    data: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], error: str
) -> None:
    monkeypatch.setattr("broadcast_tui.cli.token.data_path", lambda: data)
    monkeypatch.chdir(data)
    known(data, 9001)
    with pytest.raises(UsageError, match=error):
        create("mia", **options)  # type: ignore[arg-type]
    assert [path.name for path in data.iterdir()] == ["server-9001.json"]


@pytest.mark.parametrize(("option", "value"), [("--role", "admin"), ("--expires", "1d")])
async def test_options_of_a_new_token_need_one(tmp_path: Path, option: str, value: str) -> None:
    outcome = await run("invite", option, value, home=tmp_path)
    text = f"broadcast-tui: {option}: There is no new token. Create one with --token NAME.\n"
    assert (outcome.status, outcome.out, outcome.err) == (2, "", text)


async def test_invite_and_tokens_find_the_server(tmp_path: Path) -> None:
    async with program(
        "serve", "--host", "127.0.0.1", "--port", "0", "--history", "off", home=tmp_path
    ) as server:
        port = await server.port()
        await server.line_with(f"Join from this machine with: broadcast-tui chat 127.0.0.1:{port}")
        invited = await run("invite", home=tmp_path)
        assert invited.out == f"broadcast-tui chat 'ws://127.0.0.1:{port}/lobby'\n"
        created = await run("token", "create", "mia", home=tmp_path)
        assert f"mia enters it when asked by: broadcast-tui chat 127.0.0.1:{port}\n" in created.err
        assert created.out.strip() not in created.err
        await server.stop(signal.SIGTERM)
