"""Logging set-up: records go to standard error in batches, written by a thread.

A blocked terminal (Ctrl+S) or pipe must not block the event loop, and a busy room must not cause a thread
switch per line. So records are buffered and written about ten times a second.
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

from broadcast_tui.core.redaction import redact
from broadcast_tui.core.text import log_safe

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
LINE_CHARS_MAX = 4_000
FIELDS = (
    *("event", "user", "address", "connection", "room", "id", "recipients", "count", "rooms", "target"),
    *("former", "code", "reason", "seconds", "node", "url"),
)
"""Fields of records beside the message, given as `extra=`; those of other libraries are not logged."""

INTERVAL_S = 0.1
BUFFER_MAX = 100_000
"""Maximum number of buffered records; the oldest are dropped first."""


class BatchHandler(logging.Handler):
    """Writes records to `stream` in batches from a daemon thread; `flush` and `close` write the rest."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._records: deque[logging.LogRecord] = deque(maxlen=BUFFER_MAX)
        self._arrived = threading.Event()
        self._writing = threading.Lock()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
        if not self._arrived.is_set():
            self._arrived.set()

    def flush(self) -> None:
        """Write the buffered records, unless the stream is blocked."""
        if self._writing.acquire(timeout=1.0):
            self._writing.release()
            self._write()

    def close(self) -> None:
        self.flush()
        super().close()

    def _run(self) -> None:
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
    """Formats a record as text without control characters; a traceback adds lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(log_safe(line, LINE_CHARS_MAX) for line in super().format(record).split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = log_safe(record.message, LINE_CHARS_MAX)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object.

    The keys are time (ISO 8601, UTC), level, logger, message, those of `FIELDS` that the record has, and
    traceback if there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, str | float] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": log_safe(record.getMessage(), LINE_CHARS_MAX),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if isinstance(value, str) and value:
                entry[name] = log_safe(redact(value), LINE_CHARS_MAX)
            elif isinstance(value, int | float):
                entry[name] = value
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def set_level(level: LogLevel) -> None:
    """Set the minimum level of records of the package."""
    logging.getLogger("broadcast_tui").setLevel(level.upper())


def set_up(level: LogLevel, log_format: LogFormat = "text") -> None:
    """Log records of the package of at least `level` to standard error."""
    handler = BatchHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else LineFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    set_level(level)
    atexit.register(handler.close)


def flush_logs() -> None:
    """Write all buffered records, before other output."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, BatchHandler):
            handler.flush()
