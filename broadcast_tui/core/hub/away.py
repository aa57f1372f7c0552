"""Who is away: a person says it once, whoever is with them in a room of names is told.

Invariants: away belongs to a person, not to a connection, and ends with the last connection's grace;
plain clients, and rooms so large that only counts are told, are spared it.
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
"""Longest reason for being away."""


class AwayStatus:
    """Takes in and tells who is away, as `directory` keeps it."""

    def __init__(self, directory: NameRegistry, herald: Broadcaster, limits: SharedLimits) -> None:
        self._directory = directory
        self._herald = herald
        self._limits = limits

    def change(self, peer: Peer, command: commands.SetAway) -> None:
        """A person goes away or comes back; said again, only the answer comes.

        Raises:
            Refused: BAD_NAME, from who has no name yet; as `clean_line` for the text.
        """
        if not peer.name:
            raise RequestError(ErrorCode.BAD_NAME, "Take a name first: nobody would know who is away.")
        text = clean_line(command.text, AWAY_BYTES) if command.away else ""
        told = events.Away(peer.name, command.away, text)
        if self._directory.set_away(peer.key, text if command.away else None):
            rooms = [subscription.room for subscription in peer.subscriptions.values()]
            self._tell(told, {other for room in rooms for other in self._listing(room)} - {peer})
        self._herald.answer(peer, events.Away(peer.name, command.away, text, command.ref))

    def entered(self, peer: Peer, room: Room) -> None:
        """Who is away came into a room: those who are there cannot know it yet."""
        text = self._directory.away(peer.key)
        if text is not None:
            self._tell(events.Away(peer.name, True, text), self._listing(room) - {peer})

    def members_of(self, room: Room, ref: str) -> events.Presence:
        """The answer to who is in a room: as many by name as a list holds."""
        count_max = self._limits.current.presence_list_max
        listed = room.presence.members(count_max + 1)
        some_away = self._directory.anyone_away
        views = tuple(
            events.MemberInfo(name, connections, self._directory.away(name_key(name)) if some_away else None)
            for name, connections in listed[:count_max]
        )
        return events.Presence(ref, room.name, room.presence.online, views, len(listed) > count_max)

    def _listing(self, room: Room) -> set[Peer]:
        """The connections in a room that keep a list of its people."""
        if room.presence.online > self._limits.current.presence_detail_max:
            return set()
        return {peer for peer in room.subscriptions if peer.v1}

    def _tell(self, event: events.Away, peers: set[Peer]) -> None:
        for peer in peers:
            # Volatile: who takes nothing now asks for the list when it is back.
            if not peer.blocked:
                self._herald.answer(peer, event)
