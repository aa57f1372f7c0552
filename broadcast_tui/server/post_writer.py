"""Writes the posts of a room to its connections.

Connections with nothing else to get share one call that sends the same bytes to all of their sockets. The
others are marked as dirty, and get their posts with their other frames.
"""

from __future__ import annotations

import logging
from itertools import groupby
from operator import attrgetter

from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.room import Subscription
from broadcast_tui.core.text import log_safe
from broadcast_tui.server.activity_log import log_frames
from broadcast_tui.server.fan_out import fan_out
from broadcast_tui.server.stats import ServerStats

_cursor = attrgetter("cursor")

log = logging.getLogger("broadcast_tui.server")


class PostWriter:
    """Advances cursors and writes what is after them.

    Args:
        effects: Gets what remains to be written.
        stats: Counts what has been written.
    """

    def __init__(self, effects: Effects, stats: ServerStats) -> None:
        self._effects = effects
        self._stats = stats

    def write(self, subscriptions: list[Subscription]) -> None:
        """Write posts to subscriptions of one room.

        Connections at the same position get the same bytes object. Those not on the fast path are marked as
        dirty instead; their cursors tell what to write.
        """
        room = subscriptions[0].room
        head, first_seq = room.ring.last_seq, room.ring.first_seq
        ready = [subscription for subscription in subscriptions if subscription.fast]
        if len(ready) < len(subscriptions):
            dirty = (s.peer for s in subscriptions if not s.fast and not s.peer.blocked)
            self._effects.dirty_peers.update(dirty)
        for cursor, together in groupby(ready, _cursor):
            if cursor >= head:
                continue
            if cursor < first_seq - 1:
                for subscription in together:
                    self._effects.dirty_peers.add(subscription.peer)
                    subscription.fast = False
                continue
            data, post_count = room.chunk(cursor)
            target = cursor + post_count
            if target < head:
                self._effects.dirty_rooms.add(room)
            if log.isEnabledFor(logging.DEBUG):
                log_frames(log_safe(room.name, 60), data)
            receivers = list(together)
            for subscription in receivers:
                subscription.cursor = target
            for subscription in fan_out(data, receivers):
                subscription.fast = False
            self._stats.deliveries += post_count * len(receivers)
            self._stats.sent_bytes += len(data) * len(receivers)
