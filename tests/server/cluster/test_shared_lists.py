"""Tokens, bans and failed attempts of servers that share a Redis server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from websockets.exceptions import InvalidStatus

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.cluster import LoadDirects
from broadcast_tui.core.rate_limit import LOOPBACK_FAILURES_PER_MINUTE
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.cluster.redis_link import RedisLink
from broadcast_tui.server.cluster.tokens import RedisTokenStore
from tests.support.fake_hub import running_node
from tests.support.plain import silent_v1_client, v1_client
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually

pytestmark = needs_redis


@asynccontextmanager
async def two_servers(url: str) -> AsyncIterator[tuple[BroadcastServer, BroadcastServer]]:
    """Servers with logs of their own that share tokens and sanctions."""
    settings = read_location(url)
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(2):
            engine = MemoryEngine()
            link = RedisLink.open(settings, engine)
            authenticator = TokenAuthenticator(link.tokens, needs_token=False)
            server = BroadcastServer("127.0.0.1", 0, engine=engine, authenticator=authenticator, cluster=link)
            servers.append(await stack.enter_async_context(server))
        yield servers[0], servers[1]


async def create(url: str, name: str, role: Role = Role.MEMBER) -> str:
    store = RedisTokenStore(read_location(url))
    token, _ = await asyncio.to_thread(store.create, name, role, None)
    return token


async def test_a_token_is_valid_on_all_servers_until_it_is_revoked(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b):
        token = await create(store.url, "ana")
        await eventually(lambda: a.active_token_count == b.active_token_count == 1)
        async with v1_client(a.url, token=token) as one, v1_client(b.url, token=token) as two:
            tokens = RedisTokenStore(read_location(store.url))
            assert len(await asyncio.to_thread(tokens.revoke, "ana")) == 1
            assert (await one.closed())[0] == 4500
            assert (await two.closed())[0] == 4500


async def test_a_name_with_a_token_has_no_lookalike(store: RedisServer) -> None:
    await create(store.url, "ana")
    with pytest.raises(Exception, match="looks like ana"):
        await create(store.url, "Ana")


async def test_bans_apply_to_all_servers_and_are_stored(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b):
        admin = await create(store.url, "chief", Role.ADMIN)
        await eventually(lambda: a.active_token_count == 1)
        async with v1_client(a.url, token=admin) as root, v1_client(b.url, "bob") as bob:
            await root.send("ban", who="bob", reason="spam", ref="b")
            await root.next_of(type="moderated")
            assert (await bob.closed())[0] == 4503
    async with two_servers(store.url) as (a, b), silent_v1_client(b.url) as bob:
        await bob.send("hello", name="bob", client_id="x", rooms=[])
        assert (await bob.closed())[0] == 4503


async def test_both_servers_can_change_the_bans(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b):
        admin = await create(store.url, "chief", Role.ADMIN)
        await eventually(lambda: a.active_token_count == b.active_token_count == 1)
        async with v1_client(a.url, token=admin) as one, v1_client(b.url, token=admin) as two:
            await one.send("mute", name="ana", ref="m")
            await two.send("mute", name="bob", ref="m")
            for root in (one, two):
                await root.next_of(type="moderated")
            await eventually(lambda: store.cli("HLEN", "{bt:ctl}:sanctions") == "2")
            for server in (a, b):
                sanctions = server._runner.hub.moderation.sanctions
                await eventually(lambda known=sanctions: len(known._sanctions) == 2)  # type: ignore[misc]


async def test_bans_that_are_not_saved_yet_are_not_replaced(store: RedisServer) -> None:
    async with running_node(store.url) as node:
        store.cli("INCR", "{bt:ctl}:sanctions:version")
        assert await node.link.sanctions.load(lambda: True) is None
        assert node.link.sanctions.version == "0"
        assert await node.link.sanctions.load() == []
        assert node.link.sanctions.version == "1"


async def test_bans_are_saved_when_redis_is_back(durable_store: RedisServer) -> None:
    store = durable_store
    async with two_servers(store.url) as (a, b):
        admin = await create(store.url, "chief", Role.ADMIN)
        await eventually(lambda: a.active_token_count == 1)
        async with v1_client(a.url, token=admin) as root:
            store.kill()
            await root.send("mute", name="ana", ref="m")
            await root.next_of(type="moderated")
            store.start()
            await eventually(lambda: len(b._runner.hub.moderation.sanctions._sanctions) == 1)


async def test_failed_attempts_count_on_all_servers(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b):
        for number in range(LOOPBACK_FAILURES_PER_MINUTE * 3 // 2):
            with pytest.raises(InvalidStatus) as caught:
                async with silent_v1_client((a.url, b.url)[number % 2], token="bt_wrong"):
                    pass
            if caught.value.response.status_code == 429:
                return
        raise AssertionError("each server counts only its own")


async def test_an_inbox_is_left_with_its_owner(store: RedisServer) -> None:
    async with running_node(store.url) as node:
        need = LoadDirects("client c1")
        await node.link.prepare([need])
        node.link.prepared([need])
        assert store.cli("PUBSUB", "CHANNELS", "*inbox*")
        await node.link._directs.follow_only(())
        await eventually(lambda: store.cli("PUBSUB", "CHANNELS", "*inbox*") == "")


async def test_servers_are_notified_of_changed_tokens(
    store: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcast_tui.server.cluster.shared_lists.POLL_S", 3600.0)
    monkeypatch.setattr("broadcast_tui.server.cluster.redis_link.RENEW_S", 3600.0)
    async with two_servers(store.url) as (a, b):
        token = await create(store.url, "ana")
        await eventually(lambda: a.active_token_count == b.active_token_count == 1)
        async with v1_client(a.url, token=token) as one, v1_client(b.url, token=token) as two:
            tokens = RedisTokenStore(read_location(store.url))
            await asyncio.to_thread(tokens.revoke, "ana")
            for client in (one, two):
                assert (await client.closed())[0] == 4500
