"""Two servers with the same rooms: names, messages and direct messages between their clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.notes import LogEvent
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.tail import Tail
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.cluster.redis_link import RedisLink
from tests.server.cluster.test_shared_lists import create
from tests.support.plain import plain_client, silent_v1_client, v1_client
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually

pytestmark = needs_redis


class SharedTail(Tail):
    """The tail of one of several engines; each yields the entries of all."""

    def __init__(self, group: list[SharedTail]) -> None:
        super().__init__()
        self._group = group
        group.append(self)

    def put(self, entries: Sequence[LogEvent]) -> None:
        for tail in self._group:
            Tail.put(tail, entries)


class SharedEngine(MemoryEngine):
    """An engine whose logs are those of the first one in its group."""

    def __init__(self, group: list[SharedEngine], tails: list[SharedTail]) -> None:
        super().__init__(tail=SharedTail(tails))
        self._open: set[str] = set()
        group.append(self)
        first = group[0]
        self.epoch, self._index, self._rooms = first.epoch, first._index, first._rooms
        self._notes, self.dedup = first._notes, first.dedup

    @property
    def is_shared(self) -> bool:
        return True

    async def open_room(self, room: str, *, refresh: bool = False) -> None:
        self._open.add(room)

    def close_room(self, room: str) -> None:
        self._open.discard(room)

    def is_open(self, room: str) -> bool:
        return room in self._open


@asynccontextmanager
async def two_servers(url: str) -> AsyncIterator[tuple[BroadcastServer, BroadcastServer]]:
    settings = read_location(url)
    engines: list[SharedEngine] = []
    tails: list[SharedTail] = []
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(2):
            engine = SharedEngine(engines, tails)
            link = RedisLink.open(settings, engine)
            authenticator = TokenAuthenticator(link.tokens, needs_token=False)
            server = BroadcastServer("127.0.0.1", 0, engine=engine, authenticator=authenticator, cluster=link)
            servers.append(await stack.enter_async_context(server))
        yield servers[0], servers[1]


async def test_clients_of_two_servers_chat_with_each_other(store: RedisServer) -> None:
    async with (
        two_servers(store.url) as (a, b),
        v1_client(a.url, "ana") as ana,
        v1_client(b.url, "bob") as bob,
        plain_client(b.url) as eve,
    ):
        await ana.say("hi", room="lobby", nonce="1")
        await ana.next_of(type="ack")
        for client in (bob, eve):
            assert (await client.next_of(type="message"))["message"] == "hi"
        await bob.say("hello", room="lobby", nonce="1")
        assert (await ana.next_of(type="message", sender="bob"))["message"] == "hello"


async def test_a_name_is_unique_on_two_servers(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b), v1_client(a.url, "ana"):
        async with silent_v1_client(b.url) as other:
            await other.send("hello", name="ana", client_id="x", rooms=[{"room": "lobby"}])
            assert (await other.next_of(type="error"))["code"] == "name_taken"
        async with v1_client(b.url, "bob") as bob:
            await bob.send("rename", name="Ana", ref="r")
            assert (await bob.next_of(type="error"))["code"] == "name_taken"
            await bob.send("rename", name="rob", ref="r")
            await bob.next_of(type="renamed")
        async with v1_client(b.url, "ana", client_id="id-of-ana"):
            pass


async def test_the_holder_of_a_token_replaces_a_client_on_another_server(store: RedisServer) -> None:
    async with two_servers(store.url) as (a, b), v1_client(a.url, "ana") as ana:
        token = await create(store.url, "ana", Role.MEMBER)
        assert (await ana.closed())[0] == 4509
        await eventually(lambda: b.active_token_count == 1)
        async with v1_client(b.url, token=token):
            pass


async def test_direct_messages_reach_the_other_server(store: RedisServer) -> None:
    async with (
        two_servers(store.url) as (a, b),
        v1_client(a.url, "ana") as ana,
        v1_client(b.url, "bob") as bob,
    ):
        await ana.send("direct", name="bob", ref="d")
        room = (await ana.next_of(type="direct", ref="d"))["room"]
        await ana.send("join", room=room, ref="j")
        await ana.next_of(type="joined")
        await ana.say("psst", room=room, nonce="1")
        await ana.next_of(type="ack")
        assert (await bob.next_of(type="direct"))["room"] == room
        await bob.send("join", room=room, last=10, ref="j")
        await bob.next_of(type="joined")
        assert (await bob.next_of(type="message"))["message"] == "psst"


async def test_while_redis_is_away_clients_stay_connected(store: RedisServer) -> None:
    async with (
        two_servers(store.url) as (a, b),
        v1_client(a.url, "ana") as ana,
        v1_client(b.url, "bob") as bob,
    ):
        store.pause()
        try:
            await ana.send("join", room="new", ref="j")
            error = await ana.next_of(type="error")
            assert error["code"] == "try_later"
            assert error["temporary"]
            await ana.say("still here", room="lobby", nonce="1")
            assert (await bob.next_of(type="message"))["message"] == "still here"
        finally:
            store.resume()
        link = a._runner._cluster
        assert link is not None
        await eventually(lambda: link._link.is_up)  # type: ignore[attr-defined]
        await ana.send("join", room="new", ref="j")
        await ana.next_of(type="joined")
