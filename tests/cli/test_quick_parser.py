"""The quick parser: it never disagrees with cyclopts."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broadcast_tui.cli.parser import app
from broadcast_tui.cli.quick_parser import COMMANDS, quick_call
from broadcast_tui.cli.settings import USER_CONFIG

OPTIONS = (
    *("--url", "--host", "--port", "--name", "--ask-name", "--room", "--serve", "--qr", "--theme"),
    *("--plain", "--kiosk", "--mention", "--token-file", "--ca", "--insecure-token", "--as-one", "--wait"),
    *(
        "--last",
        "-n",
        "--json",
        "--follow",
        "-f",
        "--timeout",
        "--no-plain",
        "--name=bob",
        "--ask_name",
        "-fn",
    ),
)
VALUES = (
    "ana",
    "8765",
    "65536",
    "0x10",
    "٣",
    "1_0",
    "-1",
    "-",
    "--",
    "",
    " ",
    "a b",
    "ws://h:1/r",
    "true",
    "chat",
)
tokens = st.lists(st.sampled_from(OPTIONS) | st.sampled_from(VALUES) | st.text(max_size=4), max_size=6)


@pytest.fixture(autouse=True, scope="module")
def no_config(tmp_path_factory: pytest.TempPathFactory) -> object:
    """No configuration file."""
    patch = pytest.MonkeyPatch()
    patch.setattr(USER_CONFIG, "path", None)
    patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    USER_CONFIG.reload()
    yield
    patch.undo()
    USER_CONFIG.reload()


@given(st.sampled_from(sorted(COMMANDS)), tokens)
@example("chat", ["ws://h:1/r", "--name", "ana", "ws://i", "--plain"])
@example("chat", ["--port", "9000", "--ask-name"])
@example("send", ["--room", "ops", "hello", "--wait", "again"])
@example("tail", ["ws://h:1/r", "--json", "--room", "ops"])
def test_both_parsers_agree(command: str, rest: list[str]) -> None:
    call = quick_call([command, *rest])
    if call is None:
        return
    assert isinstance(call, partial)
    function, bound, _ = app.parse_args([command, *rest], print_error=False, exit_on_error=False)
    assert call.func is function
    assert (call.args, call.keywords) == (bound.args, bound.kwargs)


@pytest.mark.parametrize(
    "line",
    [
        "chat",
        "connect localhost:8765",
        "chat ws://h:1/r ws://i:1 --name ana --room ops --theme nord",
        "chat --serve --port 9000",
        "chat --plain --kiosk --name ana",
        "send hello world --room ops --wait",
        "tail --room ops --json",
        "tail localhost:8765 -f -n 5",
    ],
)
def test_usual_command_lines_are_parsed(line: str) -> None:
    assert quick_call(line.split()) is not None


@pytest.mark.parametrize(
    "line",
    [
        "", "serve", "chat --help", "chat --nosuch", "chat --name", "chat --name=ana", "chat --port 65536",
        "chat --name a --name b", "chat -- a", "chat --plain --plain", "tail a b", "tail -n 05",
        "send --timeout 0 hi", "send --timeout 5 hi",
    ],
)  # fmt: skip
def test_other_command_lines_are_left_to_cyclopts(line: str) -> None:
    assert quick_call(line.split()) is None


def test_options_in_the_environment_are_left_to_cyclopts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_TUI_CHAT_NAME", "ana")
    assert quick_call(["connect"]) is None
    assert quick_call(["send", "hello"]) is not None


@pytest.mark.parametrize("line", ["", "--name bob", "localhost:8765", "--room ops --plain"])
def test_both_parsers_use_the_configuration_file_alike(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(USER_CONFIG, "_tables", {"chat": {"name": "ana", "token-file": "f", "theme": "nord"}})
    assert quick_call(["chat", *line.split()]) is None  # it has an option that is not parsed here
    monkeypatch.setattr(USER_CONFIG, "_tables", {"chat": {"name": "ana", "theme": "nord"}})
    call = quick_call(["chat", *line.split()])
    assert isinstance(call, partial)
    _, bound, _ = app.parse_args(["chat", *line.split()], print_error=False, exit_on_error=False)
    assert (call.args, call.keywords) == (bound.args, bound.kwargs)


@pytest.mark.parametrize("entry", ["host", "port", "serve", "mention", "nosuch"])
def test_other_entries_of_the_file_are_left_to_cyclopts(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(USER_CONFIG, "_tables", {"chat": {entry: "1"}})
    assert quick_call(["chat"]) is None
    assert quick_call(["tail"]) is not None


def test_cyclopts_is_not_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from broadcast_tui.cli.quick_parser import quick_call;"
        "assert all(quick_call([word]) for word in ('chat', 'send', 'tail'));"
        "assert 'cyclopts' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"XDG_CONFIG_HOME": str(tmp_path)})
