"""`cluster` lists the servers that share a Redis."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import broadcast_tui
from broadcast_tui.cli import cluster
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.server.cluster.node_list import NodeInfo
from tests.cli.program import run
from tests.server.cluster.test_two_servers import two_servers
from tests.support.fake_hub import running_node
from tests.support.plain import v1_client
from tests.support.ports import unused_port
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import PATIENCE_S, in_time

PASSWORD = "swordfish-4711"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), password=PASSWORD)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(server: RedisServer) -> RedisServer:
    server.cli("FLUSHALL")
    return server


async def nodes_of(store: RedisServer) -> Sequence[NodeInfo]:
    return await asyncio.to_thread(cluster.read, store.url)


async def states(store: RedisServer, *expected: str) -> None:
    """Wait until the servers have these states."""
    async with asyncio.timeout(PATIENCE_S):
        while sorted(node.state for node in await nodes_of(store)) != sorted(expected):
            await asyncio.sleep(0.05)


@needs_redis
async def test_servers_are_listed_with_their_state(
    store: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with two_servers(store.url) as (a, b), v1_client(a.url, "ana"), v1_client(a.url, "bob") as bob:
        await bob.send("join", room="dev", ref="j")
        await bob.next_of(type="joined")
        await bob.say("hi", nonce="1")
        await bob.next_of(type="ack")
        assert a.cluster is not None
        assert b.cluster is not None
        a.cluster.announce()
        async with asyncio.timeout(PATIENCE_S):
            while not any(node.connections for node in await nodes_of(store)):
                await asyncio.sleep(0.05)
        by_id = {node.id: node for node in await nodes_of(store)}
        node = by_id[a.cluster.node]
        assert (node.state, node.connections, node.rooms) == ("live", 2, 2)
        assert (node.version, node.host) == (broadcast_tui.__version__, socket.gethostname())
        assert node.pid == os.getpid()
        assert 0 <= node.lag_ms < 10_000
        assert 0 <= node.seen_s < 10
        assert (by_id[b.cluster.node].state, by_id[b.cluster.node].connections) == ("live", 0)

        assert await asyncio.to_thread(cluster.cluster, history=store.url) == 0
        out, err = capsys.readouterr()
        assert err.split()[:4] == ["ID", "STATE", "VERSION", "HOST"]
        rows = [line.split() for line in out.splitlines()]
        assert {row[0] for row in rows} == set(by_id)
        assert {row[1] for row in rows} == {"live"}
        assert {len(line) for line in out.splitlines()} == {len(err.rstrip("\n"))}
        assert PASSWORD not in out + err


@needs_redis
async def test_a_server_that_stops_is_draining_until_it_has_left(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, _):
        await states(store, "live", "live")
        stopping = asyncio.create_task(a.stop_server(delay_s=3600.0))
        await states(store, "draining", "live")
        await in_time(asyncio.gather(stopping, a.stop_server()))
        await states(store, "live")


@needs_redis
async def test_a_server_without_a_lease_is_expired(store: RedisServer) -> None:
    async with running_node(store.url) as node:
        await states(store, "live")
        node.freeze(store)
        await states(store, "expired")


@needs_redis
async def test_records_of_other_versions_are_shown(
    store: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_node(store.url):
        store.cli("ZADD", "{bt:ctl}:nodes", "99999999999999", "older", "99999999999999", "later")
        store.cli("HSET", "{bt:ctl}:node:older", "version", "0.1", "connections", "5")
        store.cli(
            *("HSET", "{bt:ctl}:node:later", "version", "9\x1b[31m", "pid", "many", "mood", "fine"),
            *("started", "at noon", "draining", "0", "host", "a\u202eb"),
        )
        await asyncio.to_thread(cluster.cluster, history=store.url, json=True)
        out, err = capsys.readouterr()
        found: dict[str, dict[str, Any]] = {node["id"]: node for node in map(json.loads, out.splitlines())}
        assert found["older"]["connections"] == 5
        assert (found["older"]["host"], found["older"]["lag_ms"]) == ("", 0)
        assert (found["later"]["pid"], found["later"]["state"]) == (0, "live")
        assert all(line.isprintable() for line in out.splitlines())
        assert "different versions" in err
        await asyncio.to_thread(cluster.cluster, history=store.url)
        out, _ = capsys.readouterr()
        assert all(line.isprintable() for line in out.splitlines())


@needs_redis
async def test_without_servers_there_is_one_line(store: RedisServer) -> None:
    with pytest.raises(UsageError, match="No server uses redis://127") as caught:
        await nodes_of(store)
    assert PASSWORD not in str(caught.value)


@needs_redis
async def test_a_wrong_password_is_reported_without_it(store: RedisServer) -> None:
    with pytest.raises(UsageError, match="rejected the user name or password") as caught:
        await asyncio.to_thread(cluster.read, store.url.replace(PASSWORD, "other-secret"))
    assert "other-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("history", "text"),
    [
        ("history.db", "--history: Only servers with redis://HOST:PORT form a cluster."),
        ("redis://:s3cret@127.0.0.1?no=1", "--history: No such option in a Redis URL"),
        (f"redis://:s3cret@127.0.0.1:{unused_port()}", "Cannot connect to redis://127.0.0.1:"),
    ],
    ids=["file", "option", "unreachable"],
)
async def test_errors_are_one_line_without_the_password(tmp_path: Path, history: str, text: str) -> None:
    outcome = await run("cluster", "--history", history, home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    [line] = outcome.err.splitlines()
    assert text in line
    assert "s3cret" not in line


async def test_a_missing_history_is_named(tmp_path: Path) -> None:
    outcome = await run("cluster", home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == (
        "broadcast-tui: Add the --history of the servers, such as --history redis://HOST:PORT.\n"
    )
