"""A memory budget for many owners, of which those that were used least recently are evicted first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class LruBudget(Generic[K]):
    """The memory of owners, by key.

    Args:
        max_bytes: Returns the maximum size of all owners together; 0: unlimited.
        on_evict: Called with an owner that has to free its memory. Its size is already subtracted.
    """

    def __init__(self, max_bytes: Callable[[], int], on_evict: Callable[[K], None]) -> None:
        self.used_bytes = 0
        """Size of all owners."""
        self.evictions = 0
        """Number of evicted owners."""
        self._max_bytes = max_bytes
        self._on_evict = on_evict
        self._sizes: OrderedDict[K, int] = OrderedDict()

    def resize(self, owner: K, size_bytes: int) -> None:
        """Record the size of an owner, which makes it the most recently used; 0 removes it.

        Evicts other owners if the budget is exceeded. O(1), apart from that.
        """
        if not size_bytes:
            self.remove(owner)
            return
        self.used_bytes += size_bytes - self._sizes.get(owner, 0)
        self._sizes[owner] = size_bytes
        self._sizes.move_to_end(owner)
        if self.used_bytes > self._max_bytes():
            self.evict()

    def remove(self, owner: K) -> None:
        """Remove an owner that has freed its memory."""
        self.used_bytes -= self._sizes.pop(owner, 0)

    def evict(self) -> None:
        """Evict the least recently used owners until the rest fits, but never the most recently used one."""
        max_bytes = self._max_bytes()
        while 0 < max_bytes < self.used_bytes and len(self._sizes) > 1:
            owner, size_bytes = self._sizes.popitem(last=False)
            self.used_bytes -= size_bytes
            self.evictions += 1
            self._on_evict(owner)
