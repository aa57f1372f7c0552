"""Engines on the Redis server of the tests, with the rooms of the tests open."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from unittest.mock import PropertyMock, patch

import pytest

from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.redis_settings import RedisSettings, read_location
from tests.support.redis_server import needs_redis

ROOMS = ("lobby", "dev", "nowhere", "zoo")
REDIS = {"redis": 1, "redis with 64 partitions": 64}
"""Numbers of partitions by the name of the engine."""
REDIS_ENGINES = [pytest.param(name, marks=(needs_redis, pytest.mark.process), id=name) for name in REDIS]
"""Parameters of a fixture."""


@contextlib.asynccontextmanager
async def open_engine(
    url: str, *, rooms: Sequence[str] = ROOMS, partitions: int = 1, keep_posts: int = 10_000, node: str = ""
) -> AsyncIterator[RedisEngine]:
    """An engine that has been started."""
    with patch.object(RedisSettings, "partitions", PropertyMock(return_value=partitions)):
        engine = RedisEngine(read_location(url), keep_posts=keep_posts, node=node)
        await engine.start()
        try:
            for room in rooms:
                await engine.open_room(room)
            yield engine
        finally:
            await engine.close()


@contextlib.asynccontextmanager
async def redis_engine(request: pytest.FixtureRequest, *, partitions: int) -> AsyncIterator[RedisEngine]:
    """An engine on the empty server of the fixture `redis_url`."""
    async with open_engine(request.getfixturevalue("redis_url"), partitions=partitions) as engine:
        yield engine
