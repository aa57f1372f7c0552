"""`broadcast-tui history`: copy a history to another place."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from cyclopts import App

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.redis_location import password_warning
from broadcast_tui.cli.stdio import print_message, print_safely
from broadcast_tui.core.errors import EngineError
from broadcast_tui.engine.copying import CopyResult, HistoryCopy, StoredHistory, copy_history
from broadcast_tui.engine.registry import check_location, engine_for, public_location
from broadcast_tui.redis_settings import is_redis, read_location

app = App(name="history", help="Copy a history to another place.")

REPORT_EVERY_S = 0.1


@app.command
def copy(source: str, target: str, /) -> int:
    """Copy all rooms and messages while no server uses them. If interrupted, run it again to continue.

    Parameters
    ----------
    source
        The history to copy: a file, or redis://HOST:PORT.
    target
        The place for the copy: a new file, or redis://HOST:PORT without a history.
    """
    for location in (source, target):
        if warning := password_warning(location):
            print_safely(warning, sys.stderr)
    with Progress() as progress:
        try:
            result = asyncio.run(_copy(source, target, progress))
        except EngineError as error:
            raise UsageError(str(error)) from error
        except KeyboardInterrupt:
            progress.clear()
            print_message("Interrupted. Run the same command to continue.")
            raise
    messages = f"{result.posts:,} {'message' if result.posts == 1 else 'messages'}"
    rooms = f"{result.rooms:,} {'room' if result.rooms == 1 else 'rooms'}"
    print(f"Copied {messages} in {rooms}. Verified.")
    return ExitCode.OK


async def _copy(source: str, target: str, progress: Progress) -> CopyResult:
    _check_different(source, target)
    reading = await _open_source(source)
    try:
        writing = await _open_target(target)
        try:
            return await copy_history(reading, writing, progress.show)
        finally:
            await writing.close()
    finally:
        await reading.close()


def _check_different(source: str, target: str) -> None:
    """Raise UsageError if both are the same."""
    if _identity(source) == _identity(target):
        raise UsageError(f"Source and target are the same: {public_location(source)}.")


def _identity(location: str) -> object:
    if is_redis(location):
        settings = read_location(location)
        return str(settings), settings.prefix
    return _path(location).resolve()


async def _open_source(location: str) -> StoredHistory:
    """The history to copy. Raises UsageError, LocationError and EngineError."""
    if is_redis(location):
        from broadcast_tui.engine.redis_copying import RedisHistory

        return await RedisHistory.open(read_location(location))
    from broadcast_tui.engine.sqlite_copying import SqliteHistory

    return SqliteHistory.open(_path(location))


async def _open_target(location: str) -> HistoryCopy:
    """The place for the copy. Raises UsageError, LocationError and EngineError."""
    if is_redis(location):
        from broadcast_tui.engine.redis_copying import RedisHistory

        return await RedisHistory.create(read_location(location))
    from broadcast_tui.engine.sqlite_copying import SqliteHistory

    return SqliteHistory.create(_path(location))


def _path(location: str) -> Path:
    """The path of a history file. Raises UsageError and LocationError."""
    check_location(location)
    if not engine_for(location).is_file:
        raise UsageError(f"{location} cannot be copied. Use a history file or redis://HOST:PORT.")
    return Path(location).expanduser().absolute()


class Progress:
    """A line on standard error that shows how far the work is, if that is a terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._next_at = 0.0
        self._width = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove the line."""
        self._write("")

    def show(self, what: str, done: int, total: int) -> None:
        """Show the number of entries done."""
        if self._is_shown and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + REPORT_EVERY_S
            self._write(f"{what} {done:,} of {total:,}")

    def _write(self, text: str) -> None:
        """Replace the line."""
        if self._width or text:
            sys.stderr.write(f"\r{text.ljust(self._width)}\r{text}")
            sys.stderr.flush()
            self._width = len(text)
