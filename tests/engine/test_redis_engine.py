"""Logs in Redis beyond the contract: several nodes, lost connections and data, a full memory, replicas."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broadcast_tui.core.errors import EngineError, ErrorCode
from broadcast_tui.core.notes import Entry, LogEvent, NewNote
from broadcast_tui.core.post import Fork, NewPost, Post
from broadcast_tui.core.post_state import Ask, NoteKind
from broadcast_tui.engine import dedup, redis_engine, redis_healing, redis_writer
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.engine.redis_room import NewEntries, RoomLog
from broadcast_tui.engine.redis_rows import Head
from tests.support.entries import event_tail, texts_of
from tests.support.redis_engines import open_engine
from tests.support.redis_server import (
    ALWAYS,
    EVERYSEC,
    NO_FILE,
    Cluster,
    RedisServer,
    Sentinel,
    needs_redis,
    running,
)
from tests.support.running import eventually, in_time

pytestmark = needs_redis
Open = Callable[..., Awaitable[RedisEngine]]


def new_post(text: str, room: str = "lobby", *, nonce: str = "", re: int = 0) -> NewPost:
    return NewPost(room, "ana", text, datetime.now(UTC), "c" if nonce else "", nonce, "client c", re)


def note(kind: NoteKind, re: int, text: str = "", *, by: str = "ana", nonce: str = "") -> NewNote:
    client_id = "c" if nonce else ""
    return NewNote("lobby", re, kind, by, datetime.now(UTC), "client c", client_id, nonce, text=text)


def question() -> NewPost:
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    return NewPost("lobby", "ana", "Deploy?", datetime.now(UTC), ask=Ask(("yes",), until, 1))


class Reader:
    """The new entries of an engine, and forks."""

    def __init__(self, engine: Engine) -> None:
        self.events: list[LogEvent] = []
        self._task = asyncio.ensure_future(self._follow(engine))

    async def _follow(self, engine: Engine) -> None:
        async for events in event_tail(engine):
            self.events += events

    @property
    def entries(self) -> list[Entry]:
        return [event for event in self.events if not isinstance(event, Fork)]

    @property
    def forks(self) -> list[Fork]:
        return [event for event in self.events if isinstance(event, Fork) and event.room == "lobby"]

    def seqs(self, room: str = "lobby") -> list[int]:
        return [entry.position.seq for entry in self.entries if entry.room == room]

    def texts(self) -> list[str]:
        return texts_of(self.entries)

    async def wait_for(self, count: int) -> None:
        await eventually(lambda: len(self.entries) >= count)

    async def wait_for_fork(self, count: int = 1) -> None:
        await eventually(lambda: len(self.forks) >= count)

    def view(self) -> list[tuple[int, str]]:
        """The posts of the lobby as a reader has them who withdraws what a fork has lost."""
        posts: list[Post] = []
        for event in self.events:
            if event.room != "lobby":
                continue
            if isinstance(event, Fork):
                posts = [post for post in posts if post.position.seq <= event.seq]
            elif isinstance(event, Post):
                posts.append(event)
        return [(post.position.seq, post.text) for post in posts]


async def stored(engine: Engine, room: str = "lobby") -> list[tuple[int, str]]:
    """The posts in the log."""
    entries = await engine.read(room, limit=100_000)
    return [(entry.position.seq, entry.text) for entry in entries if isinstance(entry, Post)]


@pytest.fixture
async def engines() -> AsyncIterator[Open]:
    """Opens engines, which are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_one(url: str, **options: object) -> RedisEngine:
            return await stack.enter_async_context(open_engine(url, **options))  # type: ignore[arg-type]

        yield open_one


@pytest.fixture
def server(tmp_path: Path) -> AsyncIterator[RedisServer]:  # type: ignore[misc]
    """A server of the test's own, whose data survive a kill."""
    made = RedisServer(tmp_path / "redis", *ALWAYS)
    with running(made):
        yield made


async def cli(server: RedisServer, *words: str) -> str:
    return await asyncio.to_thread(server.cli, *words)


async def restart(server: RedisServer, *options: str) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start, *options)


# -- several nodes


async def test_nodes_see_the_entries_of_all_in_one_order(engines: Open, redis_url: str) -> None:
    nodes = [await engines(redis_url) for _ in range(3)]
    readers = [Reader(engine) for engine in nodes]
    await asyncio.gather(
        *(
            engine.append([new_post(f"{number}-{batch}-{place}") for place in range(10)])
            for batch in range(20)
            for number, engine in enumerate(nodes)
        )
    )
    for reader in readers:
        await reader.wait_for(600)
        assert reader.seqs() == list(range(1, 601))
        assert reader.texts() == readers[0].texts()
        assert reader.forks == []
    assert [engine.last_seq("lobby") for engine in nodes] == [600] * 3


async def test_own_entries_of_rooms_that_are_not_open_reach_the_tail(engines: Open, redis_url: str) -> None:
    one, other = await engines(redis_url), await engines(redis_url)
    reader, stranger = Reader(one), Reader(other)
    await one.append([new_post("a", "closed"), new_post("b", "closed"), new_post("c")])
    await reader.wait_for(3)
    assert reader.seqs("closed") == [1, 2]
    await stranger.wait_for(1)
    assert stranger.seqs("closed") == []


async def test_a_room_that_cannot_be_opened_is_not_followed(
    engines: Open, redis_url: str, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await engines(redis_url, rooms=())

    async def fail(*_: object) -> object:
        raise EngineError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(engine._reader, "run", fail)
        with pytest.raises(EngineError, match="gone"):
            await engine.open_room("lobby")
    await eventually(lambda: not shared_redis.cli("PUBSUB", "CHANNELS"))
    await engine.open_room("lobby")
    assert shared_redis.cli("PUBSUB", "CHANNELS")


async def test_a_topic_that_is_set_while_a_room_is_opened_is_known(
    engines: Open, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await engines(redis_url), await engines(redis_url, rooms=())
    run = other._reader.run

    async def run_slowly(*words: Any) -> Any:
        reply = await run(*words)
        await one.set_topic("lobby", "Herons")
        await eventually(lambda: bool(other._opening["lobby"]))
        return reply

    with monkeypatch.context() as patch:
        patch.setattr(other._reader, "run", run_slowly)
        await other.open_room("lobby")
    assert other.topic("lobby") == "Herons"


async def test_a_topic_whose_message_was_lost_is_known_after_a_comparison(
    engines: Open, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await engines(redis_url), await engines(redis_url)
    with monkeypatch.context() as patch:
        patch.setattr(other._subscriber, "_received", lambda *_: None)
        await one.set_topic("lobby", "Herons")
        other._sweep_now.set()
        await eventually(lambda: other.topic("lobby") == "Herons")


def test_late_news_do_not_bring_back_deleted_entries() -> None:
    log = RoomLog("lobby", Head("e1", 10, 5, {}))
    log.receive(NewEntries(Head("e1", 10, 7, {})))
    log.receive(NewEntries(Head("e1", 10, 6, {})))
    assert log.first == 7


async def test_a_room_is_followed_from_its_opening_to_its_closing(engines: Open, redis_url: str) -> None:
    one, other = await engines(redis_url), await engines(redis_url, rooms=())
    reader = Reader(other)
    await one.append([new_post("before")])
    assert not other.is_open("lobby")
    await other.open_room("lobby")
    assert (other.first_seq("lobby"), other.last_seq("lobby")) == (1, 1)
    assert other.epoch_of("lobby") == one.epoch_of("lobby")
    await one.append([new_post("while open")])
    await reader.wait_for(1)
    other.close_room("lobby")
    assert not other.is_open("lobby")
    await one.append([new_post("while closed")])
    await other.open_room("lobby")
    assert other.last_seq("lobby") == 3
    await one.append([new_post("open again")])
    await reader.wait_for(2)
    assert reader.texts() == ["while open", "open again"]


async def test_a_nonce_is_known_to_every_node(engines: Open, redis_url: str) -> None:
    one, other = await engines(redis_url), await engines(redis_url)
    [first] = await one.append([new_post("hi", nonce="n")])
    [again] = await other.append([new_post("hi again", nonce="n")])
    assert (again.position, again.at_text, again.dup) == (first.position, first.at_text, True)
    [edited] = await one.append([note(NoteKind.EDIT, 1, "ho", nonce="m")])
    [resent] = await other.append([note(NoteKind.EDIT, 1, "ho", nonce="m")])
    assert (resent.position, resent.dup) == (edited.position, True)


async def test_reactions_on_several_nodes_at_once_are_all_counted(engines: Open, redis_url: str) -> None:
    nodes = [await engines(redis_url) for _ in range(3)]
    await nodes[0].append([new_post("Lunch?")])
    people = [f"person{number}" for number in range(30)]
    await asyncio.gather(
        *(
            nodes[number % 3].append([note(NoteKind.REACT, 1, "👍", by=name)])
            for number, name in enumerate(people)
        )
    )
    [post] = await nodes[1].posts("lobby", [1])
    assert sorted(post.state.reactions["👍"].names) == sorted(people)


async def test_pins_and_questions_are_known_on_all_nodes(engines: Open, redis_url: str) -> None:
    one, other = await engines(redis_url), await engines(redis_url)
    await one.append([new_post("rules"), question()])
    await one.append([note(NoteKind.PIN, 1)])
    await eventually(lambda: other.pins("lobby") == [1] and [ask.seq for ask in other.open_asks()] == [2])
    late = await engines(redis_url)
    assert (late.pins("lobby"), [ask.seq for ask in late.open_asks("lobby")]) == ([1], [2])


async def test_topics_are_known_on_all_nodes(engines: Open, redis_url: str) -> None:
    one, other = await engines(redis_url), await engines(redis_url)
    await one.set_topic("dev", "Releases")
    await eventually(lambda: other.topic("dev") == "Releases")
    assert list(one.room_names()) == list(other.room_names()) == ["dev"]
    assert (await engines(redis_url)).topic("dev") == "Releases"
    await other.set_topic("dev", "")
    await eventually(lambda: one.room_names() == [])


async def test_changes_are_announced_if_the_node_that_took_them_is_gone(
    engines: Open, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_engine(redis_url) as gone:
        await gone.append([new_post("Lunch?"), note(NoteKind.REACT, 1, "👍")])
    monkeypatch.setattr(redis_engine, "SWEEP_S", 0.05)  # not before, or the first node may announce it itself
    reader = Reader(await engines(redis_url))
    await reader.wait_for(1)
    assert [getattr(entry, "kind", None) for entry in reader.entries] == [NoteKind.REACT]


async def test_old_posts_are_deleted_and_numbers_stay(engines: Open, redis_url: str) -> None:
    engine = await engines(redis_url, keep_posts=300)
    for number in range(20):
        await engine.append([new_post(f"{number}-{place}") for place in range(100)])
    assert engine.last_seq("lobby") == 2000
    assert 1501 <= engine.first_seq("lobby") <= 1701
    kept = await stored(engine)
    assert kept[0][0] == engine.first_seq("lobby")


async def test_everything_about_trimmed_posts_is_deleted(
    engines: Open, redis_url: str, shared_redis: RedisServer
) -> None:
    engine = await engines(redis_url, keep_posts=10)
    await engine.append([new_post("one"), question(), new_post("three", re=1), new_post("four", re=1)])
    await engine.append([note(NoteKind.PIN, 1), note(NoteKind.EDIT, 3, "3"), note(NoteKind.REACT, 1, "x")])
    await engine.append([new_post(f"post {number}") for number in range(200)])
    assert (list(engine.pins("lobby")), list(engine.open_asks())) == ([], [])
    keys = (await cli(shared_redis, "KEYS", "*")).split()
    kinds = {key.split(":")[1] for key in keys}
    assert kinds == {"p", "b", "m", "l", "rooms"} or kinds == {"p", "b", "m", "l", "rooms", "n0", "n1"} - {
        "n0",
        "n1",
    }


# -- lost connections


async def test_a_tail_that_is_cut_again_and_again_misses_nothing(
    engines: Open, redis_url: str, shared_redis: RedisServer
) -> None:
    one, other = await engines(redis_url), await engines(redis_url)
    reader = Reader(other)
    for number in range(100):
        await one.append([new_post(f"{number}-{place}") for place in range(10)])
        if number % 10 == 0:
            await cli(shared_redis, "CLIENT", "KILL", "TYPE", "pubsub")
    await reader.wait_for(1000)
    assert reader.seqs() == list(range(1, 1001))


async def test_a_batch_whose_reply_is_lost_is_appended_once(
    engines: Open, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await engines(redis_url)
    partition = engine._partitions[0]
    run, failures = partition._writer.run, [True, False, True, False]

    async def run_and_lose(*arguments: object, **options: object) -> object:
        reply = await run(*arguments, **options)  # type: ignore[arg-type]
        if failures and failures.pop(0):
            await partition._writer.close()
            raise ConnectionError("the reply was lost")
        return reply

    monkeypatch.setattr(partition._writer, "run", run_and_lose)
    results = await engine.append([new_post("a"), new_post("b")])
    assert [result.position.seq for result in results] == [1, 2]
    assert await stored(engine) == [(1, "a"), (2, "b")]
    assert engine.store_stats.retries >= 1
    assert engine.store_stats.is_up


async def test_redis_that_is_gone_is_an_error_in_time_and_comes_back(
    engines: Open, server: RedisServer
) -> None:
    engine = await engines(f"{server.url}?append_timeout=0.5")
    await asyncio.to_thread(server.kill)
    with pytest.raises(EngineError, match="Cannot connect"):
        await engine.append([new_post("a")])
    assert not engine.store_stats.is_up
    with pytest.raises(EngineError):
        await engine.read("lobby", limit=1)
    await asyncio.to_thread(server.start)
    [result] = await engine.append([new_post("b")])
    assert (result.position.seq, result.dup) == (1, False)
    assert engine.store_stats.is_up


async def test_full_memory_rejects_whole_batches_and_reads_go_on(
    engines: Open, redis_url: str, shared_redis: RedisServer
) -> None:
    engine = await engines(f"{redis_url}?append_timeout=0.2")
    await engine.append([new_post("kept")])
    await cli(shared_redis, "CONFIG", "SET", "maxmemory", "1mb")
    try:
        with pytest.raises(EngineError, match="out of memory"):
            await engine.append([new_post("x"), new_post("y", "dev")])
        assert await stored(engine) == [(1, "kept")]
        assert await stored(engine, "dev") == []
    finally:
        await cli(shared_redis, "CONFIG", "SET", "maxmemory", "0")
    [result] = await engine.append([new_post("z")])
    assert result.position.seq == 2


async def test_a_hole_that_redis_does_not_know_is_not_read_again_at_once(
    engines: Open, redis_url: str, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_engine, "RETRY_S", 3600.0)
    engine = await engines(redis_url)
    await engine.append([new_post("a")])
    await cli(shared_redis, "PUBLISH", "{bt0}:l:lobby", f"{engine.epoch_of('lobby')} 7 1 other ")
    await eventually(lambda: engine.store_stats.repairs > 0)
    for _ in range(50):
        await engine.append([new_post("b", "dev")])
    assert engine.store_stats.repairs == 1


# -- other lives


async def test_a_restart_without_a_loss_is_a_fork_at_the_end(engines: Open, server: RedisServer) -> None:
    engine = await engines(server.url)
    reader = Reader(engine)
    [first] = await engine.append([new_post("before")])
    await restart(server)
    [second] = await engine.append([new_post("after")])
    assert second.position.seq == 2
    assert second.position.epoch != first.position.epoch
    await reader.wait_for(2)
    assert reader.forks == [Fork("lobby", first.position.epoch, second.position.epoch, 1)]
    assert reader.texts() == ["before", "after"]
    assert engine.fork_of("lobby", first.position.epoch) == 1
    late = await engines(server.url)
    assert (late.epoch_of("lobby"), late.fork_of("lobby", first.position.epoch)) == (second.position.epoch, 1)


async def test_a_node_without_news_learns_of_a_fork_when_it_asks(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_engine, "SWEEP_S", 3_600.0)
    active, silent = await engines(server.url), await engines(server.url)
    await silent._subscriber.close()
    reader = Reader(silent)
    [first] = await active.append([new_post("before")])
    await restart(server)
    [second] = await active.append([new_post("after")])
    assert silent.epoch_of("lobby") == first.position.epoch
    await silent.open_room("lobby", refresh=True)
    assert silent.epoch_of("lobby") == second.position.epoch
    assert silent.fork_of("lobby", first.position.epoch) == 1
    await reader.wait_for(1)


@pytest.mark.parametrize("lost", ["flushed", "restarted empty"])
async def test_an_emptied_log_never_has_the_old_ids_again_and_is_healed(
    engines: Open, server: RedisServer, lost: str
) -> None:
    engine = await engines(server.url)
    reader = Reader(engine)
    [first, *_] = await engine.append([new_post("one", nonce="1"), new_post("two"), new_post("re", re=1)])
    if lost == "flushed":
        await cli(server, "FLUSHALL")
    else:
        await asyncio.to_thread(server.kill)
        for path in server.directory.glob("appendonlydir/*"):
            path.unlink()
        await asyncio.to_thread(server.start)
    [after] = await engine.append([new_post("after")])
    assert after.position.epoch != first.position.epoch
    await eventually(lambda: len(reader.view()) == 4)
    log = await stored(engine)
    assert sorted(text for _, text in log) == ["after", "one", "re", "two"]
    assert [seq for seq, _ in log] == [1, 2, 3, 4]
    assert reader.view() == log
    assert engine.store_stats.healed == 3
    [reply] = [post for post in await engine.posts("lobby", [1, 2, 3, 4]) if post.text == "re"]
    [target] = await engine.posts("lobby", [reply.re])
    assert target.text == "one"


async def test_healed_changes_are_about_the_healed_posts(engines: Open, server: RedisServer) -> None:
    engine = await engines(server.url)
    await engine.append([new_post("x", "dev"), new_post("filler")])
    await engine.append([new_post("teh"), note(NoteKind.EDIT, 2, "the"), note(NoteKind.REACT, 2, "👍")])
    await cli(server, "FLUSHALL")
    await engine.append([new_post("after")])
    posts = {post.text: post for post in await engine.read("lobby", limit=10) if isinstance(post, Post)}
    assert set(posts) == {"filler", "the", "after"}
    assert posts["the"].state.reactions["👍"].names == ("ana",)


async def test_a_silent_node_heals_and_a_silent_room_forks(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await engines(server.url)
    other = await engines(server.url)
    reader, far = Reader(engine), Reader(other)
    await engine.append([new_post("one"), new_post("two")])
    await far.wait_for(2)
    monkeypatch.setattr(redis_healing, "HEAL_S", 0.0)
    await cli(server, "FLUSHALL")
    for each in (engine, other):
        each._sweep_now.set()
    for tail in (reader, far):
        await tail.wait_for_fork()
        assert tail.forks[0].seq == 0
        assert tail.view() == []
    assert engine.epoch_of("lobby") == other.epoch_of("lobby")


async def test_an_older_snapshot_forks_where_it_ends(engines: Open, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", *NO_FILE)
    with running(server):
        engine = await engines(server.url)
        reader = Reader(engine)
        [first] = await engine.append([new_post("saved")])
        await cli(server, "SAVE")
        heal_s = redis_healing.HEAL_S
        try:
            redis_healing.HEAL_S = 0.0
            await engine.append([new_post("lost 1"), new_post("lost 2")])
            await reader.wait_for(3)
            await restart(server)
            [second] = await engine.append([new_post("after")])
        finally:
            redis_healing.HEAL_S = heal_s
        assert second.position.seq == 2
        await eventually(lambda: reader.view() == [(1, "saved"), (2, "after")])
        assert reader.forks == [Fork("lobby", first.position.epoch, second.position.epoch, 1)]
        assert engine.store_stats.lost == 2
        # A node that has not appended anything since is told, too.
        late = await engines(server.url)
        assert late.fork_of("lobby", first.position.epoch) == 1


async def test_what_a_note_is_about_is_not_taken_for_another_post(engines: Open, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", *NO_FILE)
    with running(server), pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_healing, "HEAL_S", 0.0)
        one, other = await engines(server.url), await engines(server.url)
        await one.append([new_post("saved")])
        await cli(server, "SAVE")
        await one.append([new_post("lost")])
        reader = Reader(other)
        await eventually(lambda: other.last_seq("lobby") == 2)
        await restart(server)
        # The other node has not noticed yet that post 2 is another one now.
        frozen = other._logs["lobby"].epoch
        [again] = await one.append([new_post("something else")])
        assert again.position.seq == 2
        if other._logs["lobby"].epoch == frozen:
            [result] = await other.append([note(NoteKind.EDIT, 2, "edited")])
            assert result.error is not None
            assert result.error.code is ErrorCode.NO_SUCH_POST
        await reader.wait_for_fork()
        assert (await stored(one))[-1] == (2, "something else")


# -- replicas, Sentinels, clusters


async def test_nothing_is_acknowledged_before_a_replica_has_it(
    engines: Open, server: RedisServer, tmp_path: Path
) -> None:
    replica = RedisServer(tmp_path / "replica", *NO_FILE)
    with running(replica):
        await asyncio.to_thread(replica.follow, server.port)
        engine = await engines(f"{server.url}?replicas=1&append_timeout=30")
        await engine.append([new_post("a")])
        replica.pause()
        try:
            waiting = asyncio.ensure_future(engine.append([new_post("b")]))
            await eventually(lambda: engine.store_stats.retries > 0)
            assert not waiting.done(), "acknowledged without a replica"
        finally:
            replica.resume()
        [result] = await in_time(waiting)
        assert result.position.seq == 2
        assert await stored(engine) == [(1, "a"), (2, "b")]


async def test_a_primary_that_hangs_is_an_error_in_time_with_replicas_too(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await engines(f"{server.url}?replicas=1&append_timeout=0.5")
    monkeypatch.setattr(redis_writer, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(redis_writer, "WAIT_S", 0.1)
    server.pause()
    try:
        with pytest.raises(EngineError, match="does not respond"):
            await in_time(asyncio.ensure_future(engine.append([new_post("a")])))
    finally:
        server.resume()


async def test_a_failover_loses_nothing_that_was_acknowledged(engines: Open, tmp_path: Path) -> None:
    primary, replica = (RedisServer(tmp_path / name, *EVERYSEC) for name in ("one", "two"))
    sentinel = Sentinel(tmp_path / "sentinel", primary)
    with running(primary, replica):
        await asyncio.to_thread(replica.follow, primary.port)
        with running(sentinel):
            await asyncio.to_thread(sentinel.wait_for_replicas)
            engine = await engines(f"{sentinel.url}?append_timeout=30")
            reader = Reader(engine)
            await engine.append([new_post(f"before {number}") for number in range(10)])
            await asyncio.to_thread(primary.kill)
            await engine.append([new_post("after")])
            await reader.wait_for(11)
            log = await stored(engine)
            assert [text for _, text in log] == [*(f"before {number}" for number in range(10)), "after"]
            await eventually(lambda: reader.view() == log)


async def test_rooms_are_spread_over_a_cluster(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    with running(cluster):
        async with contextlib.AsyncExitStack() as stack:
            rooms = [f"room{number}" for number in range(30)]
            one, other = [
                await stack.enter_async_context(open_engine(cluster.url, rooms=rooms, partitions=64))
                for _ in range(2)
            ]
            reader = Reader(other)
            results = await one.append([new_post(f"{room} {n}", room) for n in range(3) for room in rooms])
            assert [result.position.seq for result in results] == [1] * 30 + [2] * 30 + [3] * 30
            await reader.wait_for(90)
            for room in rooms:
                assert reader.seqs(room) == [1, 2, 3]
            await other.append([NewPost("room7", "ben", "re", datetime.now(UTC), re=2)])
            [reply] = await one.posts("room7", [4])
            assert (reply.re, reply.root) == (2, 2)
            sizes = [int(await cli(node, "DBSIZE")) for node in cluster.nodes]
            assert all(sizes)


async def test_a_batch_waits_while_its_slot_moves(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    with running(cluster):
        async with open_engine(f"{cluster.url}&append_timeout=60", rooms=["lobby"], partitions=64) as engine:
            await engine.append([new_post("a"), note(NoteKind.PIN, 1)])
            key = engine._reader.key(engine._reader.number("lobby"))
            slot = await cli(cluster.nodes[0], "CLUSTER", "KEYSLOT", key)
            [owner] = [node for node in cluster.nodes if "MOVED" not in await cli(node, "EXISTS", key)]
            target = next(node for node in cluster.nodes if node is not owner)
            for node, state, other in ((target, "IMPORTING", owner), (owner, "MIGRATING", target)):
                name = await cli(other, "CLUSTER", "MYID")
                assert await cli(node, "CLUSTER", "SETSLOT", slot, state, name) == "OK"
            edit = asyncio.ensure_future(engine.append([note(NoteKind.EDIT, 1, "b")]))
            await eventually(lambda: engine.store_stats.retries > 1 or edit.done())
            assert not edit.done()
            with pytest.raises(EngineError):  # rather than an incomplete page
                await engine.read("lobby", limit=10)
            for node in (owner, target):
                await cli(node, "CLUSTER", "SETSLOT", slot, "STABLE")
            [result] = await in_time(edit)
            assert result.error is None
            [result] = await engine.append([new_post("c")])
            assert (result.error, result.position.seq) == (None, 4)
            assert await stored(engine) == [(1, "b"), (4, "c")]


async def test_parts_of_a_batch_fail_on_their_own(
    engines: Open, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await engines(redis_url, partitions=64)
    broken = engine._partition("dev")

    async def fail(*_: object) -> Sequence[object]:
        raise EngineError("gone")

    monkeypatch.setattr(broken, "append", fail)
    results = await engine.append([new_post("a"), new_post("b", "dev"), new_post("c")])
    assert [result.position.seq for result in results] == [1, 0, 2]
    assert results[1].error is not None
    assert results[1].error.temporary
    with pytest.raises(EngineError, match="gone"):
        await engine.append([new_post("b", "dev")])


async def test_nonces_are_forgotten_in_time(
    engines: Open, redis_url: str, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dedup, "DEDUP_S", 100)
    engine = await engines(redis_url)
    await engine.append([new_post("a", nonce="n")])
    keys = (await cli(shared_redis, "KEYS", "*:n?:lobby")).split()
    [seconds] = [int(await cli(shared_redis, "TTL", key)) for key in keys]
    assert 0 < seconds <= 200
