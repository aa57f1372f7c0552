"""The rooms for direct messages of owners, and the inboxes that this node follows for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from broadcast_tui.core.hub.cluster import OpenDirect, StoredDirect
from broadcast_tui.core.names import VOLATILE_SIGN
from broadcast_tui.core.post import Position
from broadcast_tui.redis_subscriber import Subscriber
from broadcast_tui.server.cluster.commands import CommandQueue
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.scripts import LOAD_DIRECTS, OPEN_DIRECT

VOLATILE_S = 7 * 86_400
"""Time for which a room of people without tokens is known after its last post."""


class Directs:
    """Rooms for direct messages in Redis."""

    def __init__(self, commands: CommandQueue, keys: Keys, subscriber: Subscriber) -> None:
        self._commands = commands
        self._keys = keys
        self._subscriber = subscriber
        self._owners: set[str] = set()
        """Owners whose inbox is followed."""

    async def open(self, need: OpenDirect) -> StoredDirect:
        """The room of two owners, which is created if there is none. Raises UnavailableError."""
        lifetime_s = VOLATILE_S if VOLATILE_SIGN in need.room else 0
        words = [word for item in need.names.items() for word in item]
        room, fields = await self._commands.eval(
            OPEN_DIRECT, self._keys.control, need.room, lifetime_s, *words
        )
        return (await self._with_heads([room, fields]))[0]

    async def load(self, owner: str) -> tuple[StoredDirect, ...]:
        """The rooms of an owner, whose inbox is followed from now on. Raises UnavailableError."""
        await self._subscriber.subscribe(self._keys.inbox(owner))
        self._owners.add(owner)
        return await self._with_heads(await self._commands.eval(LOAD_DIRECTS, self._keys.control, owner))

    def posted(self, room: str) -> None:
        """Extend the life of a room that has a new post."""
        if VOLATILE_SIGN in room:
            self._commands.put("EXPIRE", self._keys.control_key("direct", room), VOLATILE_S)

    async def follow_only(self, owners: Collection[str]) -> None:
        """Stop following the inboxes of owners without connections on this node."""
        gone = self._owners.difference(owners)
        self._owners -= gone
        await self._subscriber.unsubscribe(*(self._keys.inbox(owner) for owner in gone))

    async def _with_heads(self, found: Sequence[Any]) -> tuple[StoredDirect, ...]:
        """Rooms of a reply, with the positions of their newest posts."""
        names = [room.decode() for room in found[::2]]
        heads = [
            self._commands.call("HMGET", f"{self._keys.partition_of(room)}:m:{room}", "e", "s")
            for room in names
        ]
        rooms = []
        for room, fields, head in zip(names, found[1::2], heads, strict=True):
            texts = [field.decode() for field in fields]
            owners = dict(zip(texts[::2], texts[1::2], strict=True))
            epoch, seq = await head
            position = str(Position(epoch.decode(), int(seq))) if epoch and int(seq or 0) else ""
            rooms.append(StoredDirect(room, owners, position))
        return tuple(rooms)
