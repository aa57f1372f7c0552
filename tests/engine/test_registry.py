"""The registry of engines: which one a location selects."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcast_tui.engine.memory import MemoryEngine, NoHistoryEngine
from broadcast_tui.engine.registry import StorageOptions, engine_for, public_location
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.redis_settings import SCHEMES


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


def test_the_public_location_has_no_password() -> None:
    assert public_location("redis://me:s3cret@db/1?replicas=1") == "redis://db:6379/1"
    assert public_location("chat.db") == "chat.db"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_locations_of_redis_are_no_files(scheme: str) -> None:
    for location in (f"{scheme}db", f"{scheme.upper()}db"):
        assert not engine_for(location).is_file
