"""Storing posts and topics: nobody's topics delay posts, and an internal error does not end the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from broadcast_tui.core.hub.hub import TOPIC_CHANGES_MAX
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import NewEntry
from broadcast_tui.core.post import AppendResult
from broadcast_tui.engine.memory import MemoryEngine
from tests.support.plain import v1_client
from tests.support.running import eventually, in_time, running_server

LIMITS = Limits(history_rate=0, message_rate=0)


class TopicsTakeTurns(MemoryEngine):
    """A topic is not stored until `proceed` is set; like the thread of an engine, it would delay posts."""

    def __init__(self) -> None:
        super().__init__()
        self.proceed = asyncio.Event()
        self.running = self.most_running = 0
        self.last_topic = ""
        """The topic of the lobby when the engine was closed."""

    async def close(self) -> None:
        self.last_topic = self.topic("lobby")
        await super().close()

    async def set_topic(self, room: str, topic: str) -> None:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await self.proceed.wait()
        self.running -= 1
        await super().set_topic(room, topic)


async def test_topics_are_stored_one_by_one_and_bounded_in_number() -> None:
    engine = TopicsTakeTurns()
    async with running_server(limits=LIMITS, engine=engine) as server, v1_client(server.url, "ana") as ana:
        await ana.send("topic", topic="topic 0", ref="0")
        await eventually(lambda: engine.running == 1)
        for number in range(1, TOPIC_CHANGES_MAX + 2):
            await ana.send("topic", topic=f"topic {number}", ref=str(number))
        refused = await ana.next_of(type="error")
        assert (refused["code"], refused["ref"]) == ("try_later", str(TOPIC_CHANGES_MAX + 1))
        await ana.say("hello", nonce="n")
        await ana.next_of(type="ack")
        assert (engine.running, engine.most_running) == (1, 1)
        engine.proceed.set()
        await ana.next_of(type="topic", ref=str(TOPIC_CHANGES_MAX))
        assert engine.most_running == 1
        assert engine.topic("lobby") == f"topic {TOPIC_CHANGES_MAX}"


async def test_pending_topics_are_stored_before_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TopicsTakeTurns()
    async with running_server(limits=LIMITS, engine=engine) as server, v1_client(server.url, "ana") as ana:
        for number in range(3):
            await ana.send("topic", topic=f"topic {number}", ref=str(number))
        await eventually(lambda: engine.running == 1 and len(server._runner.hub.effects.topic_changes) == 2)
        append_pending = server._runner._append_pending

        async def append_pending_and_proceed() -> None:
            await append_pending()
            engine.proceed.set()

        monkeypatch.setattr(server._runner, "_append_pending", append_pending_and_proceed)
        await in_time(server.stop_server(deadline_s=5.0))
    assert engine.last_topic == "topic 2"


class Broken(MemoryEngine):
    """Fails once in a way that no engine should."""

    broken = True

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        if self.broken:
            raise ZeroDivisionError
        return await super().append(entries)

    async def set_topic(self, room: str, topic: str) -> None:
        if self.broken:
            raise ZeroDivisionError
        await super().set_topic(room, topic)


async def test_unexpected_error_of_the_engine_is_temporary(caplog: pytest.LogCaptureFixture) -> None:
    engine = Broken()
    async with running_server(limits=LIMITS, engine=engine) as server, v1_client(server.url, "ana") as ana:
        await ana.say("hello", nonce="n")
        assert (await ana.next_of(type="error", nonce="n"))["code"] == "try_later"
        await ana.send("topic", topic="new", ref="t")
        assert (await ana.next_of(type="error", ref="t"))["code"] == "try_later"
        assert caplog.text.count("ZeroDivisionError") >= 2
        engine.broken = False
        await ana.say("hello", nonce="n")
        await ana.next_of(type="ack", nonce="n")
        await ana.send("topic", topic="new", ref="t2")
        await ana.next_of(type="topic", ref="t2")
        await eventually(lambda: server._runner._undelivered == 0)


class Gated(MemoryEngine):
    """Stores posts when `proceed` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.appending, self.proceed = asyncio.Event(), asyncio.Event()

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        self.appending.set()
        await self.proceed.wait()
        return await super().append(entries)


async def test_the_lag_is_the_longest_time_that_posts_wait_since_it_was_last_taken() -> None:
    engine = Gated()
    async with running_server(engine=engine) as server, v1_client(server.url, "ana") as ana:
        runner, clock = server._runner, asyncio.get_running_loop()
        assert runner.take_lag_s() == 0.0
        before = clock.time()
        await ana.say("hello", nonce="n")
        await in_time(engine.appending.wait())
        await eventually(lambda: clock.time() - before > 0.1)
        waiting_s = runner.take_lag_s()
        assert 0 < waiting_s <= clock.time() - before
        engine.proceed.set()
        await ana.next_of(type="ack")
        assert waiting_s <= runner.take_lag_s() <= clock.time() - before
        assert runner.take_lag_s() == 0.0
