"""A bounded buffer of consecutive items, such as the newest posts of a room.

Invariants: seqs are consecutive. Items are dropped from the old end only. The newest item is never dropped,
even if it alone exceeds the size limit.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

_COMPACT_AT = 256
"""Number of dropped items at the front of the list at which they are deleted together."""


class RingBuffer(Generic[T]):
    """Items by seq, at most `max_items` and `max_bytes` (0: unlimited).

    Args:
        last_seq: Seq before that of the first appended item.
    """

    __slots__ = (
        "_dropped",
        "_items",
        "_max_bytes",
        "_max_items",
        "_sizes",
        "is_full",
        "last_seq",
        "size_bytes",
    )

    def __init__(self, max_items: int, max_bytes: int, last_seq: int = 0) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._items: list[T | None] = []
        self._sizes = array("Q")
        self._dropped = 0
        self.size_bytes = 0
        """Size of all items. Read-only, like `last_seq`."""
        self.last_seq = last_seq
        self.is_full = False
        """Whether items have been dropped because of the limits, since the buffer was last cleared."""

    def __len__(self) -> int:
        return len(self._items) - self._dropped

    @property
    def first_seq(self) -> int:
        """Seq of the oldest item; `last_seq + 1` if the buffer is empty."""
        return self.last_seq - len(self._items) + self._dropped + 1

    def append(self, item: T, size_bytes: int) -> int:
        """Append an item and return its seq; drops the oldest items above the limits. Amortized O(1)."""
        self._items.append(item)
        self._sizes.append(size_bytes)
        self.size_bytes += size_bytes
        self.last_seq += 1
        self._trim()
        return self.last_seq

    def get(self, seq: int) -> T | None:
        """The item with this seq; None if it is not in the buffer."""
        index = seq - self.first_seq
        return self._items[self._dropped + index] if 0 <= index < len(self) else None

    def replace(self, seq: int, item: T, size_bytes: int) -> None:
        """Replace the item with this seq; does nothing if there is none. May drop the oldest items."""
        index = seq - self.first_seq
        if not 0 <= index < len(self):
            return
        index += self._dropped
        self.size_bytes += size_bytes - self._sizes[index]
        self._items[index], self._sizes[index] = item, size_bytes
        self._trim()

    def resize(self, max_items: int, max_bytes: int) -> None:
        """Change the limits; drops the oldest items above them."""
        self._max_items = max_items
        self._max_bytes = max_bytes
        self.is_full = False
        self._trim()

    def prepend(self, items: Sequence[tuple[T, int]]) -> None:
        """Prepend older (item, size in bytes) pairs in ascending order, as many of the newest as fit."""
        fitting: list[tuple[T, int]] = []
        size_bytes, count = self.size_bytes, len(self)
        for item, item_bytes in reversed(items):
            count += 1
            size_bytes += item_bytes
            if (self._max_items and count > self._max_items) or (
                self._max_bytes and size_bytes > self._max_bytes and count > 1
            ):
                self.is_full = True
                break
            fitting.append((item, item_bytes))
        fitting.reverse()
        self._items[: self._dropped] = [item for item, _ in fitting]
        self._sizes[: self._dropped] = array("Q", [item_bytes for _, item_bytes in fitting])
        self._dropped = 0
        self.size_bytes = sum(self._sizes)

    def clear(self) -> None:
        """Drop all items; the seqs continue."""
        self._items.clear()
        del self._sizes[:]
        self._dropped = self.size_bytes = 0
        self.is_full = False

    def after(self, seq: int, limit: int | None = None) -> list[T]:
        """The first `limit` items with a seq above `seq`, in ascending order."""
        start = self._dropped + max(0, seq - self.first_seq + 1)
        stop = None if limit is None else start + limit
        return self._items[start:stop]  # type: ignore[return-value]

    def before(self, seq: int, limit: int) -> list[T]:
        """The last `limit` items with a seq below `seq`, in ascending order."""
        stop = self._dropped + max(0, min(seq, self.last_seq + 1) - self.first_seq)
        return self._items[max(self._dropped, stop - limit) : stop]  # type: ignore[return-value]

    def sizes_after(self, seq: int) -> array[int]:
        """Sizes in bytes of the items that `after(seq)` returns."""
        return self._sizes[self._dropped + max(0, seq - self.first_seq + 1) :]

    def share_after(self, seq: int) -> float:
        """The share of the limits that the items with a seq above `seq` take up, from 0.0.

        Their size is estimated from the average.
        """
        count = self.last_seq - seq
        size_bytes = self.size_bytes * count / max(1, len(self))
        return max(
            count / self._max_items if self._max_items else 0.0,
            size_bytes / self._max_bytes if self._max_bytes else 0.0,
        )

    def _trim(self) -> None:
        while (count := len(self._items) - self._dropped) > 1 and (
            (self._max_items and count > self._max_items)
            or (self._max_bytes and self.size_bytes > self._max_bytes)
        ):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.is_full = True
        self.size_bytes -= self._sizes[self._dropped]
        self._items[self._dropped] = None
        self._dropped += 1
        if self._dropped >= _COMPACT_AT:
            del self._items[: self._dropped]
            del self._sizes[: self._dropped]
            self._dropped = 0
