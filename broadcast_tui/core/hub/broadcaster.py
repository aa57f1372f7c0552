"""Delivery of events that are not in a log, to one connection, to a room, or to everyone.

Invariant: volatile events are never queued for a blocked connection; it gets one member count per room when
it becomes writable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from broadcast_tui.core.clock import Instant, timestamp
from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.presence import online_text
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol import events
from broadcast_tui.core.protocol.codec import framed


class Broadcaster:
    """Queues events for connections and marks those as dirty.

    Args:
        peers: All connections by id; others are never marked as dirty.
    """

    def __init__(self, peers: Mapping[int, Peer], effects: Effects) -> None:
        self.error_counts: Counter[str] = Counter()
        """Errors sent, by error code."""
        self.presence_rooms: set[Room] = set()
        """Rooms that may have joins and leaves to announce, or grace periods to expire."""
        self._peers = peers
        self._effects = effects

    # -- to everyone

    def broadcast_all(
        self, event: events.System | events.Message | events.Drain, *, but: Peer | None = None
    ) -> int:
        """Send an event to every connection past its hello, except `but`.

        Returns the number of recipients.
        """
        data, count = framed(event), 0
        for peer in self._peers.values():
            if peer is not but and peer.welcomed and (peer.v1 or not isinstance(event, events.Drain)):
                peer.control.append(data)
                self.mark_dirty(peer)
                count += 1
        return count

    # -- to a room

    def broadcast(self, room: Room, event: events.System | events.Topic, *, but: frozenset[Peer]) -> None:
        """Send an event to all connections in a room, except `but`."""
        data, dirty_peers = framed(event), self._effects.dirty_peers
        # Calling `mark_dirty` takes three times as long. Posts of other rooms need not wait for the event.
        for peer, subscription in room.subscriptions.items():
            if peer in but:
                continue
            if peer.blocked:
                peer.presence_stale = True
            else:
                peer.control.append(data)
                dirty_peers.add(peer)
                subscription.fast = False

    def broadcast_rename(self, room: Room, peer: Peer | None, old: str, name: str, when: Instant) -> None:
        """Announce the rename of a connection, which may be on another node, to everyone else in the room."""
        text = f"{old} is now known as {name}. {online_text(room.presence.online)}"
        line = events.System(
            "rename", text, timestamp(when.at), room.name, name, (old, name), room.presence.online
        )
        self.broadcast(room, line, but=frozenset((peer,) if peer is not None else ()))

    def broadcast_first_name(self, room: Room, peer: Peer | None, name: str, when: Instant) -> None:
        """Announce the first name of a connection to v1 clients, for their member lists."""
        line = events.System(
            "rename", f"A client is now known as {name}.", timestamp(when.at), room.name, name,
            ("", name), room.presence.online,
        )  # fmt: skip
        self.broadcast(room, line, but=frozenset(p for p in room.subscriptions if not p.v1 or p is peer))

    def flush_presence(self, room: Room, when: Instant) -> None:
        """Broadcast the joins and leaves that are due in a room. Call it after each join or leave."""
        for line in room.presence.flush(when.now):
            name = line.names[0] if len(line.names) == len(line.keys) == 1 else ""
            names = () if name else line.names
            event = events.System(
                line.event, line.text, timestamp(when.at), room.name, name, names, line.online,
                reason=line.reason,
            )  # fmt: skip
            single = line.event == "join" and len(line.keys) == 1
            newcomers = (p for p in room.subscriptions if p.is_counted and p.key in line.keys)
            self.broadcast(room, event, but=frozenset(newcomers if single else ()))
        if room.presence.pending:
            self.presence_rooms.add(room)
        else:
            self.presence_rooms.discard(room)

    def relay_typing(self, peer: Peer, room: Room, limits: Limits, when: Instant) -> bool:
        """Send a typing notice to the other v1 clients in a room, unless it is too soon or too large.

        Returns whether it was sent.
        """
        soon = when.now - peer.typed_at < limits.typing_interval_s
        if soon or not peer.name or not peer.is_counted or room.presence.online > limits.typing_members_max:
            return False
        peer.typed_at = when.now
        self.broadcast_typing(room, peer.key, peer.name)
        return True

    def broadcast_typing(self, room: Room, key: str, name: str) -> None:
        """Send a typing notice of a person to the other v1 clients in a room."""
        data = framed(events.Typing(room.name, name))
        for other in room.subscriptions:
            if other.v1 and other.key != key and not other.blocked:
                other.control.append(data)
                self.mark_dirty(other)

    def broadcast_topic(self, room: Room, topic: str, name: str, *, but: Peer | None = None) -> None:
        """Announce a topic to the v1 clients in a room, except `but`."""
        others = frozenset(peer for peer in room.subscriptions if not peer.v1 or peer is but)
        self.broadcast(room, events.Topic(room.name, topic, name), but=others)

    # -- to one connection

    def send_greeting(self, peer: Peer, room_name: str, online: int, when: Instant) -> None:
        """Send a plain client its welcome line."""
        text = f"Welcome! You are now connected to the broadcast server. {online_text(online)}"
        peer.send(events.System("welcome", text, timestamp(when.at), room_name, online=online))
        self.mark_dirty(peer)

    def send_welcome(
        self,
        peer: Peer,
        node: str,
        limits: Limits,
        states: tuple[events.RoomState, ...],
        directs: tuple[events.DirectInfo, ...],
        when: Instant,
    ) -> None:
        """Reply to a hello, ahead of everything else that is queued."""
        info = events.LimitsInfo(
            message_bytes=limits.max_message_bytes,
            rate=limits.message_rate,
            burst=limits.message_burst,
            page=limits.history_page_max,
            rooms=limits.max_rooms_per_peer,
        )
        time = timestamp(when.at)
        event = events.Welcome(peer.name, node, time, limits.ping_interval_s, info, states, directs)
        peer.control.insert(0, framed(event))
        self.mark_dirty(peer)

    def send_member_count(self, peer: Peer, when: Instant) -> None:
        """Send the member count of each of its rooms to a connection that missed presence lines."""
        peer.presence_stale = False
        for subscription in peer.subscriptions.values():
            online = subscription.room.presence.online
            peer.send(
                events.System(
                    "online", online_text(online), timestamp(when.at), subscription.room.name, online=online
                )
            )
        self.mark_dirty(peer)

    def send_error(
        self, peer: Peer, error: RequestError, when: Instant, *, nonce: str = "", ref: str = ""
    ) -> None:
        """Send an error in the connection's protocol, and count it."""
        self.error_counts[error.code.value] += 1
        if peer.v1:
            peer.send(events.Error(error.code, error.text, error.temporary, error.retry_after, nonce, ref))
        else:
            peer.send(
                events.System(
                    "error", error.text, timestamp(when.at), code=error.code,
                    temporary=error.temporary, retry_after=error.retry_after,
                )
            )  # fmt: skip
        self.mark_dirty(peer)

    def reply(self, peer: Peer, event: events.Event) -> None:
        """Send an event to one connection."""
        peer.send(event)
        self.mark_dirty(peer)

    def mark_dirty(self, peer: Peer) -> None:
        """Schedule a write to a connection; does nothing if it has been closed."""
        if peer.id in self._peers:
            self._effects.dirty_peers.add(peer)
            peer.leave_fast_path()
