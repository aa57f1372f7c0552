"""Deleting old posts: in short transactions, without losing anything to a wrong clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.core.post import NewPost
from broadcast_tui.engine import sqlite
from broadcast_tui.engine.sqlite import TRIM_EVERY_S, SqliteEngine
from broadcast_tui.engine.sqlite_retention import DELETE_S, SLICE_S, Bounds
from broadcast_tui.engine.steady_clock import STEADY_S, STEP_S, SteadyClock
from tests.support.running import in_time

START = datetime(2025, 8, 30, 10, 30, tzinfo=UTC)
DAY = timedelta(days=1)


# -- the clock


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_clock_is_steady_after_a_while() -> None:
    clock = SteadyClock()
    assert not clock.check(START, 100.0)
    assert not clock.check(after(STEADY_S - 1), 100.0 + STEADY_S - 1)
    assert clock.check(after(STEADY_S), 100.0 + STEADY_S)
    assert clock.check(after(10 * STEADY_S), 100.0 + 10 * STEADY_S)
    assert not clock.stepped


@pytest.mark.parametrize("step_s", [40 * 86_400.0, -86_400.0, 2 * STEP_S, -2 * STEP_S])
def test_step_of_the_clock_delays_it(step_s: float) -> None:
    clock = SteadyClock()
    clock.check(START, 0.0)
    assert clock.check(after(STEADY_S), STEADY_S)
    assert not clock.check(after(STEADY_S + 60 + step_s), STEADY_S + 60)
    assert clock.stepped
    assert not clock.check(after(STEADY_S + 120 + step_s), STEADY_S + 120)
    assert not clock.stepped
    assert clock.check(after(2 * STEADY_S + 60 + step_s), 2 * STEADY_S + 60)


def test_small_corrections_of_the_clock_are_no_step() -> None:
    clock = SteadyClock()
    steady = [clock.check(after(minute * 60.5), minute * 60.0) for minute in range(30)]
    assert steady[9:] == [False, *[True] * 20]


# -- passes


class Times:
    """The wall clock and the monotonic clock of a server."""

    def __init__(self) -> None:
        self.now = START
        self.now_s = 1_000.0

    def advance(self, by: timedelta) -> None:
        self.now += by
        self.now_s += by.total_seconds()


@asynccontextmanager
async def opened(
    path: Path,
    *,
    keep_days: float = 0,
    keep_posts: int = 0,
    work_clock: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[SqliteEngine]:
    engine = SqliteEngine(path, keep_days=keep_days, keep_posts=keep_posts, work_clock=work_clock)
    await engine.start()
    try:
        yield engine
    finally:
        await in_time(engine.close())


@pytest.fixture(autouse=True)
def no_periodic_trimming(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(engine: SqliteEngine) -> None:
        pass

    monkeypatch.setattr(SqliteEngine, "_trim_periodically", nothing)
    monkeypatch.setattr(sqlite, "PAUSE_S", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


async def append(engine: SqliteEngine, at: datetime, *texts: str, room: str = "lobby") -> None:
    await engine.append([NewPost(room, "ana", text, at) for text in texts])


async def run_passes(engine: SqliteEngine, times: Times, count: int) -> None:
    for _ in range(count):
        await engine.trim_pass(times.now, times.now_s)
        times.advance(timedelta(seconds=TRIM_EVERY_S))


PASSES = int(STEADY_S / TRIM_EVERY_S) + 2


async def test_old_posts_are_deleted_once_the_clock_is_steady(path: Path) -> None:
    times = Times()
    async with opened(path, keep_days=30) as engine:
        await append(engine, START - 31 * DAY, "old", "old")
        await append(engine, START - 31 * DAY, "old", room="dev")
        await append(engine, START, "new")
        await run_passes(engine, times, 5)
        assert engine.first_seq("lobby") == 1
        await run_passes(engine, times, PASSES)
        assert (engine.first_seq("lobby"), engine.first_seq("dev"), engine.last_seq("dev")) == (3, 2, 1)


async def test_wrong_clock_for_a_minute_deletes_nothing(path: Path) -> None:
    times = Times()
    async with opened(path, keep_days=30) as engine:
        await append(engine, START, *["post"] * 29)
        await run_passes(engine, times, PASSES)
        times.now += 40 * DAY
        await run_passes(engine, times, 2)
        await append(engine, times.now, "from the future")
        times.now -= 40 * DAY
        await run_passes(engine, times, 3 * PASSES)
        assert (engine.first_seq("lobby"), engine.last_seq("lobby")) == (1, 30)


async def test_clock_before_the_newest_post_deletes_nothing(path: Path) -> None:
    times = Times()
    async with opened(path, keep_days=1) as engine:
        await append(engine, START - 5 * DAY, "old")
        await append(engine, START + DAY, "newer than now")
        await run_passes(engine, times, 2 * PASSES)
        assert engine.first_seq("lobby") == 1
        times.advance(DAY)
        await run_passes(engine, times, 2 * PASSES)
        assert engine.first_seq("lobby") == 2


async def test_surplus_posts_are_deleted_whatever_the_clock(path: Path) -> None:
    async with opened(path, keep_days=30, keep_posts=3) as engine:
        await append(engine, START + 40 * DAY, *map(str, range(10)))
        await engine.trim_pass(START, 0.0)
        assert (engine.first_seq("lobby"), engine.last_seq("lobby")) == (8, 10)
        await append(engine, START, "next")
        await engine.trim_pass(START, 60.0)
        assert engine.first_seq("lobby") == 9


async def test_deletions_and_steps_of_the_clock_are_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.engine")
    times = Times()
    async with opened(path, keep_days=30, keep_posts=5) as engine:
        await append(engine, START - 31 * DAY, *["old"] * 2)
        await append(engine, START - 31 * DAY, *["old"] * 7, room="dev")
        await append(engine, START, "new")
        await run_passes(engine, times, PASSES)
        assert [record.getMessage() for record in caplog.records] == [
            "deleted 2 post(s) of 1 room(s): 0 older than 30 day(s), 2 above 5 per room",
            "deleted 7 post(s) of 2 room(s): 7 older than 30 day(s), 0 above 5 per room",
        ]
        times.now += 40 * DAY
        caplog.clear()
        await run_passes(engine, times, 3)
        [record] = caplog.records
        assert "the clock was changed" in record.getMessage()


# -- transactions


class SlowClock:
    """A clock that advances by `step_s` at each look."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step_s = 0.0

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


@pytest.mark.parametrize("by", ["age", "number"])
async def test_transaction_ends_when_its_time_is_over_whatever_is_left(path: Path, by: str) -> None:
    clock = SlowClock()
    keep_days, keep_posts = (1, 0) if by == "age" else (0, 1)
    async with opened(path, keep_days=keep_days, keep_posts=keep_posts, work_clock=clock) as engine:
        await append(engine, START - 5 * DAY, *["x" * 16_000] * 20)
        clock.step_s = DELETE_S / 4
        assert await engine.trim(START)
        assert 2 <= engine.first_seq("lobby") <= 6
        clock.step_s = 2 * DELETE_S
        first = engine.first_seq("lobby")
        assert await engine.trim(START)
        assert engine.first_seq("lobby") == first + 1, "each transaction makes progress"
        clock.step_s = 0.0
        assert not await engine.trim(START)
        assert engine.first_seq("lobby") == (21 if by == "age" else 20)
        assert len(await engine.search("lobby", "x", limit=50)) == (0 if by == "age" else 1)


async def test_slow_commits_are_compensated_by_fewer_deletions(path: Path) -> None:
    clock = SlowClock()
    async with opened(path, keep_posts=1, work_clock=clock) as engine:
        await append(engine, START, *map(str, range(1_000)))
        save = engine._retention._save

        def save_slowly(bounds: Bounds) -> None:
            save(bounds)
            clock.now += 4 * SLICE_S

        engine._retention._save = save_slowly  # type: ignore[method-assign]
        clock.step_s = DELETE_S / 100
        counts = []
        for _ in range(8):
            first = engine.first_seq("lobby")
            await engine.trim(START, by_age=False)
            counts.append(engine.first_seq("lobby") - first)
        assert counts[0] > 50
        assert all(0 < count < 50 for count in counts[4:])


async def test_appends_run_between_the_transactions(path: Path) -> None:
    clock = SlowClock()
    async with opened(path, keep_posts=1, work_clock=clock) as engine:
        await append(engine, START, *map(str, range(50)))
        clock.step_s = 2 * DELETE_S
        for deleted in range(1, 50):
            trimming = asyncio.create_task(engine.trim(START, by_age=False))
            await append(engine, START, "more", room="dev")
            await trimming
            assert (engine.first_seq("lobby"), engine.last_seq("dev")) == (deleted + 1, deleted)


async def test_rooms_without_new_posts_are_not_looked_at(path: Path) -> None:
    async with opened(path, keep_posts=2) as engine:
        for number in range(100):
            await append(engine, START, "post", room=f"r{number}")
        await engine.trim_pass(START, 0.0)
        assert list(engine._retention._grown) == []
        await append(engine, START, "post", "post", room="r7")
        assert list(engine._retention._grown) == ["r7"]
        await engine.trim_pass(START, 60.0)
        assert engine.first_seq("r7") == 2
