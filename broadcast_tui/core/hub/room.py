"""A room at run time: the ring of encoded posts, and the cursors of the connections in it.

Invariants: a cursor is the seq of the last post written to its connection; a post is encoded once,
when it enters the ring; a slow connection costs its cursor, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broadcast_tui.core.hub.presence import RoomPresence
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.protocol.codec import framed, message_of
from broadcast_tui.core.protocol.events import Gap, Synced, System
from broadcast_tui.core.ring import RingBuffer

if TYPE_CHECKING:
    from broadcast_tui.core.hub.peer import Peer

WRITE_BYTES = 65_536
"""Most that is gathered for one write; a reader further behind gets it in several."""


class Subscription:
    """The cursor of one connection in one room."""

    __slots__ = ("cursor", "held", "live", "peer", "room", "send", "synced_at")

    def __init__(self, peer: Peer, room: Room, cursor: int) -> None:
        self.peer = peer
        self.room = room
        self.cursor = cursor
        self.send = peer.link.write_now
        self.live = False
        """Nothing but posts is due to this connection, and it takes them: the hot path may write to it."""
        self.held = False
        """Waits for the ring to be filled from the engine; nothing is written meanwhile."""
        self.synced_at: int | None = None
        """Seq at whose passing `synced` is due; None once it was sent."""

    @property
    def behind(self) -> bool:
        """Whether there is something to write to this connection."""
        return not self.held and (self.cursor < self.room.ring.last_seq or self.synced_at is not None)

    def collect(self) -> bytes:
        """The next frames for this connection, about `WRITE_BYTES` at most; moves the cursor."""
        ring = self.room.ring
        parts = []
        if self.cursor < ring.first_seq - 1:
            parts.append(self._gap(ring.first_seq - 1))
            self.cursor = ring.first_seq - 1
        chunk, count = self.room.chunk(self.cursor)
        parts.append(chunk)
        self.cursor += count
        self.peer.delivered += count
        if self.synced_at is not None and self.cursor >= self.synced_at:
            self.synced_at = None
            parts.append(framed(Synced(self.room.name, str(Position(self.room.epoch, self.cursor)))))
        return b"".join(parts)

    def _gap(self, end: int) -> bytes:
        """What is said of the posts up to `end` that this connection was too slow for."""
        if self.peer.v1:
            return self.room.gap(self.cursor + 1, end, "lagged")
        missed = f"{end - self.cursor} message(s) were missed: this connection reads too slowly."
        return framed(System("notice", missed, self.room.last_timestamp, self.room.name))


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a connection starts in a room, and what it will never get."""

    cursor: int
    recovered: bool
    gap: tuple[str, str, str] | None
    """First id, last id, reason."""


class Room:
    """A room with somebody in it, or with posts. `last_seq` is that of the engine's log at opening."""

    def __init__(self, name: str, epoch: str, limits: SharedLimits, last_seq: int) -> None:
        self.name = name
        self.epoch = epoch
        self._limits = limits
        self.ring = self._empty_ring(last_seq)
        self.subscriptions: dict[Peer, Subscription] = {}
        self.presence = RoomPresence(limits)
        self.warming = False
        """Older posts are being read from the engine into the ring."""
        self.last_timestamp = ""
        """Time stamp of the newest post delivered."""
        self._chunks: dict[int, tuple[bytes, int]] = {}

    @property
    def head(self) -> Position:
        return Position(self.epoch, self.ring.last_seq)

    def limits_changed(self) -> None:
        """Apply the limits in force to the ring and to presence."""
        limits = self._limits.current
        self.ring.resize(limits.ring_posts, limits.ring_bytes)
        self._chunks.clear()
        self.presence.limits_changed()

    def append(self, post: Post) -> None:
        """Take the next post of the log; ignores one it has, starts anew after a hole in what it is given."""
        seq = post.position.seq
        if seq <= self.ring.last_seq:
            return
        if seq > self.ring.last_seq + 1:
            self.ring = self._empty_ring(seq - 1)
        message = message_of(post)
        self.last_timestamp = message.timestamp
        encoded = framed(message)
        self.ring.append(encoded, len(encoded))
        self._chunks.clear()

    def warm(self, posts: list[Post]) -> None:
        """Fill the ring with older posts, ascending, that end just before it."""
        self.warming = False
        encoded = [framed(message_of(post)) for post in posts if post.position.seq < self.ring.first_seq]
        self.ring.prepend([(item, len(item)) for item in encoded])
        self._chunks.clear()

    def _empty_ring(self, last_seq: int) -> RingBuffer[bytes]:
        limits = self._limits.current
        return RingBuffer(limits.ring_posts, limits.ring_bytes, last_seq)

    def chunk(self, cursor: int) -> tuple[bytes, int]:
        """Frames after `cursor` as one bytes object, and how many; shared by all readers at one place."""
        found = self._chunks.get(cursor)
        if found is None:
            count = size = 0
            for item_bytes in self.ring.sizes_after(cursor):
                size += item_bytes
                if count and size > WRITE_BYTES:
                    break
                count += 1
            found = b"".join(self.ring.after(cursor, count)), count
            if len(self._chunks) > 64:
                self._chunks.clear()
            self._chunks[cursor] = found
        return found

    def gap(self, start: int, end: int, reason: str) -> bytes:
        """A framed `gap` event over seqs `start` to `end`."""
        return framed(
            Gap(self.name, str(Position(self.epoch, start)), str(Position(self.epoch, end)), reason)
        )

    def resume(self, since: str, last: int, first_seq: int) -> Resume:
        """Decide by numbers where a connection starts (protocol rule 3).

        Args:
            since: Post id the client has everything up to; "" to start live.
            last: With no `since`, how many of the newest posts to replay.
            first_seq: Oldest seq the engine keeps.
        """
        head, floor = self.ring.last_seq, first_seq - 1
        oldest = max(floor, head - self._limits.current.replay_posts)
        if not since:
            return Resume(max(oldest, head - max(0, last)), True, None)
        position = Position.parse(since)
        if position is None or position.epoch != self.epoch or position.seq > head:
            return Resume(oldest, False, (since, str(Position(self.epoch, oldest)), "epoch"))
        if position.seq < floor:
            first = Position(self.epoch, position.seq + 1)
            return Resume(floor, False, (str(first), str(Position(self.epoch, floor)), "trimmed"))
        return Resume(position.seq, True, None)
