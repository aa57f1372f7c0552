"""Away status of people.

Invariants: the status belongs to a person, not to a connection, and ends when the grace period of their last
connection ends. Plain clients, and rooms too large for presence details, get no away events.
"""

from __future__ import annotations

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.name_registry import NameRegistry
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import name_key
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.text import clean_line

AWAY_BYTES = 256
"""Maximum length of an away message."""


class AwayStatus:
    """Changes the away status of people in a NameRegistry and notifies the rooms they are in."""

    def __init__(self, names: NameRegistry, broadcaster: Broadcaster, limits: SharedLimits) -> None:
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
        self._broadcaster.reply(peer, events.Away(peer.name, command.away, text, command.ref))

    def entered(self, peer: Peer, room: Room) -> None:
        """Notify a room that the person who entered it is away."""
        text = self._names.away(peer.key) if peer.is_counted else None
        if text is not None:
            self._send(events.Away(peer.name, True, text), self._listening(room) - {peer})

    def members_of(self, room: Room, ref: str) -> events.Presence:
        """The reply to a member list request, up to the maximum length of a list."""
        count_max = self._limits.current.presence_list_max
        members = room.presence.members(count_max + 1)
        some_away = self._names.anyone_away
        infos = tuple(
            events.MemberInfo(name, connections, self._names.away(name_key(name)) if some_away else None)
            for name, connections in members[:count_max]
        )
        return events.Presence(ref, room.name, room.presence.online, infos, len(members) > count_max)

    def _listening(self, room: Room) -> set[Peer]:
        """The connections in a room that maintain a member list."""
        if room.presence.online > self._limits.current.presence_detail_max:
            return set()
        return {peer for peer in room.subscriptions if peer.v1}

    def _send(self, event: events.Away, peers: set[Peer]) -> None:
        for peer in peers:
            # Away events are volatile. A blocked client requests the member list once it is writable again.
            if not peer.blocked:
                self._broadcaster.reply(peer, event)
