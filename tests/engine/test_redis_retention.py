"""Deleting old entries of logs in Redis: the boundary, everything about deleted posts, one node at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from broadcast_tui.engine import redis_retention
from broadcast_tui.engine.redis_retention import RedisRetention
from broadcast_tui.engine.steady_clock import SteadyClock
from broadcast_tui.engine.store_stats import StoreStats
from broadcast_tui.redis_client import Client, open_client
from broadcast_tui.redis_settings import read_location
from tests.support.redis_server import needs_redis

pytestmark = needs_redis
TAG = "{bt0}"


class Room:
    """A log in Redis whose entries have times in microseconds."""

    def __init__(self, client: Client, name: str = "lobby") -> None:
        self.name = name
        self._client = client

    def key(self, kind: str) -> str:
        return f"{TAG}:{kind}:{self.name}"

    async def fill(
        self, times: Sequence[int], *, changed: Sequence[int] = (), removed: Sequence[int] = ()
    ) -> None:
        """Append entries with these times; some are changed, and some of those are not in the stream."""
        client = self._client
        await client.zadd(f"{TAG}:rooms", {self.name: 0})
        await client.hset(self.key("m"), mapping={"e": "e1", "s": len(times), "f": 1})
        for seq, at in enumerate(times, 1):
            if seq not in removed:
                await client.execute_command("XADD", self.key("l"), f"{seq}-0", "p", f'[{at},"ana","x"]')
            if seq in changed or seq in removed:
                await client.hset(self.key("s"), str(seq), f'1:9:[{at},"ana","y"]')
                await client.zadd(self.key("sx"), {str(seq): seq})
                await client.sadd(self.key("pins"), str(seq))
                await client.hset(self.key("asks"), str(seq), "1")
                await client.hset(self.key("pend"), str(seq), "1")

    async def first(self) -> int:
        return int(await self._client.hget(self.key("m"), "f") or 0)

    async def stored(self) -> set[int]:
        """Seqs of everything that is stored."""
        entries = await self._client.execute_command("XRANGE", self.key("l"), "-", "+")
        found = {int(entry[0].partition(b"-")[0]) for entry in entries}
        kinds = [
            await self._client.hkeys(self.key("s")),
            await self._client.zrange(self.key("sx"), 0, -1),
            await self._client.smembers(self.key("pins")),
            await self._client.hkeys(self.key("asks")),
            await self._client.hkeys(self.key("pend")),
        ]
        assert len({frozenset(seqs) for seqs in kinds}) == 1
        return found | set(map(int, await self._client.hkeys(self.key("s"))))


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Client]:
    client = open_client(read_location(redis_url))
    yield client
    await client.aclose()


@pytest.fixture
def stats() -> StoreStats:
    return StoreStats()


@pytest.fixture
def retention(client: Client, redis_url: str, stats: StoreStats) -> RedisRetention:
    return RedisRetention(client, read_location(redis_url), partitions=1, keep_days=30, stats=stats)


async def delete_before(retention: RedisRetention, at_us: int) -> int:
    return await retention.delete_older_than(redis_retention._EPOCH + timedelta(microseconds=at_us))


async def test_exactly_the_old_entries_are_deleted(client: Client, retention: RedisRetention) -> None:
    rng = random.Random(5)
    for number in range(150):
        room = Room(client, f"room{number}")
        times = sorted(rng.randrange(20) for _ in range(rng.randrange(1, 30)))
        seqs = range(1, len(times) + 1)
        removed = rng.sample(seqs, rng.randrange(len(times) + 1)) if rng.random() < 0.7 else []
        await room.fill(times, changed=rng.sample(seqs, len(times) // 3), removed=removed)
        cutoff = rng.randrange(22)
        await delete_before(retention, cutoff)
        kept = {seq for seq in seqs if times[seq - 1] >= cutoff}
        assert await room.stored() == kept, (times, removed, cutoff)
        assert await room.first() == len(times) - len(kept) + 1
        await client.flushall()


async def test_many_rooms_are_checked_and_counted(
    client: Client, retention: RedisRetention, stats: StoreStats
) -> None:
    for number in range(60):
        await Room(client, f"room{number}").fill([1, 2, 9])
    assert await delete_before(retention, 5) == 120
    assert await delete_before(retention, 5) == 0
    assert stats.expired == 120


async def test_a_script_deletes_entries_of_a_few_rooms_only(
    client: Client, retention: RedisRetention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_retention, "ENTRIES_PER_CALL", 4)
    deleted: list[Sequence[int]] = []
    trim = retention._trim

    async def recorded(*words: Any) -> list[int]:
        deleted.append(found := await trim(*words))
        return found

    monkeypatch.setattr(retention, "_trim", recorded)
    for number in range(5):
        await Room(client, f"room{number}").fill([1, 2, 3, 9])
    assert await delete_before(retention, 5) == 11
    assert deleted == [[3, 1], [3, 1], [3]]
    while await delete_before(retention, 5):
        pass
    assert [await Room(client, f"room{number}").first() for number in range(5)] == [4] * 5


async def test_an_empty_room_is_listed_only_with_a_topic(client: Client, retention: RedisRetention) -> None:
    await Room(client, "plain").fill([1, 2])
    topical = Room(client, "topical")
    await topical.fill([1, 2])
    await client.hset(topical.key("m"), "topic", "News")
    await delete_before(retention, 5)
    assert await client.zrange(f"{TAG}:rooms", 0, -1) == [b"topical"]
    assert await topical.first() == 3
    assert await topical.stored() == set()


async def test_nodes_learn_of_the_first_entry_that_is_left(client: Client, retention: RedisRetention) -> None:
    room = Room(client)
    await room.fill([1, 2, 9])
    pubsub = client.pubsub()
    await pubsub.subscribe(room.key("l"))
    assert (await pubsub.get_message(timeout=10) or {})["type"] == "subscribe"
    await delete_before(retention, 5)
    assert (await pubsub.get_message(timeout=10) or {})["data"] == b"e1 3 3 - \n"
    await pubsub.aclose()  # type: ignore[no-untyped-call]


async def test_one_node_at_a_time_deletes_when_the_clock_is_steady(
    client: Client, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(client)
    await room.fill([1, 2, 3])
    is_steady = False
    checked = asyncio.Event()

    def check(*_: object) -> bool:
        checked.set()
        return is_steady

    monkeypatch.setattr(SteadyClock, "check", check)
    settings = read_location(redis_url)
    first = RedisRetention(client, settings, partitions=1, keep_days=1)
    first.start()
    await asyncio.wait_for(checked.wait(), 30)
    await first.stop()
    assert await room.first() == 1
    is_steady = True
    nodes = [RedisRetention(client, settings, partitions=1, keep_days=1) for _ in range(3)]
    assert [await node._take_lease() for node in nodes] == [True, False, False]
    await client.flushall()
    await room.fill([1, 2, 3])
    nodes[0].start()
    async with asyncio.timeout(30):
        while await room.first() == 1:
            await asyncio.sleep(0)
    await nodes[0].stop()
    assert await room.stored() == set()


async def test_nothing_is_deleted_without_a_limit(client: Client, redis_url: str) -> None:
    retention = RedisRetention(client, read_location(redis_url), partitions=1, keep_days=0)
    retention.start()
    assert retention._task is None
    await retention.stop()
