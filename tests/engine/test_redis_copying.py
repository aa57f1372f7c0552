"""Copies of histories to Redis and back."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.notes import NewEntry, NewNote, Note
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine import copying, redis_engine, sqlite_copying
from broadcast_tui.engine.copying import CopyResult, HistoryCopy, StoredEntry, StoredHistory, by_arrival
from broadcast_tui.engine.redis_copying import RedisHistory
from broadcast_tui.engine.sqlite_copying import SqliteHistory
from broadcast_tui.redis_client import Client, open_client
from broadcast_tui.redis_settings import read_location
from tests.engine.test_copying import Interrupted, interrupt_after, write, write_posts
from tests.support.engines import opened
from tests.support.entries import texts_of
from tests.support.histories import AT, EMPTY, ROOMS, Chat, append_posts, chats, contents, hold
from tests.support.redis_engines import open_engine
from tests.support.redis_server import Cluster, RedisServer, needs_redis, running

pytestmark = needs_redis
TAG = "{bt0}"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_copying, "PAGE_ENTRIES", 3)
    monkeypatch.setattr(copying, "PAGE_ENTRIES", 4)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Client]:
    client = open_client(read_location(redis_url))
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source.db"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target.db"


Place = Path | str
"""A file, or an address of Redis."""


async def copy(source: Place, target: Place, *, steps: int | None = None) -> CopyResult:
    reading: StoredHistory
    writing: HistoryCopy
    if isinstance(source, Path):
        reading = SqliteHistory.open(source)
    else:
        reading = await RedisHistory.open(read_location(source))
    try:
        if isinstance(target, Path):
            writing = SqliteHistory.create(target)
        else:
            writing = await RedisHistory.create(read_location(target))
        try:
            if steps is not None:
                interrupt_after(writing, steps)
            return await copying.copy_history(reading, writing, lambda what, done, total: None)
        finally:
            await writing.close()
    finally:
        await reading.close()


async def copy_interrupted(source: Place, target: Place, interruptions: Sequence[int]) -> CopyResult:
    for steps in interruptions:
        try:
            return await copy(source, target, steps=steps)
        except Interrupted:
            pass
    return await copy(source, target)


async def hash_of(client: Client, key: str) -> dict[str, str]:
    """The fields of a hash."""
    fields: dict[bytes, bytes] = await client.execute_command("HGETALL", key)
    return {field.decode(): value.decode() for field, value in fields.items()}


async def same(first: Path, second: Path) -> bool:
    async with opened(first) as before, opened(second) as after:
        return await contents(before) == await contents(after)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chat=chats,
    there=st.lists(st.integers(0, 8), max_size=2),
    back=st.lists(st.integers(0, 8), max_size=2),
)
def test_a_copy_to_redis_and_back_has_everything(
    redis_url: str, chat: Chat, there: list[int], back: list[int]
) -> None:
    async def check(directory: Path) -> None:
        async with open_client(read_location(redis_url)) as client:
            await client.flushall()
        source, target = directory / "source.db", directory / "target.db"
        await write(source, chat)
        copied = await copy_interrupted(source, redis_url, there)
        other = f"{redis_url}?prefix=other"
        assert await copy_interrupted(redis_url, other, back) == copied
        assert await copy_interrupted(other, target, back) == copied
        assert await same(source, target)

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(check(Path(directory)))


def _without_note_nonces(batch: Sequence[NewEntry]) -> Sequence[NewEntry]:
    """Engines may or may not remember the nonces of notes that change nothing."""
    return [
        msgspec.structs.replace(entry, nonce="") if isinstance(entry, NewNote) else entry for entry in batch
    ]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chat=chats, again=chats)
def test_servers_go_on_with_a_copy_in_redis(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, chat: Chat, again: Chat
) -> None:
    """They read the same as from the file, and changes have the same effect."""
    monkeypatch.setattr(redis_engine, "SWEEP_S", 3600.0)

    async def check(source: Path) -> None:
        async with open_client(read_location(redis_url)) as client:
            await client.flushall()
        await write(source, chat)
        await copy(source, redis_url)
        rooms = (*ROOMS, EMPTY, "topics")
        async with opened(source) as before, open_engine(redis_url, rooms=rooms) as after:
            expected = await contents(before)
            assert (await contents(after))["rooms"] == expected["rooms"]
            for room in rooms:
                assert after.fork_of(room, before.epoch) == before.last_seq(room)
            more = Chat([_without_note_nonces(batch) for batch in again.batches], again.topics)
            for engine in (before, after):
                await hold(engine, more)
            assert (await contents(after))["rooms"] == (await contents(before))["rooms"]

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(check(Path(directory) / "source.db"))


async def test_what_was_not_announced_is_announced_by_servers_of_the_copy(
    client: Client, redis_url: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_engine, "SWEEP_S", 0.01)
    async with opened(source) as engine:
        await append_posts(engine, "lobby", "apple")
        await engine.append([NewNote("lobby", 1, NoteKind.REACT, "ben", AT, text="x", on=True)])
    await copy(source, redis_url)
    async with open_engine(redis_url, rooms=["lobby"]) as engine:
        assert await engine.new_entries.wait()
        events = engine.new_entries.take()
        assert [(event.position.seq, event.kind) for event in events if isinstance(event, Note)] == [
            (2, NoteKind.REACT)
        ]


async def test_a_long_log_is_shortened_in_parts(
    client: Client, redis_url: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that Redis responds meanwhile."""
    monkeypatch.undo()  # the pages need not be small
    await write_posts(source, "lobby", *map(str, range(5_500)))
    await copy(source, redis_url)
    async with open_engine(redis_url, rooms=["lobby"], keep_posts=10) as engine:
        bounds = []
        for _ in range(3):
            await append_posts(engine, "lobby", "apple")
            bounds.append((engine.first_seq("lobby"), engine.last_seq("lobby")))
        assert bounds == [(5_001, 5_501), (5_493, 5_502), (5_493, 5_503)]
        assert len(await engine.read("lobby", limit=100)) == 11


async def test_a_copy_continues_with_what_is_missing(
    client: Client, redis_url: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_posts(source, "lobby", *(f"post {number}" for number in range(10)))
    with pytest.raises(Interrupted):
        await copy(source, redis_url, steps=2)
    put: list[int] = []
    original = RedisHistory.put

    async def counting(history: RedisHistory, entries: Sequence[StoredEntry]) -> None:
        put.extend(entry.seq for entry in entries)
        await original(history, entries)

    monkeypatch.setattr(RedisHistory, "put", counting)
    assert await copy(source, redis_url) == CopyResult(10, 1)
    assert put == [7, 8, 9, 10]


async def test_a_copy_starts_again_if_what_was_copied_has_changed(
    client: Client, redis_url: str, source: Path, target: Path
) -> None:
    await write_posts(source, "lobby", *(f"post {number}" for number in range(10)))
    with pytest.raises(Interrupted):
        await copy(source, redis_url, steps=2)
    async with opened(source) as engine:
        await engine.append([NewNote("lobby", 2, NoteKind.DELETE, "ana", AT, "name ana")])
    await copy(source, redis_url)
    assert await client.xlen(f"{TAG}:l:lobby") == 10  # nine posts and a note
    await copy(redis_url, target)
    assert await same(source, target)


async def test_epochs_are_known_in_the_copy(
    client: Client, redis_url: str, source: Path, target: Path
) -> None:
    async with opened(source) as engine:
        await append_posts(engine, "lobby", "apple", "pear")
        first = engine.epoch
    await copy(source, redis_url)
    fields = await hash_of(client, f"{TAG}:m:lobby")
    assert (fields["x"], fields["s"], fields["f"]) == (f"{first}:2 ", "2", "1")
    second = fields["e"]
    assert (await hash_of(client, f"{TAG}:p"))["life"] == second
    await copy(redis_url, target)
    async with opened(target) as engine:
        assert engine.epoch not in (first, second)
        assert (engine.fork_of("lobby", first), engine.fork_of("lobby", second)) == (2, 2)
        assert engine.fork_of("dev", first) is None


async def test_lost_ends_of_former_epochs_are_not_in_the_copy(
    client: Client, redis_url: str, source: Path, target: Path
) -> None:
    await write_posts(source, "lobby", *"abcdefgh")
    await copy(source, redis_url)
    await client.hset(f"{TAG}:m:lobby", "x", "e1:7 e2:5 e3:6 ")
    await copy(redis_url, target)
    async with opened(target) as engine:
        assert [engine.fork_of("lobby", epoch) for epoch in ("e1", "e2", "e3")] == [5, 5, 6]


async def test_direct_messages_are_found_by_their_owners(
    client: Client, redis_url: str, source: Path, target: Path
) -> None:
    await write_posts(source, "@Ana+ben", "psst")
    await copy(source, redis_url)
    owners = await hash_of(client, "{bt:ctl}:direct:@Ana+ben")
    assert sorted(owners.values()) == ["Ana", "ben"]
    for owner in owners:
        assert await client.smembers(f"{{bt:ctl}}:directs:{owner}") == {b"@Ana+ben"}
    await client.zadd(f"{TAG}:rooms", {"@guest-1+guest-2~x7": 0})
    assert await copy(redis_url, target) == CopyResult(1, 1)
    async with opened(target) as engine:
        assert engine.room_names() == ["@Ana+ben"]


async def test_resent_posts_are_recognized_in_the_copy(client: Client, redis_url: str, source: Path) -> None:
    now = datetime.now(UTC)
    entries: list[NewEntry] = [
        NewPost("lobby", "ana", "old", now - timedelta(minutes=11), "c1", "n0"),
        NewPost("lobby", "ana", "apple", now, "c1", "n1", "name ana"),
        NewNote("lobby", 2, NoteKind.PIN, "ana", now, "name ana", "c1", "n2", True, on=True),
    ]
    async with opened(source) as engine:
        results = await engine.append(entries)
        assert [result.error for result in results] == [None] * 3
    await copy(source, redis_url)
    assert await client.hlen(f"{TAG}:n0:lobby") == 2
    assert await client.ttl(f"{TAG}:n0:lobby") > 1_000
    async with open_engine(redis_url, rooms=["lobby"]) as after:
        results = await after.append(entries)
        assert [(result.position.seq, result.dup) for result in results] == [(4, False), (2, True), (3, True)]


async def test_old_posts_of_all_rooms_are_deleted_from_a_copy_in_a_file(
    client: Client, redis_url: str, source: Path, target: Path
) -> None:
    """Entries are copied in the order of their times."""
    for day, room in enumerate(("lobby", "dev", "lobby", "dev", "lobby")):
        await write_posts(source, room, f"day {day}", at=AT + timedelta(days=day))
    await copy(source, redis_url)
    await copy(redis_url, target)
    async with opened(target, keep_days=2) as engine:
        while await engine.trim(AT + timedelta(days=4, minutes=1)):
            pass
        assert texts_of(await engine.read("dev", limit=9)) == ["day 3"]
        assert texts_of(await engine.read("lobby", limit=9)) == ["day 4"]


async def test_entries_are_in_the_order_of_arrival_and_of_seqs() -> None:
    """Also if the clock was set back."""
    times = {"a": [5, 1, 9], "b": [2, 4, 6, 7, 8], "empty": []}

    async def read(room: str, after: int, limit: int) -> list[StoredEntry]:
        entries = [StoredEntry(room, seq, at, "ana") for seq, at in enumerate(times[room], 1)]
        return entries[after : after + min(limit, 2)]

    pages = [page async for page in by_arrival(sorted(times), read)]
    assert [len(page) for page in pages] == [4, 4]
    order = [(entry.room, entry.seq) for page in pages for entry in page]
    assert order == [
        ("b", 1), ("b", 2), ("a", 1), ("a", 2), ("b", 3), ("b", 4), ("b", 5), ("a", 3),
    ]  # fmt: skip


async def test_a_copy_in_a_redis_cluster(tmp_path: Path, source: Path, target: Path) -> None:
    for room in ("lobby", "dev", "büro", "@ana+ben"):
        await write_posts(source, room, *(f"apple {number}" for number in range(5)))
    cluster = Cluster(tmp_path / "cluster")
    with running(cluster):
        with pytest.raises(Interrupted):
            await copy(source, cluster.url, steps=3)
        async with opened(source) as engine:
            await engine.append([NewNote("lobby", 1, NoteKind.DELETE, "ana", AT, "name ana")])
        await copy(source, cluster.url)
        await copy(cluster.url, target)
    assert await same(source, target)


# -- rejected


async def test_servers_refuse_an_unfinished_copy(client: Client, redis_url: str, source: Path) -> None:
    await write_posts(source, "lobby", "apple")
    with pytest.raises(Interrupted):
        await copy(source, redis_url, steps=1)
    refused = r"is an unfinished copy\. Run history copy again\.$"
    with pytest.raises(EngineError, match=refused):
        async with open_engine(redis_url):
            pass
    with pytest.raises(EngineError, match=refused):
        await copy(redis_url, source.with_name("other.db"))
    await copy(source, redis_url)
    async with open_engine(redis_url) as engine:
        assert texts_of(await engine.read("lobby", limit=9)) == ["apple"]


async def test_a_database_that_would_lose_history_is_rejected(tmp_path: Path, source: Path) -> None:
    await write_posts(source, "lobby", "apple")
    server = RedisServer(tmp_path / "redis", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with running(server), pytest.raises(EngineError, match="deletes history when its memory is full"):
        await copy(source, server.url)


async def test_a_history_is_not_overwritten(client: Client, redis_url: str, source: Path) -> None:
    await write_posts(source, "lobby", "apple")
    await copy(source, redis_url)
    with pytest.raises(EngineError, match=r"has a history already\. Copy to another prefix\.$"):
        await copy(source, redis_url)


async def test_an_unfinished_copy_of_another_history_is_not_continued(
    client: Client, redis_url: str, source: Path, target: Path
) -> None:
    await write_posts(source, "lobby", "apple")
    await write_posts(target, "lobby", "pear")
    with pytest.raises(Interrupted):
        await copy(source, redis_url, steps=1)
    with pytest.raises(EngineError, match="has an unfinished copy of another history"):
        await copy(target, redis_url)


async def test_histories_of_running_servers_are_rejected(
    client: Client, redis_url: str, source: Path, target: Path
) -> None:
    await write_posts(source, "lobby", "apple")
    seconds, _ = await client.time()
    await client.zadd("{bt:ctl}:nodes", {"dead": (seconds - 1) * 1_000, "live": (seconds + 600) * 1_000})
    with pytest.raises(EngineError, match=r"is in use by a server\. Stop it first\.$"):
        await copy(source, redis_url)
    assert await client.keys("*copy*") == []
    await client.delete("{bt:ctl}:nodes")
    await copy(source, redis_url)
    await client.zadd("{bt:ctl}:nodes", {"n1": (seconds + 600) * 1_000, "n2": (seconds + 600) * 1_000})
    with pytest.raises(EngineError, match=r"is in use by 2 servers\. Stop them first\.$"):
        await copy(redis_url, target)
    assert not target.exists()


async def test_a_server_that_starts_meanwhile_is_noticed(
    client: Client, redis_url: str, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_posts(source, "lobby", "apple")
    await copy(source, redis_url)
    finish = SqliteHistory.finish

    async def finish_late(history: SqliteHistory, *arguments: object) -> None:
        await finish(history, *arguments)  # type: ignore[arg-type]
        seconds, _ = await client.time()
        await client.zadd("{bt:ctl}:nodes", {"n1": (seconds + 600) * 1_000})

    monkeypatch.setattr(SqliteHistory, "finish", finish_late)
    with pytest.raises(EngineError, match="is in use by a server"):
        await copy(redis_url, target)


async def test_an_empty_database_is_not_copied(client: Client, redis_url: str, target: Path) -> None:
    with pytest.raises(EngineError, match="There is no history in redis"):
        await copy(redis_url, target)
    assert not target.exists()


async def test_a_damaged_row_is_reported(client: Client, redis_url: str, source: Path, target: Path) -> None:
    await write_posts(source, "lobby", "apple")
    await copy(source, redis_url)
    await client.execute_command("XADD", f"{TAG}:l:lobby", "2-0", "p", "nonsense")
    with pytest.raises(EngineError, match="is damaged"):
        await copy(redis_url, target)


async def test_no_error_contains_the_password(tmp_path: Path, source: Path) -> None:
    await write_posts(source, "lobby", "apple")
    server = RedisServer(tmp_path / "redis", password="s3cret-word")
    with running(server):
        await copy(source, server.url)
        for url in (server.url, server.url.replace("s3cret-word", "wrong-word")):
            with pytest.raises(EngineError) as caught:
                await copy(source, url)
            assert "-word" not in str(caught.value)
    with pytest.raises(EngineError, match="Cannot connect to redis://127") as caught:
        await copy(source, server.url)
    assert "-word" not in str(caught.value)
