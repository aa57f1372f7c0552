"""Slices of a batch of updates, bounded in time, so that keys get their turn during a flood."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from broadcast_tui.core.session.updates import Update

SLICE_S = 0.01
"""Longest time for which updates are applied at once: about 1,000 short posts. One update can take longer."""


class UpdateSlice:
    """The next updates of `pending`, removed one by one as they are applied, until the time is over.

    At least one update is taken. Can be iterated once; `taken` are the updates so far.
    """

    def __init__(self, pending: deque[Update], clock: Callable[[], float]) -> None:
        self._pending = pending
        self._clock = clock
        self.taken: list[Update] = []

    def __iter__(self) -> Iterator[Update]:
        end = self._clock() + SLICE_S
        while self._pending:
            self.taken.append(self._pending.popleft())
            yield self.taken[-1]
            if self._clock() >= end:
                return
