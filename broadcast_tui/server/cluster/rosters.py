"""The members of rooms: this node writes its own part, and follows those of other nodes.

A part has a version, which is one more after each change. A skipped version means that a change was missed:
the part is read again. What Redis contains decides; messages only report that there is more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.cluster import Member, RosterChanged
from broadcast_tui.server.cluster.commands import CommandQueue
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.port import HubPort
from broadcast_tui.server.cluster.scripts import LIVE, OWN_ROOM, READ_ROSTERS, WRITE_ROSTER
from broadcast_tui.server.cluster.signals import RosterWritten, decode_member, encode, encode_member

VERSION = b"\0v"
"""Field of the version in the hash of a part."""
REWRITTEN_TOGETHER = 100
"""Rooms that are written again in one step."""


class Rosters:
    """The members of the rooms that are open on a node.

    Args:
        command: PUBLISH or SPUBLISH.
        reload: Called with a room of which a change was missed; calls `load` soon.
    """

    def __init__(
        self,
        commands: CommandQueue,
        keys: Keys,
        hub: HubPort,
        instant: Callable[[], Instant],
        reload: Callable[[str], None],
        *,
        command: str = "PUBLISH",
    ) -> None:
        self._commands = commands
        self._keys = keys
        self._hub = hub
        self._instant = instant
        self._reload = reload
        self._command = command
        self._known: dict[str, dict[str, int]] = {}
        """Versions of the parts of other nodes, by open room and node."""
        self._own: set[str] = set()
        """Rooms in which this node has written its part."""
        self._loading: dict[str, list[RosterChanged]] = {}
        """Changes that arrive while their room is loaded."""
        self._stale: set[str] = set()
        """Rooms to load once more after they are loaded."""

    @property
    def rooms(self) -> Collection[str]:
        """The open rooms."""
        return self._known.keys()

    @property
    def nodes(self) -> set[str]:
        """The nodes with members in the open rooms."""
        return {node for known in self._known.values() for node in known}

    def close(self, room: str) -> None:
        """Forget a room that is not open any more. Nobody on this node is in it."""
        self._known.pop(room, None)
        self._hub.roster_closed(room)
        if room in self._own:
            self._own.discard(room)
            self._commands.put("SREM", self._keys.control_key("or", self._hub.cluster.node), room)

    # -- other nodes

    async def load(self, room: str, presumed: Collection[str] = ()) -> None:
        """Read the parts of all other live nodes, and pass on what has changed. Raises UnavailableError.

        Call it after the room's channel is followed.

        Args:
            presumed: Nodes that count as live even if their lease has ended.
        """
        if room in self._loading:
            self._stale.add(room)
            return
        known = self._known.setdefault(room, {})
        self._loading[room] = []
        try:
            live = self._commands.eval(LIVE, self._keys.control)
            found = await self._commands.eval(READ_ROSTERS, self._keys.partition_of(room), room)
            nodes = {node.decode() for node in await live}.union(presumed)
        finally:
            arrived = self._loading.pop(room)
            if room in self._stale:
                self._stale.discard(room)
                self._reload(room)
        if self._known.get(room) is not known:
            return
        parts = dict(_parts(found))
        for node in {*known, *parts} - {self._hub.cluster.node}:
            version, members = parts.get(node, (0, ()))
            if node not in nodes:
                version, members = 0, ()
            if known.get(node, 0) == version:
                continue
            if version:
                known[node] = version
            else:
                del known[node]
            self._hub.roster_loaded(room, node, version, members, self._instant())
        for change in arrived:
            self.receive(change)

    def receive(self, change: RosterChanged) -> None:
        """Handle a change on another node."""
        known = self._known.get(change.room)
        if known is None or change.node == self._hub.cluster.node:
            return
        if (arrived := self._loading.get(change.room)) is not None:
            arrived.append(change)
            return
        version = known.get(change.node, 0)
        if change.version == version + 1:
            known[change.node] = change.version
            self._hub.receive_signal(change, self._instant())
        elif change.version > version:
            self._reload(change.room)

    def remove_node(self, node: str) -> bool:
        """Remove the members on a node that has left; returns whether there were any."""
        parts = [known.pop(node, None) for known in self._known.values()]
        if not any(parts):
            return False
        self._hub.node_left(node, self._instant())
        return True

    # -- this node

    def write(self, change: RosterChanged) -> None:
        """Store a change of this node's part, and send it to the others."""
        fields: dict[str, bytes] = {}
        for member in change.members:
            if member.former and member.former != member.key:
                fields[member.former] = b""
            fields[member.key] = encode_member(member) if member.connections else b""
        self._write(change, fields, encode(change.node, change), replace=False)

    async def write_again(self) -> None:
        """Write this node's part of all rooms, as after an outage. Raises UnavailableError."""
        rooms = list({*self._known, *self._own})
        for start in range(0, len(rooms), REWRITTEN_TOGETHER):
            for room in rooms[start : start + REWRITTEN_TOGETHER]:
                version, members = self._hub.roster_of(room)
                fields = {member.key: encode_member(member) for member in members}
                if not fields and room not in self._own:
                    continue
                change = RosterChanged(room, self._hub.cluster.node, version, ())
                self._write(change, fields, encode(change.node, RosterWritten(room)), replace=True)
            await self._commands.call("PING")

    def _write(
        self, change: RosterChanged, fields: dict[str, bytes], message: bytes, *, replace: bool
    ) -> None:
        node, room = change.node, change.room
        if room not in self._own or replace:
            # First, so that this node's death removes the members in any case.
            self._own.add(room)
            self._commands.run(OWN_ROOM, self._keys.control, node, room)
        words: list[Any] = [room, node, change.version, int(replace), self._command, message]
        for field in fields.items():
            words += field
        self._commands.run(WRITE_ROSTER, self._keys.partition_of(room), *words)


def _parts(found: Sequence[Any]) -> Iterable[tuple[str, tuple[int, tuple[Member, ...]]]]:
    """The nodes of a reply, each with the version and members of its part."""
    for node, part in zip(found[::2], found[1::2], strict=True):
        fields = dict(zip(part[::2], part[1::2], strict=True))
        version = int(fields.pop(VERSION, 0))
        members = [decode_member(data) for data in fields.values()]
        yield node.decode(), (version, tuple(member for member in members if member is not None))
