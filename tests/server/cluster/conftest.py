"""A Redis server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import EVERYSEC, RedisServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server, which is the same for all tests of a module."""
    directory: Path = tmp_path_factory.mktemp("redis")
    server = RedisServer(directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(server: RedisServer) -> RedisServer:
    """The server without data."""
    server.cli("FLUSHALL")
    return server


@pytest.fixture
def durable_store(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, with its data on disk."""
    server = RedisServer(tmp_path, *EVERYSEC)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def volatile_store(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, which is empty after a restart."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()
