"""The search index of the SQLite engine: its contents, conversion of old files, and rebuilding."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.post import NewPost
from broadcast_tui.engine import sqlite_index
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.engine.sqlite_index import BUILD_POSTS, ROOM_TOKENS, index_text, room_token
from broadcast_tui.engine.sqlite_schema import APPLICATION_ID
from tests.support.engines import opened
from tests.support.retention import trim_to
from tests.support.running import eventually

VERSION_1 = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE rooms (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, topic TEXT NOT NULL DEFAULT '')",
    "CREATE TABLE posts (id INTEGER PRIMARY KEY, room_id INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " at_us INTEGER NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL, client_id TEXT NOT NULL,"
    " nonce TEXT NOT NULL, UNIQUE (room_id, seq))",
    "CREATE VIRTUAL TABLE posts_fts USING fts5 (text, content='', tokenize='unicode61', columnsize=0)",
    "CREATE TRIGGER posts_added AFTER INSERT ON posts BEGIN"
    " INSERT INTO posts_fts (rowid, text) VALUES (new.id, folded(new.text)); END",
    "CREATE TRIGGER posts_deleted AFTER DELETE ON posts BEGIN"
    " INSERT INTO posts_fts (posts_fts, rowid, text) VALUES ('delete', old.id, folded(old.text)); END",
    f"PRAGMA application_id = {APPLICATION_ID}",
    "PRAGMA user_version = 1",
    "INSERT INTO meta VALUES ('epoch', 'feedbeef')",
)
COUNT = 3 * BUILD_POSTS


def version_1(path: Path) -> None:
    """A history of version 0.1 with `COUNT` posts in each of two rooms."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("folded", 1, str.lower)
        for statement in VERSION_1:
            connection.execute(statement)
        connection.execute("BEGIN")
        at_us = int(datetime.now(UTC).timestamp() * 1e6)
        for room_id, room in ((1, "lobby"), (2, "dev")):
            connection.execute("INSERT INTO rooms VALUES (?, ?, 1, ?, '')", (room_id, room, COUNT))
        connection.executemany(
            "INSERT INTO posts (room_id, seq, at_us, sender, text, client_id, nonce)"
            " VALUES (?, ?, ?, 'ana', ?, '', '')",
            [
                (room_id, seq, at_us, f"post{seq} {'even' if seq % 2 == 0 else 'odd'} room{room_id} Tea")
                for seq in range(1, COUNT + 1)
                for room_id in (1, 2)
            ],
        )
        connection.execute("COMMIT")


async def found(engine: SqliteEngine, query: str, room: str = "lobby", **options: int) -> list[int]:
    posts = await engine.search(room, query, limit=options.pop("limit", 10_000), **options)
    return [post.position.seq for post in posts]


async def append(engine: SqliteEngine, *texts: str, room: str = "lobby") -> None:
    await engine.append([NewPost(room, "ana", text, datetime.now(UTC)) for text in texts])


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'")
        return {str(name) for (name,) in names}


def is_complete(engine: SqliteEngine) -> bool:
    return engine._search_index._first_id == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set it to let indexes be built."""
    event = asyncio.Event()
    build = SqliteEngine._build_index

    async def wait(engine: SqliteEngine) -> None:
        await event.wait()
        await build(engine)

    monkeypatch.setattr(SqliteEngine, "_build_index", wait)
    return event


async def check_searches(engine: SqliteEngine) -> None:
    """What a file of version 1 must find at any stage of its conversion, with one more post."""
    last = COUNT + 1
    assert await found(engine, "tea") == list(range(1, last + 1))
    assert await found(engine, "tea", limit=3) == [last - 2, last - 1, last]
    assert await found(engine, "EVEN", limit=3, before=COUNT) == [COUNT - 6, COUNT - 4, COUNT - 2]
    assert await found(engine, "odd even") == []
    assert await found(engine, f"post{COUNT}") == [COUNT]
    assert await found(engine, "post1 odd", limit=2, before=12) == [11 - 10, 11]
    assert await found(engine, "room1", "dev") == []
    assert len(await found(engine, "room2", "dev")) == COUNT


async def test_file_of_version_1_is_converted_and_searched_meanwhile(
    path: Path, paused: asyncio.Event
) -> None:
    await asyncio.to_thread(version_1, path)
    async with opened(path) as engine:
        assert engine.epoch == "feedbeef"
        assert not is_complete(engine)
        await append(engine, "newest tea")
        await check_searches(engine)
        for _ in range(4):
            await engine._in_thread(engine._search_index.step)
            await check_searches(engine)
        assert not is_complete(engine)
        paused.set()
        await eventually(lambda: is_complete(engine))
        await check_searches(engine)
        await eventually(lambda: tables(path) == {"search_1"})
    async with opened(path) as engine:
        assert is_complete(engine)
        await check_searches(engine)
    check_index(path)


async def test_conversion_continues_after_a_restart(path: Path, paused: asyncio.Event) -> None:
    await asyncio.to_thread(version_1, path)
    async with opened(path) as engine:
        await engine._in_thread(engine._search_index.step)
        first_id = engine._search_index._first_id
        assert 0 < first_id <= 2 * COUNT
    paused.set()
    async with opened(path) as engine:
        assert engine._search_index._first_id <= first_id
        await append(engine, "newest tea")
        await eventually(lambda: is_complete(engine))
        await check_searches(engine)


async def test_posts_that_are_not_indexed_yet_can_be_deleted(path: Path, paused: asyncio.Event) -> None:
    await asyncio.to_thread(version_1, path)
    async with opened(path) as engine:
        await engine._in_thread(engine._search_index.step)
        await trim_to(engine, keep_posts=COUNT // 2)
        paused.set()
        await eventually(lambda: is_complete(engine))
        assert await found(engine, "tea") == list(range(COUNT // 2 + 1, COUNT + 1))
        await eventually(lambda: tables(path) == {"search_1"})
    check_index(path)


async def test_index_is_rebuilt_when_the_folding_changes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(path) as engine:
        await append(engine, "Crème brûlée", "tea")
        await append(engine, "tea elsewhere", room="dev")
    monkeypatch.setattr(sqlite_index, "FOLDING", "1/99.0.0")
    async with opened(path) as engine:
        assert await found(engine, "creme") == [1]
        await append(engine, "more crème")
        await eventually(lambda: is_complete(engine))
        assert await found(engine, "creme") == [1, 3]
        await eventually(lambda: tables(path) == {"search_2"})
    check_index(path)


async def test_failed_append_leaves_the_index_as_it_was(path: Path) -> None:
    async with opened(path) as engine:
        await append(engine, "tea")

        def limit(pages: int) -> None:
            engine._connection.execute(f"PRAGMA max_page_count = {pages}")

        [(pages,)] = engine._connection.execute("PRAGMA page_count").fetchall()
        await engine._in_thread(lambda: limit(pages))
        with pytest.raises(EngineError):
            await append(engine, *[f"tea {number} {'x' * 4_000}" for number in range(100)])
        assert await found(engine, "tea") == [1]
        await engine._in_thread(lambda: limit(2**30))
        await append(engine, "more tea")
        assert await found(engine, "tea") == [1, 2]
    check_index(path)


def check_index(path: Path) -> None:
    """The index contains the words of all posts, and nothing else."""
    with closing(sqlite3.connect(path)) as connection:
        [table] = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'"
            )
        ]
        posts = connection.execute(
            "SELECT id, room_id, text FROM posts WHERE text != '' ORDER BY id"
        ).fetchall()
        connection.execute(f"CREATE VIRTUAL TABLE temp.expected USING fts5 (text, {sqlite_index.OPTIONS})")
        connection.executemany(
            "INSERT INTO expected (rowid, text) VALUES (?, ?)",
            [(post_id, index_text(room_id, text)) for post_id, room_id, text in posts],
        )
        vocabularies = []
        for name, schema in ((table, "main"), ("expected", "temp")):
            connection.execute(
                f"CREATE VIRTUAL TABLE temp.{name}_words USING fts5vocab ({schema}, {name}, instance)"
            )
            vocabularies.append(
                connection.execute(f"SELECT term, doc FROM temp.{name}_words ORDER BY 1, 2").fetchall()
            )
        assert vocabularies[0] == vocabularies[1]


async def test_rooms_that_share_a_token_are_told_apart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert room_token(1) != room_token(2)
    assert room_token(1) == room_token(1 + ROOM_TOKENS)
    monkeypatch.setattr(sqlite_index, "ROOM_TOKENS", 1)
    async with opened(path) as engine:
        await append(engine, "tea", "tea")
        await append(engine, "tea", room="dev")
        assert await found(engine, "tea") == [1, 2]
        assert await found(engine, "tea", "dev") == [1]


async def test_room_tokens_cannot_be_searched_for(path: Path) -> None:
    async with opened(path) as engine:
        await append(engine, "tea")
        assert await found(engine, room_token(1)) == []
        assert await found(engine, f"te{room_token(1)}") == [1]
