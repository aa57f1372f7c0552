"""A server stops when its terminal is closed, and reloads on any other SIGHUP."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.cli.program import ROOT, START_S, Program
from tests.support.running import PATIENCE_S

WITHOUT_CONTROL = "from broadcast_tui.cli import main; main()"
TAKE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); " + WITHOUT_CONTROL
# The tests may run under nohup, and child processes inherit the ignored SIGHUP.
ON_TERMINAL = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); " + TAKE_TERMINAL


class OnTerminal:
    """`serve` as a session leader on a pseudo-terminal; `terminal` is the controlling end."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self.terminal = terminal
        self.shown = ""

    def wait_for(self, pattern: str) -> None:
        deadline = time.monotonic() + START_S
        while not re.search(pattern, self.shown):
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {pattern} in {self.shown}"
            self.shown += os.read(self.terminal, 65_536).decode()

    def close(self) -> None:
        """Close the terminal, as closing a window does."""
        if self.terminal >= 0:
            os.close(self.terminal)
        self.terminal = -1


@contextmanager
def on_terminal(home: Path, code: str = ON_TERMINAL, log: Path | None = None) -> Iterator[OnTerminal]:
    terminal, its_side = os.openpty()
    errors = os.open(log, os.O_WRONLY | os.O_CREAT) if log else os.dup(its_side)
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--host", "127.0.0.1", "--port", "0"],
        stdin=its_side,
        stdout=its_side,
        stderr=errors,
        start_new_session=True,
        cwd=ROOT,
        env=Program.environment(home),
    )
    os.close(its_side)
    os.close(errors)
    server = OnTerminal(process, terminal)
    try:
        server.wait_for(r"Ctrl\+C to stop\.\s")  # with its end: it is written apart
        yield server
    finally:
        server.close()
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def test_closing_the_terminal_stops_the_server_gracefully(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with on_terminal(tmp_path, log=log) as server:
        server.close()
        assert server.process.wait(PATIENCE_S) == 0
    assert re.search(r"INFO +stopped$", log.read_text(), re.MULTILINE)


def test_closed_terminal_as_log_is_not_an_error(tmp_path: Path) -> None:
    with on_terminal(tmp_path) as server:
        server.close()
        assert server.process.wait(PATIENCE_S) == 0


def test_sighup_with_an_open_terminal_reloads(tmp_path: Path) -> None:
    with on_terminal(tmp_path) as server:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("reloaded: limits")
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        server.wait_for(r"(?s)stopping; closing 0 client.*stopped\.")
        assert server.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    "code",
    ["import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); " + TAKE_TERMINAL, WITHOUT_CONTROL],
    ids=["nohup", "setsid"],
)
def test_detached_server_reloads_on_sighup(tmp_path: Path, code: str) -> None:
    log = tmp_path / "log"
    with on_terminal(tmp_path, code, log) as server:
        server.close()
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_S
        while "reloaded: limits" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        assert server.process.poll() is None
