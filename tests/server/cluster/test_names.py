"""Names over several nodes: unique by skeleton, held for their owner, and freed by the death of a node."""

from __future__ import annotations

import pytest

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.cluster import ClaimName, Need, OpenRoom, Person, ReleasedName
from tests.support.fake_hub import Node, running_node
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import eventually

pytestmark = needs_redis


async def claim(node: Node, key: str, owner: str, *, name: str = "", take_over: bool = False) -> None:
    need = ClaimName(key, name or key, owner, take_over)
    try:
        await node.link.prepare([need])
        node.hub.names[key] = Person(owner, name or key)
    finally:
        node.link.prepared([need])


async def is_taken(node: Node, key: str, owner: str, name: str = "") -> str:
    """The error text of a claim that is rejected."""
    with pytest.raises(RequestError) as caught:
        await claim(node, key, owner, name=name)
    assert caught.value.code is ErrorCode.NAME_TAKEN
    assert caught.value.temporary
    return caught.value.text


def release(node: Node, key: str, owner: str, grace_s: float = 0.0) -> None:
    node.hub.names.pop(key, None)
    node.link.release([ReleasedName(key, owner, grace_s)])


async def released(node: Node, key: str, owner: str, grace_s: float = 0.0) -> None:
    """Release a name; returns when other nodes can claim it."""
    release(node, key, owner, grace_s)
    await node.link._commands.drain()


async def test_a_name_has_one_owner(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        await claim(a, "ana", "c1", name="Ana")
        assert "is taken" in await is_taken(b, "ana", "c2", "ana")
        assert "too similar to Ana" in await is_taken(b, "ana", "c2", "Anä")
        await claim(b, "ana", "c1", name="Ana")
        await released(a, "ana", "c1")
        assert await is_taken(a, "ana", "c2")
        await released(b, "ana", "c1")
        await claim(a, "ana", "c2")


async def test_a_client_without_an_id_never_shares_a_name(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        await claim(a, "ana", "")
        await is_taken(b, "ana", "")
        await released(a, "ana", "", 30.0)
        await claim(b, "ana", "")


async def test_a_name_is_held_for_its_owner_during_the_grace_period(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        await claim(a, "ana", "c1")
        await released(a, "ana", "c1", 30.0)
        await is_taken(b, "ana", "c2")
        await claim(b, "ana", "c1")
        await released(b, "ana", "c1", 0.001)
        await eventually(lambda: store.cli("EXISTS", "{bt:ctl}:name:ana") == "0")
        await claim(a, "ana", "c2")


async def test_the_holder_of_a_token_takes_a_name(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        await claim(a, "ana", "c1")
        await claim(b, "ana", "token ana", take_over=True)
        await eventually(lambda: a.hub.lost == ["ana"])
        await released(a, "ana", "c1")
        await is_taken(a, "ana", "c1")


async def test_a_release_never_overtakes_a_later_claim(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        for _ in range(50):
            await claim(a, "ana", "c1")
            release(a, "ana", "c1")
            await claim(a, "ana", "c1")
            await is_taken(b, "ana", "c2")


async def test_a_release_does_not_overtake_while_redis_loads_its_script(store: RedisServer) -> None:
    for _ in range(5):
        store.cli("SCRIPT", "FLUSH")
        async with running_node(store.url) as a, running_node(store.url) as b:
            await claim(a, "ana", "c1")
            release(a, "ana", "c1")
            await claim(a, "ana", "c1")
            await is_taken(b, "ana", "c2")
            await released(a, "ana", "c1")


async def test_a_name_that_the_hub_does_not_use_is_given_back(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        need = ClaimName("ana", "ana", "c1")
        await a.link.prepare([need])
        a.link.prepared([need])  # its connection was closed meanwhile
        await a.link._commands.drain()
        await claim(b, "ana", "c2")


async def test_names_and_rooms_are_prepared_together_or_not_at_all(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        await claim(b, "bob", "c2")
        needs: list[Need] = [OpenRoom("r"), ClaimName("ana", "ana", "c1"), ClaimName("bob", "bob", "c1")]
        with pytest.raises(RequestError):
            await a.link.prepare(needs)
        a.link.prepared(needs)
        await a.link._commands.drain()
        await claim(b, "ana", "c2")
        assert not a.link._rosters.rooms


async def test_a_dead_node_has_no_names(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        await claim(b, "ana", "c1")
        await b.freeze_until_removed(store, a)
        assert store.cli("KEYS", "*ana*") == ""
        await claim(a, "ana", "c2")


async def test_a_node_that_was_frozen_loses_the_names_that_others_have_claimed(store: RedisServer) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        former = b.link.node
        await claim(b, "ana", "c1")
        await claim(b, "bob", "c1")
        await b.freeze_until_removed(store, a)
        await claim(a, "ana", "c2")
        b.thaw()
        await eventually(lambda: b.hub.lost == ["ana"])
        assert b.link.node == b.hub.cluster.node != former
        await is_taken(a, "bob", "c2")
