"""Histories of earlier versions are converted in place when they are opened.

`history-version-2.db` was written by the last program that stored posts without notes; the history in `home`
by version 0.1.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broadcast_tui.core.errors import EngineError, ErrorCode
from broadcast_tui.core.notes import NewNote
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.post_state import NO_STATE, NoteKind
from broadcast_tui.engine import sqlite_schema
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.engine.test_sqlite_index import check_index
from tests.support.engines import opened
from tests.support.entries import posts_of, texts_of
from tests.support.running import eventually

FILES = Path(__file__).parents[1] / "compat" / "files"
RECORDED = {
    1: (FILES / "home" / "history-28765.db", "lobby post 2", "plain"),
    2: (FILES / "history-version-2.db", "post 2: Où est le zebrafish2?", "zebrafish5"),
}
"""By version: the file, its second post in the lobby, and a word of the fifth or sixth."""
AT = datetime.now(UTC)


def copy_of(version: int, directory: Path) -> Path:
    recorded, *_ = RECORDED[version]
    path = directory / "history.db"
    shutil.copyfile(recorded, path)
    epoch = Path(f"{recorded}-epoch")
    if epoch.exists():
        shutil.copyfile(epoch, directory / "history.db-epoch")
    return path


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT id, room_id, seq, at_us, sender, text, client_id, nonce FROM posts ORDER BY id"
        return connection.execute(query).fetchall()


def schema(path: Path) -> tuple[int, list[tuple[str, str, str, str | None]]]:
    with closing(sqlite3.connect(path)) as connection:
        [(version,)] = connection.execute("PRAGMA user_version").fetchall()
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
        return version, connection.execute(query).fetchall()


def search_indexes(path: Path) -> list[str]:
    _, objects = schema(path)
    return [name for _, name, _, _ in objects if re.fullmatch(r"search_\d+", name)]


@pytest.mark.parametrize("version", RECORDED)
async def test_a_converted_file_is_like_a_new_one(tmp_path: Path, version: int) -> None:
    path = copy_of(version, tmp_path)
    before = rows(path)
    async with opened(path) as engine:
        await eventually(lambda: engine._search_index._first_id == 0)
        assert posts_of(await engine.read("lobby", limit=99))[1].state is NO_STATE
        await eventually(lambda: "posts_fts" not in str(schema(path)) and len(search_indexes(path)) == 1)
    assert rows(path) == before
    async with opened(tmp_path / "new.db") as engine:
        await engine.append([NewPost("lobby", "ana", "hi", AT)])
    # A Python with a newer version of Unicode builds the index again, with the next number.
    [index] = search_indexes(path)
    assert str(schema(path)).replace(index, "search_1") == str(schema(tmp_path / "new.db"))
    check_index(path)


@pytest.mark.parametrize("version", RECORDED)
async def test_posts_of_a_converted_file_can_have_notes(tmp_path: Path, version: int) -> None:
    _, text, word = RECORDED[version]
    path = copy_of(version, tmp_path)
    async with opened(path) as engine:
        epoch = engine.epoch
        assert texts_of(await engine.read("lobby", limit=99))[1] == text
        seq = engine.last_seq("lobby")
        results = await engine.append(
            [
                NewNote("lobby", 2, NoteKind.PIN, "mia", AT),
                NewNote("lobby", 2, NoteKind.EDIT, "mia", AT, "client client", text="mine"),
                NewPost("lobby", "mia", "a reply", AT, re=2),
            ]
        )
        assert [each.position.seq for each in results] == [seq + 1, 0, seq + 2]
        assert results[1].error is not None
        assert results[1].error.code is ErrorCode.FORBIDDEN
        assert [post.re for post in posts_of(await engine.read("lobby", limit=99, root=2))] == [0, 2]
        [found] = await engine.search("lobby", word, limit=9)
        await engine.append([NewNote("lobby", found.position.seq, NoteKind.DELETE, "zoe", AT, is_admin=True)])
        assert await engine.search("lobby", word, limit=9) == []
    async with opened(path) as engine:
        assert (engine.epoch, engine.pins("lobby")) == (epoch, [2])
        await eventually(lambda: not engine._purge.is_pending)
    assert found.text.encode() not in path.read_bytes()


@pytest.mark.parametrize("version", RECORDED)
async def test_a_conversion_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    path = copy_of(version, tmp_path)
    before = schema(path)
    failing = (*sqlite_schema.ADD_NOTES, "INSERT INTO nowhere VALUES (1)")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "ADD_NOTES", failing)
        with pytest.raises(EngineError):
            await SqliteEngine(path, keep_days=0).start()
    assert schema(path) == before
    async with opened(path) as engine:
        assert engine.last_seq("lobby") > 0
