"""The rooms of a hub: entering at a position, leaving, listing, and removing empty rooms."""

from __future__ import annotations

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.history import BackfillRead, LogIndex
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.room import Room, Subscription
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import check_room
from broadcast_tui.core.protocol import commands, events


class Rooms:
    """The rooms that have connections or pending presence lines, by name."""

    def __init__(
        self, index: LogIndex, limits: SharedLimits, broadcaster: Broadcaster, effects: Effects
    ) -> None:
        self.by_name: dict[str, Room] = {}
        self._index = index
        self._limits = limits
        self._broadcaster = broadcaster
        self._effects = effects

    def subscription(self, peer: Peer, room_name: str) -> Subscription:
        """A connection's subscription to a room.

        Raises:
            RequestError: BAD_ROOM for an invalid name, NOT_IN_ROOM for a room it is not in.
        """
        subscription = peer.subscriptions.get(room_name) or peer.subscriptions.get(check_room(room_name))
        if subscription is None:
            raise RequestError(ErrorCode.NOT_IN_ROOM, "You are not in this room. Join it first.")
        return subscription

    def enter(self, peer: Peer, request: commands.RoomRequest) -> events.RoomState:
        """Subscribe a connection to a room at the requested position; queues a gap event for lost posts.

        Raises:
            RequestError: BAD_ROOM.
        """
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
            # A flush in progress may still refer to it.
            before.paused = True
        subscription = Subscription(peer, room, resume.cursor)
        peer.subscriptions[name] = subscription
        room.subscriptions[peer] = subscription
        if peer.v1:
            subscription.synced_at = room.ring.last_seq
        if resume.gap is not None:
            peer.send(events.Gap(name, *resume.gap))
        if resume.cursor < room.ring.first_seq - 1 and first_seq < room.ring.first_seq:
            self._request_backfill(room, subscription)
        missed = room.ring.last_seq - resume.cursor
        online, topic = room.presence.online, self._index.topic(name)
        return events.RoomState(name, str(room.head), resume.recovered, missed, online, topic)

    def leave(self, peer: Peer, room: Room, when: Instant, *, grace: bool, reason: str = "") -> None:
        """Unsubscribe a connection; with `grace`, its person stays listed for `leave_grace_s`."""
        peer.subscriptions.pop(room.name, None)
        if (subscription := room.subscriptions.pop(peer, None)) is not None:
            subscription.paused = True
        room.presence.remove(peer.key, when.now, grace=grace, reason=reason)
        self._broadcaster.flush_presence(room, when)
        self.remove_if_empty(room)

    def remove_if_empty(self, room: Room) -> None:
        """Remove a room without connections and pending presence lines; its posts stay in the engine."""
        if not room.subscriptions and not room.presence.pending:
            self.by_name.pop(room.name, None)
            self._effects.dirty_rooms.discard(room)

    def list_all(self, query: commands.ListRooms, count_max: int) -> events.RoomList:
        """The reply to a room list request: rooms with people, posts or a topic, sorted by name."""
        names = sorted({*self._index.room_names(), *self.by_name})
        infos = []
        for name in names[:count_max]:
            room = self.by_name.get(name)
            online = room.presence.online if room is not None else 0
            infos.append(events.RoomInfo(name, online, self._index.topic(name)))
        return events.RoomList(query.ref, tuple(infos), len(infos) < len(names))

    def _request_backfill(self, room: Room, subscription: Subscription) -> None:
        """Pause a subscription until the posts before the ring have been read from the engine."""
        missing = self._limits.current.ring_posts - len(room.ring)
        if missing <= 0:
            return
        subscription.paused = True
        if not room.backfilling:
            room.backfilling = True
            self._effects.reads.append(BackfillRead(room.name, room.ring.first_seq, missing))
