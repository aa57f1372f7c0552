"""A room: the ring of its newest posts, encoded, and a cursor into it for each connection.

Invariants: a cursor is the seq of the last post written to its connection. A post is encoded once, when it is
added to the ring. A slow connection costs one cursor, not a queue. A connection behind the ring waits for a
backfill if the ring was emptied to save memory; it gets a gap if the ring was too small. All cursors are in
the epoch of the room: when that changes, each connection is told before it gets anything of the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from broadcast_tui.core.hub.presence import RoomPresence
from broadcast_tui.core.hub.resuming import new_epoch
from broadcast_tui.core.hub.ring_notes import EncodedEntry, RingNotes
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.lru_budget import LruBudget
from broadcast_tui.core.notes import Entry, Note
from broadcast_tui.core.post import Fork, Position
from broadcast_tui.core.protocol.codec import framed, with_nonce
from broadcast_tui.core.protocol.dialects import Dialect
from broadcast_tui.core.protocol.entries import event_of
from broadcast_tui.core.protocol.events import Gap, Synced, System
from broadcast_tui.core.ring import RingBuffer

if TYPE_CHECKING:
    from broadcast_tui.core.hub.peer import Peer

WRITE_BYTES = 65_536
"""Maximum size of one write, approximately; a connection further behind needs several."""
CHUNK_CACHE_BYTES = 8 * WRITE_BYTES
"""Maximum size of a room's cached chunks, besides the newest one."""
POST_OVERHEAD_BYTES = 50
"""Memory of an encoded post besides its bytes: object header and places in the ring."""


class Subscription:
    """One connection's cursor in one room."""

    __slots__ = (
        "backfilled", "cursor", "fast", "fileno", "own_nonces", "paused", "peer", "room", "synced_at",
        "write_now",
    )  # fmt: skip

    def __init__(self, peer: Peer, room: Room, cursor: int) -> None:
        self.peer = peer
        self.room = room
        self.cursor = cursor
        self.fileno = peer.link.fileno
        self.write_now = peer.link.write_now
        self.fast = False
        """Whether posts may be written directly: nothing else is pending and the socket is not blocked."""
        self.paused = False
        """Whether writing waits until the ring has been backfilled from the engine."""
        self.backfilled = False
        """Whether a backfill has been requested for the posts after the cursor."""
        self.own_nonces: dict[int, str] = {}
        """Nonces of posts by this connection after the cursor, by seq: only their author gets them."""
        self.synced_at: int | None = None
        """Seq at which to send `synced`; None once it has been sent."""

    @property
    def has_pending(self) -> bool:
        """Whether there are frames to write to this connection."""
        if self.paused:
            return False
        is_synced = self.synced_at is not None and self.cursor >= self.synced_at
        return self.cursor < self.room.ring.last_seq or is_synced

    def collect(self) -> bytes:
        """Return the next frames, about `WRITE_BYTES` at most, and advance the cursor.

        Empty if the posts have to be read from the engine first.
        """
        ring = self.room.ring
        parts = []
        if self.cursor < ring.first_seq - 1:
            if self.room.request_backfill(self):
                return b""
            parts.append(self._lag_notice(ring.first_seq - 1))
            self.cursor = ring.first_seq - 1
        chunk, count = self.room.chunk_in(self.peer.dialect, self.cursor)
        parts.append(self._with_own_nonces(chunk, count) if self.own_nonces else chunk)
        self.cursor += count
        self.backfilled = False
        self.peer.delivered += count
        if self.synced_at is not None and self.cursor >= self.synced_at:
            self.synced_at = None
            parts.append(framed(Synced(self.room.name, self.room.id_of(self.cursor))))
        return b"".join(parts)

    def end(self) -> None:
        """Write nothing more, although a flush in progress may still refer to it."""
        self.fast, self.paused = False, True

    def add_own_post(self, seq: int, nonce: str) -> None:
        """Send the nonce of a post by this connection with the post, unless that has already been sent."""
        if seq > self.cursor:
            self.own_nonces[seq] = nonce
            self.fast = False

    def fork(self, fork: Fork, last_seq: int) -> None:
        """Continue in another epoch, after what both epochs have in common.

        Args:
            last_seq: Newest seq of the new epoch; a replay of the former one does not go on beyond it.
        """
        self.cursor = min(self.cursor, fork.seq)
        if self.synced_at is not None:
            self.synced_at = min(self.synced_at, last_seq)
        self.fast = self.paused = self.backfilled = False
        self.own_nonces = {seq: nonce for seq, nonce in self.own_nonces.items() if seq <= fork.seq}

    def _with_own_nonces(self, chunk: bytes, count: int) -> bytes:
        """The chunk of `count` posts after the cursor, with the nonces of this connection's posts."""
        first, end = self.cursor + 1, self.cursor + 1 + count
        own = [seq for seq in self.own_nonces if first <= seq < end]
        if own:
            frames = self.room.frames_in(self.peer.dialect, self.cursor, count)
            for seq in own:
                if frames[seq - first]:
                    frames[seq - first] = with_nonce(frames[seq - first], self.own_nonces[seq])
            chunk = b"".join(frames)
        self.own_nonces = {seq: nonce for seq, nonce in self.own_nonces.items() if seq >= end}
        return chunk

    def _lag_notice(self, end: int) -> bytes:
        """A frame that reports the posts after the cursor up to `end` as lost."""
        if self.peer.v1:
            return self.room.gap(self.cursor + 1, end, "lagged")
        text = f"{end - self.cursor} message(s) skipped: this connection reads too slowly."
        return framed(System("notice", text, self.room.last_timestamp, self.room.name))


class Room:
    """A room and its subscriptions.

    Args:
        last_seq: Newest seq in the engine's log, after which the ring starts.
        presence: Its members.
        buffers: Memory budget of the ring and the cached chunks.
        start_backfill: Reads the `limit` posts before a seq from the engine and passes them to `backfill`.
            Returns False if there are none.
    """

    def __init__(
        self,
        name: str,
        epoch: str,
        limits: SharedLimits,
        last_seq: int,
        *,
        presence: RoomPresence,
        buffers: LruBudget[Room],
        start_backfill: Callable[[Room, int], bool],
    ) -> None:
        self.name = name
        self.epoch = epoch
        self._limits = limits
        self._buffers = buffers
        self._start_backfill = start_backfill
        self.ring = self._empty_ring(last_seq)
        self.appended_seq = last_seq
        """Newest seq of which the hub knows the author."""
        self.subscriptions: dict[Peer, Subscription] = {}
        """All of them, and those of `deferred` peers."""
        self.deferred: dict[Peer, Subscription] = {}
        self.deferred_seq = last_seq
        """Newest seq when it was last the turn of those of `deferred` peers."""
        self._notes = RingNotes()
        """The notes and deleted posts in the ring."""
        self.presence = presence
        self.backfilling = False
        """Whether a read of older posts for the ring is in progress."""
        self.last_timestamp = ""
        """Timestamp of the newest post in the ring."""
        self._chunks: dict[int, tuple[bytes, int]] = {}
        self._translated: dict[tuple[Dialect, int], tuple[bytes, int]] = {}
        """Chunks with notes, in other dialects."""
        self._chunk_bytes = 0

    def add(self, subscription: Subscription) -> None:
        """Add a subscription, or replace that of its connection."""
        peer = subscription.peer
        self.subscriptions[peer] = subscription
        if peer.deferred:
            if not self.deferred:
                self.deferred_seq = self.ring.last_seq
            self.deferred[peer] = subscription

    def remove(self, peer: Peer) -> Subscription | None:
        """Remove and return the subscription of a connection; None if there is none."""
        self.deferred.pop(peer, None)
        return self.subscriptions.pop(peer, None)

    @property
    def undeferred(self) -> list[Subscription]:
        """The subscriptions that get posts at once."""
        if not self.deferred:
            return list(self.subscriptions.values())
        return [subscription for peer, subscription in self.subscriptions.items() if not peer.deferred]

    @property
    def head(self) -> Position:
        return Position(self.epoch, self.ring.last_seq)

    def id_of(self, seq: int) -> str:
        """The id of an entry."""
        return str(Position(self.epoch, seq))

    def limits_changed(self) -> None:
        """Apply the current limits to the ring and to presence."""
        limits = self._limits.current
        self.ring.resize(limits.ring_posts, limits.ring_bytes)
        self._drop_chunks()
        self.presence.limits_changed()

    def drop_buffers(self) -> None:
        """Free the ring and the cached chunks. Connections that need them wait for a backfill."""
        self.ring.clear()
        self._notes.clear()
        self._clear_chunks()

    def append(self, entry: Entry) -> None:
        """Add the next entry of the log.

        Ignores a known entry, and restarts the ring if entries are missing before it.
        """
        seq = entry.position.seq
        if seq <= self.ring.last_seq:
            return
        if seq > self.ring.last_seq + 1:
            self.ring = self._empty_ring(seq - 1)
            self._notes.clear()
        event = event_of(entry)
        self.last_timestamp = event.timestamp
        encoded = framed(event)
        self.ring.append(encoded, len(encoded))
        if isinstance(entry, Note):
            self._note_appended(entry)
        self._drop_chunks()

    def fork(self, fork: Fork, last_seq: int) -> None:
        """Continue in another epoch, and queue the announcement for each connection.

        Args:
            last_seq: Seq of the new epoch after which its entries are passed to `append`. Connections behind
                it wait for a backfill.
        """
        announcements: dict[tuple[bool, bool, int], bytes] = {}
        for peer, subscription in self.subscriptions.items():
            key = peer.v1, peer.follows_epochs, subscription.cursor
            if key not in announcements:
                announcements[key] = self._announcement(fork, *key)
            if announcements[key]:
                peer.control.append(announcements[key])
            subscription.fork(fork, last_seq)
            peer.resume_waiting()
        self.epoch = fork.epoch
        self.ring = self._empty_ring(last_seq)
        self.appended_seq = min(self.appended_seq, fork.seq)
        self.backfilling = False
        self._notes = RingNotes()
        self._drop_chunks()

    def _announcement(self, fork: Fork, v1: bool, follows_epochs: bool, cursor: int) -> bytes:
        """The frame about a new epoch for a connection with a cursor; empty if it need not know."""
        if v1:
            return framed(new_epoch(fork, cursor, follows_epochs=follows_epochs))
        lost = cursor - fork.seq
        if lost <= 0:
            return b""
        text = f"The server lost {lost} message(s) that you have received."
        return framed(System("notice", text, self.last_timestamp, self.name))

    def _note_appended(self, note: Note) -> None:
        """Bring the ring up to date with a note, and translate it for the connections that need that."""
        self._notes.append(note, self.ring, keep=self.backfilling)
        for peer, subscription in self.subscriptions.items():
            if peer.dialect is not Dialect.NOTES:
                subscription.fast = False

    def request_backfill(self, subscription: Subscription) -> bool:
        """Pause a subscription until the posts between its cursor and the ring have been read.

        A connection waits for one room at a time. Otherwise the rings of its other rooms could be evicted
        before it is their turn to be written.

        Returns False, and does nothing, if the ring is too small for them, they are not stored, or they have
        been requested before.
        """
        ring = self.ring
        missing = min(self._limits.current.ring_posts - len(ring), ring.first_seq - 1 - subscription.cursor)
        if subscription.backfilled or ring.is_full or missing <= 0:
            return False
        if subscription.peer.is_backfilling:
            subscription.paused = True
            return True
        if not self.backfilling:
            if not self._start_backfill(self, missing):
                return False
            self.backfilling = True
        subscription.backfilled = subscription.paused = True
        return True

    def backfill(self, posts: Sequence[EncodedEntry]) -> None:
        """Prepend older posts, in ascending order; ignores them if the ring has lost its oldest meanwhile."""
        self.backfilling = False
        first_seq = self.ring.first_seq
        older = [post for post in posts if post.seq < first_seq]
        if older and older[-1].seq == first_seq - 1:
            current = self._notes.prepend(older)
            self.ring.prepend([(data, len(data)) for data in current])
        self._notes.backfilled()
        self._drop_chunks()

    def _drop_chunks(self) -> None:
        """Invalidate the cached chunks, and report the size of the ring."""
        self._clear_chunks()
        self._report_size()

    def _clear_chunks(self) -> None:
        self._chunks.clear()
        self._translated.clear()
        self._chunk_bytes = 0

    def _report_size(self) -> None:
        """Report the size of the ring and the cached chunks to the memory budget."""
        ring_bytes = self.ring.size_bytes + POST_OVERHEAD_BYTES * len(self.ring)
        self._buffers.resize(self, ring_bytes + self._chunk_bytes)

    def _empty_ring(self, last_seq: int) -> RingBuffer[bytes]:
        limits = self._limits.current
        return RingBuffer(limits.ring_posts, limits.ring_bytes, last_seq)

    def chunk(self, cursor: int) -> tuple[bytes, int]:
        """Frames after `cursor` as one bytes object, and their number.

        Cached for all readers at that position.
        """
        chunk = self._chunks.get(cursor)
        if chunk is None:
            count = size = 0
            for item_bytes in self.ring.sizes_after(cursor):
                size += item_bytes
                if count and size > WRITE_BYTES:
                    break
                count += 1
            chunk = b"".join(self.ring.after(cursor, count)), count
            if count > 1:  # otherwise it is the object in the ring
                self._add_chunk_bytes(len(chunk[0]))
            self._chunks[cursor] = chunk
        return chunk

    def chunk_in(self, dialect: Dialect, cursor: int) -> tuple[bytes, int]:
        """As `chunk`, in the dialect of a connection. The bytes may be empty, although there are entries."""
        chunk = self.chunk(cursor)
        if dialect is Dialect.NOTES or not self._notes.has_any(cursor + 1, cursor + chunk[1]):
            return chunk
        translated = self._translated.get((dialect, cursor))
        if translated is None:
            translated = b"".join(self.frames_in(dialect, cursor, chunk[1])), chunk[1]
            self._add_chunk_bytes(len(translated[0]))
            self._translated[dialect, cursor] = translated
        return translated

    def frames_in(self, dialect: Dialect, cursor: int, count: int) -> list[bytes]:
        """The frames of `count` entries after `cursor`, one for each; empty if a connection gets none."""
        frames = self.ring.after(cursor, count)
        if dialect is not Dialect.NOTES:
            self._notes.translate(frames, cursor + 1, dialect)
        return frames

    def _add_chunk_bytes(self, size_bytes: int) -> None:
        """Make room for a chunk, and count it."""
        if self._chunk_bytes + size_bytes > CHUNK_CACHE_BYTES:
            self._drop_chunks()
        self._chunk_bytes += size_bytes
        self._report_size()

    def gap(self, start: int, end: int, reason: str) -> bytes:
        """An encoded `gap` event for seqs `start` to `end`."""
        return framed(Gap(self.name, self.id_of(start), self.id_of(end), reason))
