"""Names of connections: claiming one, and announcing it in the rooms of the connection."""

from __future__ import annotations

from collections.abc import Callable

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.authorization import Authorizer
from broadcast_tui.core.hub.away import AwayStatus
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.cluster import ClaimName, Cluster, Need
from broadcast_tui.core.hub.moderation import Moderation
from broadcast_tui.core.hub.name_registry import NameRegistry
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.rosters import Rosters
from broadcast_tui.core.names import check_name, check_not_guest, name_key
from broadcast_tui.core.protocol import commands, events


class NameClaims:
    """Sets and changes the names of connections.

    Args:
        names: The names in use on this node.
        renamed: Called with each connection that has got a name.
        replaced: Called with each connection whose name was given to another owner.
    """

    def __init__(
        self,
        names: NameRegistry,
        authorizer: Authorizer,
        moderation: Moderation,
        away: AwayStatus,
        broadcaster: Broadcaster,
        renamed: Callable[[Peer], None],
        cluster: Cluster,
        rosters: Rosters,
        replaced: Callable[[int], None],
    ) -> None:
        self._names = names
        self._away = away
        self._cluster = cluster
        self._rosters = rosters
        self._replaced = replaced
        self._authorizer = authorizer
        self._moderation = moderation
        self._broadcaster = broadcaster
        self._renamed = renamed

    def rename(self, peer: Peer, command: commands.Rename, when: Instant) -> None:
        """Change a name on request, reply, and notify the rooms. Raises RequestError."""
        peer.spend_fetch(when.now)
        self._moderation.check_not_muted(peer, when)
        name = check_name(command.name)
        needs = self.needs(peer, name, when)
        self._cluster.prepare(
            peer, command, needs, lambda _, when: self._rename(peer, command, name, when), when
        )

    def _rename(self, peer: Peer, command: commands.Rename, name: str, when: Instant) -> None:
        old, old_key = peer.name, peer.key
        rooms, key = [subscription.room for subscription in peer.subscriptions.values()], name_key(name)
        known = {room: self._away.known_after_rename(room.presence, old_key, key) for room in rooms}
        self.claim(peer, name, when)
        self._broadcaster.reply(peer, events.Renamed(command.ref, name))
        if peer.is_counted and old != name:
            for room, text in known.items():
                if old:
                    self._broadcaster.broadcast_rename(room, peer, old, name, when)
                self._away.renamed(room, peer.key, text)
            if old and old_key != peer.key:
                self._away.old_name_remains(rooms, old_key)

    def needs(self, peer: Peer, name: str, when: Instant) -> tuple[Need, ...]:
        """What is needed before a connection can claim a valid name. Raises RequestError, as `claim`."""
        if not self._cluster.is_shared:
            return ()
        key = name_key(name)
        owner = self._owner(peer, key, name, when)
        return (ClaimName(key, name, owner, peer.identity is not None),) if key != peer.key else ()

    def claim(self, peer: Peer, name: str, when: Instant) -> None:
        """Set the name of a connection to a valid one. Raises RequestError if it may not have it.

        If other nodes have to be asked, its `needs` have been answered.
        """
        key = name_key(name)
        owner = self._owner(peer, key, name, when)
        if key != peer.key:
            is_shared = self._cluster.is_shared
            lost = self._names.claim(
                key, name, owner, peer.id, when.now, take_over=peer.identity is not None,
                is_counted=peer.is_counted, is_granted=is_shared,
            )  # fmt: skip
            if is_shared:
                self._cluster.name_claimed(key)
                for peer_id in lost:
                    self._replaced(peer_id)
            if peer.name:
                if peer.is_counted:
                    for subscription in peer.subscriptions.values():
                        # What other nodes know of the new name precedes the status of the old one.
                        self._names.adopt_away(key, subscription.room.presence.remote_away(key))
                    self._names.copy_away(peer.key, key)
                self.release(peer, when, grace=False)
        if peer.is_counted:
            self._rename_member(peer, key, name, when)
        peer.key, peer.name = key, name
        self._renamed(peer)

    def release(self, peer: Peer, when: Instant, *, grace: bool) -> None:
        """Release the name of a connection, after its grace period if it was the last one with `grace`."""
        self._cluster.release_name(self._names.release(peer.key, peer.id, when.now, grace=grace))

    def _owner(self, peer: Peer, key: str, name: str, when: Instant) -> str:
        """The owner under which a connection claims a name. Raises RequestError if it may not have it."""
        check_not_guest(name)
        owner = self._authorizer.name_owner(peer, key, name)
        self._moderation.check_name(peer, key, peer.client_id, when)
        return owner

    def _rename_member(self, peer: Peer, key: str, name: str, when: Instant) -> None:
        """Change the key and name of a person in the rooms of a connection, and announce a first name."""
        for subscription in peer.subscriptions.values():
            room = subscription.room
            room.presence.rekey(peer.key, key, name)
            if (key, name) != (peer.key, peer.name):
                self._rosters.renamed(room.name, peer.key, key, peer.name)
            if key != peer.key:
                self._broadcaster.presence_rooms.add(room)
                if not peer.name:
                    self._broadcaster.broadcast_first_name(room, peer, name, when)
