"""How the chat ends when it does not end by itself: signals, also if the chat hangs, and crash reports."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from os import _exit as exit_process
from pathlib import Path
from types import FrameType

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui import PROGRAM

TERMINAL_GONE = "the terminal is gone"
CRASH_FILE = "crash.log"
REACTION_S = 1.0
"""Time for the event loop to react to a signal; after that, the chat counts as hanging."""
END_S = 5.0
"""Time for the chat to end in order after it has reacted."""
SAVE_S = 1.0
"""Time for a hanging chat to save its state."""

_MEANINGS = {"SIGTERM": "terminated", "SIGINT": "interrupted", "SIGHUP": TERMINAL_GONE}


class Signals:
    """Handles SIGTERM, SIGINT and SIGHUP while the chat runs.

    Args:
        on_signal: Called on the event loop with the number of the signal and its meaning in words.
        on_terminal_gone: Called before that for SIGHUP, at once and even if the loop is blocked.
        on_hang: Called in a thread, with the same arguments as `on_signal`, if the chat does not end in time.
    """

    def __init__(
        self,
        on_signal: Callable[[int, str], None],
        on_terminal_gone: Callable[[], None],
        on_hang: Callable[[int, str], None],
    ) -> None:
        self._on_signal = on_signal
        self._on_terminal_gone = on_terminal_gone
        self._on_hang = on_hang
        self._previous_handlers: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._watchdog: threading.Thread | None = None
        self._has_reacted = threading.Event()
        self._has_ended = threading.Event()

    def install(self) -> None:
        """Install the handlers. Needs a running loop."""
        loop = asyncio.get_running_loop()

        def react(number: int, meaning: str) -> None:
            self._has_reacted.set()
            self._on_signal(number, meaning)

        def handle(number: int, meaning: str) -> None:
            if self._watchdog is None:
                # A thread runs even if the loop is blocked, as long as the blocking code is Python code.
                self._watchdog = threading.Thread(
                    target=self._watch, args=(number, meaning), name="end", daemon=True
                )
                self._watchdog.start()
            if meaning == TERMINAL_GONE:
                self._on_terminal_gone()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(react, number, meaning)

        for name, meaning in _MEANINGS.items():
            number = getattr(signal, name, None)
            # Windows lacks SIGHUP, and only the main thread can install handlers.
            with suppress(ValueError, OSError):
                if number is not None:
                    handler = partial(handle, int(number), meaning)
                    self._previous_handlers[number] = signal.signal(
                        number, lambda *_, handler=handler: handler()
                    )

    def restore(self) -> None:
        """Restore the previous handlers: the chat has ended."""
        self._has_ended.set()
        while self._previous_handlers:
            with suppress(ValueError, OSError):
                signal.signal(*self._previous_handlers.popitem())

    def _watch(self, number: int, meaning: str) -> None:
        if not (self._has_reacted.wait(REACTION_S) and self._has_ended.wait(END_S)):
            self._on_hang(number, meaning)


def exit_now(status: int, line: str, save: Callable[[], None]) -> None:
    """End a hanging chat from another thread: save, print a line on standard error, and exit."""
    saving = threading.Thread(target=save, name="save", daemon=True)
    saving.start()
    saving.join(SAVE_S)
    with suppress(OSError):
        os.set_blocking(2, False)  # the terminal may not read
        os.write(2, f"{line}\n".encode())
        os.set_blocking(2, True)
    exit_process(status)


def ignore_stop_keys() -> None:
    """Ignore Ctrl+Z and Ctrl+\\ while the terminal is not in raw mode, which makes signals of them."""
    for name in ("SIGTSTP", "SIGQUIT"):
        number = getattr(signal, name, None)
        with suppress(ValueError, OSError):
            if number is not None:
                signal.signal(number, signal.SIG_IGN)


def report_crash(error: BaseException, directory: Path | None) -> str:
    """Write the traceback of `error` to a file in `directory`; returns one line for the user.

    Without a directory nothing is written, and the line contains no details.
    """
    cause = getattr(error, "error", None)
    if isinstance(cause, BaseException):
        error = cause
    if directory is None:
        return f"{PROGRAM}: internal error ({type(error).__name__})"
    summary = visible_line(f"{type(error).__name__}: {error}")[:200]
    path = directory / CRASH_FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n")
            file.writelines(traceback.format_exception(error))
    except OSError as failure:
        return f"{PROGRAM}: internal error: {summary}; the details could not be written: {failure}"
    return f"{PROGRAM}: internal error: {summary}; details in {path}"
