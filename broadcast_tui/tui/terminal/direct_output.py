"""Writes to the terminal from the event loop, as long as the terminal accepts it at once.

Textual 8.2 leaves all writing to a thread, because a terminal that does not read would block the event loop.
But the thread has to wait for the interpreter until the event loop is idle. So `DirectOutput` opens the
terminal a second time, in non-blocking mode, and leaves to the thread only what the terminal does not accept
at once. The mode belongs to that open file: it is unchanged for other programs in the same terminal.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import RLock
from typing import TextIO


class DirectOutput:
    """The output `file` of the driver. Textual's writer thread calls `write` and `flush`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._lock = RLock()
        """The input thread writes, too, and so may a signal handler in the middle of a write."""
        self._rest = b""
        """What the terminal did not accept of a text; the thread writes it before anything else."""
        self._queued_count = 0
        """Number of texts for the thread so far."""
        self._written_count = 0
        self._flushed_count = 0

    def open(self) -> None:
        """Open the terminal, if the file is one; without it, everything is for the thread."""
        if self._descriptor is None and hasattr(os, "ttyname"):
            with suppress(OSError, ValueError):
                name = os.ttyname(self._file.fileno())
                self._descriptor = os.open(name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def write_now(self, text: str) -> str | None:
        """Write `text`, unless earlier ones are still queued.

        Returns:
            None if the terminal has accepted it, else what to queue for the thread: empty if the terminal
            has accepted a part.
        """
        with self._lock:
            is_idle = self._queued_count == self._flushed_count
            if is_idle and self._descriptor is not None:
                data = text.encode(self._file.encoding, self._file.errors or "strict")
                with suppress(OSError):  # it accepts nothing, or is gone
                    accepted = os.write(self._descriptor, data)
                    if accepted == len(data):
                        return None
                    self._rest, text = data[accepted:], ""
            self._queued_count += 1
            return text

    # For the thread

    def write(self, text: str) -> None:
        self._written_count += 1
        if self._rest:
            self._file.buffer.write(self._rest)
            self._rest = b""
        self._file.write(text)

    def flush(self) -> None:
        written_count = self._written_count
        self._file.flush()
        self._flushed_count = written_count
