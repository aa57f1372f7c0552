"""Failed attempts to authenticate, counted over all nodes."""

from __future__ import annotations

import asyncio

from broadcast_tui.core.rate_limit import FailureLimiter
from broadcast_tui.server.cluster.commands import CommandQueue
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.scripts import COUNT_FAILURE

PERIOD_S = 60


class FailureCounter:
    """Adds the failures of other nodes to those that a limiter counts.

    An address that has failed too often on all nodes together is blocked on each node that it tries.
    """

    def __init__(self, commands: CommandQueue, keys: Keys, limiter: FailureLimiter) -> None:
        self._commands = commands
        self._keys = keys
        self._limiter = limiter
        limiter.on_failure = self._count

    def _count(self, address: str, now: float) -> None:
        key = self._limiter.key_of(address)
        reply = self._commands.eval(COUNT_FAILURE, self._keys.control, key, PERIOD_S)

        def count(done: asyncio.Future[int]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._limiter.record_total(address, done.result(), now)

        reply.add_done_callback(count)
