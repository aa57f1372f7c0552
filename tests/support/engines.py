"""A SQLite engine that is open during a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from broadcast_tui.engine.sqlite import SqliteEngine
from tests.support.running import in_time


@asynccontextmanager
async def opened(path: Path, *, keep_days: float = 0, keep_posts: int = 0) -> AsyncIterator[SqliteEngine]:
    """An engine with a file, closed at the end. By default, it keeps everything."""
    engine = SqliteEngine(path, keep_days=keep_days, keep_posts=keep_posts)
    await engine.start()
    try:
        yield engine
    finally:
        await in_time(engine.close())
