"""Logging of a program: lines with times on standard error, written by a thread of their own.

A terminal that takes nothing (Ctrl+S, a full pipe) must not hold the loop, and a busy room must
not switch threads for each line; so records are gathered and written some ten times a second.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Literal, TextIO

from broadcast_tui.core.text import log_safe

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
LINE_CHARS_MAX = 4_000

INTERVAL_S = 0.1
WAITING_MAX = 100_000
"""Records kept while nothing takes them; the oldest are lost first."""


class GatheringHandler(logging.Handler):
    """Writes records to `stream` in batches, from a daemon thread; `write_out` and `close` write the rest."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._records: deque[logging.LogRecord] = deque(maxlen=WAITING_MAX)
        self._arrived = threading.Event()
        self._writing = threading.Lock()
        threading.Thread(target=self._write_on, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
        if not self._arrived.is_set():
            self._arrived.set()

    def write_out(self) -> None:
        """Write what there is, unless the stream takes nothing."""
        if self._writing.acquire(timeout=1.0):
            self._writing.release()
            self._write()

    def close(self) -> None:
        self.write_out()
        super().close()

    def _write_on(self) -> None:
        while True:
            self._arrived.wait()
            time.sleep(INTERVAL_S)
            self._arrived.clear()
            self._write()

    def _write(self) -> None:
        lines = []
        while self._records:
            lines.append(self.format(self._records.popleft()))
        if lines:
            with self._writing, contextlib.suppress(OSError, ValueError):
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()


class LineFormatter(logging.Formatter):
    """A line for people. Whatever a record holds, no control character of it gets out; a traceback is
    lines of its own.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(log_safe(line, LINE_CHARS_MAX) for line in super().format(record).split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = log_safe(record.message, LINE_CHARS_MAX)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """An object a line: time (ISO 8601, UTC), level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": log_safe(record.getMessage(), LINE_CHARS_MAX),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def set_level(level: LogLevel) -> None:
    """Least important records of the package to log from now on."""
    logging.getLogger("broadcast_tui").setLevel(level.upper())


def set_up(level: LogLevel, log_format: LogFormat = "text") -> None:
    """Send the package's records of `level` and above to standard error."""
    handler = GatheringHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else LineFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    set_level(level)
    atexit.register(handler.close)


def write_out() -> None:
    """Write all records so far, before something else is written."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, GatheringHandler):
            handler.write_out()
