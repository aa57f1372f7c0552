"""Members and moderation of two servers with the same rooms: what clients of one see of the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from broadcast_tui.core.errors import CloseCode
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.engine.redis_engine import RedisEngine
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.cluster.redis_link import RedisLink
from tests.server.cluster.test_shared_lists import create
from tests.support.plain import WireClient, plain_client, v1_client
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually

pytestmark = needs_redis


@asynccontextmanager
async def two_servers(url: str) -> AsyncIterator[tuple[BroadcastServer, BroadcastServer]]:
    """Servers with their history in Redis, as `serve --history redis://HOST` starts them."""
    settings = read_location(url)
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(2):
            engine = RedisEngine(settings)
            link = RedisLink.open(settings, engine)
            authenticator = TokenAuthenticator(link.tokens, needs_token=False)
            server = BroadcastServer("127.0.0.1", 0, engine=engine, authenticator=authenticator, cluster=link)
            servers.append(await stack.enter_async_context(server))
        yield servers[0], servers[1]


async def members(client: WireClient, ref: str, room: str = "lobby") -> dict[str, tuple[int, str | None]]:
    await client.send("presence", room=room, ref=ref)
    reply = await client.next_of(type="presence", ref=ref)
    assert reply["online"] == len(reply["members"])
    return {member["name"]: (member["connections"], member.get("away")) for member in reply["members"]}


async def test_joins_leaves_and_renames_are_announced_on_the_other_server(store: RedisServer) -> None:
    async with (
        two_servers(store.url) as (a, b),
        v1_client(a.url, "ana") as ana,
        plain_client(a.url) as eve,
        v1_client(b.url, "bob") as bob,
    ):
        line = "bob has joined the chat. 3 client(s) online."
        assert (await ana.next_of(type="system", name="bob"))["message"] == line
        assert (await eve.next_of(type="system", name="bob"))["message"] == line
        await bob.send("rename", name="rob", ref="r")
        renamed = await ana.next_of(type="system", event="rename")
        assert (renamed["names"], renamed["online"]) == (["bob", "rob"], 3)
        await bob.send("away", text="lunch", ref="a")
        assert (await ana.next_of(type="away"))["text"] == "lunch"
        await bob.send("typing", room="lobby")
        assert (await ana.next_of(type="typing"))["name"] == "rob"
        await bob.send("topic", room="lobby", topic="news", ref="t")
        assert (await ana.next_of(type="topic"))["topic"] == "news"
        await bob.send("leave", room="lobby", reason="tea", ref="l")
        left = await ana.next_of(type="system", event="leave")
        assert (left["name"], left["reason"], left["online"]) == ("rob", "tea", 2)
        await bob.send("join", room="lobby", ref="j")
        joined = await bob.next_of(type="joined")
        assert (joined["online"], joined["topic"]) == (3, "news")
        await bob.send("presence", room="lobby", ref="p")
        listed = await bob.next_of(type="presence")
        assert [member["name"] for member in listed["members"]] == ["ana", "rob"]


async def test_a_person_on_both_servers_is_one_member(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b), v1_client(a.url, "bob") as bob:
        async with v1_client(a.url, "ana") as first, v1_client(b.url, "ana") as second:
            assert await members(second, "1") == {"ana": (2, None), "bob": (1, None)}
            await first.send("away", text="lunch", ref="a")
            await second.next_of(type="away")
            await second.send("away", away=False, ref="a")
            await bob.next_of(type="away", away=False)
            assert await members(first, "1") == await members(bob, "1")
        await bob.next_of(type="system", event="leave", name="ana")


async def test_the_members_of_a_stopped_server_leave(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b), v1_client(a.url, "ana") as ana, v1_client(b.url, "bob"):
        await ana.next_of(type="system", name="bob")
        await b.stop_server()
        await ana.next_of(type="system", event="leave", name="bob")
        assert await members(ana, "1") == {"ana": (1, None)}


async def test_an_admin_moderates_people_on_the_other_server(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b):
        token = await create(store.url, "root2", Role.ADMIN)
        await eventually(lambda: a.active_token_count == b.active_token_count == 1)
        async with (
            v1_client(a.url, token=token) as root,
            v1_client(b.url, "bob") as bob,
            v1_client(b.url, "ana", client_id="x") as ana,
            v1_client(b.url, "alias", client_id="x") as alias,
        ):
            await root.send("mute", name="ana", ref="m")
            assert (await root.next_of(type="moderated", ref="m"))["connections"] == 1
            assert (await bob.next_of(type="system", event="notice"))["message"] == "root2 muted ana."
            await ana.say("hi", room="lobby", nonce="1")
            assert (await ana.next_of(nonce="1"))["code"] == "muted"
            await root.send("unmute", name="ana", ref="u")
            await root.next_of(type="moderated", ref="u")
            await ana.say("hi", room="lobby", nonce="2")
            assert (await ana.next_of(nonce="2"))["type"] == "ack"
            await root.send("ban", who="ana", reason="spam", ref="b")
            banned = await root.next_of(type="moderated", ref="b")
            assert (banned["connections"], banned["addresses"]) == (1, ["127.0.0.1"])
            code, reason = await ana.closed()
            assert (code, "spam" in reason) == (CloseCode.KICKED, True)
            assert (await alias.closed())[0] == CloseCode.KICKED
            await bob.next_of(type="system", event="notice", message="root2 banned ana: spam.")
            await root.send("kick", name="bob", ref="k")
            assert (await root.next_of(type="moderated", ref="k"))["connections"] == 1
            assert (await bob.closed())[0] == CloseCode.KICKED
            await root.send("kick", name="bob", ref="k2")
            assert (await root.next_of(type="error", ref="k2"))["code"] == "unknown_person"


async def test_members_are_right_again_after_an_outage_of_redis(store: RedisServer) -> None:
    async with (
        two_servers(store.url) as (a, b),
        v1_client(a.url, "ana") as ana,
        v1_client(b.url, "bob") as bob,
        v1_client(b.url, "eve") as eve,
    ):
        await ana.next_of(type="system", name="eve")
        store.pause()
        try:
            await eve.send("join", room="new", ref="j")
            await eve.next_of(type="error", ref="j")
            await bob.send("leave", room="lobby", ref="l")
            await bob.next_of(type="left")
        finally:
            store.resume()
        await ana.next_of(type="system", event="leave", name="bob")
        assert await members(ana, "1") == {"ana": (1, None), "eve": (1, None)}
