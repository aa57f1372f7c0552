"""What a link to the other nodes needs of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.cluster import (
    Cluster,
    Member,
    Person,
    RemoteConnection,
    ShareSanction,
    Signal,
)


class HubPort(Protocol):
    """The hub, as the other nodes see it."""

    @property
    def cluster(self) -> Cluster:
        """Its needs and signals, and the id of the node."""
        ...

    def receive_signal(self, signal: Signal, when: Instant) -> None:
        """Handle a signal from another node."""
        ...

    def roster_of(self, room: str) -> tuple[int, Sequence[Member]]:
        """The version of the node's own part of a room's roster, and its members."""
        ...

    def roster_loaded(
        self, room: str, node: str, version: int, members: Sequence[Member], when: Instant
    ) -> None:
        """Replace the part of another node; a version of 0 means that it has none."""
        ...

    def roster_closed(self, room: str) -> None:
        """Forget the roster of a room that is not open any more, unless it is in memory."""
        ...

    def node_left(self, node: str, when: Instant) -> None:
        """Remove the members on a node from all rooms, unless they return to another node soon."""
        ...

    def names_lost(self, keys: Sequence[str], when: Instant) -> None:
        """Close the connections with names that their owner has claimed on another node."""
        ...

    @property
    def needs_guest_numbers(self) -> bool:
        """Whether only few guest numbers are left."""
        ...

    def add_guest_numbers(self, start: int, count: int) -> None:
        """Use these numbers for further guests."""
        ...

    def answer_connections(self, who: str) -> Sequence[RemoteConnection]:
        """The connections that an action of an admin is about."""
        ...

    def apply_sanction(self, change: ShareSanction, when: Instant) -> None:
        """Apply a change of the bans and mutes that another node has made."""
        ...

    def find_person(self, key: str, owner: str = "") -> Person | None:
        """The owner of a name that is in use on this node; None if it is not.

        Args:
            owner: The owner, if it is known: a connection without client id is found under any name.
        """
        ...

    def owners(self) -> set[str]:
        """The owners of the connections of this node, for direct messages."""
        ...

    def uses_name(self, key: str) -> bool:
        """Whether a connection of this node has the name with this skeleton."""
        ...

    def uses_room(self, room: str) -> bool:
        """Whether a room is in memory."""
        ...
