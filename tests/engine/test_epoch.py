"""No seq is used twice within an epoch, whatever happens to the files of a SQLite history."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_tui.core.post import NewPost, Position
from broadcast_tui.engine.epoch_file import MODIFIED_AFTER_S, EpochFile
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.support.engines import opened
from tests.support.entries import posts_of, texts_of
from tests.support.plain import v1_client
from tests.support.retention import trim_to
from tests.support.running import in_time, running_server

FULL = 2
"""Value of `PRAGMA synchronous`: SQLite syncs the log before a commit returns."""


async def append(engine: SqliteEngine, *texts: str) -> None:
    await engine.append([NewPost("lobby", "ana", text, datetime.now(UTC)) for text in texts])


async def texts(engine: SqliteEngine) -> list[str]:
    return texts_of(await engine.read("lobby", limit=10_000))


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
        assert texts_of(await engine.search("lobby", "other", limit=5)) == ["other 4"]
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
        await trim_to(engine, keep_days=1e-9)
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


class Files:
    """A history that is closed, crashes, loses its log, and is replaced by backups, in any order.

    Args:
        directory: For the files, and their copies after crashes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "0" / "history.db"
        self._backup = directory / "backup" / "history.db"
        self._crashes = 0
        self._posts = 0
        self.sent: dict[Position, str] = {}
        """The text of every post that a client may have received, by epoch and seq."""

    async def open(self) -> None:
        self._engine = SqliteEngine(self._path, keep_days=0)
        await self._engine.start()
        for post in posts_of(await self._engine.read("lobby", limit=10_000)):
            assert self.sent.setdefault(post.position, post.text) == post.text

    async def append(self) -> None:
        self._posts += 1
        text = f"post {self._posts}"
        [result] = await self._engine.append([NewPost("lobby", "ana", text, datetime.now(UTC))])
        assert result.position not in self.sent, "its number was used before"
        self.sent[result.position] = text

    async def close(self) -> None:
        await in_time(self._engine.close())

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def crash(self, *, kept: float = 1.0) -> None:
        """Continue with the files as they are, with a part of the log."""
        self._crashes += 1
        copy = self._directory / str(self._crashes) / "history.db"
        copy_files(self._path, copy)
        await self.close()
        self._path = copy
        adopt(copy)
        log = Path(f"{copy}-wal")
        if log.exists():
            os.truncate(log, int(log.stat().st_size * kept))
        await self.open()

    async def lose_half_of_the_log(self) -> None:
        await self.crash(kept=0.5)

    async def lose_the_log(self) -> None:
        await self.crash(kept=0.0)

    async def back_up(self) -> None:
        await self.close()
        copy_files(self._path, self._backup)
        await self.open()

    async def restore(self) -> None:
        await self.close()
        if self._backup.exists():
            shutil.copy2(self._backup, self._path)
        await self.open()


STEPS = (
    Files.append,
    Files.restart,
    Files.crash,
    Files.lose_half_of_the_log,
    Files.lose_the_log,
    Files.back_up,
    Files.restore,
)


async def test_history_that_loses_its_log_twice_does_not_return_to_its_first_epoch(tmp_path: Path) -> None:
    files = Files(tmp_path)
    await files.open()
    for step in (Files.append, Files.lose_half_of_the_log, Files.lose_half_of_the_log, Files.append):
        await step(files)
    await files.close()


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.sampled_from(STEPS) | st.just(Files.append), max_size=20))
def test_no_number_is_used_twice_whatever_happens_to_the_files(
    steps: list[Callable[[Files], Coroutine[None, None, None]]],
) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            files = Files(Path(directory))
            await files.open()
            for step in steps:
                await step(files)
            await files.close()

    with asyncio.Runner() as runner:
        runner.run(run())
