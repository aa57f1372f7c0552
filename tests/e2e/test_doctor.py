"""`broadcast-tui doctor` in real terminals: an emulator and tmux."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Open, ServerProcess
from tests.support.terminal import LIMIT_S, program


def test_terminal_is_asked_and_left_as_it_was(server: ServerProcess, open_terminal: Open) -> None:
    shell = open_terminal("bash", "--norc", columns=100, rows=60)
    command = " ".join(program("doctor", server.url))
    shell.enter(f"before=$(stty -g); {command}; echo rc $?; [ $before = $(stty -g) ] && echo same modes")
    shell.wait_for("rc 0", "same modes")
    assert "✓ TERM is xterm-256color" in shell.text
    assert "✓ 100 columns, 60 rows" in shell.text
    # What this emulator knows of the widths of emoji.
    assert "another width: emoji with a variation selector" in shell.text
    assert "✓ WebSocket with broadcast-tui.v1" in shell.text
    assert "漢" not in shell.text, "samples are erased"
    shell.enter("echo ready; exit 3")
    assert shell.wait_exit() == 3, "no answer of the terminal was left in the input"


def test_narrow_terminal(server: ServerProcess, open_terminal: Open) -> None:
    terminal = open_terminal(*program("doctor", server.url), columns=38, rows=90)
    assert terminal.wait_exit() == 0
    assert "! 38 columns, 90 rows" in terminal.text
    assert "warning" in terminal.text


def test_keys_are_shown_as_they_arrive(open_terminal: Open) -> None:
    terminal = open_terminal(*program("doctor", "--keys"))
    terminal.wait_for("Ctrl+C ends")
    terminal.type("\x1bkü\x1b[15~")
    terminal.wait_for("Alt+K", "Find a room", "(ESC k)", "(ü)", "F5", "(ESC [ 1 5 ~)")
    terminal.type("\x1b")
    terminal.wait_for("Esc ")
    terminal.type("\x03")
    assert terminal.wait_exit() == 0
    assert b"\x1b[<u" in terminal.raw


def test_a_signal_restores_the_terminal(open_terminal: Open) -> None:
    terminal = open_terminal(*program("doctor", "--keys"))
    terminal.wait_for("Ctrl+C ends")
    terminal.signal(signal.SIGTERM)
    assert terminal.wait_exit() == 143
    assert terminal.raw.endswith(b"\x1b[<u")


class Tmux:
    """A tmux server of its own."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "tmux"

    def run(self, *words: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout

    def wait_for(self, text: str) -> str:
        deadline = time.monotonic() + LIMIT_S
        while text not in (shown := self.run("capture-pane", "-p", "-t", "a")):
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)
        return shown


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    found = Tmux(tmp_path)
    yield found
    found.run("kill-server")


def test_settings_of_tmux(server: ServerProcess, tmux: Tmux, tmp_path: Path) -> None:
    command = " ".join(program("doctor", server.url))
    home = f"HOME={tmp_path} XDG_STATE_HOME={tmp_path} XDG_DATA_HOME={tmp_path} XDG_CONFIG_HOME={tmp_path}"
    size = ("-x", "100", "-y", "70")
    tmux.run("new-session", "-d", *size, "-s", "a", f"env {home} {command}; echo rc $?; exec cat")
    shown = tmux.wait_for("rc 0")
    assert "Run: tmux set -s escape-time 10" in shown
    assert "Run: tmux set -g focus-events on" in shown
    tmux.run("set", "-s", "escape-time", "10", ";", "set", "-g", "focus-events", "on")
    tmux.run("respawn-pane", "-k", "-t", "a", f"env {home} {command}; echo rc $? again; exec cat")
    shown = tmux.wait_for("rc 0 again")
    assert "✓ tmux delays Esc by 10 ms" in shown
    assert "✓ tmux: focus-events is on" in shown
