"""A bounded run of consecutive posts: the end of a room's log that is kept at hand.

Invariants: seqs are consecutive; what is dropped is dropped from the old end; the newest item is
always kept, even if it alone is over the byte bound.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

_COMPACT_AT = 256
"""Dropped items that may wait at the front of the list before they are cut off at once."""


class RingBuffer(Generic[T]):
    """Items by seq, at most `max_items` and `max_bytes` of them (0: unlimited).

    Args:
        last_seq: The seq before the first item to be appended.
    """

    __slots__ = ("_dropped", "_items", "_last_seq", "_max_bytes", "_max_items", "_size_bytes", "_sizes")

    def __init__(self, max_items: int, max_bytes: int, last_seq: int = 0) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._items: list[T | None] = []
        self._sizes = array("Q")
        self._dropped = 0
        self._size_bytes = 0
        self._last_seq = last_seq

    def __len__(self) -> int:
        return len(self._items) - self._dropped

    @property
    def last_seq(self) -> int:
        return self._last_seq

    @property
    def first_seq(self) -> int:
        """Seq of the oldest item kept; `last_seq + 1` when none is."""
        return self._last_seq - len(self) + 1

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def append(self, item: T, size_bytes: int) -> int:
        """Add the next item and return its seq; drops old ones that no longer fit. O(1) amortised."""
        self._items.append(item)
        self._sizes.append(size_bytes)
        self._size_bytes += size_bytes
        self._last_seq += 1
        self._trim()
        return self._last_seq

    def resize(self, max_items: int, max_bytes: int) -> None:
        """Change the bounds; drops old items that no longer fit."""
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._trim()

    def prepend(self, items: Sequence[tuple[T, int]]) -> None:
        """Put older (item, bytes) pairs, ascending, before the oldest kept, as many as fit."""
        fitting: list[tuple[T, int]] = []
        size_bytes, count = self._size_bytes, len(self)
        for item, item_bytes in reversed(items):
            count += 1
            size_bytes += item_bytes
            if (self._max_items and count > self._max_items) or (
                self._max_bytes and size_bytes > self._max_bytes and count > 1
            ):
                break
            fitting.append((item, item_bytes))
        fitting.reverse()
        self._items[: self._dropped] = [item for item, _ in fitting]
        self._sizes[: self._dropped] = array("Q", [item_bytes for _, item_bytes in fitting])
        self._dropped = 0
        self._size_bytes = sum(self._sizes)

    def clear(self) -> None:
        """Forget all items; seqs go on from where they are."""
        self._items.clear()
        del self._sizes[:]
        self._dropped = self._size_bytes = 0

    def after(self, seq: int, limit: int | None = None) -> list[T]:
        """Items with a seq above `seq`, ascending, at most `limit`; starts at the oldest kept."""
        start = self._dropped + max(0, seq - self.first_seq + 1)
        stop = None if limit is None else start + limit
        return self._items[start:stop]  # type: ignore[return-value]

    def before(self, seq: int, limit: int) -> list[T]:
        """The last `limit` items with a seq below `seq`, ascending."""
        stop = self._dropped + max(0, min(seq, self._last_seq + 1) - self.first_seq)
        return self._items[max(self._dropped, stop - limit) : stop]  # type: ignore[return-value]

    def sizes_after(self, seq: int) -> array[int]:
        """Bytes of each item that `after(seq)` returns."""
        return self._sizes[self._dropped + max(0, seq - self.first_seq + 1) :]

    def _trim(self) -> None:
        while len(self) > 1 and (
            (self._max_items and len(self) > self._max_items)
            or (self._max_bytes and self._size_bytes > self._max_bytes)
        ):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._size_bytes -= self._sizes[self._dropped]
        self._items[self._dropped] = None
        self._dropped += 1
        if self._dropped >= _COMPACT_AT:
            del self._items[: self._dropped]
            del self._sizes[: self._dropped]
            self._dropped = 0
