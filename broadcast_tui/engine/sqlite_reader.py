"""Reading connections of the SQLite engine, each with its own thread, so that no append waits for them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from broadcast_tui.core.errors import EngineError, SearchTooCostlyError
from broadcast_tui.engine.sqlite_schema import connect

T = TypeVar("T")

CHECK_STEPS = 100
"""Steps of SQLite's virtual machine between two checks whether a job has to stop.

A row costs some 15 steps. The index of FTS5 costs a few per page, which has about 2,000 entries.
"""


LOG_MAX_BYTES = 33_554_432
"""Size of the write-ahead log above which new reads wait until it starts again."""
LOG_WAIT_S = 1.0
"""Maximum time for which a read waits for it."""


class LogGate:
    """Delays new reads while the write-ahead log is too large.

    SQLite can start the log again only at a moment when nobody reads it. Without a gate, reads that overlap
    all the time would let it grow without bound.
    """

    def __init__(self, path: Path) -> None:
        self._log = f"{os.path.realpath(path)}-wal"
        self._open = threading.Event()
        self._open.set()

    def check(self) -> None:
        """Open or close the gate. Called by the writing thread after each commit."""
        try:
            is_small = os.stat(self._log).st_size <= LOG_MAX_BYTES
        except OSError:
            is_small = True
        if is_small != self._open.is_set():
            (self._open.set if is_small else self._open.clear)()

    def wait(self) -> None:
        """Wait until the gate is open, at most `LOG_WAIT_S`."""
        self._open.wait(LOG_WAIT_S)


class _Job:
    """A piece of work, which another thread may cancel."""

    __slots__ = ("_clock", "_deadline", "_time_limit_s", "cancelled", "expired")

    def __init__(self, clock: Callable[[], float], time_limit_s: float | None) -> None:
        self.cancelled = False
        self.expired = False
        self._clock = clock
        self._time_limit_s = time_limit_s
        self._deadline: float | None = None

    def start(self) -> None:
        """Start the time limit."""
        if self._time_limit_s is not None:
            self._deadline = self._clock() + self._time_limit_s

    def must_stop(self) -> bool:
        """Called by SQLite during the work."""
        if self._deadline is not None and self._clock() > self._deadline:
            self.expired = True
        return self.expired or self.cancelled


class SqliteReader:
    """A read-only connection that works on one job at a time, in the order of the calls.

    Args:
        path: A file that a writing connection of this process has open.
        gate: Delays jobs while the write-ahead log is too large.
        clock: Monotonic clock in seconds, for time limits.
    """

    def __init__(self, path: Path, name: str, gate: LogGate, clock: Callable[[], float]) -> None:
        self._connection = connect(path, "ro")
        self._gate = gate
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.started = 0
        """Number of jobs started so far."""
        self._running: _Job | None = None
        self._closing = False

    async def run(self, work: Callable[[sqlite3.Connection], T], *, time_limit_s: float | None = None) -> T:
        """The result of `work`, which reads one snapshot of the file.

        If the caller is cancelled, `work` stops soon, or is never started.

        Args:
            time_limit_s: Maximum time from the start of `work` in seconds.

        Raises:
            SearchTooCostlyError: `work` exceeded its time limit.
            sqlite3.Error: The file cannot be read.
            EngineError: The engine is closing.
        """
        job = _Job(self._clock, time_limit_s)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._execute, work, job)
        except asyncio.CancelledError:
            job.cancelled = True
            raise

    def _execute(self, work: Callable[[sqlite3.Connection], T], job: _Job) -> T:
        self._gate.wait()
        if self._closing:
            raise EngineError("The history is closed.")
        self.started += 1
        self._running = job
        job.start()
        self._connection.set_progress_handler(job.must_stop, CHECK_STEPS)
        try:
            self._connection.execute("BEGIN")
            return work(self._connection)
        except sqlite3.OperationalError as error:
            if job.expired:
                raise SearchTooCostlyError from error
            raise
        finally:
            self._connection.set_progress_handler(None, 0)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Stop the current job, reject the queued ones, and close the connection."""
        self._closing = True
        if self._running is not None:
            self._running.cancelled = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()
