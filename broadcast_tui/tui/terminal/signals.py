"""How the chat ends when it does not end by itself: SIGTERM, SIGHUP and the report of a crash."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui import PROGRAM

TERMINAL_GONE = "the terminal is gone"
CRASH_FILE = "crash.log"

_MEANINGS = {"SIGTERM": "terminated", "SIGHUP": TERMINAL_GONE}


class Signals:
    """Handles SIGTERM and SIGHUP while the chat runs.

    Args:
        on_signal: Called on the event loop with the number of the signal and its meaning in words.
        on_terminal_gone: Called before that for SIGHUP, at once and even if the loop is blocked.
    """

    def __init__(self, on_signal: Callable[[int, str], None], on_terminal_gone: Callable[[], None]) -> None:
        self._on_signal = on_signal
        self._on_terminal_gone = on_terminal_gone
        self._previous_handlers: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def install(self) -> None:
        """Install the handlers. Needs a running loop."""
        loop = asyncio.get_running_loop()

        def handle(number: int, meaning: str) -> None:
            if meaning == TERMINAL_GONE:
                self._on_terminal_gone()
            loop.call_soon_threadsafe(self._on_signal, number, meaning)

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
        """Restore the previous handlers."""
        while self._previous_handlers:
            with suppress(ValueError, OSError):
                signal.signal(*self._previous_handlers.popitem())


def report_crash(error: BaseException, directory: Path) -> str:
    """Write the traceback of `error` to a file in `directory`; returns one line for the user."""
    cause = getattr(error, "error", None)
    if isinstance(cause, BaseException):
        error = cause
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
