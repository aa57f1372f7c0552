"""Connections to Redis: TLS, users, Sentinels, clusters, failures, subscriptions, and secrets in no text."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from broadcast_tui.core.errors import EngineError
from broadcast_tui.redis_client import (
    FAILURES,
    Client,
    check_server,
    describe,
    end,
    is_temporary,
    open_client,
)
from broadcast_tui.redis_settings import RedisSettings, parse_location, read_location
from broadcast_tui.redis_subscriber import Subscriber
from tests.support.certificates import Authority
from tests.support.redis_server import ALWAYS, Cluster, RedisServer, Sentinel, needs_redis, running

WAIT_S = 30.0
SECRET = "s3cret-password"


class Listener:
    """A subscriber that records what it is told."""

    def __init__(self, settings: RedisSettings, client: Client) -> None:
        self.messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.lost, self.resumed = asyncio.Event(), asyncio.Event()
        self.subscriber = Subscriber(
            settings,
            client,
            received=lambda channel, data: self.messages.put_nowait((channel, data)),
            lost=self.lost.set,
            resumed=self.resumed.set,
        )

    async def expect(self, channel: str, data: bytes) -> None:
        """Publish a message and wait for it."""
        await self.subscriber.publish(channel, data)
        async with asyncio.timeout(WAIT_S):
            assert await self.messages.get() == (channel, data)


@asynccontextmanager
async def opened(location: str) -> AsyncIterator[tuple[RedisSettings, Client]]:
    settings = read_location(location)
    client = open_client(settings)
    try:
        yield settings, client
    finally:
        await client.aclose()


@asynccontextmanager
async def listening(location: str) -> AsyncIterator[Listener]:
    async with opened(location) as (settings, client):
        listener = Listener(settings, client)
        try:
            yield listener
        finally:
            await listener.subscriber.close()


async def failure_of(client: Client) -> Exception:
    with pytest.raises(FAILURES) as raised:
        await client.set("{bt0}:key", "value")
    return raised.value


# -- connections


@needs_redis
async def test_a_client_uses_a_unix_socket_and_a_port(shared_redis: RedisServer, redis_url: str) -> None:
    async with opened(redis_url) as (_, client), opened(shared_redis.url) as (_, other):
        await client.set("key", "value")
        assert await other.get("key") == b"value"


@needs_redis
async def test_a_client_uses_tls_with_certificates_of_both_sides(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, own = authority.issue("server", "127.0.0.1"), authority.issue("client", "client")
    server = RedisServer(tmp_path, tls=(authority, pair))
    with running(server):
        address = f"rediss://127.0.0.1:{server.tls_port}"
        files = f"tls_ca={authority.ca}&tls_cert={own.cert}&tls_key={own.key}"
        async with opened(f"{address}?{files}") as (_, client):
            assert await client.set("key", "value")
        for options in ("", f"?tls_ca={authority.ca}"):  # unknown authority; no certificate
            async with opened(address + options) as (settings, client):
                assert "\n" not in describe(await failure_of(client), settings)


@needs_redis
async def test_a_certificate_for_another_host_is_rejected(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = RedisServer(
        tmp_path, "--tls-auth-clients", "no", tls=(authority, authority.issue("server", "db.example"))
    )
    with running(server):
        async with opened(f"rediss://127.0.0.1:{server.tls_port}?tls_ca={authority.ca}") as (
            settings,
            client,
        ):
            assert "certificate" in describe(await failure_of(client), settings)


@needs_redis
async def test_users_and_passwords_appear_in_no_error_and_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = RedisServer(tmp_path)
    with running(server):
        server.cli("ACL", "SETUSER", "writer-name", "on", f">{SECRET}", "~{bt*", "&{bt*", "+@all", "-set")
        port = server.port
        async with listening(f"redis://writer-name:{SECRET}@127.0.0.1:{port}") as listener:
            await listener.subscriber.subscribe("{bt0}:a")
            server.kill()
            await asyncio.wait_for(listener.lost.wait(), WAIT_S)
        server.start()
        texts = []
        server.cli("ACL", "SETUSER", "writer-name", "on", f">{SECRET}", "~{bt*", "&{bt*", "+@all", "-set")
        for userinfo, text in (
            (f"writer-name:{SECRET}", "denied a command"),
            (f"writer-name:{SECRET}-old", "rejected the user name or password"),
            (f"nobody:{SECRET}", "rejected the user name or password"),
        ):
            async with opened(f"redis://{userinfo}@127.0.0.1:{port}") as (settings, client):
                error = await failure_of(client)
                assert not is_temporary(error)
                assert text in describe(error, settings)
                texts += [describe(error, settings), repr(settings)]
                with pytest.raises(EngineError) as raised:
                    await check_server(client, settings) if SECRET + "-" in userinfo else _raise(
                        error, settings
                    )
                texts.append(str(raised.value))
        texts.append(caplog.text)
        assert not [text for text in texts if SECRET in text or "writer-name" in text]


def _raise(error: Exception, settings: RedisSettings) -> None:
    raise EngineError(describe(error, settings)) from None


@needs_redis
async def test_a_client_follows_the_sentinels_to_another_primary(tmp_path: Path) -> None:
    primary = RedisServer(tmp_path / "a", password=SECRET)
    replica = RedisServer(tmp_path / "b", password=SECRET)
    sentinel = Sentinel(tmp_path / "s", primary)
    with running(primary, replica):
        replica.follow(primary.port)
        with running(sentinel):
            sentinel.wait_for_replicas()
            async with listening(sentinel.url) as listener:
                await listener.subscriber.subscribe("a")
                await listener.expect("a", b"before")
                primary.kill()
                await asyncio.wait_for(listener.lost.wait(), WAIT_S)
                await asyncio.wait_for(listener.resumed.wait(), WAIT_S)
                await listener.expect("a", b"after")
                assert "role:master" in replica.cli("INFO", "replication")


@needs_redis
async def test_without_sentinels_the_error_names_them(tmp_path: Path) -> None:
    primary = RedisServer(tmp_path / "a")
    sentinel = Sentinel(tmp_path / "s", primary)
    with running(primary, sentinel):
        async with opened(sentinel.url.replace("/chat", "/other")) as (settings, client):
            error = await failure_of(client)
            assert is_temporary(error)
            assert "know no primary with that name" in describe(error, settings)


@needs_redis
async def test_channels_of_a_cluster_are_followed_on_their_nodes(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    with running(cluster):
        async with listening(cluster.url) as listener:
            channels = [f"{{bt{number}}}:c:room" for number in range(12)]
            await listener.subscriber.subscribe(*channels)
            for channel in channels:
                await listener.expect(channel, b"here")
            counts = [int(node.cli("PUBSUB", "SHARDCHANNELS").count("bt")) for node in cluster.nodes]
            assert sum(counts) == len(channels)
            assert all(counts)
            cluster.nodes[1].kill()
            await asyncio.wait_for(listener.lost.wait(), WAIT_S)
            await asyncio.to_thread(cluster.nodes[1].start)
            await asyncio.wait_for(listener.resumed.wait(), WAIT_S)
            for channel in channels:
                await listener.expect(channel, b"again")


@needs_redis
async def test_channels_of_a_cluster_that_is_down_are_followed_later(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    with running(cluster):
        async with listening(cluster.url) as listener:
            for node in cluster.nodes:
                node.kill()
            with pytest.raises(EngineError):
                await listener.subscriber.subscribe("{bt1}:a", "{bt2}:b", "{bt3}:c")
            for node in cluster.nodes:
                await asyncio.to_thread(node.start)
            for node in cluster.nodes:
                await asyncio.to_thread(node.wait_for, "cluster_state:ok", "CLUSTER", "INFO")
            await asyncio.wait_for(listener.resumed.wait(), WAIT_S)
            for channel in ("{bt1}:a", "{bt2}:b", "{bt3}:c"):
                await listener.expect(channel, b"here")


@needs_redis
async def test_channels_are_followed_to_the_node_that_gets_their_slot(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    with running(cluster):
        async with listening(cluster.url) as listener:
            channel = "{bt1}:c:room"
            await listener.subscriber.subscribe(channel)
            slot = cluster.nodes[0].cli("CLUSTER", "KEYSLOT", channel)
            owner = next(node for node in cluster.nodes if node.cli("PUBSUB", "SHARDCHANNELS"))
            other = next(node for node in cluster.nodes if node is not owner)
            new_id = other.cli("CLUSTER", "MYID")
            for node in (other, owner, *cluster.nodes):
                await asyncio.to_thread(node.cli, "CLUSTER", "SETSLOT", slot, "NODE", new_id)
            await asyncio.wait_for(listener.resumed.wait(), WAIT_S)
            await listener.expect(channel, b"moved")
            assert other.cli("PUBSUB", "SHARDCHANNELS") == channel


# -- subscriptions


@needs_redis
async def test_channels_are_added_and_removed_at_any_time(redis_url: str) -> None:
    async with listening(redis_url) as listener:
        await listener.subscriber.subscribe("a")
        await listener.expect("a", b"1")
        await listener.subscriber.subscribe("a", "b")
        await listener.expect("b", b"2")
        await listener.subscriber.unsubscribe("a")
        await listener.subscriber.publish("a", b"3")
        await listener.expect("b", b"4")
        await listener.subscriber.subscribe("a")
        await listener.expect("a", b"5")
        assert not listener.lost.is_set()


@needs_redis
async def test_subscriptions_return_after_a_restart_with_those_made_meanwhile(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    with running(server):
        async with listening(server.url) as listener:
            await listener.subscriber.subscribe("a")
            server.kill()
            await asyncio.wait_for(listener.lost.wait(), WAIT_S)
            assert not listener.subscriber.is_complete
            with pytest.raises(EngineError):
                await listener.subscriber.subscribe("b")
            await asyncio.to_thread(server.start)
            await asyncio.wait_for(listener.resumed.wait(), WAIT_S)
            assert listener.subscriber.is_complete
            await listener.expect("a", b"1")
            await listener.expect("b", b"2")


@needs_redis
async def test_a_silent_connection_counts_as_lost(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    with running(server):
        async with listening(server.url) as listener:
            await listener.subscriber.subscribe("a")
            server.pause()
            await asyncio.wait_for(listener.lost.wait(), WAIT_S)
            server.resume()
            await asyncio.wait_for(listener.resumed.wait(), WAIT_S)
            await listener.expect("a", b"1")


# -- failures


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BusyLoadingError("Redis is loading"), True),
        (ReadOnlyError("You can't write against a read only replica.", status_code="READONLY"), True),
        (OutOfMemoryError("command not allowed", status_code="OOM"), True),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (ResponseError("BUSY Redis is busy running a script."), True),
        (ResponseError("MISCONF Redis is configured to save snapshots"), True),
        (ConnectionRefusedError("refused"), True),
        (TimeoutError(), True),
        (NoPermissionError("no permission"), False),
        (ResponseError("WRONGTYPE Operation against a key"), False),
        (ResponseError("ERR unknown command"), False),
    ],
)
def test_failures_that_end_by_themselves_are_temporary(error: Exception, expected: bool) -> None:
    assert is_temporary(error) is expected
    text = describe(error, parse_location("redis://db"))
    assert text.startswith(("redis://db:6379 ", "Cannot connect to redis://db:6379: "))
    assert text.endswith(".")


def test_error_replies_do_not_repeat_the_password() -> None:
    settings = replace(parse_location("redis://db"), password=SECRET, username="writer-name")
    error = ResponseError(f"ERR unknown command 'AUTH', with args beginning with: 'writer-name' '{SECRET}'")
    assert describe(error, settings).count("…") == 2


# -- checks at the start


@needs_redis
@pytest.mark.parametrize(
    ("options", "query", "warning"),
    [
        (ALWAYS, "", ""),
        (("--appendonly", "no"), "", "Set appendonly yes"),
        (("--appendonly", "yes"), "", "Set appendfsync always"),
        (("--appendonly", "yes"), "?replicas=1", "0 connected replicas"),
        ((*ALWAYS, "--maxmemory-policy", "allkeys-lru"), "", "Set maxmemory-policy noeviction"),
    ],
)
async def test_the_operator_is_warned_about_lost_history(
    tmp_path: Path, options: tuple[str, ...], query: str, warning: str
) -> None:
    server = RedisServer(tmp_path, *options)
    with running(server):
        async with opened(server.url + query) as (settings, client):
            warnings = await check_server(client, settings)
            assert len(warnings) == (1 if warning else 0)
            assert warning in "".join(warnings)


@needs_redis
async def test_redis_must_not_delete_history_for_memory(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with running(server):
        async with opened(server.url) as (settings, client):
            with pytest.raises(EngineError, match="Set maxmemory-policy noeviction"):
                await check_server(client, settings)


@needs_redis
async def test_a_replica_is_not_a_place_for_history(tmp_path: Path) -> None:
    primary, replica = RedisServer(tmp_path / "a"), RedisServer(tmp_path / "b")
    with running(primary, replica):
        replica.follow(primary.port)
        async with opened(replica.url) as (settings, client):
            with pytest.raises(EngineError, match="is a replica"):
                await check_server(client, settings)


def test_a_missing_extra_is_one_line_that_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    monkeypatch.delitem(sys.modules, "broadcast_tui.redis_client")
    with pytest.raises(EngineError, match=r"pip install 'broadcast-tui\[redis\]'"):
        importlib.import_module("broadcast_tui.redis_client")


async def test_a_cancellation_that_gets_lost_is_repeated() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(end(task), WAIT_S)
    assert task.cancelled()


async def test_an_unreachable_server_is_one_line(tmp_path: Path) -> None:
    async with opened(f"unix://:{SECRET}@{tmp_path}/none.sock") as (settings, client):
        with pytest.raises(EngineError) as raised:
            await check_server(client, settings)
    text = str(raised.value)
    assert text.startswith(f"Cannot connect to redis+unix://{tmp_path}/none.sock")
    assert text.endswith(": No such file or directory.")
    assert "\n" not in text
    assert SECRET not in text
