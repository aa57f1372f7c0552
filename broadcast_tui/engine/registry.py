"""Registry of storage engines, by the location that an operator chooses.

To add an engine, write its module and add a row to `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine, NoHistoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """What an engine may need to know."""

    location: str
    """As the operator wrote it; may be empty for a file."""
    path: Path
    """The file to use, if it is a file."""
    keep_days: float
    keep_posts: int
    keep_bytes: int
    """Maximum size of all posts in memory."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """One engine: how to create it, and a sentence for the operator."""

    create: Callable[[StorageOptions], Engine]
    description: str
    """May contain `{location}` and `{path}`."""
    is_file: bool = False


FILE = ""
"""Key of the engine for all other locations."""
ENGINES = {
    "memory": EngineEntry(
        lambda options: MemoryEngine(max_total_bytes=options.keep_bytes),
        "History is stored in memory and lost when the server stops.",
    ),
    "off": EngineEntry(lambda _: NoHistoryEngine(), "No history is stored."),
    FILE: EngineEntry(
        lambda options: SqliteEngine(
            options.path, keep_days=options.keep_days, keep_posts=options.keep_posts
        ),
        "History is stored in {path}.",
        is_file=True,
    ),
}
"""Engines by location, or by the beginning of a location up to `://`."""


def engine_for(location: str) -> EngineEntry:
    """The engine for a location; by default it is the path of a file."""
    scheme, separator, _ = location.partition("://")
    return ENGINES.get(location) or ENGINES.get(scheme + separator) or ENGINES[FILE]
