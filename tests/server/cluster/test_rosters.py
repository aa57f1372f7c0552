"""Members of rooms over several nodes: changes, lost messages, dead and frozen nodes, outages of Redis."""

from __future__ import annotations

import asyncio

import pytest

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.cluster import ClaimName, Member, OpenRoom, Person, TypingNotice
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.server.cluster.commands import UnavailableError
from tests.support.fake_hub import Node, running_node
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually, in_time

pytestmark = needs_redis

ANA, BOB, EVE = (Member(name, name.title()) for name in ("ana", "bob", "eve"))
GONE = 0


async def open_room(node: Node, room: str = "r") -> None:
    await node.link.prepare([OpenRoom(room)])
    node.hub.rooms.add(room)
    node.link.prepared([OpenRoom(room)])


class SlowEngine(MemoryEngine):
    """An engine that opens rooms when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = asyncio.Event()
        self.open: set[str] = set()

    def is_open(self, room: str) -> bool:
        return room in self.open

    async def open_room(self, room: str, *, refresh: bool = False) -> None:
        await self.allowed.wait()
        self.open.add(room)

    def close_room(self, room: str) -> None:
        self.open.discard(room)


async def test_a_room_whose_members_cannot_be_loaded_is_closed(
    store: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(store.url) as a:
        engine, failed = SlowEngine(), asyncio.Event()

        async def fail(*_: object) -> None:
            failed.set()
            raise UnavailableError

        monkeypatch.setattr(a.link, "_engine", engine)
        monkeypatch.setattr(a.link._rosters, "load", fail)
        opening = asyncio.ensure_future(open_room(a))
        await in_time(failed.wait())
        engine.allowed.set()
        with pytest.raises(UnavailableError):
            await in_time(opening)
        await in_time(asyncio.sleep(0))
        assert not engine.open


async def test_members_are_known_on_all_nodes_with_the_room(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        await open_room(a)
        a.change("r", ANA)
        await open_room(b)
        await eventually(lambda: b.hub.members("r") == {"ana"})
        a.change("r", BOB)
        a.change("r", Member("eve", "Eve", former="ana", former_name="Ana"))
        await eventually(lambda: b.hub.members("r") == {"bob", "eve"})
        b.change("r", ANA)
        await eventually(lambda: a.hub.members("r") == {"ana"})
        a.change("r", Member("bob", "Bob", GONE), Member("eve", "Eve", GONE))
        await eventually(lambda: not b.hub.members("r"))
        assert store.cli("SMEMBERS", "{bt0}:o:r") == b.link.node


async def test_a_missed_change_is_read(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        await open_room(a)
        await open_room(b)
        a.change("r", ANA)
        await eventually(lambda: b.hub.members("r") == {"ana"})
        missed = a.hub.change("r", BOB)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(b.link._rosters, "receive", lambda change: None)
            a.send(missed)
            await a.link._commands.drain()
            a.send(TypingNotice("r", "ana", "Ana"))
            await eventually(lambda: bool(b.hub.signals) and isinstance(b.hub.signals[-1], TypingNotice))
        assert b.hub.members("r") == {"ana"}
        a.change("r", EVE)
        await eventually(lambda: b.hub.members("r") == {"ana", "bob", "eve"})


async def test_a_stopped_node_takes_its_members_with_it(store: RedisServer) -> None:
    async with running_node(store.url) as a:
        await open_room(a)
        async with running_node(store.url) as b:
            await open_room(b)
            b.change("r", ANA)
            await eventually(lambda: a.hub.members("r") == {"ana"})
        await eventually(lambda: not a.hub.members("r"))
        await a.link._commands.drain()
        assert store.cli("KEYS", f"*{b.link.node}*") == ""
        assert store.cli("ZCARD", "{bt0}:occupied") == "0"


async def test_the_members_of_a_dead_node_leave_and_those_of_a_frozen_one_return(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        former = b.link.node
        await open_room(a)
        await open_room(b)
        b.change("r", ANA)
        await eventually(lambda: a.hub.members("r") == {"ana"})
        await b.freeze_until_removed(store, a)
        await eventually(lambda: a.hub.left == [former])
        assert not a.hub.members("r")
        b.thaw()
        await eventually(lambda: a.hub.members("r") == {"ana"})
        assert b.link.node != former
        await eventually(lambda: store.cli("KEYS", f"*{former}*") == "")


async def test_a_closed_room_is_not_followed(store: RedisServer) -> None:
    async with running_node(store.url) as a:
        await open_room(a)
        a.change("r", ANA)
        a.change("r", Member("ana", "Ana", GONE))
        a.hub.rooms.clear()
        a.link.close_room("r")
        await eventually(lambda: store.cli("PUBSUB", "CHANNELS", "{bt0}:c:*") == "")
        assert store.cli("KEYS", "{bt0}*") == ""
        await a.link._commands.drain()
        assert store.cli("EXISTS", f"{{bt:ctl}}:or:{a.link.node}") == "0"


async def test_while_redis_is_away_needs_fail_at_once(durable_store: RedisServer) -> None:
    store = durable_store
    async with running_node(store.url) as a, running_node(store.url) as b:
        for node in (a, b):
            await open_room(node)
        a.change("r", ANA)
        await a.link.prepare([ClaimName("ana", "Ana", "c1")])
        a.hub.names["ana"] = Person("c1", "Ana")
        store.kill()
        await eventually(lambda: not a.link.is_up and not b.link.is_up)
        with pytest.raises(RequestError) as caught:
            await a.link.prepare([OpenRoom("other")])
        assert caught.value.code is ErrorCode.TRY_LATER
        assert caught.value.temporary
        a.change("r", BOB)  # is lost
        b.change("r", EVE)
        store.start()
        await eventually(lambda: a.hub.members("r") == {"eve"} and b.hub.members("r") == {"ana", "bob"})
        with pytest.raises(RequestError):
            await b.link.prepare([ClaimName("ana", "ana", "c2")])
        assert not a.hub.left


async def test_an_empty_redis_is_filled_again(volatile_store: RedisServer) -> None:
    store = volatile_store
    async with running_node(store.url) as a, running_node(store.url) as b:
        for node in (a, b):
            await open_room(node)
        a.change("r", ANA)
        await a.link.prepare([ClaimName("ana", "Ana", "c1")])
        a.hub.names["ana"] = Person("c1", "Ana")
        store.kill()
        await eventually(lambda: not a.link.is_up and not b.link.is_up)
        store.start()
        await eventually(lambda: a.link.is_up and b.link.is_up)
        await eventually(lambda: store.cli("HGET", "{bt:ctl}:name:ana", "o") == "c1")
        a.change("r", BOB)
        b.change("r", EVE)
        await eventually(lambda: a.hub.members("r") == {"eve"} and b.hub.members("r") == {"ana", "bob"})
        with pytest.raises(RequestError):
            await b.link.prepare([ClaimName("ana", "ana", "c2")])
