"""A queue whose items are taken from one source after another, so that no source delays the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue of items from several sources, each with a key.

    Sources take turns; the items of a source keep their order.
    """

    def __init__(self) -> None:
        self._flows: dict[Hashable, deque[T]] = {}
        self._turns: deque[Hashable] = deque()
        """The keys of all sources with items; the first one is next."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, key: Hashable, item: T) -> None:
        """Add an item of a source."""
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = deque()
            self._turns.append(key)
        flow.append(item)
        self._count += 1

    def pop(self) -> T:
        """Remove and return the next item of the source whose turn it is. Raises IndexError if empty."""
        key = self._turns.popleft()
        flow = self._flows[key]
        item = flow.popleft()
        self._count -= 1
        if flow:
            self._turns.append(key)
        else:
            del self._flows[key]
        return item
