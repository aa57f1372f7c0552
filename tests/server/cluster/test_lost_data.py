"""Clients of a server whose Redis loses its data."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.post import Position
from broadcast_tui.core.session.updates import EpochChanged, GapFound, PostArrived, Update, Withdrawn
from broadcast_tui.engine import redis_engine
from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.cluster.redis_link import RedisLink
from tests.support.plain import silent_v1_client, v1_client
from tests.support.redis_server import ALWAYS, NO_FILE, RedisServer, needs_redis, running
from tests.support.running import eventually, in_time

pytestmark = needs_redis


class Reader:
    """What a client shows of a room."""

    def __init__(self, client: BroadcastClient) -> None:
        self.shown: dict[Position, str] = {}
        self.withdrawn = 0
        self.gaps: list[GapFound] = []
        self._client = client

    async def read_until(self, *texts: str) -> None:
        """Read until exactly these posts are shown."""
        if list(self.shown.values()) == list(texts):
            return
        async for batch in self._client.batches():
            for update in batch:
                self._follow(update)
            if list(self.shown.values()) == list(texts):
                return

    def _follow(self, update: Update) -> None:
        match update:
            case PostArrived(post=post):
                self.shown[post.position] = post.text
            case EpochChanged():
                self.shown = {update.follow(place) or place: text for place, text in self.shown.items()}
            case Withdrawn(position=first):
                self.withdrawn += update.count
                self.shown = {
                    place: text
                    for place, text in self.shown.items()
                    if place.epoch == first.epoch and place.seq < first.seq
                }
            case GapFound():
                self.gaps.append(update)


async def test_posts_of_the_last_seconds_come_back_after_a_loss(tmp_path: Path) -> None:
    with running(store := RedisServer(tmp_path, *NO_FILE)):
        settings = read_location(store.url)
        engine = RedisEngine(settings)
        link = RedisLink.open(settings, engine)
        async with (
            BroadcastServer("127.0.0.1", 0, engine=engine, cluster=link) as server,
            BroadcastClient("127.0.0.1", server.port, name="ana") as ana,
            BroadcastClient("127.0.0.1", server.port, name="bob") as bob,
        ):
            reader = Reader(bob)
            for text in ("one", "two"):
                await in_time(ana.post("lobby", text))
            await in_time(reader.read_until("one", "two"))
            store.kill()
            store.start()
            await in_time(ana.post("lobby", "three"))
            await in_time(reader.read_until("one", "two", "three"))
    assert reader.withdrawn == 2
    assert reader.gaps == []
    assert [place.seq for place in reader.shown] == [1, 2, 3]
    assert len({place.epoch for place in reader.shown}) == 1


async def test_who_comes_to_a_node_that_lags_behind_a_fork_keeps_all_posts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_engine, "SWEEP_S", 3_600.0)
    with running(store := RedisServer(tmp_path, *ALWAYS)):
        settings = read_location(store.url)
        engines = [RedisEngine(settings) for _ in range(2)]
        links = [RedisLink.open(settings, engine) for engine in engines]
        async with contextlib.AsyncExitStack() as stack:
            active, lagging = [
                await stack.enter_async_context(BroadcastServer("127.0.0.1", 0, engine=engine, cluster=link))
                for engine, link in zip(engines, links, strict=True)
            ]
            resident = await stack.enter_async_context(v1_client(lagging.url, "eve"))
            ana = await stack.enter_async_context(v1_client(active.url, "ana"))
            await ana.say("one", room="lobby", nonce="1")
            await ana.next_of(type="ack")
            await resident.next_of(type="message")
            await engines[1]._subscriber.close()
            store.kill()
            store.start()
            await ana.say("two", room="lobby", nonce="2")
            since = (await ana.next_of(type="ack"))["id"]
            await eventually(lambda: links[1].is_up)
            assert not since.startswith(engines[1].epoch_of("lobby"))
            async with silent_v1_client(lagging.url) as bob:
                rooms = [{"room": "lobby", "since": since}]
                await bob.send("hello", name="bob", client_id="b", rooms=rooms, epochs=True)
                [state] = (await bob.next_of(type="welcome"))["rooms"]
                assert (state["head"], state["recovered"], state["missed"]) == (since, True, 0)
            assert (await resident.next_of(type="message"))["message"] == "two"
