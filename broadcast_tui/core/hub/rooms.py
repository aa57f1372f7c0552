"""The rooms of a hub: entering at a position, leaving, listing, and removing empty rooms.

A room that everyone has left keeps its ring for `idle_room_s`, so that returning to it costs no read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import ErrorCode, RequestError, rate_limited
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.cluster import Answers, Cluster, ListStoredRooms
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.history import BackfillRead
from broadcast_tui.core.hub.log_index import LogIndex
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.resuming import resume
from broadcast_tui.core.hub.room import Room, Subscription
from broadcast_tui.core.hub.room_creators import RoomCreators
from broadcast_tui.core.hub.rosters import Rosters
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.lru_budget import LruBudget
from broadcast_tui.core.names import DEFAULT_ROOM, DIRECT_SIGN, DIRECTS_END, check_any_room, is_direct
from broadcast_tui.core.notes import Entry
from broadcast_tui.core.post import Fork
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.rate_limit import AddressRates

IDLE_ROOMS_MAX = 1_000
"""Maximum number of idle rooms whose rings are kept; the least recently left are dropped."""


ASKS_MAX = 20
"""Maximum number of open questions in the state of a room."""


class Rooms:
    """The rooms that have connections or pending presence lines, by name; and those that are idle."""

    def __init__(
        self,
        index: LogIndex,
        limits: SharedLimits,
        broadcaster: Broadcaster,
        effects: Effects,
        cluster: Cluster,
        rosters: Rosters,
    ) -> None:
        self.by_name: dict[str, Room] = {}
        self._names: list[str] = []
        """The names of these rooms, sorted."""
        self._creations = AddressRates(limits.current.room_rate)
        self._creators = RoomCreators(lambda name: name in self.by_name or self.is_stored(name))
        self.on_fork: Callable[[Fork], None] = lambda fork: None
        """Called when the log of a room, in memory or not, has forked."""
        self.buffers = LruBudget[Room](lambda: limits.current.max_buffer_bytes, Room.drop_buffers)
        """Memory of the rings and cached chunks of all rooms."""
        self._idle: OrderedDict[str, tuple[Room, float]] = OrderedDict()
        """Rooms without connections, each with the time at which to drop it, in this order."""
        self._index = index
        self._limits = limits
        self._broadcaster = broadcaster
        self._effects = effects
        self._cluster = cluster
        self._rosters = rosters

    def subscription(self, peer: Peer, room_name: str) -> Subscription:
        """A connection's subscription to a room.

        Raises:
            RequestError: BAD_ROOM for an invalid name, NOT_IN_ROOM for a room it is not in.
        """
        subscription = peer.subscriptions.get(room_name) or peer.subscriptions.get(check_any_room(room_name))
        if subscription is None:
            raise RequestError(ErrorCode.NOT_IN_ROOM, "You are not in this room. Join it first.")
        return subscription

    def enter(self, peer: Peer, request: commands.RoomRequest) -> events.RoomState:
        """Subscribe a connection to a room at the requested position; queues a gap event for lost posts.

        Raises:
            RequestError: BAD_ROOM.
        """
        name = check_any_room(request.room)
        self.sync(name)
        room = self.by_name.get(name)
        if room is None:
            room = self.by_name[name] = self._open(name)
            insort(self._names, name)
        start = resume(
            request,
            name,
            room.ring.last_seq,
            self._index,
            replay_max=self._limits.current.replay_posts,
            is_shared=self._cluster.is_shared,
            follows_epochs=peer.follows_epochs,
        )
        if peer.is_counted and name not in peer.subscriptions:
            room.presence.add(peer.key, peer.name)
        if (before := peer.subscriptions.get(name)) is not None:
            before.end()
            peer.resume_waiting()
        subscription = Subscription(peer, room, start.cursor)
        peer.subscriptions[name] = subscription
        room.add(subscription)
        if peer.v1:
            subscription.synced_at = room.ring.last_seq
        for event in start.events:
            peer.send(event)
        if start.cursor < room.ring.first_seq - 1:
            room.request_backfill(subscription)
        head = max(room.ring.last_seq, start.cursor)
        return events.RoomState(
            name,
            room.id_of(head),
            start.recovered,
            head - start.cursor,
            room.presence.online,
            self._index.topic(name),
            tuple(room.id_of(seq) for seq in self._index.pins(name)),
            tuple(room.id_of(ask[1]) for ask in self._index.open_asks(name)[-ASKS_MAX:]),
        )

    def leave(self, peer: Peer, room: Room, when: Instant, *, grace: bool, reason: str = "") -> None:
        """Unsubscribe a connection; with `grace`, its person stays listed for `leave_grace_s`."""
        peer.subscriptions.pop(room.name, None)
        if (subscription := room.remove(peer)) is not None:
            subscription.end()
            peer.resume_waiting()
            self._broadcaster.mark_dirty(peer)
        if peer.is_counted:
            room.presence.remove(peer.key, when.now, grace=grace, reason=reason)
        self._broadcaster.flush_presence(room, when)
        self._remove_if_empty(room, when.now)

    def tick_steps(self, when: Instant) -> Iterator[None]:
        """Announce due joins and leaves, and drop rooms that have been idle for long enough; in steps."""
        for room in list(self._broadcaster.presence_rooms):
            room.presence.expire(when.now)
            self._broadcaster.flush_presence(room, when)
            self._remove_if_empty(room, when.now)
            yield
        while self._idle and next(iter(self._idle.values()))[1] <= when.now:
            self._drop_idle()

    def limits_changed(self) -> None:
        """Apply the current limits to all rooms."""
        for room in [*self.by_name.values(), *(room for room, _ in self._idle.values())]:
            room.limits_changed()
        self.buffers.evict()

    def find(self, name: str) -> Room | None:
        """The room with a name, also if it is idle; None if it is not in memory."""
        return self.by_name.get(name) or self._idle.get(name, (None,))[0]

    # -- the log

    def append(self, entry: Entry) -> None:
        """Add an entry of the tail to the ring of its room, if that is in memory."""
        room = self.by_name.get(entry.room)
        if room is None:
            if (idle := self._idle.get(entry.room)) is None:
                return
            room = idle[0]
        if entry.position.epoch != room.epoch:
            self.sync(entry.room)
            if entry.position.epoch != room.epoch:
                return  # the room has followed a fork that comes later in the tail
        room.append(entry)
        if room.subscriptions:
            self._effects.dirty_rooms.add(room)

    def follow(self, fork: Fork) -> None:
        """Continue the room of a fork in the new epoch, unless it is there already."""
        room = self.find(fork.room)
        if room is None:
            self.on_fork(fork)
        elif room.epoch == fork.former:
            self._fork(room, fork, min(room.ring.last_seq, fork.seq))

    def sync(self, name: str) -> None:
        """Let a room follow the forks that the engine knows and the tail has not yielded yet."""
        room = self.find(name)
        if room is None or (epoch := self._index.epoch_of(name)) == room.epoch:
            return
        if not self._cluster.is_open(name):
            return
        seq = self._index.fork_of(name, room.epoch) or 0
        self._fork(room, Fork(name, room.epoch, epoch, seq), self._index.last_seq(name))

    def _fork(self, room: Room, fork: Fork, last_seq: int) -> None:
        room.fork(fork, last_seq)
        for peer in room.subscriptions:
            self._broadcaster.mark_dirty(peer)
        self.on_fork(fork)

    def _open(self, name: str) -> Room:
        """The room, with its ring if it was idle."""
        self._cluster.room_entered(name)
        epoch = self._index.epoch_of(name)
        first_seq, last_seq = self._index.first_seq(name), self._index.last_seq(name)
        room, _ = self._idle.pop(name, (None, 0.0))
        if room is not None:
            if room.epoch == epoch and first_seq - 1 <= room.ring.last_seq <= last_seq:
                return room
            self.buffers.remove(room)  # the engine has forgotten its log
        return Room(
            name,
            epoch,
            self._limits,
            last_seq,
            presence=self._rosters.presence_of(name),
            buffers=self.buffers,
            start_backfill=self._start_backfill,
        )

    def _remove_if_empty(self, room: Room, now: float) -> None:
        """Remove a room without connections and pending presence lines; its posts stay in the engine."""
        if room.subscriptions or room.presence.pending or self.by_name.get(room.name) is not room:
            return
        del self.by_name[room.name]
        del self._names[bisect_left(self._names, room.name)]
        self._effects.dirty_rooms.discard(room)
        if not self.is_stored(room.name):
            self._creators.discard(room.name)
        if len(room.ring) and self._limits.current.idle_room_s > 0:
            self._idle[room.name] = room, now + self._limits.current.idle_room_s
            if len(self._idle) > IDLE_ROOMS_MAX:
                self._drop_idle()
        else:
            self._drop(room)

    def _drop_idle(self) -> None:
        """Drop the room that has been idle for the longest time."""
        _, (room, _) = self._idle.popitem(last=False)
        self._drop(room)

    def _drop(self, room: Room) -> None:
        """Drop a room that is not in memory any more."""
        self.buffers.remove(room)
        self._cluster.close_room(room.name)

    def send_list(self, peer: Peer, query: commands.ListRooms, when: Instant) -> None:
        """Reply to a room list request, with the rooms of all nodes."""
        count_max = self._limits.current.presence_list_max
        limit = min(query.limit, count_max) if query.limit > 0 else count_max
        needs = self._cluster.needs(ListStoredRooms(query.after, limit + 1))

        def reply(answers: Answers, when: Instant) -> None:
            self._broadcaster.reply(peer, self._list_page(query, limit, answers.rooms))

        self._cluster.prepare(peer, query, needs, reply, when)

    def _list_page(
        self, query: commands.ListRooms, limit: int, stored: Sequence[events.RoomInfo]
    ) -> events.RoomList:
        """The reply to a room list request: rooms with people, posts or a topic, sorted by name.

        Rooms for direct messages are not among them.

        O(log n) in the number of rooms, apart from the size of the page.

        Args:
            stored: Rooms that other nodes may have; more than `limit` if there are further ones.
        """
        by_name = {info.room: info for info in stored if not is_direct(info.room)}
        found = {*by_name, *_after(self._index.room_names(), query.after, limit + 1)}
        found.update(_after(self._names, query.after, limit + 1))
        infos = []
        for name in sorted(found)[:limit]:
            room, info = self.by_name.get(name), by_name.get(name)
            if room is None and info is not None:
                infos.append(info)
                continue
            online = room.presence.online if room is not None else 0
            infos.append(events.RoomInfo(name, online, self._index.topic(name)))
        return events.RoomList(query.ref, tuple(infos), len(found) > limit)

    def is_used(self, name: str) -> bool:
        """Whether a room is in memory."""
        return name in self.by_name or name in self._idle

    def check_new(self, peer: Peer, name: str, now: float) -> None:
        """Check that a connection may enter a room, which may be a new one. The default room always exists.

        Raises:
            RequestError: TOO_MANY_ROOMS if there are too many rooms, or too many created from its address,
                RATE_LIMITED if its address has created too many in a short time.
        """
        if name == DEFAULT_ROOM or name in self.by_name or self.is_stored(name):
            return
        what = "This room" if is_direct(name) else f"#{name}"
        count_max = self._limits.current.max_rooms_total
        if count_max and self._has_rooms(count_max):
            raise RequestError(
                ErrorCode.TOO_MANY_ROOMS,
                f"{what} does not exist, and the server has its maximum of {count_max:,} rooms. "
                "Join an existing one.",
            )
        if not peer.rate_limit_key:
            return
        created_max = self._limits.current.max_rooms_per_ip
        if created_max and self._creators.has_created(peer.rate_limit_key, created_max):
            raise RequestError(
                ErrorCode.TOO_MANY_ROOMS,
                f"{what} does not exist, and your address has created {created_max:,} rooms, "
                "which is the maximum. Join an existing one.",
            )
        self._creations.set_rate(self._limits.current.room_rate)
        wait_s = self._creations.take(peer.rate_limit_key, now)
        if wait_s > 0:
            text = f"Too many new rooms from your address. Wait {wait_s:.1f} s and try again."
            raise rate_limited(text, wait_s)
        self._creators.add(name, peer.rate_limit_key)

    def is_stored(self, name: str) -> bool:
        """Whether a room has posts or a topic."""
        return self._index.first_seq(name) <= self._index.last_seq(name) or bool(self._index.topic(name))

    def _has_rooms(self, count: int) -> bool:
        """Whether there are at least `count` rooms."""
        stored_count = len(self._index.room_names())
        if stored_count + len(self.by_name) < count:
            return False
        return stored_count + sum(not self.is_stored(name) for name in self.by_name) >= count

    def _start_backfill(self, room: Room, limit: int) -> bool:
        """Request the `limit` posts before a room's ring from the engine; returns False if there are none."""
        ring, max_bytes = room.ring, self._limits.current.ring_bytes
        if self._index.first_seq(room.name) >= ring.first_seq:
            return False
        free_bytes = max(0, max_bytes - ring.size_bytes) if max_bytes else None
        self._effects.reads.append(BackfillRead(room.name, room.epoch, ring.first_seq, limit, free_bytes))
        return True


def _after(names: Sequence[str], name: str, limit: int) -> Sequence[str]:
    """The first `limit` of sorted names that follow `name`, without those for direct messages."""
    start = bisect_right(names, name)
    directs, end = bisect_left(names, DIRECT_SIGN), bisect_left(names, DIRECTS_END)
    before = names[start : min(start + limit, directs)]
    start = max(start, end)
    return [*before, *names[start : start + limit - len(before)]]
