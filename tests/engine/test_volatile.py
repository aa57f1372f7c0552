"""Volatile rooms: in memory, beside a durable engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.notes import NewEntry, NewNote
from broadcast_tui.core.post import AppendResult, NewPost, Position
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.engine.volatile import VolatileRoomsEngine, with_volatile_rooms
from tests.support.entries import entry_tail, texts_of
from tests.support.running import in_time

AT = datetime(2026, 1, 1, tzinfo=UTC)
DIRECT = "@ana+bob~x1"


class FullDisk(SqliteEngine):
    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        raise EngineError("disk full")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    made = with_volatile_rooms(SqliteEngine(tmp_path / "history.db"))
    await made.start()
    yield made
    await made.close()


def post(text: str, room: str, nonce: str = "") -> NewPost:
    return NewPost(room, "ana", text, AT, "c1", nonce, author="client c1")


def test_an_engine_in_memory_needs_no_other() -> None:
    engine = MemoryEngine()
    assert with_volatile_rooms(engine) is engine


async def test_a_mixed_batch_has_results_in_its_order(engine: Engine) -> None:
    batch = [post("a", "dev"), post("b", DIRECT), post("c", DIRECT), post("d", "dev"), post("e", "lobby")]
    results = await engine.append(batch)
    assert [result.position for result in results] == [
        Position(engine.epoch_of("lobby"), n) for n in (1, 1, 2, 2, 1)
    ]
    assert texts_of(await engine.read(DIRECT, limit=10)) == ["b", "c"]
    assert texts_of(await engine.read("dev", limit=10)) == ["a", "d"]
    assert (engine.first_seq(DIRECT), engine.last_seq(DIRECT)) == (1, 2)


async def test_one_tail_has_the_entries_of_all_rooms_in_order(engine: Engine) -> None:
    await engine.append([post("a", "dev"), post("b", DIRECT), post("c", "dev")])
    await engine.append([post("d", DIRECT)])
    tail = entry_tail(engine)
    seen: dict[str, list[str]] = {}
    while sum(map(len, seen.values())) < 4:
        for entry in await in_time(anext(tail)):
            seen.setdefault(entry.room, []).extend(texts_of([entry]))
    assert seen == {"dev": ["a", "c"], DIRECT: ["b", "d"]}


async def test_resent_posts_are_recognized(engine: Engine) -> None:
    [first] = await engine.append([post("once", DIRECT, "n1")])
    [second] = await engine.append([post("once", DIRECT, "n1")])
    assert second.dup
    assert second.position == first.position


async def test_notes_topics_and_searches_stay_in_memory(engine: Engine, tmp_path: Path) -> None:
    await engine.append([post("pelican", DIRECT), post("public", "dev")])
    edit = NewNote(DIRECT, 1, NoteKind.EDIT, "ana", AT, "client c1", "c1", "n2", text="cormorant")
    pin = NewNote(DIRECT, 1, NoteKind.PIN, "ana", AT, "client c1", "c1", "n3")
    await engine.append([edit, pin])
    await engine.set_topic(DIRECT, "flamingo")
    assert engine.topic(DIRECT) == "flamingo"
    assert list(engine.pins(DIRECT)) == [1]
    assert texts_of(await engine.search(DIRECT, "cormorant", limit=5)) == ["cormorant"]
    assert texts_of(await engine.posts(DIRECT, [1])) == ["cormorant"]
    assert list(engine.room_names()) == [DIRECT, "dev"]
    await engine.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"public" in stored
    for word in (b"pelican", b"cormorant", b"flamingo", b"@ana"):
        assert word not in stored


async def test_nothing_of_a_batch_is_appended_if_the_durable_engine_fails(tmp_path: Path) -> None:
    engine = VolatileRoomsEngine(FullDisk(tmp_path / "history.db"))
    await engine.start()
    try:
        with pytest.raises(EngineError):
            await engine.append([post("a", DIRECT), post("b", "dev")])
        assert engine.last_seq(DIRECT) == 0
        assert await engine.append([post("c", DIRECT)])
    finally:
        await engine.close()
