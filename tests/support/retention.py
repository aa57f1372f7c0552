"""Deletes old posts of SQLite engines."""

from __future__ import annotations

from datetime import UTC, datetime

from broadcast_tui.engine.sqlite import SqliteEngine


async def trim_to(
    engine: SqliteEngine, *, keep_days: float = 0.0, keep_posts: int = 0, now: datetime | None = None
) -> None:
    """Delete all posts that exceed these limits, and keep all others from then on; 0 is no limit.

    Args:
        now: The time from which the age is counted; by default, the current one.
    """
    retention = engine._retention
    await engine._in_thread(lambda: retention.set_limits(keep_days, keep_posts))
    while await engine.trim(now or datetime.now(UTC)):
        pass
    await engine._in_thread(lambda: retention.set_limits(0.0, 0))
