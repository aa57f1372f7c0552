"""Registry of storage engines, by the location that an operator chooses.

To add an engine, write its module and add a row to `ENGINES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine, NoHistoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.redis_settings import SCHEMES, LocationError, is_redis, parse_location, read_location

KEEP_POSTS = 100_000
KEEP_POSTS_IN_REDIS = 10_000
"""Default maximum number of posts of a room; Redis has them in memory."""


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """What an engine may need to know."""

    location: str
    """As the operator wrote it; may be empty for a file."""
    path: Path
    """The file to use, if it is a file."""
    keep_days: float
    keep_posts: int | None
    """None for the default of the engine."""
    keep_bytes: int
    """Maximum size of all posts in memory."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """One engine: how to create it, and a sentence for the operator."""

    create: Callable[[StorageOptions], Engine]
    description: str
    """May contain `{location}` and `{path}`."""
    is_file: bool = False


def _sqlite(options: StorageOptions) -> Engine:
    keep_posts = KEEP_POSTS if options.keep_posts is None else options.keep_posts
    return SqliteEngine(options.path, keep_days=options.keep_days, keep_posts=keep_posts)


def _redis(options: StorageOptions) -> Engine:
    """The engine of Redis, which is imported only if it is used. Raises LocationError and EngineError."""
    from broadcast_tui.engine.redis_engine import RedisEngine

    keep_posts = KEEP_POSTS_IN_REDIS if options.keep_posts is None else options.keep_posts
    return RedisEngine(read_location(options.location), keep_days=options.keep_days, keep_posts=keep_posts)


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
FILE = ""
"""Key of the engine for all other locations."""
ENGINES = {
    "memory": EngineEntry(
        lambda options: MemoryEngine(max_total_bytes=options.keep_bytes),
        "History is stored in memory and lost when the server stops.",
    ),
    "off": EngineEntry(lambda _: NoHistoryEngine(), "No history is stored."),
    FILE: EngineEntry(
        _sqlite,
        "History is stored in {path}.",
        is_file=True,
    ),
    **dict.fromkeys(SCHEMES, EngineEntry(_redis, "History is stored in {location}.")),
}
"""Engines by location, or by the beginning of a location up to `://`."""


def engine_for(location: str) -> EngineEntry:
    """The engine for a location; by default it is the path of a file."""
    scheme, separator, _ = location.partition("://")
    return ENGINES.get(location) or ENGINES.get(scheme.lower() + separator) or ENGINES[FILE]


def check_location(location: str) -> None:
    """Raise LocationError if a location has a scheme that no engine has: it is hardly the path of a file."""
    scheme, separator, _ = location.partition("://")
    if separator and _SCHEME.fullmatch(scheme) and scheme.lower() + separator not in ENGINES:
        # Without the rest, which may contain a password.
        text = f"Unknown kind of history: {scheme}://. Use the path of a file, or redis://HOST:PORT."
        raise LocationError(text)


def public_location(location: str) -> str:
    """The location without user and password. Raises LocationError."""
    return str(parse_location(location)) if is_redis(location) else location
