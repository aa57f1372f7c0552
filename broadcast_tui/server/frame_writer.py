"""Writes the frames of connections that are not on the fast path: replies, notices, replays, and posts.

Connections with the same frames, such as a line about who has joined a room, share one call that sends the
same bytes to all of their sockets, as for posts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.room import WRITE_BYTES
from broadcast_tui.server.activity_log import log_frames
from broadcast_tui.server.fan_out import fan_out
from broadcast_tui.server.stats import ServerStats

SLICE_PEERS = 64
"""Connections written to between two looks at the clock, in some 0.4 ms."""
SLICE_BYTES = 2 * WRITE_BYTES
"""The same for the size of what is written, approximately: replays take longer than lines."""

log = logging.getLogger("broadcast_tui.server")


class FrameWriter:
    """Writes to the dirty connections.

    Args:
        effects: Contains them.
        stats: Counts what has been written.
        on_blocked: Called with each connection that cannot be written to.
    """

    def __init__(self, effects: Effects, stats: ServerStats, on_blocked: Callable[[Peer], None]) -> None:
        self._effects = effects
        self._stats = stats
        self._on_blocked = on_blocked

    def write(self, max_s: float) -> None:
        """Write to connections, once to each, for about `max_s`; the others remain dirty."""
        effects = self._effects
        dirty = effects.take_dirty_peers()
        deadline = time.perf_counter() + max_s
        while dirty:
            self._write_some(dirty)
            if time.perf_counter() > deadline:
                break
        effects.dirty_peers |= dirty

    def _write_some(self, dirty: set[Peer]) -> None:
        """Remove connections from `dirty`, and write to them."""
        groups: dict[tuple[int, ...], tuple[list[bytes], list[Peer]]] = {}
        """Connections by the identities of their frames; what they share is encoded once."""
        size_bytes = 0
        for _ in range(SLICE_PEERS):
            if not dirty or size_bytes > SLICE_BYTES:
                break
            peer = dirty.pop()
            if peer.blocked:
                self._on_blocked(peer)
            elif frames := peer.collect():
                groups.setdefault(tuple(map(id, frames)), (frames, []))[1].append(peer)
                size_bytes += sum(map(len, frames))
            else:
                self._finish(peer)
        for frames, together in groups.values():
            self._write_same(b"".join(frames), together)

    def _write_same(self, data: bytes, peers: list[Peer]) -> None:
        stats = self._stats
        if log.isEnabledFor(logging.DEBUG):
            for peer in peers:
                log_frames(f"#{peer.id}", data)
        ended = fan_out(data, [peer.link for peer in peers])
        stats.sent_bytes += len(data) * len(peers)
        for peer in peers:
            stats.deliveries += peer.delivered
            peer.delivered = 0
            if not peer.blocked and peer.link not in ended:
                self._finish(peer)

    def _finish(self, peer: Peer) -> None:
        """Let a connection get posts directly, unless it has more frames."""
        if peer.has_pending:
            self._effects.dirty_peers.add(peer)
        else:
            peer.enter_fast_path()
