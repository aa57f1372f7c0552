"""Changes of posts that another node has to append again, or that are in the log as another copy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.post import Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine import redis_engine, redis_healing
from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.engine.redis_scripts import APPEND
from tests.engine.test_redis_engine import Open, cli, engines, new_post, note, restart, server, stored
from tests.support.redis_server import NO_FILE, RedisServer, needs_redis, running

__all__ = ["engines", "server"]
pytestmark = needs_redis


@pytest.fixture(autouse=True)
def no_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines heal only when a test lets them look."""
    monkeypatch.setattr(redis_engine, "SWEEP_S", 3_600.0)
    monkeypatch.setattr(redis_engine, "SOON_S", 3_600.0)

    async def notice(partition: object, epoch: str) -> None:
        pass

    monkeypatch.setattr("broadcast_tui.engine.redis_partition.RedisPartition.notice", notice)


async def lose_everything(server: RedisServer) -> None:
    await cli(server, "FLUSHALL")


async def look(engine: RedisEngine) -> None:
    """Compare the life with that of Redis, and heal."""
    await engine._partitions[0].look()


async def posts(engine: RedisEngine) -> list[Post]:
    """The posts in the log without `filler`."""
    found = [entry for entry in await engine.read("lobby", limit=100) if isinstance(entry, Post)]
    return [post for post in found if post.text != "filler"]


async def texts(engine: RedisEngine) -> list[str]:
    return [text for _, text in await stored(engine)]


@pytest.mark.parametrize("order", ["author first", "editor first", "the same node"])
async def test_an_edit_is_healed_in_the_copy_that_another_primary_has(
    engines: Open, server: RedisServer, order: str
) -> None:
    """With two primaries, a client can send its post to both; then it has two times."""
    author, third = await engines(server.url), await engines(server.url)
    editor = author if order == "the same node" else await engines(server.url)
    await author.append([new_post("filler"), new_post("teh", nonce="n")])
    [edited] = await editor.append([note(NoteKind.EDIT, 2, "the", nonce="e")])
    assert edited.error is None
    await lose_everything(server)
    [copy] = await third.append([new_post("teh", nonce="n")])
    assert not copy.dup
    nodes = {"author first": [author, editor], "editor first": [editor, author]}.get(order, [author])
    for node in (*nodes, editor):
        await look(node)
    assert editor.store_stats.waiting == 0
    assert await texts(third) == ["the", "filler"]


async def test_where_a_copy_is_may_be_stored_again(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Healing that fails after it has stored that, is tried again."""
    author, third, editor = [await engines(server.url) for _ in range(3)]
    await author.append([new_post("teh", nonce="n")])
    await editor.append([note(NoteKind.EDIT, 1, "the")])
    await lose_everything(server)
    await third.append([new_post("teh", nonce="n")])
    healing = author._partitions[0]._healing
    add, calls = healing._add_copies, []

    async def add_and_fail(room: str, epoch: str, fields: Any) -> None:
        await add(room, epoch, fields)
        calls.append(fields)
        raise ConnectionError

    monkeypatch.setattr(healing, "_add_copies", add_and_fail)
    with pytest.raises(EngineError):
        await look(author)
    await look(author)
    assert len(calls) == 1
    await look(editor)
    assert await texts(third) == ["the"]


async def test_an_edit_waits_longer_than_posts_are_remembered(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node with the post may have noticed the loss in time, and be slow."""
    author, editor = await engines(server.url), await engines(server.url)
    await author.append([new_post("teh")])
    await editor.append([note(NoteKind.EDIT, 1, "the")])
    await lose_everything(server)
    await look(editor)
    assert editor.store_stats.waiting == 1
    with monkeypatch.context() as patch:
        patch.setattr(redis_healing, "HEAL_S", 0.0)
        await look(editor)
    assert (editor.store_stats.waiting, editor.store_stats.lost) == (1, 0)
    await look(author)
    await look(editor)
    assert (editor.store_stats.waiting, await texts(editor)) == (0, ["the"])


@pytest.mark.parametrize("limit", ["WAIT_S", "WAITING_MAX"])
async def test_an_edit_whose_post_does_not_come_is_given_up_and_counted(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    author, editor = await engines(server.url), await engines(server.url)
    await author.append([new_post("teh")])
    await editor.append([note(NoteKind.EDIT, 1, "the"), note(NoteKind.EDIT, 1, "them")])
    await lose_everything(server)
    await look(editor)
    assert editor.store_stats.waiting == 2
    monkeypatch.setattr(redis_healing, limit, 0)
    lost = editor.store_stats.lost
    await look(editor)
    assert (editor.store_stats.waiting, editor.store_stats.lost - lost) == (0, 2)


async def test_the_newest_edits_wait_if_there_are_too_many(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, editor = await engines(server.url), await engines(server.url)
    await author.append([new_post("teh")])
    await editor.append([note(NoteKind.EDIT, 1, "the"), note(NoteKind.EDIT, 1, "them")])
    await lose_everything(server)
    await look(editor)
    monkeypatch.setattr(redis_healing, "WAITING_MAX", 1)
    await look(editor)
    assert editor.store_stats.waiting == 1
    await look(author)
    await look(editor)
    assert await texts(editor) == ["them"]


class Clock:
    """The clock of healing."""

    def __init__(self) -> None:
        self.later_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.later_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(redis_healing, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("outage_s", "expected"), [(redis_healing.OUTAGE_S / 2, ["a"]), (redis_healing.OUTAGE_S, [])]
)
async def test_an_outage_does_not_count_as_age(
    engines: Open, server: RedisServer, clock: Clock, outage_s: float, expected: list[str]
) -> None:
    """A failover may take longer than entries are remembered."""
    engine = await engines(server.url)
    await engine.append([new_post("a")])
    await lose_everything(server)
    clock.later_s += outage_s
    await look(engine)
    assert await texts(engine) == expected


async def test_what_redis_still_has_after_some_seconds_is_forgotten(
    engines: Open, server: RedisServer, clock: Clock
) -> None:
    engine = await engines(server.url)
    await engine.append([new_post("a")])
    clock.later_s += 2 * redis_healing.HEAL_S
    await look(engine)
    await lose_everything(server)
    await look(engine)
    assert await texts(engine) == []


@pytest.mark.parametrize("kind", [NoteKind.EDIT, NoteKind.REACT])
async def test_who_acknowledges_a_resend_heals_it(engines: Open, server: RedisServer, kind: NoteKind) -> None:
    """The node that has stored it may be gone."""
    gone, other = await engines(server.url), await engines(server.url)
    text = "the" if kind is NoteKind.EDIT else "👍"
    await gone.append([new_post("filler"), new_post("teh", nonce="n")])
    await gone.append([note(kind, 2, text, nonce="e")])
    [post, change] = await other.append([new_post("teh", nonce="n"), note(kind, 2, text, nonce="e")])
    assert post.dup
    assert change.dup
    before = (await gone.posts("lobby", [2]))[0]
    await lose_everything(server)
    await look(other)
    [after] = await posts(other)
    assert (after.text, after.at, after.state.reactions) == (before.text, before.at, before.state.reactions)
    assert (after.text == "the") == (kind is NoteKind.EDIT)
    await look(gone)
    assert await texts(gone) == [before.text, "filler"]


async def test_a_change_that_a_resend_acknowledges_is_healed_though_its_post_is_left(
    engines: Open, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path / "redis", *NO_FILE)
    with running(redis):
        gone, other = await engines(redis.url), await engines(redis.url)
        await gone.append([new_post("a")])
        await cli(redis, "SAVE")
        react = note(NoteKind.REACT, 1, "👍", nonce="e")
        await gone.append([react])
        [result] = await other.append([react])
        assert result.dup
        await restart(redis)
        await other.append([new_post("filler")])
        [post] = await posts(other)
        assert post.state.reactions["👍"].names == ("ana",)


async def test_what_was_healed_by_an_attempt_that_failed_stays_remembered(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await engines(server.url)
    await engine.append([new_post("a", nonce="n")])
    await lose_everything(server)
    writer = engine._partitions[0]._writer
    run, fails = writer.run, [True]

    async def run_and_fail(script: object, *arguments: Any, **options: Any) -> object:
        reply = await run(script, *arguments, **options)  # type: ignore[arg-type]
        if script is APPEND and engine._partitions[0]._healing_life and fails:
            fails.pop()
            await writer.close()
            raise ConnectionError
        return reply

    monkeypatch.setattr(writer, "run", run_and_fail)
    with pytest.raises(EngineError):
        await look(engine)
    await look(engine)
    assert not fails
    await lose_everything(server)
    await look(engine)
    assert await texts(engine) == ["a"]
