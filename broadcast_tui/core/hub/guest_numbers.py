"""Numbers of connections without a name, unique in the cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

LOW_COUNT = 200
"""Number of free guest numbers below which the node needs more."""
_RANDOM_BASE = 10**15
"""Random numbers start here, far above those that are given out in blocks."""
_RANDOM_CHARS = 6
"""Characters of a random id that make up a random number."""


class GuestNumbers:
    """The guest numbers of a node.

    Args:
        random_id: Returns an unguessable ASCII string, never the same one twice.
    """

    def __init__(self, random_id: Callable[[], str]) -> None:
        self._random_id = random_id
        self._blocks: deque[range] = deque()

    @property
    def are_few(self) -> bool:
        """Whether the node needs another block."""
        return sum(map(len, self._blocks)) < LOW_COUNT

    def add(self, start: int, count: int) -> None:
        """Add a block of numbers that no other node uses."""
        self._blocks.append(range(start, start + count))

    def take(self) -> int:
        """Return a number that no other connection has: a large random one if no block is left."""
        while self._blocks:
            block = self._blocks.popleft()
            if block:
                if len(block) > 1:
                    self._blocks.appendleft(block[1:])
                return block[0]
        return _RANDOM_BASE + int.from_bytes(self._random_id()[-_RANDOM_CHARS:].encode(), "big")
