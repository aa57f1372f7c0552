"""One memory budget for the rings and cached chunks of all rooms.

When it is exceeded, the rooms that were used least recently give back their memory first. Their posts stay in
the engine; a connection that still needs them waits for a backfill.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from broadcast_tui.core.limits import SharedLimits


class Buffered(Protocol):
    """An owner of buffers."""

    def drop_buffers(self) -> None:
        """Free all buffers. Their size need not be reported."""
        ...


class BufferBudget:
    """The sizes of all buffers, at most `max_buffer_bytes` together (0: unlimited)."""

    def __init__(self, limits: SharedLimits) -> None:
        self.used_bytes = 0
        """Size of all buffers."""
        self.evictions = 0
        """Number of times that an owner had to give back its buffers."""
        self._limits = limits
        self._sizes: OrderedDict[Buffered, int] = OrderedDict()

    def resize(self, owner: Buffered, size_bytes: int) -> None:
        """Record the size of an owner's buffers, which makes it the most recently used.

        Drops the buffers of other owners if the budget is exceeded. O(1), apart from that.
        """
        if not size_bytes:
            self.remove(owner)
            return
        self.used_bytes += size_bytes - self._sizes.get(owner, 0)
        self._sizes[owner] = size_bytes
        self._sizes.move_to_end(owner)
        if self.used_bytes > self._limits.current.max_buffer_bytes:
            self.evict()

    def remove(self, owner: Buffered) -> None:
        """Remove an owner, whose buffers no longer exist."""
        self.used_bytes -= self._sizes.pop(owner, 0)

    def evict(self) -> None:
        """Drop the buffers of the least recently used owners until the rest fits, except the last owner."""
        max_bytes = self._limits.current.max_buffer_bytes
        while 0 < max_bytes < self.used_bytes and len(self._sizes) > 1:
            owner, size_bytes = self._sizes.popitem(last=False)
            self.used_bytes -= size_bytes
            self.evictions += 1
            owner.drop_buffers()
