"""Copies of histories: complete, resumable, verified, and unused until then."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.notes import NewNote
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine import copying, sqlite_copying
from broadcast_tui.engine.copying import CopyResult, HistoryCopy, StoredEntry, copy_history
from broadcast_tui.engine.sqlite_copying import SqliteHistory
from tests.support.engines import opened
from tests.support.entries import texts_of
from tests.support.histories import AT, Chat, append_posts, chats, contents, hold


class Interrupted(Exception):
    """Ends a copy in a test."""


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_copying, "PAGE_ENTRIES", 3)


def interrupt_after(target: HistoryCopy, steps: int) -> None:
    """Let a copy fail after some of its steps."""
    left = iter(range(steps))

    def limit(name: str) -> None:
        method = getattr(target, name)

        async def limited(*arguments: object) -> None:
            if next(left, None) is None:
                raise Interrupted
            await method(*arguments)

        setattr(target, name, limited)

    for name in ("put", "finish", "complete"):
        limit(name)


async def copy(source: Path, target: Path, *, steps: int | None = None) -> CopyResult:
    reading = SqliteHistory.open(source)
    try:
        writing = SqliteHistory.create(target)
        try:
            if steps is not None:
                interrupt_after(writing, steps)
            return await copy_history(reading, writing, lambda what, done, total: None)
        finally:
            await writing.close()
    finally:
        await reading.close()


async def write(path: Path, chat: Chat) -> None:
    async with opened(path) as engine:
        await hold(engine, chat)
        # A file without any room is deleted when it is closed.
        await engine.set_topic("topics", "Tea")


async def write_posts(path: Path, room: str, *texts: str, at: datetime = AT) -> None:
    async with opened(path) as engine:
        await append_posts(engine, room, *texts, at=at)


async def texts_in(path: Path, room: str = "lobby") -> list[str]:
    async with opened(path) as engine:
        return texts_of(await engine.read(room, limit=1_000))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source.db"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target.db"


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chat=chats, interruptions=st.lists(st.integers(0, 6), max_size=3), again=chats)
def test_a_copy_has_everything(chat: Chat, interruptions: list[int], again: Chat) -> None:
    """Even if it is interrupted several times, and the source changes meanwhile."""

    async def check(directory: Path) -> None:
        source, target = directory / "source.db", directory / "target.db"
        await write(source, chat)
        result: CopyResult | None = None
        for number, steps in enumerate((*interruptions, None)):
            try:
                result = await copy(source, target, steps=steps)
                break
            except Interrupted:
                with pytest.raises(EngineError, match=r"unfinished copy\. Run history copy again"):
                    await texts_in(target)
            if number == 1:
                await write(source, again)
        assert result is not None
        async with opened(source) as before, opened(target) as after:
            expected = await contents(before)
            assert await contents(after) == expected
            assert result.rooms == len(expected["rooms"])
            assert result.posts == sum(len(room["posts"]) for room in expected["rooms"].values())
            # Both go on in the same way.
            for engine in (before, after):
                await hold(engine, again)
            assert await contents(after) == await contents(before)

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(check(Path(directory)))


async def test_a_copy_continues_with_what_is_missing(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_posts(source, "lobby", *(f"post {number}" for number in range(10)))
    with pytest.raises(Interrupted):
        await copy(source, target, steps=2)
    put: list[int] = []
    original = SqliteHistory.put

    async def counting(history: SqliteHistory, entries: Sequence[StoredEntry]) -> None:
        put.extend(entry.seq for entry in entries)
        await original(history, entries)

    monkeypatch.setattr(SqliteHistory, "put", counting)
    assert await copy(source, target) == CopyResult(10, 1)
    assert put == [7, 8, 9, 10]


async def test_a_copy_starts_again_if_what_was_copied_has_changed(source: Path, target: Path) -> None:
    await write_posts(source, "lobby", *(f"post {number}" for number in range(10)))
    with pytest.raises(Interrupted):
        await copy(source, target, steps=2)
    async with opened(source) as engine:
        edit = NewNote("lobby", 2, NoteKind.EDIT, "ana", AT, "name ana", text="pear")
        [result] = await engine.append([edit])
        assert result.error is None
    await copy(source, target)
    async with opened(target) as engine:
        assert texts_of(await engine.read("lobby", limit=3)) == ["post 0", "pear", "post 2"]
        assert texts_of(await engine.search("lobby", "pear", limit=5)) == ["pear"]
        assert len(await engine.search("lobby", "post", limit=50)) == 9


async def test_a_copy_starts_again_if_a_room_is_gone(source: Path, target: Path) -> None:
    await write_posts(source, "dev", "apple")
    await write_posts(source, "lobby", "pear", "plum", "apple")
    with pytest.raises(Interrupted):
        await copy(source, target, steps=1)
    with closing(sqlite3.connect(source)) as database, database:
        database.execute("DELETE FROM posts WHERE room_id = (SELECT id FROM rooms WHERE name = 'dev')")
        database.execute("DELETE FROM rooms WHERE name = 'dev'")
    assert await copy(source, target) == CopyResult(3, 1)
    async with opened(target) as engine:
        assert engine.room_names() == ["lobby"]


async def test_positions_of_the_source_are_known_in_the_copy(source: Path, target: Path) -> None:
    async with opened(source) as engine:
        await append_posts(engine, "lobby", "apple", "pear")
        former = engine.epoch
    await copy(source, target)
    async with opened(target) as engine:
        assert engine.epoch != former
        assert engine.fork_of("lobby", former) == 2
        assert engine.fork_of("elsewhere", former) == 0
        assert engine.fork_of("lobby", "other") is None
        await append_posts(engine, "lobby", "plum")
        await append_posts(engine, "dev", "plum")
        second = engine.epoch
    third = target.with_name("third.db")
    await copy(target, third)
    async with opened(third) as engine:
        assert engine.fork_of("lobby", former) == 2
        assert engine.fork_of("lobby", second) == 3
        assert (engine.fork_of("dev", former), engine.fork_of("dev", second)) == (0, 1)


async def test_the_epoch_of_a_copy_remains(source: Path, target: Path) -> None:
    """Its epoch file fits."""
    await write_posts(source, "lobby", "apple")
    await copy(source, target)
    epochs = []
    for _ in range(2):
        async with opened(target) as engine:
            epochs.append(engine.epoch)
    assert epochs[0] == epochs[1]
    with closing(sqlite3.connect(target)) as database:
        assert database.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone() == (epochs[0],)


async def test_an_epoch_file_of_another_history_is_replaced(
    source: Path, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await write_posts(target, "lobby", "other")
    target.unlink()
    await write_posts(source, "lobby", "apple")
    await copy(source, target)
    assert await texts_in(target) == ["apple"]
    assert not caplog.records


async def test_seqs_of_forgotten_rooms_are_not_used_again(source: Path, target: Path) -> None:
    await write_posts(source, "lobby", "apple")
    with closing(sqlite3.connect(source)) as database, database:
        database.execute("INSERT INTO meta VALUES ('floor', '64')")
    await copy(source, target)
    async with opened(target) as engine:
        await append_posts(engine, "dev", "pear")
        assert (engine.first_seq("dev"), engine.last_seq("dev")) == (65, 65)
        assert engine.last_seq("lobby") == 1


async def test_resent_posts_are_recognized_in_the_copy(source: Path, target: Path) -> None:
    post = NewPost("lobby", "ana", "apple", datetime.now(UTC), "c1", "n1")
    async with opened(source) as engine:
        await engine.append([post])
    await copy(source, target)
    async with opened(target) as engine:
        [result] = await engine.append([post])
        assert (result.dup, result.position.seq) == (True, 1)


async def test_old_posts_of_all_rooms_are_deleted_from_the_copy(source: Path, target: Path) -> None:
    """Row ids are in the order of arrival, as in the source."""
    for day, room in enumerate(("lobby", "dev", "lobby", "dev", "lobby")):
        await write_posts(source, room, f"day {day}", at=AT + timedelta(days=day))
    await copy(source, target)
    async with opened(target, keep_days=2) as engine:
        while await engine.trim(AT + timedelta(days=4, minutes=1)):
            pass
        assert texts_of(await engine.read("dev", limit=9)) == ["day 3"]
        assert texts_of(await engine.read("lobby", limit=9)) == ["day 4"]


# -- rejected


async def test_a_history_is_not_overwritten(source: Path, target: Path) -> None:
    await write_posts(source, "lobby", "apple")
    await write_posts(target, "lobby", "pear")
    with pytest.raises(EngineError, match=r"target\.db is a history already\. Copy to a new file\.$"):
        await copy(source, target)
    assert await texts_in(target) == ["pear"]


async def test_a_complete_copy_is_not_continued(source: Path, target: Path) -> None:
    await write_posts(source, "lobby", "apple")
    await copy(source, target)
    with pytest.raises(EngineError, match="is a history already"):
        await copy(source, target)


async def test_a_copy_of_another_history_is_not_continued(source: Path, target: Path) -> None:
    other = source.with_name("other.db")
    await write_posts(source, "lobby", "apple")
    await write_posts(other, "lobby", "pear")
    with pytest.raises(Interrupted):
        await copy(source, target, steps=1)
    with pytest.raises(EngineError, match="is an unfinished copy of another history"):
        await copy(other, target)


async def test_an_unfinished_copy_is_not_copied(source: Path, target: Path) -> None:
    await write_posts(source, "lobby", "apple")
    with pytest.raises(Interrupted):
        await copy(source, target, steps=1)
    with pytest.raises(EngineError, match=r"is an unfinished copy\. Run history copy again"):
        await copy(target, source.with_name("third.db"))


async def test_histories_in_use_are_rejected(source: Path, target: Path) -> None:
    async with opened(source) as engine:
        await append_posts(engine, "lobby", "apple")
        with pytest.raises(EngineError, match=r"source\.db is in use by another server"):
            await copy(source, target)
    async with opened(target):
        with pytest.raises(EngineError, match=r"target\.db is in use by another server"):
            await copy(source, target)
    await copy(source, target)


async def test_missing_places_are_rejected(source: Path, target: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    with pytest.raises(EngineError, match="is empty, not a history"):
        SqliteHistory.open(empty)
    assert empty.stat().st_size == 0
    with pytest.raises(EngineError, match="There is no history"):
        await copy(source, target)
    assert not target.exists()
    await write_posts(source, "lobby", "apple")
    with pytest.raises(EngineError, match="No such directory"):
        await copy(source, target.with_name("no") / "target.db")


async def test_a_difference_is_reported(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await write_posts(source, "lobby", "apple", "pear")
    finish = SqliteHistory.finish

    async def damage(history: SqliteHistory, *arguments: object) -> None:
        await finish(history, *arguments)  # type: ignore[arg-type]
        with history._connection:
            history._connection.execute("UPDATE posts SET text = 'plum' WHERE seq = 2")

    monkeypatch.setattr(SqliteHistory, "finish", damage)
    with pytest.raises(EngineError, match=r"differs from its source in 1 room\(s\)"):
        await copy(source, target)
    monkeypatch.undo()
    with pytest.raises(EngineError, match="is an unfinished copy"):
        await texts_in(target)
    await copy(source, target)
    assert await texts_in(target) == ["apple", "pear"]


async def test_a_damaged_state_is_reported(source: Path, target: Path) -> None:
    await write_posts(source, "lobby", "apple")
    with closing(sqlite3.connect(source)) as database, database:
        database.execute("UPDATE posts SET state = 'nonsense'")
    with pytest.raises(EngineError, match=r"source\.db: "):
        await copy(source, target)


async def test_progress_reaches_the_end(source: Path, target: Path) -> None:
    await write_posts(source, "lobby", *(f"post {number}" for number in range(10)))
    with pytest.raises(Interrupted):
        await copy(source, target, steps=2)
    reports: list[tuple[str, int, int]] = []
    reading, writing = SqliteHistory.open(source), SqliteHistory.create(target)
    await copying.copy_history(reading, writing, lambda *report: reports.append(report))
    await reading.close()
    await writing.close()
    steps = list(dict.fromkeys(what for what, _, _ in reports))
    assert steps == ["Compared", "Copied", "Verified"]
    assert {what: done for what, done, _ in reports} == dict.fromkeys(steps, 10)
    assert {total for _, _, total in reports} == {10}
