"""Rooms without posts, topic and people are forgotten by every engine, and their seqs are not used again."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.hub import Hub
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.post import NewPost
from broadcast_tui.engine import memory, sqlite
from broadcast_tui.engine.memory import MemoryEngine, NoHistoryEngine
from broadcast_tui.engine.room_index import FORGET_AFTER_S
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server.log_reads import read_log
from tests.support.entries import texts_of
from tests.support.hub_pair import Wire, read_frames
from tests.support.retention import trim_to
from tests.support.running import eventually

AT = datetime(2025, 8, 30, 10, 30, tzinfo=UTC)


class Clock:
    """A clock that tests step."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


Opened = MemoryEngine | SqliteEngine


@pytest.fixture(autouse=True)
def sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory, sqlite):
        monkeypatch.setattr(module, "SWEEP_EVERY_S", 0.001)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "off", "sqlite"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Opened]:
    made: dict[str, Callable[[], Opened]] = {
        "memory": lambda: MemoryEngine(max_total_bytes=10_000, clock=clock),
        "off": lambda: NoHistoryEngine(clock=clock),
        "sqlite": lambda: SqliteEngine(tmp_path / "history.db", keep_days=0, keep_posts=0, clock=clock),
    }
    opened = made[request.param]()
    await opened.start()
    yield opened
    await opened.close()


async def post(engine: Opened, room: str, count: int = 1) -> list[int]:
    results = await engine.append([NewPost(room, "ana", f"post {n}", AT) for n in range(count)])
    return [result.position.seq for result in results]


async def delete_posts(engine: Opened) -> None:
    """Delete all posts, by the means of the engine."""
    if isinstance(engine, SqliteEngine):
        await trim_to(engine, keep_days=1.0, now=AT + timedelta(days=2))
    elif not isinstance(engine, NoHistoryEngine):
        await engine.append([NewPost("filler", "ana", "x" * 10_000, AT)])
    await eventually(lambda: engine.room_names() in ([], ["filler"]))


async def test_a_room_without_posts_topic_and_people_is_forgotten(engine: Opened, clock: Clock) -> None:
    await post(engine, "gone", 5)
    await post(engine, "people", 5)
    await post(engine, "topic", 5)
    engine.set_open_rooms({"people"})
    await delete_posts(engine)
    await engine.set_topic("topic", "Tea")
    clock.now += FORGET_AFTER_S + 1.0
    await eventually(lambda: "gone" not in engine._index)
    assert (engine.last_seq("people"), engine.last_seq("topic")) == (5, 5)
    assert (engine.first_seq("gone"), engine.last_seq("gone")) == (9, 8)
    assert await engine.read("gone", limit=10) == []
    assert await post(engine, "gone") == [9]
    assert await post(engine, "people") == [6]
    assert await post(engine, "new") == [9]


async def test_a_topic_that_was_cleared_leaves_no_room(engine: Opened, clock: Clock) -> None:
    for number in range(20):
        await engine.set_topic(f"room{number}", "Tea")
        await engine.set_topic(f"room{number}", "")
        await engine.set_topic(f"never{number}", "")
    assert list(engine.room_names()) == []
    clock.now += FORGET_AFTER_S + 1.0
    await eventually(lambda: len(engine._index) == 0)
    assert await post(engine, "room1") == [1]


async def test_a_return_to_a_forgotten_room_gives_a_gap_and_every_post(engine: Opened, clock: Clock) -> None:
    await post(engine, "dev", 5)
    await delete_posts(engine)
    clock.now += FORGET_AFTER_S + 1.0
    await eventually(lambda: "dev" not in engine._index)
    seqs = await post(engine, "dev", 2)
    wire = await enter(engine, "dev", since=f"{engine.epoch}-3")
    frames = [frame for frame in read_frames(wire) if frame["type"] in ("gap", "message")]
    lost = 10 if isinstance(engine, NoHistoryEngine) else 8
    assert (frames[0]["from"], frames[0]["to"]) == (f"{engine.epoch}-4", f"{engine.epoch}-{lost}")
    assert frames[0]["reason"] == "trimmed"
    received = [] if isinstance(engine, NoHistoryEngine) else [f"{engine.epoch}-{seq}" for seq in seqs]
    assert [frame["id"] for frame in frames[1:]] == received


async def enter(engine: Opened, room: str, since: str) -> Wire:
    """A connection that has entered a room and got its replay."""
    hub = Hub(engine, Limits(), "n1", random_id=str)
    when = Instant(1.0, AT)
    wire = Wire()
    wire.peer = hub.open(wire, v1=True, address="test", when=when)
    hello = f'{{"type":"hello","name":"ana","rooms":[{{"room":"{room}","since":"{since}"}}]}}'
    hub.receive(wire.peer, hello.encode(), when)
    for read in hub.effects.take_reads():
        hub.reads.done(read, await read_log(read, engine))
    while data := b"".join(wire.peer.collect()):
        wire.write_now(data)
    return wire


async def test_a_hundred_thousand_empty_rooms_of_an_old_file_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    engine = SqliteEngine(path, keep_days=0)
    await engine.start()
    await post(engine, "lobby")
    await engine.close()
    with sqlite3.connect(path) as file:
        file.executemany(
            "INSERT INTO rooms (name, first_seq, last_seq) VALUES (?, ?, ?)",
            [(f"room{number}", number % 9 + 1, number % 9) for number in range(100_000)],
        )
    file.close()
    engine = SqliteEngine(path, keep_days=0)
    await engine.start()
    assert list(engine.room_names()) == ["lobby"]
    await eventually(lambda: len(engine._index) == 1)
    assert await post(engine, "room8") == [9]
    await engine.close()
    with sqlite3.connect(path) as file:
        assert file.execute("SELECT name FROM rooms ORDER BY name").fetchall() == [("lobby",), ("room8",)]
    file.close()
    engine = SqliteEngine(path, keep_days=0)
    await engine.start()
    assert engine.last_seq("room7") == 8, "the floor is stored"
    await engine.close()


async def test_rooms_that_cannot_be_deleted_now_keep_their_order(tmp_path: Path, clock: Clock) -> None:
    engine = SqliteEngine(tmp_path / "history.db", keep_days=0, clock=clock)
    await engine.start()
    await post(engine, "dev", 5)
    await delete_posts(engine)
    failing = engine._delete_rooms

    def fail(names: object, floor: int) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    engine._delete_rooms = fail  # type: ignore[method-assign]
    clock.now += FORGET_AFTER_S + 1.0
    await eventually(lambda: "dev" not in engine._index)
    engine._delete_rooms = failing  # type: ignore[method-assign]
    assert await post(engine, "dev", 2) == [9, 10]
    assert [p.position.seq for p in await engine.read("dev", limit=9)] == [9, 10]
    await engine.close()


async def test_memory_history_has_one_budget_for_all_rooms(clock: Clock) -> None:
    engine = MemoryEngine(max_total_bytes=100_000, clock=clock)
    for number in range(200):
        await engine.append([NewPost(f"room{number % 50}", "ana", "x" * (50 * number), AT)])
        assert engine.memory.used_bytes <= 100_000
        assert engine.last_seq(f"room{number % 50}") == number // 50 + 1
    stored = [await engine.read(f"room{number}", limit=10) for number in range(50)]
    assert stored[:30] == [[]] * 30
    assert texts_of(stored[-1])[-1] == "x" * 50 * 199
    assert engine.first_seq("room0") == engine.last_seq("room0") + 1 == 5
    assert engine.memory.evictions > 100
    assert len(engine._rooms) == sum(bool(posts) for posts in stored) < 20


async def test_a_room_alone_stays_within_the_budget_of_memory_history(clock: Clock) -> None:
    engine = MemoryEngine(max_total_bytes=100_000, clock=clock)
    await engine.append([NewPost("lobby", "ana", "x" * 1_000, AT) for _ in range(1_000)])
    assert engine.memory.used_bytes <= 101_000
    posts = await engine.read("lobby", limit=1_000)
    assert posts[-1].position.seq == 1_000
    assert 50 < len(posts) < 100
