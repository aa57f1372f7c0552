"""Nodes on a Redis Cluster: the keys of each script are in one slot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.hub.cluster import ClaimName, ListStoredRooms, Member, OpenDirect, OpenRoom
from tests.support.fake_hub import running_node
from tests.support.redis_server import Cluster, needs_redis, running
from tests.support.running import eventually

pytestmark = needs_redis
ROOMS = [f"room{number}" for number in range(8)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory: Path = tmp_path_factory.mktemp("cluster")
    with running(cluster := Cluster(directory)):
        yield cluster


async def test_names_members_and_rooms_are_shared(store: Cluster) -> None:
    async with running_node(store.url) as a, running_node(store.url) as b:
        for node in (a, b):
            await node.link.prepare([OpenRoom(room) for room in ROOMS])
        for room in ROOMS:
            a.change(room, Member("ana", "Ana"))
        await eventually(lambda: all(b.hub.members(room) == {"ana"} for room in ROOMS))
        await a.link.prepare([ClaimName("ana", "Ana", "c1")])
        with pytest.raises(RequestError):
            await b.link.prepare([ClaimName("ana", "Ana", "c2")])
        listed = (await b.link.prepare([ListStoredRooms("", 10)])).rooms
        assert [(info.room, info.online) for info in listed] == [(room, 1) for room in ROOMS]
        names = {"client c1": "Ana", "client c2": "Bob"}
        (opened,) = (await a.link.prepare([OpenDirect("@Ana+Bob~1", names)])).directs
        (same,) = (await b.link.prepare([OpenDirect("@Ana+Bob~2", names)])).directs
        assert opened.room == same.room == "@Ana+Bob~1"
