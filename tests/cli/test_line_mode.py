"""`chat --plain` as a process, with pipes for input and output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.token_store import TokenStore
from tests.cli.program import ROOT
from tests.cli.test_pipes import posts, run
from tests.support.plain import v1_client
from tests.support.running import running_server


async def test_plain_chat_in_a_pipe(tmp_path: Path) -> None:
    async with running_server() as server, v1_client(server.url, "bob") as bob:
        await bob.say("before", nonce="1")
        await bob.next_of(type="ack")
        typed = b"hello\n/me waves\n/who\n/frob\n"
        outcome = await run("chat", "--plain", server.url, "--name", "zed", home=tmp_path, given=typed)
        assert (outcome.status, outcome.err) == (0, "")
        assert await posts(server) == ["before", "hello", "/me waves"]
        lines = outcome.out.splitlines()
        assert [line[6:] for line in lines if line[2:3] == ":"] == [
            "bob: before",
            "zed: hello",
            "* zed waves",
        ]
        assert any(line.startswith("!! No such command: /frob") for line in lines)
        assert any(line.startswith("-- ") and "bob" in line and "zed" in line for line in lines)
        assert "\x1b" not in outcome.out


async def test_dumb_terminal_selects_plain_mode(tmp_path: Path) -> None:
    async with running_server() as server:
        outcome = await run(
            "chat", server.url, "--name", "zed", home=tmp_path, given=b"hi\n", env={"TERM": "dumb"}
        )
        assert outcome.status == 0
        assert "zed: hi" in outcome.out


@pytest.mark.parametrize("words", [("--plain",), ("--plain", "--name", "SYSTEM")])
async def test_plain_mode_requires_a_name(tmp_path: Path, words: tuple[str, ...]) -> None:
    outcome = await run("chat", *words, home=tmp_path)
    assert outcome.status == 2
    assert "--name" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_plain_mode_does_not_import_textual() -> None:
    code = "import json, sys, broadcast_tui.tui.line_mode; print(json.dumps([*sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert "textual" not in json.loads(result.stdout)


async def test_missing_token_is_reported_with_advice(tmp_path: Path) -> None:
    authenticator = TokenAuthenticator(TokenStore(tmp_path / "tokens.json"), needs_token=True)
    async with running_server(authenticator=authenticator) as server:
        outcome = await run("chat", "--plain", server.url, "--name", "ana", home=tmp_path)
        assert outcome.status == 4
        [hint] = [line for line in outcome.out.splitlines() if "--token-file" in line]
        assert "BROADCAST_TUI_TOKEN" in hint


@pytest.mark.parametrize("words", [("tail", "-"), ("chat", "--plain", "--name", "ana", "-")], ids=" ".join)
async def test_address_is_read_from_standard_input(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with running_server() as server:
        await server.broadcast_to_all({"type": "message", "message": "hello", "sender": "zoe"})
        outcome = await run(*words, home=tmp_path, given=f"{server.url}\nhi there\n".encode())
        assert outcome.status == 0
        assert "zoe: hello" in outcome.out
        assert ("ana: hi there" in outcome.out) == (words[0] == "chat")
    outcome = await run(*words, home=tmp_path)
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1


async def test_send_reads_its_address_from_standard_input(tmp_path: Path) -> None:
    async with running_server() as server:
        outcome = await run(
            "send", "--url", "-", "--wait", home=tmp_path, given=f"{server.url}\nhi there\n".encode()
        )
        assert (outcome.status, outcome.err) == (0, "")
        assert server._engine.last_seq("lobby") == 1
