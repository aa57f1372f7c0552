"""Limits how much work runs at once, and lets the addresses that wait for it take turns."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from broadcast_tui.core.fair_queue import FairQueue


class FairSlots:
    """Slots for work that runs at the same time, such as a job in a thread that does one after another.

    An address with many waiting jobs delays the job of another by one of them.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    async def acquire(self, key: Hashable) -> None:
        """Take a slot for work of an address; waits for its turn if all are in use."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.put(key, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn came at the same moment
                self.release()
            raise

    def release(self) -> None:
        """Return a slot, which the next address gets."""
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
