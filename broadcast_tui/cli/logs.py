"""Logging of a program: lines with times on standard error, written by a thread of their own.

A terminal that takes nothing (Ctrl+S, a full pipe) must not hold the loop; so records are queued
and a listener thread writes them.
"""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import queue
import sys
from typing import Literal

LogLevel = Literal["debug", "info", "warning", "error"]


def set_up(level: LogLevel) -> None:
    """Send the package's records of `level` and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    root = logging.getLogger()
    root.addHandler(logging.handlers.QueueHandler(records))
    root.setLevel(logging.WARNING)
    logging.getLogger("broadcast_tui").setLevel(level.upper())
    listener = logging.handlers.QueueListener(records, handler)
    listener.start()
    atexit.register(listener.stop)
