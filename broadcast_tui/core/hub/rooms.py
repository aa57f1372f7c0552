"""Rooms with people in them: entering at a place, leaving, and letting go of those that are empty."""

from __future__ import annotations

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.history import BackfillRead, LogIndex, Read
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.room import Room, Subscription
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import check_room
from broadcast_tui.core.protocol import commands, events


class Rooms:
    """The rooms of a hub by name; `dirty` are those with new posts, `reads` what the engine is to read."""

    def __init__(self, index: LogIndex, limits: SharedLimits, herald: Broadcaster) -> None:
        self.by_name: dict[str, Room] = {}
        self.dirty: set[Room] = set()
        self.reads: list[Read] = []
        self._index = index
        self._limits = limits
        self._herald = herald

    def enter(self, peer: Peer, request: commands.RoomRequest) -> events.RoomState:
        """Put a connection into a room at the place it asks for; its gaps follow in `control`."""
        name = check_room(request.room)
        room = self.by_name.get(name)
        if room is None:
            room = Room(name, self._index.epoch, self._limits, self._index.last_seq(name))
            self.by_name[name] = room
        first_seq = self._index.first_seq(name)
        resume = room.resume(request.since, request.last, first_seq)
        if name not in peer.subscriptions:
            room.presence.add(peer.key, peer.name)
        if (before := peer.subscriptions.get(name)) is not None:
            before.held = True
        subscription = Subscription(peer, room, resume.cursor)
        peer.subscriptions[name] = subscription
        room.subscriptions[peer] = subscription
        if peer.v1:
            subscription.synced_at = room.ring.last_seq
        if resume.gap is not None:
            peer.send(events.Gap(name, *resume.gap))
        if resume.cursor < room.ring.first_seq - 1 and first_seq < room.ring.first_seq:
            self._warm(room, subscription)
        missed = room.ring.last_seq - resume.cursor
        online, topic = room.presence.online, self._index.topic(name)
        return events.RoomState(name, str(room.head), resume.recovered, missed, online, topic)

    def _warm(self, room: Room, subscription: Subscription) -> None:
        wanted = self._limits.current.ring_posts - len(room.ring)
        if wanted <= 0:
            return
        subscription.held = True
        if not room.warming:
            room.warming = True
            self.reads.append(BackfillRead(room.name, room.ring.first_seq, wanted))

    def leave(self, peer: Peer, room: Room, when: Instant, *, grace: bool, reason: str = "") -> None:
        peer.subscriptions.pop(room.name, None)
        if (subscription := room.subscriptions.pop(peer, None)) is not None:
            subscription.held = True
        room.presence.remove(peer.key, when.now, grace=grace, reason=reason)
        self._herald.announce(room, when)
        self.forget(room)

    def forget(self, room: Room) -> None:
        """Let an empty room go; its posts stay in the engine."""
        if not room.subscriptions and not room.presence.pending:
            self.by_name.pop(room.name, None)
            self.dirty.discard(room)

    def subscription(self, peer: Peer, room_name: str) -> Subscription:
        subscription = peer.subscriptions.get(room_name) or peer.subscriptions.get(check_room(room_name))
        if subscription is None:
            raise RequestError(ErrorCode.NOT_IN_ROOM, "You are not in this room; join it first.")
        return subscription


def all_rooms(rooms: Rooms, index: LogIndex, query: commands.ListRooms, most: int) -> events.RoomList:
    """Rooms with people, posts or a topic: at most `most` of them, sorted by name."""
    names = sorted({*index.room_names(), *rooms.by_name})
    views = []
    for name in names[:most]:
        room = rooms.by_name.get(name)
        views.append(events.RoomInfo(name, room.presence.online if room else 0, index.topic(name)))
    return events.RoomList(query.ref, tuple(views), len(views) < len(names))
