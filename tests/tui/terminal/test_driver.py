"""The chat in a real terminal: input through `ChatDriver`, and the state of the terminal at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from io import StringIO
from itertools import cycle
from pathlib import Path

import pytest
from textual import events
from textual._xterm_parser import XTermParser

from broadcast_tui.tui.terminal.driver import ASK_MARGINS, ChatDriver, PasteSafeParser, register_alt_keys
from tests.support.chat_app import chatting
from tests.support.running import eventually

pexpect = pytest.importorskip("pexpect")
if os.name != "posix":
    pytest.skip("terminals of POSIX", allow_module_level=True)

ROOT = Path(__file__).parents[2]


class Terminal:
    """A chat process in a terminal of 80x24; `seen` is all its output so far.

    COLUMNS and LINES are wrong: a screen of that size would take all memory.
    """

    def __init__(self, home: Path, *arguments: str) -> None:
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "999999", "LINES": "9999"}
        command = ["-m", "tests.support.chat_program", str(home), *arguments]
        self.child = pexpect.spawn(
            sys.executable,
            command,
            cwd=ROOT,
            env=environment,
            dimensions=(24, 80),
            encoding="utf-8",
            timeout=20,
        )
        self.seen = ""

    def wait(self, text: str) -> None:
        self.child.expect_exact(text)
        self.seen += self.child.before + text

    def status(self) -> int | None:
        """Read to the end; returns the exit status, None if a signal ended the process."""
        self.child.expect(pexpect.EOF)
        self.seen += self.child.before
        self.child.close()
        return None if self.child.exitstatus is None else int(self.child.exitstatus)


def is_clean(seen: str) -> bool:
    """Whether alternate screen, cursor, mouse, pastes, keys, title and colors were all restored."""
    pairs = [
        ("\x1b[?1049h", "\x1b[?1049l"),
        ("\x1b[?25l", "\x1b[?25h"),
        ("\x1b[?1003h", "\x1b[?1003l"),
        ("\x1b[?2004h", "\x1b[?2004l"),
        ("\x1b[22;0t", "\x1b[23;0t"),
        ("\x1b[38;", "\x1b[m"),
    ]
    return all(seen.rfind(on) < seen.rfind(off) for on, off in pairs) and "\x1b[<u" in seen


def test_quitting_restores_the_terminal(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "ana")
    terminal.wait("lobby as ana")
    terminal.child.send("\x11")
    assert terminal.status() == 0
    assert is_clean(terminal.seen)
    assert "\x1b]0;#lobby · broadcast-tui\x07" in terminal.seen


def test_the_first_frame_shows_the_whole_screen(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "ana")
    terminal.wait("essage #lobby")
    # The footer gets its keys after the first layout.
    assert "Help" not in terminal.seen
    terminal.child.send("\x11")
    assert terminal.status() == 0


def test_a_crash_prints_one_line_and_exits_with_1(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "ana")
    terminal.wait("lobby as ana")
    terminal.child.send("crash\r")
    assert terminal.status() == 1
    assert is_clean(terminal.seen)
    after = terminal.seen[terminal.seen.rfind("\x1b[?1049l") :]
    assert "broadcast-tui: internal error:" in after
    assert "Traceback" not in after
    assert after.count("\n") == 1
    assert "Traceback" in (tmp_path / "crash.log").read_text()


def test_sigterm_prints_a_line_and_exits_with_143(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.wait("Other people")
    terminal.child.kill(signal.SIGTERM)
    assert terminal.status() == 143
    assert is_clean(terminal.seen)
    assert "broadcast-tui: terminated" in terminal.seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_chat_that_hangs_and_saves_its_state(tmp_path: Path, number: signal.Signals) -> None:
    terminal = Terminal(tmp_path, "ana")
    terminal.wait("lobby as ana")
    (tmp_path / "read.json").unlink(missing_ok=True)
    terminal.child.send("hang\r")
    terminal.wait("hanging")
    before = termios.tcgetattr(terminal.child.child_fd)
    assert not before[3] & termios.ECHO
    terminal.child.kill(number)
    assert terminal.status() == 128 + number
    assert is_clean(terminal.seen)
    assert "; the chat did not respond\r\n" in terminal.seen
    assert "lobby" in (tmp_path / "read.json").read_text()


def test_sigint_ends_the_chat_in_order(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "ana")
    terminal.wait("lobby as ana")
    terminal.child.kill(signal.SIGINT)
    assert terminal.status() == 130
    assert is_clean(terminal.seen)
    assert terminal.seen.endswith("broadcast-tui: interrupted\r\n")


def test_a_closed_terminal_ends_the_program(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "ana")
    terminal.wait("lobby as ana")
    os.close(terminal.child.child_fd)
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.child.pid, 0)[1]) == 128 + signal.SIGHUP


def test_alt_enter_and_pastes_with_escapes_are_recognized(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "ana")
    terminal.wait("lobby as ana")
    terminal.child.send("one\x1b\rtwo\r")
    terminal.wait("one")
    terminal.wait("two")
    terminal.child.send("\x1b[200~pasted\x1b[31m\x07\rtext\x1b[201~")
    terminal.wait("text")
    assert "\x1b[31m" not in terminal.seen[terminal.seen.rfind("pasted") :]
    terminal.child.send("\x03\x03\x03")
    assert terminal.status() == 0
    assert not (tmp_path / "crash.log").exists()


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("\x1b1\x1b9", ["alt+1", "alt+9"]),
        ("\x1b/\x1ba", ["alt+slash", "alt+a"]),
        ("\x1bkdev", ["alt+k", "d", "e", "v"]),
        ("\x1b\r\x1b\x7f", ["alt+enter", "alt+backspace"]),
        ("\x1bOP\x1b[18~", ["f1", "f7"]),
        ("\x1bb\x1bf", ["ctrl+left", "ctrl+right"]),
    ],
)
def test_alt_keys_are_recognized_at_any_typing_speed(sent: str, keys: list[str]) -> None:
    register_alt_keys()
    received = [event.key for event in XTermParser().feed(sent) if isinstance(event, events.Key)]
    assert received == keys


@pytest.mark.parametrize(
    ("sent", "has_margins"),
    [("\x1b[?69;2$y", True), ("\x1b[?69;1$y", True), ("\x1b[?69;0$y", False), ("\x1b[?69;4$y", False)],
)
def test_the_answer_about_margins_is_noted(sent: str, has_margins: bool) -> None:
    parser = PasteSafeParser()
    assert not parser.has_margins
    assert not list(parser.feed(sent))
    assert parser.has_margins is has_margins
    list(PasteSafeParser().feed("hello"))
    assert parser.has_margins is has_margins


def test_a_paste_is_no_answer_about_margins() -> None:
    parser = PasteSafeParser()
    list(parser.feed("\x1b[200~\x1b[?69;2$y\x1b[201~"))
    assert not parser.has_margins


@pytest.mark.parametrize("has_margins", [True, False])
def test_lines_scroll_within_margins_if_the_terminal_has_them(tmp_path: Path, has_margins: bool) -> None:
    terminal = Terminal(tmp_path, "ana")
    terminal.wait(ASK_MARGINS)
    terminal.child.send(f"\x1b[?69;{2 if has_margins else 0}$y")
    terminal.wait("lobby as ana")
    for letter in cycle("abcdefghijklmnopqrstuvwxyz"):
        # Each text has no character at the same place as the one above, so it is written in full.
        terminal.child.send(f"{letter * 30}\r")
        terminal.wait(letter * 30)
        if "\x1b[M" in terminal.seen:
            break
    terminal.child.send("\x11")
    assert terminal.status() == 0
    assert ("\x1b[?69h" in terminal.seen) is has_margins
    assert terminal.seen.count("\x1b[?69h") == terminal.seen.count("\x1b[?69l")


async def test_a_terminal_that_cannot_be_read_ends_the_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = StringIO()
    monkeypatch.setattr("sys.__stderr__", stderr)
    controller, terminal = os.openpty()
    os.close(terminal)  # from now on, reading the other end fails with EIO
    try:
        async with chatting("ana") as chat:
            driver = ChatDriver(chat.app)
            driver.fileno = controller
            await asyncio.to_thread(driver._run_input_thread)
            await eventually(lambda: chat.app.return_code == 1)
    finally:
        os.close(controller)
    assert stderr.getvalue() == "broadcast-tui: the terminal is gone\n"


async def test_the_end_of_the_input_ends_the_input_thread_only() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    os.close(writer)
    try:
        async with chatting("ana") as chat:
            driver = ChatDriver(chat.app)
            driver.fileno = reader
            await asyncio.to_thread(driver._run_input_thread)
            await eventually(lambda: chat.composer.text == "x")
            assert chat.app.return_code is None
    finally:
        os.close(reader)
