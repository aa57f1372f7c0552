"""HTTP requests to servers whose rooms are in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.cluster.hooks import RedisHookStore
from broadcast_tui.server.cluster.redis_link import RedisLink
from tests.server.cluster.test_two_servers import two_servers
from tests.server.web.test_api import UNLIMITED, Script, script_for
from tests.server.web.test_events import following
from tests.support.plain import v1_client
from tests.support.redis_server import ALWAYS, NO_FILE, RedisServer, needs_redis, running
from tests.support.running import PATIENCE_S

pytestmark = needs_redis


async def test_requests_to_any_server_see_the_same_rooms(store: RedisServer) -> None:
    async with (
        two_servers(store.url) as (first, second),
        script_for(first) as one,
        script_for(second) as two,
        following(two) as reader,
        v1_client(second.url, "ana", rooms=[{"room": "ops"}]) as ana,
    ):
        key = {"X-Name": "ci", "Idempotency-Key": "d15"}
        answer = await one.post("Deploy done", headers=key)
        assert answer.status == 201, answer.text
        assert (await reader.next_of("message")).id == answer.json["id"]
        assert (await ana.next_of(type="message"))["sender"] == "ci"
        again = await two.post("Deploy done", headers=key)
        assert again.json == {**answer.json, "dup": True}
        assert (await two.get("/rooms/ops")).messages == ["Deploy done"]
        taken = await one.post("x", headers={"X-Name": "Ana"})
        assert (taken.status, taken.json["code"]) == (409, "name_taken")
        rooms = {info["room"]: info["online"] for info in (await one.get("/rooms")).json["rooms"]}
        assert rooms["ops"] == 1


@asynccontextmanager
async def one_node(url: str) -> AsyncIterator[tuple[BroadcastServer, Script]]:
    """A server with its history in Redis."""
    settings = read_location(url)
    engine = RedisEngine(settings)
    link = RedisLink.open(settings, engine)
    async with (
        BroadcastServer("127.0.0.1", 0, engine=engine, limits=UNLIMITED, cluster=link) as server,
        script_for(server) as script,
    ):
        yield server, script


async def post_in_time(script: Script, text: str) -> str:
    """Post as soon as the server can store it; returns the id."""
    key = {"Idempotency-Key": text}
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await script.post(text, headers=key)).status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            await asyncio.sleep(0.05)
    assert answer.status == 201, answer.text
    return str(answer.json["id"])


def epoch_of(post_id: str) -> str:
    return post_id.rpartition("-")[0]


async def test_readers_learn_that_redis_has_lost_posts(tmp_path: Path) -> None:
    with running(store := RedisServer(tmp_path, *NO_FILE)):
        async with one_node(store.url) as (_, script), following(script) as reader:
            await reader.next_of("synced")
            old = [await post_in_time(script, text) for text in ("one", "two")]
            assert [(await reader.next_of("message")).id for _ in old] == old
            store.kill()
            store.start()
            await post_in_time(script, "three")
            gap = await reader.next_of("gap")
            assert (gap.data["reason"], gap.data["from"]) == ("epoch", old[0])
            assert (gap.id, epoch_of(gap.id)) == (gap.data["to"], epoch_of(gap.data["to"]))
            again = [await reader.next_of("message") for _ in range(3)]
            assert [post.data["message"] for post in again] == ["one", "two", "three"]
            assert {epoch_of(post.id) for post in again} == {epoch_of(gap.id)} != {epoch_of(old[0])}
            async with following(script, **{"Last-Event-ID": old[1]}) as late:
                first = await late.next()
                assert first is not None
                assert (first.type, first.data["reason"]) == ("gap", "epoch")
                found = [await late.next_of("message") for _ in range(3)]
                assert [post.id for post in found] == [post.id for post in again]


async def test_readers_go_on_in_a_new_epoch_if_nothing_is_lost(tmp_path: Path) -> None:
    with running(store := RedisServer(tmp_path, *ALWAYS)):
        async with one_node(store.url) as (_, script), following(script) as reader:
            old = await post_in_time(script, "one")
            assert (await reader.next_of("message")).id == old
            store.kill()
            store.start()
            new = await post_in_time(script, "two")
            assert epoch_of(new) != epoch_of(old)
            epoch = await reader.next_of("epoch")
            assert (epoch.data["from"], epoch.data["to"]) == (old, f"{epoch_of(new)}-1")
            assert epoch.id == epoch.data["to"]
            assert (await reader.next_of("message")).id == new
            async with following(script, **{"Last-Event-ID": old}) as late:
                kinds = [event and (event.type, event.id) for event in (await late.next(), await late.next())]
                assert kinds == [("epoch", epoch.id), ("message", new)]


async def until_status(ask: Callable[[], Awaitable[int]], status: int) -> None:
    """Repeat a request until it is answered with this status."""
    async with asyncio.timeout(PATIENCE_S):
        while await ask() != status:
            await asyncio.sleep(0.05)


PAYLOADS = Path(__file__).parents[2] / "core" / "webhooks" / "payloads"


@asynccontextmanager
async def hooked_nodes(url: str) -> AsyncIterator[tuple[BroadcastServer, BroadcastServer]]:
    """Two servers with their history and hooks in Redis."""
    settings = read_location(url)
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(2):
            engine = RedisEngine(settings)
            link = RedisLink.open(settings, engine)
            authenticator = TokenAuthenticator(link.tokens, needs_token=False, hooks=link.hooks)
            server = BroadcastServer("127.0.0.1", 0, engine=engine, authenticator=authenticator, cluster=link)
            servers.append(await stack.enter_async_context(server))
        yield servers[0], servers[1]


async def test_a_hook_works_on_all_servers_until_it_is_revoked(store: RedisServer) -> None:
    hooks = RedisHookStore(read_location(store.url))
    async with (
        hooked_nodes(store.url) as (first, second),
        script_for(first) as one,
        script_for(second) as two,
        v1_client(first.url, "ana", rooms=[{"room": "ops"}]) as ana,
    ):
        secret, _ = await asyncio.to_thread(hooks.create, "ci", "ops", None)

        async def status(script: Script) -> int:
            return (await script.ask("POST", f"/hooks/{secret}", json={"text": "Deploy done"})).status

        for script in (one, two):
            await until_status(partial(status, script), 200)
            assert (await ana.next_of(type="message"))["sender"] == "ci"
        assert await asyncio.to_thread(hooks.revoke, "ci")
        for script in (one, two):
            await until_status(partial(status, script), 404)


async def test_alerts_that_reach_different_servers_are_one_post(store: RedisServer) -> None:
    hooks = RedisHookStore(read_location(store.url))
    secret, _ = await asyncio.to_thread(hooks.create, "alerts", "ops", None)
    async with (
        hooked_nodes(store.url) as (first, second),
        script_for(first) as one,
        script_for(second) as two,
        v1_client(first.url, "ana", rooms=[{"room": "ops"}], notes=True) as ana,
    ):

        async def report(script: Script, name: str) -> None:
            body = (PAYLOADS / f"{name}.json").read_bytes()
            answer = await script.ask("POST", f"/hooks/{secret}", data=body)
            assert answer.status == 200, answer.text

        await report(one, "alertmanager_firing")
        said = await ana.next_of(type="message")
        await report(two, "alertmanager_resolved")
        note = await ana.next_of(type="note")
        assert (note["note"], note["re"]) == ("edit", said["id"])
        await report(one, "alertmanager_firing")
        again = await ana.next_of(type="message")
        assert again["id"] != said["id"], "the first server knows that the group was resolved"
        await report(two, "alertmanager_resolved")
        assert (await ana.next_of(type="note"))["re"] == again["id"]
