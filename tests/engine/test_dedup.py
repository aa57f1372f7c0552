"""The cache of nonces: bounded by time and number, over all rooms."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.core.post import NewPost
from broadcast_tui.engine import dedup, memory, sqlite
from broadcast_tui.engine.dedup import DEDUP_COUNT, DEDUP_S, ENTRY_BYTES, DedupCache, SeenPost, dedup_key
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.support.running import eventually

AT = datetime(2025, 8, 30, 10, 30, 40, 123456, tzinfo=UTC)


def key(nonce: str, room: str = "lobby", client_id: str = "c") -> bytes:
    return dedup_key(NewPost(room, "ana", "hi", AT, client_id, nonce))


def test_post_is_found_with_its_seq_and_time_until_it_expires() -> None:
    cache = DedupCache()
    cache.add(key("n"), 7, AT, 100.0)
    assert cache.find(key("n"), 100.0 + DEDUP_S) == SeenPost(7, AT)
    assert cache.find(key("n"), 100.1 + DEDUP_S) is None
    cache.add(key("n"), 8, AT + timedelta(days=1), 800.0)
    assert cache.find(key("n"), 900.0) == SeenPost(8, AT + timedelta(days=1))


def test_posts_without_a_nonce_are_not_stored() -> None:
    cache = DedupCache()
    for nonce, client_id in (("", ""), ("n", ""), ("", "c")):
        cache.add(key(nonce, client_id=client_id), 1, AT, 0.0)
        assert cache.find(key(nonce, client_id=client_id), 0.0) is None
    assert len(cache) == 0


def test_no_other_division_into_room_client_and_nonce_has_the_same_key() -> None:
    fields = [("lobby", "ab", "c"), ("lobby", "a", "bc"), ("lobb", "yab", "c"), ("lobby", "a\0b", "c")]
    keys = {key(nonce, room, client_id) for room, client_id, nonce in fields}
    assert len(keys) == len(fields)


def test_expired_posts_of_all_rooms_are_dropped_by_a_sweep() -> None:
    cache = DedupCache()
    for number in range(10):
        cache.add(key("n", f"room{number}"), 1, AT, float(number))
    cache.sweep(DEDUP_S + 4.5)
    assert len(cache) == 5
    cache.sweep(DEDUP_S + 100.0)
    assert (len(cache), cache.size_bytes, cache.evictions) == (0, 0, 0)


def test_number_of_nonces_is_bounded_over_all_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedup, "DEDUP_COUNT", 100)
    cache = DedupCache()
    for number in range(250):
        cache.add(key(f"n{number}", f"room{number % 7}"), number, AT, float(number % 5))
    assert len(cache) == 100
    assert cache.evictions == 150
    assert cache.find(key("n149", f"room{149 % 7}"), 5.0) is None
    assert cache.find(key("n150", f"room{150 % 7}"), 5.0) == SeenPost(150, AT)


def test_size_of_an_entry_is_as_documented() -> None:
    count = 50_000
    tracemalloc.start()
    try:
        cache = DedupCache()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            cache.add(key(f"{number:064}", "r" * 32, "c" * 64), number, AT, float(number))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= count * ENTRY_BYTES
    assert DEDUP_COUNT * ENTRY_BYTES < 48_000_000


@pytest.mark.parametrize("in_file", [False, True])
async def test_engines_drop_expired_nonces_without_new_posts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_file: bool
) -> None:
    for module in (memory, sqlite):
        monkeypatch.setattr(module, "SWEEP_EVERY_S", 0.001)
    now = 100.0
    engine: MemoryEngine | SqliteEngine
    if in_file:
        engine = SqliteEngine(tmp_path / "history.db", clock=lambda: now)
    else:
        engine = MemoryEngine(clock=lambda: now)
    await engine.start()
    try:
        await engine.append([NewPost(f"room{n}", "ana", "hi", AT, "c", "n") for n in range(10)])
        assert len(engine.dedup) == 10
        now += DEDUP_S + 1.0
        await eventually(lambda: len(engine.dedup) == 0)
    finally:
        await engine.close()
