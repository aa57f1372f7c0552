"""`chat --plain` as a process, its lines in a pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import ROOT
from tests.cli.test_pipes import posts, run
from tests.support.plain import v1_client
from tests.support.running import running_server


async def test_a_pipe_chats(tmp_path: Path) -> None:
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
        assert any(line.startswith("!! There is no command /frob") for line in lines)
        assert any(line.startswith("-- ") and "bob" in line and "zed" in line for line in lines)
        assert "\x1b" not in outcome.out


async def test_a_dumb_terminal_gets_lines_without_asking(tmp_path: Path) -> None:
    async with running_server() as server:
        outcome = await run(
            "chat", server.url, "--name", "zed", home=tmp_path, given=b"hi\n", env={"TERM": "dumb"}
        )
        assert outcome.status == 0
        assert "zed: hi" in outcome.out


@pytest.mark.parametrize("words", [("--plain",), ("--plain", "--name", "SYSTEM")])
async def test_a_name_is_needed(tmp_path: Path, words: tuple[str, ...]) -> None:
    outcome = await run("chat", *words, home=tmp_path)
    assert outcome.status == 2
    assert "--name" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_it_needs_no_screen() -> None:
    code = "import json, sys, broadcast_tui.tui.plain; print(json.dumps([*sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert "textual" not in json.loads(result.stdout)
