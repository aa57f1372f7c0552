"""Away status of people.

Invariants: the status belongs to a person, not to a connection, and ends when the grace period of their last
connection ends. Plain clients, and rooms too large for presence details, get no away events. Nodes that have
connections of the same person adopt the newest status that they see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.name_registry import NameRegistry
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.presence import RoomPresence
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import name_key
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.text import clean_line

AWAY_BYTES = 256
"""Maximum length of an away message."""


class AwayStatus:
    """Changes the away status of people in a NameRegistry and notifies the rooms they are in.

    Args:
        peers: All connections by id.
    """

    def __init__(
        self, peers: Mapping[int, Peer], names: NameRegistry, broadcaster: Broadcaster, limits: SharedLimits
    ) -> None:
        self._peers = peers
        self._names = names
        self._broadcaster = broadcaster
        self._limits = limits

    def update(self, peer: Peer, command: commands.SetAway) -> None:
        """Set or clear a person's away status and reply. Other people are notified only of a change.

        Raises:
            RequestError: FORBIDDEN for a connection that is not counted, BAD_NAME if the person has no name;
                otherwise as `clean_line`.
        """
        if not peer.is_counted:
            raise RequestError(ErrorCode.FORBIDDEN, "A connection without presence has no away status.")
        if not peer.name:
            raise RequestError(ErrorCode.BAD_NAME, "Choose a name before you set yourself away.")
        text = clean_line(command.text, AWAY_BYTES) if command.away else ""
        event = events.Away(peer.name, command.away, text)
        if self._names.set_away(peer.key, text if command.away else None):
            rooms = [subscription.room for subscription in peer.subscriptions.values()]
            self._send(event, {other for room in rooms for other in self._listening(room)} - {peer})
            for room in self._rooms_of(peer.key):
                room.presence.touch(peer.key)
        self._broadcaster.reply(peer, events.Away(peer.name, command.away, text, command.ref))

    def entered(self, peer: Peer, room: Room) -> None:
        """Notify a room that the person who entered it is away, or is no longer."""
        is_returned = room.presence.take_return(peer.key)
        if not peer.is_counted or self.adopt(room, peer.key, but=peer):
            return
        text = self._names.away(peer.key)
        if text is not None or is_returned:
            event = _event(peer.name, text)
            self._send(event, self._listening(room) - {peer})

    def known_after_rename(self, presence: RoomPresence, old_key: str, key: str) -> str | None:
        """The message that clients will know of a person who takes a name, if the line is all they get.

        They move the status of the old name, if there is one, to the new name. Call it before the rename.
        """
        moved = self.of(presence, old_key)
        return self.of(presence, key) if moved is None else moved

    def renamed(self, room: Room, key: str, known: str | None) -> None:
        """Notify a room of the status of a person who took a name, unless clients know it.

        Args:
            known: The message that they know, see `known_after_rename`. They may also know one of a person
                with this name whose leave was not announced.
        """
        is_returned = room.presence.take_return(key)
        text = self.of(room.presence, key)
        if key in room.presence and (is_returned or text != known):
            event = _event(room.presence.name_of(key), text)
            self._send(event, self._listening(room))

    def old_name_remains(self, rooms: Iterable[Room], old_key: str) -> None:
        """Notify the rooms of a renamed connection of the status of the person who still has the old name.

        A rename of one of several connections makes two people of one. Clients move the away status to the
        new name with each line about the rename, so call it after the lines.
        """
        for peer in {peer for room in rooms for peer in self._listening(room)}:
            for subscription in peer.subscriptions.values():
                presence = subscription.room.presence
                if old_key not in presence or not self._is_detailed(subscription.room):
                    continue
                if (text := self.of(presence, old_key)) is not None:
                    self._send(events.Away(presence.name_of(old_key), True, text), {peer})
                break

    # -- other nodes

    def of(self, presence: RoomPresence, key: str) -> str | None:
        """Away message of a member of a room, on any node; None if the person is not away."""
        return self._names.away(key) if presence.is_local(key) else presence.remote_away(key)[1]

    def adopt(self, room: Room, key: str, *, but: Peer | None = None) -> bool:
        """Adopt the status of a person of this node from other nodes, if theirs is newer.

        Returns whether it has changed; then the rooms of the person have been notified, except for `but`.
        """
        if not self._names.adopt_away(key, room.presence.remote_away(key)):
            return False
        rooms = self._rooms_of(key)
        for other in rooms:
            other.presence.touch(key)
        text = self._names.away(key)
        event = _event(room.presence.name_of(key), text)
        self._send(event, {peer for other in rooms | {room} for peer in self._listening(other)} - {but})
        return True

    def part_changed(self, room: Room, key: str, before: str | None, *, is_new: bool) -> None:
        """Notify a room if another node has changed the away status of a member.

        Args:
            before: The message before the change.
            is_new: Whether the person was not in the room before.
        """
        is_returned = room.presence.take_return(key)
        if self.adopt(room, key):
            return
        text = self.of(room.presence, key)
        if text == before and not is_returned:
            return
        peers = self._listening(room)
        if not is_new:
            peers = {peer for peer in peers if not self._is_notified(peer, room, key, text)}
        self._send(_event(room.presence.name_of(key), text), peers)

    def _is_notified(self, peer: Peer, room: Room, key: str, text: str | None) -> bool:
        """Whether a connection has been notified of a status in another room that it shares with a person."""
        others = (subscription.room for subscription in peer.subscriptions.values())
        return any(
            other is not room
            and key in other.presence
            and self._is_detailed(other)
            and self.of(other.presence, key) == text
            for other in others
        )

    def _rooms_of(self, key: str) -> set[Room]:
        """The rooms with a person of this node, also those in which a grace period runs."""
        peers = [self._peers[peer_id] for peer_id in self._names.connections(key)]
        rooms = {subscription.room for peer in peers for subscription in peer.subscriptions.values()}
        rooms |= self._broadcaster.presence_rooms
        return {room for room in rooms if room.presence.is_local(key)}

    # -- lists and events

    def members_of(self, room: Room, ref: str) -> events.Presence:
        """The reply to a member list request, up to the maximum length of a list."""
        count_max = self._limits.current.presence_list_max
        members = room.presence.members(count_max + 1)
        some_away = self._names.anyone_away or room.presence.has_remote
        infos = tuple(
            events.MemberInfo(
                name, connections, self.of(room.presence, name_key(name)) if some_away else None
            )
            for name, connections in members[:count_max]
        )
        return events.Presence(ref, room.name, room.presence.online, infos, len(members) > count_max)

    def _listening(self, room: Room) -> set[Peer]:
        """The connections in a room that maintain a member list."""
        return {peer for peer in room.subscriptions if peer.v1} if self._is_detailed(room) else set()

    def _is_detailed(self, room: Room) -> bool:
        return room.presence.online <= self._limits.current.presence_detail_max

    def _send(self, event: events.Away, peers: set[Peer]) -> None:
        for peer in peers:
            # Away events are volatile. A blocked client requests the member list once it is writable again.
            if not peer.blocked:
                self._broadcaster.reply(peer, event)


def _event(name: str, text: str | None) -> events.Away:
    """The event for the away message of a person; None: the person is not away."""
    return events.Away(name, text is not None, text or "")
