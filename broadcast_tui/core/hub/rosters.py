"""Rosters: the members of the rooms of a cluster, as far as this node has opened them.

The roster of a room consists of one part for each node, with a version that is one more after each change.
Other nodes get the changes of this node's part as signals, and apply them in the order of their versions.

Invariants: many changes between two signals are sent as one. A version is never used twice for a room, even
if the room is closed in between. Without other nodes, nothing is stored or sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from broadcast_tui.core.hub.cluster import Cluster, Member, RosterChanged
from broadcast_tui.core.hub.name_registry import NameRegistry
from broadcast_tui.core.hub.presence import RoomPresence
from broadcast_tui.core.limits import SharedLimits

VERSIONS_MAX = 10_000
"""Closed rooms whose version is remembered.

Rooms that are forgotten, and new ones, start above all forgotten versions. Other nodes then read the part, as
after a missed change.
"""


class _OwnPart:
    """This node's part of a roster: what has changed since the last signal."""

    __slots__ = ("changed", "members", "presence", "version")

    def __init__(self, presence: RoomPresence, version: int) -> None:
        self.presence = presence
        self.version = version
        self.changed: dict[str, str] = {}
        """Changed keys, with the reason for leaving."""
        self.members: list[Member] = []
        """Changes that have to be sent as they are, before those in `changed`."""


class Rosters:
    """The rosters of a node.

    Args:
        names: The away statuses of people on this node.
    """

    def __init__(self, cluster: Cluster, limits: SharedLimits, names: NameRegistry) -> None:
        self._cluster = cluster
        self._limits = limits
        self._names = names
        self._parts: dict[str, _OwnPart] = {}
        """By name of an open room."""
        self._closed: OrderedDict[str, int] = OrderedDict()
        """Versions of this node's part of closed rooms, the most recently closed last."""
        self._first_version = 0
        """Highest forgotten version of a closed room."""

    def presence_of(self, room: str) -> RoomPresence:
        """The members of a room that is open, perhaps without connections."""
        if not self._cluster.is_shared:
            return RoomPresence(self._limits)
        part = self._parts.get(room)
        if part is None:
            presence = RoomPresence(self._limits, partial(self._changed, room))
            part = self._parts[room] = _OwnPart(presence, self._closed.pop(room, self._first_version))
        return part.presence

    def close(self, room: str) -> None:
        """Forget the members of a room that is not open any more. Nobody on this node is in it."""
        self._cluster.flush_roster(room)
        part = self._parts.pop(room, None)
        version = part.version if part is not None else 0
        if version > self._first_version:
            self._closed[room] = version
            if len(self._closed) > VERSIONS_MAX:
                self._first_version = max(self._first_version, self._closed.popitem(last=False)[1])

    @property
    def open_rooms(self) -> Sequence[str]:
        """The rooms with a known roster."""
        return list(self._parts)

    # -- this node

    def own_part(self, room: str) -> tuple[int, Sequence[Member]]:
        """The version of this node's part, and its members; changes that were not sent are included."""
        part = self._parts.get(room)
        if part is None:
            return self._closed.get(room, 0), ()
        self._cluster.flush_roster(room)
        return part.version, [self._member(part.presence, key) for key in part.presence.local_keys]

    def renamed(self, room: str, old_key: str, key: str, old_name: str) -> None:
        """Send a rename that has changed this node's part.

        Args:
            old_name: The name before; empty if there was none.
        """
        part = self._parts.get(room)
        if part is None:
            return
        is_gone = old_key == key or not part.presence.is_local(old_key)
        part.changed.pop(key, None)
        if is_gone:
            part.changed.pop(old_key, None)
        self._collect(part)
        member = self._member(part.presence, key, former=old_key if is_gone else "", former_name=old_name)
        part.members.append(member)
        self._cluster.send_roster(room, partial(self._signal, room))

    def _changed(self, room: str, key: str, reason: str) -> None:
        part = self._parts.get(room)
        if part is not None:
            part.changed[key] = reason
            self._cluster.send_roster(room, partial(self._signal, room))

    def _signal(self, room: str) -> RosterChanged:
        """The signal about all changes since the last one."""
        part = self._parts[room]
        self._collect(part)
        members, part.members = part.members, []
        part.version += 1
        return RosterChanged(room, self._cluster.node, part.version, tuple(members))

    def _collect(self, part: _OwnPart) -> None:
        changed, part.changed = part.changed, {}
        part.members += [self._member(part.presence, key, reason) for key, reason in changed.items()]

    def _member(
        self, presence: RoomPresence, key: str, reason: str = "", *, former: str = "", former_name: str = ""
    ) -> Member:
        """A member as it is on this node now."""
        name, connections, in_grace = presence.local_part(key)
        if not connections:
            return Member(key, connections=0, reason=reason)
        version, text = self._names.away_state(key)
        return Member(key, name, connections, text, version, in_grace, "", former, former_name)
