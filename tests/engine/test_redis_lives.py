"""Epochs that Redis has lost: news of them arrive late, and entries are healed while it loses them again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from broadcast_tui.core.post import Fork, Position, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine import redis_engine, redis_healing
from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.engine.redis_healing import _Room
from broadcast_tui.engine.redis_room import NewEntries, RoomLog
from broadcast_tui.engine.redis_rows import Head, post_row
from broadcast_tui.engine.redis_scripts import FETCH
from tests.engine.test_redis_engine import Open, Reader, cli, engines, new_post, note, server, stored
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually

__all__ = ["engines", "server"]
AT = datetime(2026, 1, 1, tzinfo=UTC)


# -- what a node knows of a log


def test_a_message_of_an_unknown_epoch_is_a_reason_to_ask() -> None:
    log = RoomLog("lobby", Head("e1", 3, 1, {}))
    assert log.receive(NewEntries(Head("e2", 3, 1, {"e1": 3}))) == []
    assert (log.epoch, log.is_doubtful) == ("e1", True)
    assert log.receive(NewEntries(Head("e2", 4, 1, {"e1": 3})), "e1") == [Fork("lobby", "e1", "e2", 3)]
    assert (log.epoch, log.told, log.last) == ("e2", 3, 4)


def test_a_reply_to_a_question_from_before_a_fork_is_no_news() -> None:
    log = RoomLog("lobby", Head("e1", 3, 1, {}))
    log.receive(NewEntries(Head("e3", 0, 1, {})), "e1")
    assert log.receive(NewEntries(Head("e2", 0, 1, {})), "e1") == []
    assert (log.epoch, log.is_doubtful) == ("e3", True)


def test_a_former_epoch_returns_only_if_it_must() -> None:
    log = RoomLog("lobby", Head("e1", 5, 1, {}))
    log.receive(NewEntries(Head("e2", 7, 1, {"e1": 4})), "e1")
    log.told = 7
    assert log.receive(NewEntries(Head("e1", 5, 1, {}))) == []
    assert not log.is_doubtful, "late messages of a former epoch are normal"
    assert log.receive(NewEntries(Head("e1", 5, 1, {})), "e2") == []
    assert log.is_doubtful
    back = log.receive(NewEntries(Head("e1", 5, 1, {})), "e2", may_return=True)
    assert back == [Fork("lobby", "e2", "e1", 4)]
    assert (log.told, log.last, log.is_former("e1"), log.is_former("e2")) == (4, 5, False, True)


# -- engines


async def lose_everything(server: RedisServer) -> None:
    await cli(server, "FLUSHALL")


@needs_redis
async def test_late_messages_of_a_lost_epoch_do_not_lead_a_node_astray(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_healing, "HEAL_S", 0.0)
    monkeypatch.setattr(redis_engine, "SWEEP_S", 3_600.0)
    one, other = await engines(server.url), await engines(server.url)
    await one.append([new_post("a")])
    await eventually(lambda: other.last_seq("lobby") == 1)
    reader = Reader(other)
    late: list[tuple[str, bytes]] = []
    with monkeypatch.context() as patch:
        patch.setattr(other._subscriber, "_received", lambda *message: late.append(message))
        await lose_everything(server)
        await one.append([new_post("b")])
        lost = one.epoch_of("lobby")
        await lose_everything(server)
        [result] = await other.append([new_post("c")])
        await eventually(lambda: len(late) == 2)
    assert result.position.epoch != lost
    for message in late:
        other._received(*message)
    assert other.epoch_of("lobby") == result.position.epoch
    await eventually(lambda: not other._repairing)
    assert other.epoch_of("lobby") == result.position.epoch
    await one.append([new_post("d")])
    await eventually(lambda: reader.view() == [(1, "c"), (2, "d")])
    assert await stored(other) == reader.view()
    assert one.epoch_of("lobby") == other.epoch_of("lobby")


@needs_redis
async def test_a_node_that_went_astray_returns_with_the_next_comparison(
    engines: Open, server: RedisServer
) -> None:
    one, other = await engines(server.url), await engines(server.url)
    reader = Reader(other)
    await one.append([new_post("a"), new_post("b")])
    await reader.wait_for(2)
    found = other._logs["lobby"]
    epoch = found.epoch
    other._receive(found, NewEntries(Head("astray", 1, 1, {epoch: 1})), epoch)
    other._sweep_now.set()
    await eventually(lambda: other.epoch_of("lobby") == epoch)
    await one.append([new_post("c")])
    await reader.wait_for(4)
    assert reader.forks == [Fork("lobby", epoch, "astray", 1), Fork("lobby", "astray", epoch, 1)]
    assert reader.view() == [(1, "a"), (2, "b"), (3, "c")]


@needs_redis
async def test_a_node_heals_as_soon_as_others_have_noticed_a_loss(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_engine, "SWEEP_S", 3_600.0)
    one, silent = await engines(server.url), await engines(server.url)
    await silent.append([new_post("mine")])
    await lose_everything(server)
    await one.append([new_post("yours")])
    await eventually(lambda: silent.store_stats.healed == 1)
    assert sorted(text for _, text in await stored(one)) == ["mine", "yours"]


@needs_redis
@pytest.mark.parametrize("has_other", [True, False], ids=["another post", "no post"])
async def test_a_change_is_never_healed_in_a_later_loss(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch, has_other: bool
) -> None:
    """There the number of its post may be that of another one."""
    monkeypatch.setattr(redis_engine, "SWEEP_S", 3_600.0)
    engine, stranger = await engines(server.url), await engines(server.url, rooms=())
    await engine.append([new_post("teh"), note(NoteKind.EDIT, 1, "the")])
    await lose_everything(server)
    writer = engine._partitions[0]._writer
    run, losses = writer.run, [True]

    async def run_and_lose(script: object, *arguments: Any, **options: Any) -> object:
        if script is FETCH and msgspec.msgpack.decode(arguments[0])[0][1] and losses:
            losses.pop()
            await lose_everything(server)
            if has_other:
                await stranger.append([new_post("other")])
        return await run(script, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "run", run_and_lose)
    await engine.append([new_post("after")])
    assert not losses
    partition = engine._partitions[0]
    await eventually(lambda: not partition._healing._waiting)  # the change, until its post is healed
    async with partition._lock:
        pass
    expected = ["after", "other", "the"] if has_other else ["after", "the"]
    assert sorted(text for _, text in await stored(engine)) == expected


@needs_redis
async def test_a_change_that_waits_for_its_post_is_not_healed_in_a_later_loss(
    engines: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_engine, "SWEEP_S", 3_600.0)
    monkeypatch.setattr(redis_engine, "SOON_S", 3_600.0)
    author, editor = await engines(server.url), await engines(server.url)
    stranger = await engines(server.url, rooms=())
    await author.append([new_post("teh")])
    await editor.append([note(NoteKind.EDIT, 1, "the")])
    for engine in (author, editor):
        monkeypatch.setattr(engine._partitions[0], "notice", no_notice)
    await lose_everything(server)
    partition = editor._partitions[0]
    await partition.look()
    assert len(partition._healing._waiting) == 1
    await author._partitions[0].look()
    run, losses = partition._writer.run, [True]

    async def run_and_lose(script: object, *arguments: Any, **options: Any) -> object:
        if script is FETCH and msgspec.msgpack.decode(arguments[0])[0][1] and losses:
            losses.pop()
            await lose_everything(server)
            await stranger.append([new_post("other")])
        return await run(script, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(partition._writer, "run", run_and_lose)
    await look_until_healed(editor, author)
    assert not losses
    assert sorted(text for _, text in await stored(editor)) == ["other", "the"]


async def no_notice(epoch: str) -> None:
    """Leave the partition alone."""


async def look_until_healed(*engines: RedisEngine) -> None:
    """Let engines compare with Redis until nothing waits."""
    for _ in range(3):
        for engine in engines:
            for partition in engine._partitions:
                try:
                    await partition.look()
                except Exception:
                    await asyncio.sleep(0)


async def test_posts_of_several_lost_epochs_are_found_again() -> None:
    rows = {seq: post(f"e3-{seq}", seq) for seq in range(1, 7)}
    reads: list[int] = []

    async def run(script: object, room: str, mode: str, after: int, *_: object) -> list[Any]:
        reads.append(after)
        reply: list[Any] = [b"e3", 6, 1, b""]
        for seq, row in rows.items():
            if seq > after:
                reply += [seq, post_row(row).encode(), b""]
        return reply

    room = _Room("lobby", Head("e3", 6, 1, {"e1": 1, "e2": 4}), {})
    assert await room.find(post("e2-5", 6), run) == 6
    assert await room.find(post("e1-2", 3), run) == 3
    assert await room.find(post("e2-5", 5), run) == 5
    assert reads == [4, 1]


def post(position: str, number: int) -> Post:
    found = Position.parse(position)
    assert found is not None
    return Post("lobby", found, "ana", "hi", AT + timedelta(seconds=number), author="c")
