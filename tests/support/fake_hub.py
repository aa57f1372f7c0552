"""A hub that records what its link to other nodes calls, and nodes of tests on a Redis server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.cluster import (
    Cluster,
    Member,
    Person,
    RemoteConnection,
    RosterChanged,
    ShareSanction,
    Signal,
)
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.redis_client import open_client
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server.cluster.redis_link import RedisLink
from tests.support.redis_server import RedisServer
from tests.support.running import eventually


class FakeHub:
    """A hub with the names and members that a test gives it."""

    def __init__(self) -> None:
        self.cluster = Cluster(MemoryEngine(), "?", is_shared=True)
        self.signals: list[Signal] = []
        self.own: dict[str, dict[str, Member]] = {}
        self.versions: dict[str, int] = {}
        self.others: dict[tuple[str, str], dict[str, Member]] = {}
        """Members on other nodes, by room and node."""
        self.names: dict[str, Person] = {}
        self.sanctions: list[ShareSanction] = []
        self.lost: list[str] = []
        self.left: list[str] = []
        self.guests: list[tuple[int, int]] = []
        self.connections: tuple[RemoteConnection, ...] = ()
        self.rooms: set[str] = set()
        self.needs_guest_numbers = False

    def members(self, room: str) -> set[str]:
        """The keys of the members of a room on other nodes."""
        return {key for (name, _), part in self.others.items() if name == room for key in part}

    def change(self, room: str, *members: Member) -> RosterChanged:
        """Change the own part of a roster."""
        self.versions[room] = self.versions.get(room, 0) + 1
        part = self.own.setdefault(room, {})
        for member in members:
            part.pop(member.former, None)
            if member.connections:
                part[member.key] = member
            else:
                part.pop(member.key, None)
        return RosterChanged(room, self.cluster.node, self.versions[room], members)

    # -- what a link calls

    def receive_signal(self, signal: Signal, when: Instant) -> None:
        self.signals.append(signal)
        if isinstance(signal, RosterChanged):
            part = self.others.setdefault((signal.room, signal.node), {})
            for member in signal.members:
                part.pop(member.former, None)
                part[member.key] = member
                if not member.connections:
                    del part[member.key]

    def roster_of(self, room: str) -> tuple[int, Sequence[Member]]:
        return self.versions.get(room, 0), tuple(self.own.get(room, {}).values())

    def roster_loaded(
        self, room: str, node: str, version: int, members: Sequence[Member], when: Instant
    ) -> None:
        self.others[room, node] = {member.key: member for member in members}

    def roster_closed(self, room: str) -> None:
        self.others = {key: part for key, part in self.others.items() if key[0] != room}

    def node_left(self, node: str, when: Instant) -> None:
        self.left.append(node)
        self.others = {key: part for key, part in self.others.items() if key[1] != node}

    def names_lost(self, keys: Sequence[str], when: Instant) -> None:
        self.lost += keys

    def add_guest_numbers(self, start: int, count: int) -> None:
        self.guests.append((start, count))

    def answer_connections(self, who: str) -> Sequence[RemoteConnection]:
        return [connection for connection in self.connections if connection.key == who]

    def apply_sanction(self, change: ShareSanction, when: Instant) -> None:
        self.sanctions.append(change)

    def find_person(self, key: str, owner: str = "") -> Person | None:
        return self.names.get(key)

    def owners(self) -> set[str]:
        return {person.owner for person in self.names.values()}

    def uses_name(self, key: str) -> bool:
        return key in self.names

    def uses_room(self, room: str) -> bool:
        return room in self.rooms


class Node:
    """A link with its hub."""

    def __init__(self, link: RedisLink, hub: FakeHub) -> None:
        self.link = link
        self.hub = hub

    def send(self, *signals: Signal) -> None:
        self.link.send(signals)

    def change(self, room: str, *members: Member) -> None:
        """Change the members of a room on this node."""
        self.send(self.hub.change(room, *members))

    def freeze(self, store: RedisServer) -> None:
        """Stop as a stopped process does, for longer than its lease.

        The lease is ended here: if it were as short as a test can wait for, those of others could end too.
        """
        for task in list(self.link._tasks):
            task.cancel()
        store.cli("ZADD", "{bt:ctl}:nodes", "XX", "1", self.link.node)

    async def freeze_until_removed(self, store: RedisServer, other: Node) -> None:
        """Freeze, and wait until `other` has removed this node."""
        self.freeze(store)
        other.link._beat_now.set()
        await eventually(lambda: store.cli("ZCARD", "{bt:ctl}:nodes") == "1")

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self.link._spawn(self.link._renew())


@asynccontextmanager
async def running_node(url: str) -> AsyncIterator[Node]:
    """A node of the cluster in a Redis server."""
    settings = read_location(url)
    client = open_client(settings)
    node = Node(
        RedisLink(settings, client, MemoryEngine(), partitions=settings.partitions),
        FakeHub(),
    )
    await node.link.start(node.hub, lambda: None)
    try:
        yield node
    finally:
        async with asyncio.timeout(20):
            await node.link.stop()
            await client.aclose()
