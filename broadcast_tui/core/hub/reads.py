"""Reads of the log: for the pages that clients request, and for the rings of rooms.

Invariant: what is read in one epoch of a room is never used in another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.history import (
    BackfillRead,
    HistoryRead,
    Read,
    SearchRead,
    renewed,
    response_to,
)
from broadcast_tui.core.hub.log_index import LogIndex
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.ring_notes import EncodedEntry
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.hub.work_budget import COSTLY_SEARCH_S, PriceList
from broadcast_tui.core.notes import Entry
from broadcast_tui.core.protocol import events

CONTROL_BYTES = 524_288
"""Maximum size of queued replies to one connection; further pages are temporarily rejected."""


class Reads:
    """The reads of a hub.

    Args:
        peers: All connections by id; others get no reply.
    """

    def __init__(
        self,
        peers: Mapping[int, Peer],
        rooms: Rooms,
        index: LogIndex,
        broadcaster: Broadcaster,
        prices: PriceList,
        effects: Effects,
    ) -> None:
        self._peers = peers
        self._rooms = rooms
        self._index = index
        self._broadcaster = broadcaster
        self._prices = prices
        self._effects = effects

    def start(self, peer: Peer, read: HistoryRead | SearchRead) -> None:
        """Start a read for a connection. Raises RequestError (RATE_LIMITED) if too many are running."""
        peer.start_read(read)
        self._effects.reads.append(read)

    def done(self, read: Read, entries: Sequence[Entry]) -> None:
        """Use the result of a read; `entries` are in ascending order."""
        if isinstance(read, BackfillRead):
            self.backfilled(read, [EncodedEntry.of(entry) for entry in entries])
            return
        read.peer.end_read(read)
        if read.peer.id not in self._peers:
            return
        if read.epoch != self._index.epoch_of(read.room):
            # The connection learns of the new epoch before it gets ids of it.
            self._rooms.sync(read.room)
            if (again := renewed(read, self._index)) is not None:
                self.start(read.peer, again)
                return
            entries = ()
        read.peer.budget.refund(self._prices.unused_s(read, entries))
        if sum(map(len, read.peer.control)) > CONTROL_BYTES:
            text = "Too many replies are waiting. Read them before you request more."
            read.peer.send(events.Error(ErrorCode.TRY_LATER, text, temporary=True, ref=read.ref))
        else:
            read.peer.send(response_to(read, entries, self._index))
        self._broadcaster.mark_dirty(read.peer)

    def backfilled(self, read: BackfillRead, posts: Sequence[EncodedEntry]) -> None:
        """Use the result of a read for the ring of a room, which takes milliseconds to encode."""
        self._rooms.sync(read.room)
        room = self._rooms.find(read.room)
        if room is None or room.epoch != read.epoch:
            return  # a fork has resumed the connections that waited for it
        room.backfill(posts)
        for subscription in room.subscriptions.values():
            if subscription.paused:
                subscription.paused = False
                subscription.peer.resume_waiting()
                self._broadcaster.mark_dirty(subscription.peer)

    def failed(self, read: Read, error: RequestError, when: Instant) -> None:
        """Reply to a read that the engine rejected."""
        if isinstance(read, BackfillRead):
            return
        read.peer.end_read(read)
        if error.code is ErrorCode.SEARCH_TOO_COSTLY:
            read.peer.budget.charge(COSTLY_SEARCH_S, when.now)
        if read.peer.id in self._peers:
            self._broadcaster.send_error(read.peer, error, when, ref=read.ref)
