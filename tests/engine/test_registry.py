"""The registry of engines: which one a location selects."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcast_tui.engine.memory import MemoryEngine, NoHistoryEngine
from broadcast_tui.engine.registry import StorageOptions, engine_for
from broadcast_tui.engine.sqlite import SqliteEngine


@pytest.mark.parametrize(
    ("location", "engine"),
    [
        ("memory", MemoryEngine),
        ("off", NoHistoryEngine),
        ("", SqliteEngine),
        ("history.db", SqliteEngine),
        ("memory://", SqliteEngine),
        ("memory.db", SqliteEngine),
    ],
)
def test_location_selects_the_engine(location: str, engine: type, tmp_path: Path) -> None:
    options = StorageOptions(location, tmp_path / "history.db", keep_days=1.0, keep_posts=2, keep_bytes=3)
    entry = engine_for(location)
    assert type(entry.create(options)) is engine
    assert entry.is_file is (engine is SqliteEngine)
