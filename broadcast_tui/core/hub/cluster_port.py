"""What the other nodes of a cluster ask of a hub, and what they notify it of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.cluster import (
    Cluster,
    Member,
    Person,
    RemoteConnection,
    ShareSanction,
    Signal,
)
from broadcast_tui.core.hub.directs import DirectRooms
from broadcast_tui.core.hub.guest_numbers import GuestNumbers
from broadcast_tui.core.hub.moderation import Moderation
from broadcast_tui.core.hub.name_registry import NameRegistry
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.hub.rosters import Rosters
from broadcast_tui.core.hub.signals import Signals


class ClusterPort:
    """The hub, as the link to the other nodes sees it.

    Args:
        cluster: The needs and signals of the hub.
        close_replaced: Closes a connection whose name was given to another owner.
    """

    def __init__(
        self,
        cluster: Cluster,
        names: NameRegistry,
        rooms: Rooms,
        rosters: Rosters,
        signals: Signals,
        moderation: Moderation,
        directs: DirectRooms,
        guest_numbers: GuestNumbers,
        close_replaced: Callable[[int], None],
    ) -> None:
        self.cluster = cluster
        self._names = names
        self._rooms = rooms
        self._rosters = rosters
        self._signals = signals
        self._moderation = moderation
        self._directs = directs
        self._guest_numbers = guest_numbers
        self._close_replaced = close_replaced

    # -- signals

    def receive_signal(self, signal: Signal, when: Instant) -> None:
        """Handle a signal from another node."""
        self._signals.receive(signal, when)

    # -- rosters

    def roster_of(self, room: str) -> tuple[int, Sequence[Member]]:
        """The version of this node's part of a room's roster, and its members."""
        return self._rosters.own_part(room)

    def roster_loaded(
        self, room: str, node: str, version: int, members: Sequence[Member], when: Instant
    ) -> None:
        """Replace the part of another node; a version of 0 means that it has none."""
        self._signals.roster_loaded(room, node, version, members, when)

    def roster_closed(self, room: str) -> None:
        """Forget the roster of a room that is not open any more, unless it is in memory."""
        if not self._rooms.is_used(room):
            self._rosters.close(room)

    def node_left(self, node: str, when: Instant) -> None:
        """Remove the members on a node from all rooms, unless they return to another node soon."""
        self._signals.node_left(node, when)

    def uses_room(self, room: str) -> bool:
        """Whether a room is in memory."""
        return self._rooms.is_used(room)

    # -- people

    def answer_connections(self, who: str) -> Sequence[RemoteConnection]:
        """The connections on this node that an action of an admin is about."""
        return self._moderation.find_connections(who)

    def apply_sanction(self, change: ShareSanction, when: Instant) -> None:
        """Apply a change of the bans and mutes that another node has made."""
        self._moderation.apply_shared(change, when)

    def find_person(self, key: str, owner: str = "") -> Person | None:
        """The owner of a name that is in use on this node; None if it is not.

        Args:
            owner: The owner, if it is known: a connection without client id is found under any name.
        """
        return self._directs.find_local(key, owner)

    def owners(self) -> set[str]:
        """The owners of the connections of this node, for direct messages."""
        return self._directs.local_owners()

    def uses_name(self, key: str) -> bool:
        """Whether a connection of this node has the name with this skeleton."""
        return bool(self._names.connections(key))

    def names_lost(self, keys: Sequence[str], when: Instant) -> None:
        """Close the connections with names that another owner has claimed on another node."""
        for key in keys:
            for peer_id in self._names.lose(key):
                self._close_replaced(peer_id)

    # -- guests

    @property
    def needs_guest_numbers(self) -> bool:
        """Whether only few guest numbers are left."""
        return self.cluster.is_shared and self._guest_numbers.are_few

    def add_guest_numbers(self, start: int, count: int) -> None:
        """Use these numbers, which no other node uses, for further guests."""
        self._guest_numbers.add(start, count)
