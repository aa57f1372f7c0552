"""Deleted and replaced texts are in no byte of a SQLite history, once the background work has caught up."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from broadcast_tui.core.notes import NewNote
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine import sqlite, sqlite_purge
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.engine.test_sqlite_index import check_index
from tests.support.engines import opened
from tests.support.running import eventually, in_time

AT = datetime.now(UTC)


@pytest.fixture(autouse=True)
def purge_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PURGE_DELAY_S", 0.01)
    monkeypatch.setattr(sqlite, "PAUSE_S", 0.001)
    monkeypatch.setattr(sqlite, "PURGE_BLOCKED_S", 0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def new_post(text: str) -> NewPost:
    return NewPost("lobby", "ana", text, AT, author="client c")


def edit(seq: int, text: str) -> NewNote:
    return NewNote("lobby", seq, NoteKind.EDIT, "ana", AT, "client c", text=text)


def delete(seq: int) -> NewNote:
    return NewNote("lobby", seq, NoteKind.DELETE, "ana", AT, "client c", text="wrong room")


def react(seq: int, name: str) -> NewNote:
    return NewNote("lobby", seq, NoteKind.REACT, name, AT, text="👍")


def left_in(path: Path, words: Iterable[str]) -> list[str]:
    """The words that are somewhere in the file or its log, or in the index."""
    files = (path, Path(f"{path}-wal"))
    content = b"\n".join(file.read_bytes() for file in files if file.exists()).lower()
    return [word for word in words if word.encode() in content]


async def purged(engine: SqliteEngine) -> None:
    await eventually(lambda: not engine._purge.is_pending)


async def test_removed_texts_are_in_no_byte_of_the_file(path: Path) -> None:
    async with opened(path) as engine:
        for number in range(40):
            await engine.append([new_post(f"text number{number} of many"), new_post("something else")])
        await engine.append([new_post("My zebrafish is here"), new_post("A quokka, not a wombat")])
        assert left_in(path, ["zebrafish", "quokka"]) == ["zebrafish", "quokka"]
        await engine.append([delete(81), edit(82, "A wombat"), delete(1)])
        await purged(engine)
        assert left_in(path, ["zebrafish", "quokka", "number0 "]) == []
        assert left_in(path, ["wombat", "number1 "]) == ["wombat", "number1 "]
        assert os.stat(f"{path}-wal").st_size < 20_000
        await engine.append([new_post("after"), edit(82, "A numbat")])
        await purged(engine)
        assert left_in(path, ["wombat"]) == []
        assert [post.position.seq for post in await engine.search("lobby", "numbat", limit=9)] == [82]
    assert left_in(path, ["zebrafish", "quokka", "wombat"]) == []
    check_index(path)


async def test_copies_are_removed_after_a_restart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PURGE_DELAY_S", 1e9)
    async with opened(path) as engine:
        await engine.append([new_post("My zebrafish"), new_post("another")])
        await engine.append([delete(1)])
        assert left_in(path, ["zebrafish"]) == ["zebrafish"]
    monkeypatch.setattr(sqlite, "PURGE_DELAY_S", 0.0)
    async with opened(path) as engine:
        await purged(engine)
        assert left_in(path, ["zebrafish"]) == []


@pytest.mark.parametrize("is_small", [True, False])
async def test_copies_in_unused_parts_of_pages_are_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_small: bool
) -> None:
    if not is_small:
        monkeypatch.setattr(sqlite_purge, "VACUUM_MAX_BYTES", 0)
    dice = Random(3)
    count = 600
    gone = dice.sample(range(count), 450)
    words = [f"word{number:05}x" for number in gone]
    async with opened(path) as engine:
        for start in range(0, count, 50):
            texts = (f"word{start + number:05}x {'y' * dice.choice((20, 200, 900))}" for number in range(50))
            await engine.append([new_post(text) for text in texts])
        for seq in dice.sample(range(1, count + 1), 300):
            names = [f"somebody {number} {'z' * 20}" for number in range(dice.choice((5, 20, 60)))]
            await engine.append([react(seq, name) for name in names])
        await engine.append([delete(number + 1) for number in gone])
        await purged(engine)
        assert bool(left_in(path, words)) != is_small
        await engine.append([new_post("last")])
    assert left_in(path, words) == []
    kept = [f"word{number:05}x" for number in sorted(set(range(count)) - set(gone))]
    assert left_in(path, kept) == kept
    check_index(path)


async def test_appends_continue_while_a_reader_delays_the_purge(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post("My zebrafish"), new_post("another")])
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM posts").fetchall()
            await engine.append([delete(1)])
            await eventually(lambda: engine._purge.is_blocked)
            for number in range(50):
                await in_time(engine.append([new_post(f"post {number}")]))
            assert engine._purge.is_pending
        await purged(engine)
        assert left_in(path, ["zebrafish"]) == []
