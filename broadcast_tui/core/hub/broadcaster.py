"""Telling: the frames that go to one connection, to a room or to everyone outside any log.

Invariant: a connection that takes nothing is told nothing volatile; it owes no queue, only a flag
that it is to hear the count when it reads again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from broadcast_tui.core.clock import Instant, timestamp
from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.presence import online_text
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol import events
from broadcast_tui.core.protocol.codec import framed


class Broadcaster:
    """Queues events for connections, and remembers in `dirty_peers` whom to write to."""

    def __init__(self, peers: Mapping[int, Peer]) -> None:
        self.dirty_peers: set[Peer] = set()
        self.refused: Counter[str] = Counter()
        """How often something was refused or not understood, by error code."""
        self._peers = peers

    def publish(
        self, event: events.System | events.Message | events.Drain, *, but: Peer | None = None
    ) -> int:
        """Send an event that is in no log to every welcomed connection (but one); returns how many."""
        data, told = framed(event), 0
        for peer in self._peers.values():
            if peer is not but and peer.welcomed and (peer.v1 or not isinstance(event, events.Drain)):
                peer.control.append(data)
                self.touch(peer)
                told += 1
        return told

    def greet(self, peer: Peer, room_name: str, online: int, when: Instant) -> None:
        """Welcome a plain client."""
        welcome = f"Welcome! You are now connected to the broadcast server. {online_text(online)}"
        peer.send(events.System("welcome", welcome, timestamp(when.at), room_name, online=online))
        self.touch(peer)

    def welcome(
        self, peer: Peer, node: str, limits: Limits, states: tuple[events.RoomState, ...], when: Instant
    ) -> None:
        """Answer a hello, before anything else that waits."""
        view = events.LimitsInfo(
            message_bytes=limits.max_message_bytes,
            rate=limits.message_rate,
            burst=limits.message_burst,
            page=limits.history_page_max,
            rooms=limits.max_rooms_per_peer,
        )
        event = events.Welcome(peer.name, node, timestamp(when.at), limits.ping_interval_s, view, states)
        peer.control.insert(0, framed(event))
        self.touch(peer)

    def broadcast_rename(self, room: Room, peer: Peer, old: str, name: str, when: Instant) -> None:
        """Everyone in a room but the one who has another name now."""
        text = f"{old} is now known as {name}. {online_text(room.presence.online)}"
        line = events.System(
            "rename", text, timestamp(when.at), room.name, name, (old, name), room.presence.online
        )
        self.broadcast(room, line, but=frozenset((peer,)))

    def broadcast_first_name(self, room: Room, peer: Peer, name: str, when: Instant) -> None:
        """v1 clients keep a list of people; plain ones are spared a line that says little."""
        line = events.System(
            "rename", f"A client is now known as {name}.", timestamp(when.at), room.name, name,
            ("", name), room.presence.online,
        )  # fmt: skip
        self.broadcast(room, line, but=frozenset(p for p in room.subscriptions if not p.v1 or p is peer))

    def announce(self, room: Room, when: Instant) -> None:
        for line in room.presence.announce(when.now):
            name = line.names[0] if len(line.names) == len(line.keys) == 1 else ""
            names = () if name else line.names
            event = events.System(
                line.event, line.text, timestamp(when.at), room.name, name, names, line.online,
                reason=line.reason,
            )  # fmt: skip
            single = line.event == "join" and len(line.keys) == 1
            newcomers = (peer for peer in room.subscriptions if peer.key in line.keys) if single else ()
            self.broadcast(room, event, but=frozenset(newcomers))

    def broadcast(self, room: Room, event: events.System | events.Topic, *, but: frozenset[Peer]) -> None:
        data = framed(event)
        for peer in room.subscriptions:
            if peer in but:
                continue
            if peer.blocked:
                peer.presence_stale = True
            else:
                peer.control.append(data)
                self.touch(peer)

    def relay_typing(self, peer: Peer, room: Room, limits: Limits, when: Instant) -> None:
        """Tell the room's other v1 clients, unless it is too soon or there are too many."""
        soon = when.now - peer.typed_at < limits.typing_interval_s
        if soon or not peer.name or room.presence.online > limits.typing_members_max:
            return
        peer.typed_at = when.now
        data = framed(events.Typing(room.name, peer.name))
        for other in room.subscriptions:
            if other.v1 and other.key != peer.key and not other.blocked:
                other.control.append(data)
                self.touch(other)

    def send_member_count(self, peer: Peer, when: Instant) -> None:
        peer.presence_stale = False
        for subscription in peer.subscriptions.values():
            online = subscription.room.presence.online
            peer.send(
                events.System(
                    "online", online_text(online), timestamp(when.at), subscription.room.name, online=online
                )
            )
        self.touch(peer)

    def refuse(
        self, peer: Peer, error: RequestError, when: Instant, *, nonce: str = "", ref: str = ""
    ) -> None:
        self.refused[error.code.value] += 1
        if peer.v1:
            peer.send(events.Error(error.code, error.text, error.temporary, error.retry_after, nonce, ref))
        else:
            peer.send(
                events.System(
                    "error", error.text, timestamp(when.at), code=error.code,
                    temporary=error.temporary, retry_after=error.retry_after,
                )
            )  # fmt: skip
        self.touch(peer)

    def answer(self, peer: Peer, event: events.Event) -> None:
        peer.send(event)
        self.touch(peer)

    def touch(self, peer: Peer) -> None:
        if peer.id in self._peers:
            self.dirty_peers.add(peer)
            peer.leave_fast_path()
