"""The program: version, help, and the chat without a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

import broadcast_tui
from tests.cli.program import run


async def test_version_is_one_line(tmp_path: Path) -> None:
    outcome = await run("--version", home=tmp_path)
    assert (outcome.status, outcome.out, outcome.err) == (
        0,
        f"broadcast-tui {broadcast_tui.__version__}\n",
        "",
    )


@pytest.mark.parametrize("arguments", [("--help",), ()], ids=["help", "nothing"])
async def test_help_shows_the_commands(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    outcome = await run(*arguments, home=tmp_path)
    assert outcome.status == 0
    assert outcome.err == ""
    assert "serve" in outcome.out
    assert "chat" in outcome.out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("serve", ["--host", "--port", "--message-rate", "--message-burst", "--max-connections",
                   "--max-connections-per-ip", "--max-message-bytes", "--log-level", "8765", "16384"]),
        ("chat", ["--host", "--port", "--name", "--room", "--serve"]),
    ],
)  # fmt: skip
async def test_help_of_a_command_shows_its_options(tmp_path: Path, command: str, options: list[str]) -> None:
    outcome = await run(command, "--help", home=tmp_path)
    assert outcome.status == 0
    assert [option for option in options if option not in outcome.out] == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("chat",), "terminal"),
        (("connect",), "terminal"),
        (("chat", "--name", "ana", "ws://localhost:1/dev"), "terminal"),
        (("chat", "--serve"), "terminal"),
        (("chat", "--name", "SYSTEM"), "--name"),
        (("chat", "--port", "0"), "ort 0"),
        (("chat", "--port", "70000"), "--port"),
        (("chat", "--room", "a b"), "room"),
        (("chat", "ftp://localhost"), "ws://"),
        (("chat", "localhost", "--port", "1"), "--port"),
        (("shout",), "shout"),
        (("--shout",), "--shout"),
        (("chat", "\x1b]0;x\x07://y"), "ws://"),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else " ".join(value).replace("\x1b", "ESC").replace("\x07", "")
    ),
)
async def test_usage_errors_are_one_line_with_status_2(
    tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    outcome = await run(*arguments, home=tmp_path)
    assert outcome.status == 2
    assert outcome.out == ""
    [line] = outcome.err.splitlines()
    assert line.startswith("broadcast-tui: ")
    assert named in line
    assert line.isprintable()
