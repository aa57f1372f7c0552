"""No seq is used twice within an epoch, whatever happens to the files of a SQLite history."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broadcast_tui.core.post import NewPost
from broadcast_tui.engine.epoch_file import MODIFIED_AFTER_S, EpochFile
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.support.plain import v1_client
from tests.support.running import in_time, running_server

FULL = 2
"""Value of `PRAGMA synchronous`: SQLite syncs the log before a commit returns."""


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteEngine]:
    engine = SqliteEngine(path, keep_days=0)
    await engine.start()
    try:
        yield engine
    finally:
        await in_time(engine.close())


async def append(engine: SqliteEngine, *texts: str) -> None:
    await engine.append([NewPost("lobby", "ana", text, datetime.now(UTC)) for text in texts])


async def texts(engine: SqliteEngine) -> list[str]:
    return [post.text for post in await engine.read("lobby", limit=10_000)]


def copy_files(source: Path, target: Path) -> None:
    """Copy a history with all files beside it, as a backup or a power failure leaves them."""
    target.parent.mkdir(exist_ok=True)
    for file in source.parent.glob(f"{source.name}*"):
        if not file.name.endswith("-shm"):
            shutil.copy2(file, target.parent / file.name.replace(source.name, target.name))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backup" / "history.db"


async def make_history(path: Path, backup: Path) -> str:
    """A history of five posts and a backup with three of them; returns its epoch."""
    async with opened(path) as engine:
        await append(engine, "1", "2", "3")
        epoch = engine.epoch
    copy_files(path, backup)
    async with opened(path) as engine:
        await append(engine, "4", "5")
        assert engine.epoch == epoch
    return epoch


async def test_epoch_continues_across_restarts_and_renames(path: Path) -> None:
    async with opened(path) as engine:
        await append(engine, "1")
        epoch = engine.epoch
    for number in range(3):
        async with opened(path) as engine:
            assert engine.epoch == epoch
            await append(engine, str(number))
    moved = path.with_name("moved.db")
    path.rename(moved)
    Path(f"{path}-epoch").rename(f"{moved}-epoch")
    async with opened(moved) as engine:
        assert engine.epoch == epoch


def restore_only_the_history(backup: Path, path: Path) -> None:
    shutil.copy2(backup, path)


def restore_without_the_epoch_file(backup: Path, path: Path) -> None:
    shutil.copy2(backup, path)
    Path(f"{path}-epoch").unlink()


def restore_everything(backup: Path, path: Path) -> None:
    aside = path.parent / "aside"
    aside.mkdir()
    for file in path.parent.glob("history.db*"):
        file.rename(aside / file.name)
    copy_files(backup, path)


def restore_everything_in_place(backup: Path, path: Path) -> None:
    copy_files(backup, path)
    later = path.stat().st_mtime + MODIFIED_AFTER_S + 60
    os.utime(f"{path}-epoch", (later, later))


def damage_the_epoch_file(backup: Path, path: Path) -> None:
    restore_only_the_history(backup, path)
    Path(f"{path}-epoch").write_text("{")


RESTORES: list[Callable[[Path, Path], None]] = [
    restore_only_the_history,
    restore_without_the_epoch_file,
    restore_everything,
    restore_everything_in_place,
    damage_the_epoch_file,
]


@pytest.mark.parametrize("restore", RESTORES, ids=lambda restore: restore.__name__)
async def test_restored_copy_starts_a_new_epoch_with_its_posts(
    path: Path, backup: Path, restore: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    epoch = await make_history(path, backup)
    restore(backup, path)
    async with opened(path) as engine:
        new_epoch = engine.epoch
        assert new_epoch != epoch
        assert await texts(engine) == ["1", "2", "3"]
        await append(engine, "other 4")
        assert [post.text for post in await engine.search("lobby", "other", limit=5)] == ["other 4"]
    assert len([record for record in caplog.records if "new epoch" in record.getMessage()]) == 1
    async with opened(path) as engine:
        assert engine.epoch == new_epoch
        assert await texts(engine) == ["1", "2", "3", "other 4"]


async def test_client_of_a_restored_history_gets_a_gap(path: Path, backup: Path) -> None:
    epoch = await make_history(path, backup)
    restore_only_the_history(backup, path)
    async with (
        running_server(engine=SqliteEngine(path)) as server,
        v1_client(server.url, "ana", rooms=[{"room": "lobby", "since": f"{epoch}-5"}]) as ana,
    ):
        [gap] = [frame for frame in await ana.until(type="synced") if frame["type"] == "gap"]
        assert (gap["reason"], gap["from"]) == ("epoch", f"{epoch}-5")
        await ana.send("history", ref="h", room="lobby", latest=True)
        page = await ana.next_of(ref="h")
        assert [item["message"] for item in page["items"]] == ["1", "2", "3"]


async def test_lost_write_ahead_log_starts_a_new_epoch(path: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed" / "history.db"
    async with opened(path) as engine:
        await append(engine, "1", "2")
        epoch = engine.epoch
    async with opened(path) as engine:
        await append(engine, "3", "4")
        copy_files(path, crashed)
    adopt(crashed)
    Path(f"{crashed}-wal").unlink()
    async with opened(crashed) as engine:
        assert await texts(engine) == ["1", "2"]
        assert engine.epoch != epoch


def adopt(path: Path) -> None:
    """Make the epoch file of a copy that of this place, so that it looks like the original after a crash."""
    epoch_file = EpochFile(path)
    record = epoch_file.load()
    assert record is not None
    epoch_file.create(record.epoch, record.last_id)
    epoch_file.close()


async def test_log_cut_anywhere_loses_no_number_silently(path: Path, tmp_path: Path) -> None:
    """The epoch continues only if every post that was sent is there."""
    async with opened(path) as engine:
        await append(engine, "before")
        epoch = engine.epoch
    crashed = tmp_path / "crashed" / "history.db"
    async with opened(path) as engine:
        for number in range(1, 6):
            await append(engine, str(number))
        copy_files(path, crashed)
    log = Path(f"{crashed}-wal").read_bytes()
    page_bytes = int.from_bytes(log[8:12], "big")
    frame_bytes = page_bytes + 24
    cuts = [*range(32, len(log), frame_bytes), len(log) - 1, len(log)]
    lost = 0
    for number, cut in enumerate(cuts):
        copy = tmp_path / f"cut-{number}" / "history.db"
        copy_files(crashed, copy)
        Path(f"{copy}-wal").write_bytes(log[:cut])
        adopt(copy)
        async with opened(copy) as engine:
            found = await texts(engine)
            assert found == ["before", "1", "2", "3", "4", "5"][: len(found)]
            assert (engine.epoch == epoch) == (len(found) == 6)
            lost += len(found) < 6
    assert lost > 5


async def test_every_acknowledged_post_survives_a_power_failure(path: Path, tmp_path: Path) -> None:
    """What SQLite has synced when an append returns is enough: unsynced writes are dropped.

    The log is copied as soon as each append returns. Whatever else SQLite has written by then, to the
    database or to its index, is taken from the last checkpoint. The epoch file is as it was at the start.
    """
    base = tmp_path / "base" / "history.db"
    async with opened(path) as engine:
        await append(engine, "start")
        epoch = engine.epoch
    async with opened(path) as engine:
        copy_files(path, base)
        said = ["start"]
        pragma = "PRAGMA synchronous"
        assert await engine._in_thread(lambda: engine._connection.execute(pragma).fetchone()) == (FULL,)
        for number in range(20):
            said.append(f"post {number}")
            await append(engine, said[-1])
            copy = tmp_path / f"power-{number}" / "history.db"
            copy_files(base, copy)
            shutil.copy2(f"{path}-wal", f"{copy}-wal")
            adopt(copy)
            async with opened(copy) as after:
                assert await texts(after) == said
                assert after.epoch == epoch


async def test_copied_history_without_posts_to_lose_can_be_moved(path: Path, tmp_path: Path) -> None:
    """A copy of the file alone is another log: a new epoch does no harm, but its posts are there."""
    async with opened(path) as engine:
        await append(engine, "1")
        epoch = engine.epoch
    copy = tmp_path / "copy.db"
    shutil.copy2(path, copy)
    async with opened(copy) as engine:
        assert engine.epoch != epoch
        assert await texts(engine) == ["1"]


async def test_deleted_posts_are_not_missing_posts(path: Path) -> None:
    async with opened(path) as engine:
        await append(engine, *map(str, range(10)))
        epoch = engine.epoch
        engine._retention.set_limits(1e-9, 0)
        while await engine.trim(datetime.now(UTC)):
            pass
        assert engine.first_seq("lobby") == 11
    async with opened(path) as engine:
        assert engine.epoch == epoch
        await append(engine, "next")
        assert engine.last_seq("lobby") == 11


async def test_unwritable_epoch_file_does_not_stop_appends(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: EpochFile, last_id: int) -> None:
        raise OSError(28, "No space left on device")

    async with opened(path) as engine:
        monkeypatch.setattr(EpochFile, "write", fail)
        await append(engine, "1")
        await append(engine, "2")
        assert await texts(engine) == ["1", "2"]
    assert len([record for record in caplog.records if "No space left" in record.getMessage()]) == 1
