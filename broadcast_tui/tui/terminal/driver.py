"""What the terminal is owed beyond Textual: a title, some keys, whole pastes, one line at a crash."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from queue import Empty
from string import ascii_lowercase, digits

from textual import _ansi_sequences
from textual.driver import Driver
from textual.drivers._writer_thread import WriterThread
from textual.message import Message as TextualMessage

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.terminal.paste_filter import PasteFilter

PROGRAM = "broadcast-tui"
CRASH_FILE = "crash.log"


class _Key(Enum):
    """Keys that Textual has no name for in terminals without the kitty protocol."""

    ALT_ENTER = "alt+enter"
    ALT_BACKSPACE = "alt+backspace"


_SIGNS = {"slash": "/", "full_stop": ".", "underscore": "_", "minus": "-"}
_AltKey = Enum("_AltKey", {key: f"alt+{key}" for key in (*ascii_lowercase, *digits, *_SIGNS)})  # type: ignore[misc]
"""Textual 8.2 gives those it knows a text, which an input writes, and only if nothing follows them."""


def teach_keys() -> None:
    """Let Alt+Enter and Alt+Backspace arrive as such, which Textual 8.2 takes for Enter and Ctrl+W.

    The same for Alt with a letter, a digit or one of some signs.
    """
    table: object = _ansi_sequences.ANSI_SEQUENCES_KEYS
    if isinstance(table, dict):
        table.setdefault("\x1b\r", (_Key.ALT_ENTER,))
        table["\x1b\x7f"] = (_Key.ALT_BACKSPACE,)
        for key in _AltKey:
            sequence = f"\x1b{_SIGNS.get(key.name, key.name)}"
            if not isinstance(table.get(sequence), tuple):
                table[sequence] = (key,)


def forget_fixed_size() -> None:
    """Have the terminal asked for its size: COLUMNS and LINES, where set, are of another time or place."""
    for variable in ("COLUMNS", "LINES"):
        os.environ.pop(variable, None)


def guard_pastes() -> None:
    """Let pastes with control characters arrive whole and as pastes."""
    if sys.platform == "win32":
        return
    from textual._xterm_parser import XTermParser
    from textual.drivers import linux_driver

    class GuardedParser(XTermParser):
        """Textual's parser of what the terminal sends, behind a `PasteFilter`."""

        _guard: PasteFilter | None = None

        def feed(self, data: str) -> Iterable[TextualMessage]:
            if self._guard is None:
                self._guard = PasteFilter()
            cleaned = self._guard.clean(data)
            # Nothing at all would mean the end of the input.
            return super().feed(cleaned) if cleaned or not data else ()

    vars(linux_driver)["XTermParser"] = GuardedParser


def outlive(driver: Driver) -> None:
    """Take what is still written to a terminal that is gone, so that nobody waits for it.

    Textual's writing thread dies of the first error; once its queue is full, whoever writes waits for ever.
    """

    def drain() -> None:
        while True:
            writer = vars(driver).get("_writer_thread")
            if isinstance(writer, WriterThread) and not writer.is_alive():
                with suppress(Empty):
                    writer._queue.get(timeout=0.05)
            else:
                time.sleep(0.05)

    threading.Thread(target=drain, name="terminal-gone", daemon=True).start()


def hold_mouse(driver: Driver, hold: bool) -> None:
    """Have the mouse reported to us, or leave it to the terminal, also after a suspension."""
    switch = getattr(driver, "_enable_mouse_support" if hold else "_disable_mouse_support", None)
    if switch is None:
        return
    # Textual's drivers do neither unless this says that there is a mouse.
    driver._mouse = True
    switch()
    driver._mouse = hold


class Title:
    """The terminal's title: ours while we run, then again what it was (xterm's title stack)."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._pushed = False
        self._text = ""

    def set(self, place: str, unread: int = 0, mentions: int = 0) -> None:
        """Show how many posts wait, `place` and the program: `(2!, 12) #lobby · broadcast-tui`.

        What changes comes first, where narrow tabs show it; `2!` are those that mention us.
        """
        counts = [f"{mentions:,}!"] if mentions else []
        if unread > mentions:
            counts.append(f"{unread:,}")
        waiting = f"({', '.join(counts)}) " if counts else ""
        text = f"{waiting}{visible_line(place)} · {PROGRAM}"
        if text == self._text and self._pushed:
            return
        if not self._pushed:
            self._write("\x1b[22;0t")
            self._pushed = True
        self._text = text
        self._write(f"\x1b]0;{text}\x07")

    def give_back(self) -> None:
        """Put back the title from before the first `set`."""
        if self._pushed:
            self._pushed = False
            self._write("\x1b]0;\x07\x1b[23;0t")

    def show_again(self) -> None:
        """Set the last text anew, after `give_back`."""
        if self._text and not self._pushed:
            self._write(f"\x1b[22;0t\x1b]0;{self._text}\x07")
            self._pushed = True


def report_crash(error: BaseException, directory: Path) -> str:
    """Write what is known of `error` to a file in `directory` and return the one line for people."""
    cause = getattr(error, "error", None)
    if isinstance(cause, BaseException):
        error = cause
    what = visible_line(f"{type(error).__name__}: {error}")[:200]
    path = directory / CRASH_FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n")
            file.writelines(traceback.format_exception(error))
    except OSError as failure:
        return f"{PROGRAM}: internal error: {what}; no details could be written: {failure}"
    return f"{PROGRAM}: internal error: {what}; details in {path}"
