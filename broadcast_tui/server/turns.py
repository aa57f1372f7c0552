"""Shares the event loop among the connections that send, by time and fairly among addresses.

Received data is processed at once while there is time for it in this iteration of the loop. What is left
waits for its turn, and its connection stops reading. Addresses take turns, and so do the connections of an
address; addresses that have not been waiting go first, as in FQ-CoDel (RFC 8290 4.2), so that a flood from
one address delays the occasional message from another by one short turn. Exempt connections take turns each
for itself.

The time of a turn is charged to the budget of the address. An address in debt waits until it is balanced.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from broadcast_tui.core.hub.work_budget import UNLIMITED, WorkBudget

TURN_S = 0.002
"""Maximum time of one turn; a frame that has been started is finished."""
TURN_MIN_S = 0.0005
"""The same while many addresses are waiting."""
ROUND_S = 0.005
"""Time for received data in one iteration of the loop; the rest is for writing and storing."""
SETTLED_MAX_S = 0.01
"""Maximum time charged for one turn, since the system may run other processes meanwhile."""


class Pauses:
    """Pauses of long work in the event loop, after each `turn_s`."""

    def __init__(self, turn_s: float = TURN_S) -> None:
        self._turn_s = turn_s
        self._until = time.perf_counter() + turn_s

    @property
    def is_due(self) -> bool:
        """Whether the work should let the loop run."""
        return time.perf_counter() > self._until

    async def pause(self) -> None:
        """Let the loop run once."""
        await asyncio.sleep(0)
        self._until = time.perf_counter() + self._turn_s


class Receiver(Protocol):
    """A connection with data to process."""

    rate_limit_key: str
    budget: WorkBudget

    def process(self, deadline: float) -> bool:
        """Process received data until `deadline`, in seconds of the clock of the scheduler.

        Returns whether there is more.
        """
        ...


class _Flow:
    """The waiting connections of one address."""

    __slots__ = ("budget", "key", "receivers")

    def __init__(self, key: object, budget: WorkBudget) -> None:
        self.key = key
        self.budget = budget
        self.receivers: deque[Receiver] = deque()


class TurnScheduler:
    """Calls `Receiver.process` in turns.

    Args:
        clock: A monotonic clock with a high resolution, unlike that of uvloop.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._used_s = 0.0
        """Time used in this iteration of the loop."""
        self._flows: dict[object, _Flow] = {}
        self._waiting_receivers: set[Receiver] = set()
        self._fresh: deque[_Flow] = deque()
        self._waiting: deque[_Flow] = deque()
        self._fresh_is_next = True
        self._round_scheduled = False

    def submit(self, receiver: Receiver) -> bool:
        """Process the data of a connection now or later; returns whether all has been processed."""
        if receiver in self._waiting_receivers:
            return False
        key = receiver.rate_limit_key or receiver
        in_debt = receiver.budget.is_limited and receiver.budget.debt_wait_s(self._loop.time()) > 0
        may_run = not in_debt and key not in self._flows and self._used_s < ROUND_S
        if may_run and not self._run(receiver, TURN_S):
            return True
        self._enqueue(receiver, key)
        return False

    def remove(self, receiver: Receiver) -> None:
        """Forget a closed connection."""
        if receiver in self._waiting_receivers:
            self._waiting_receivers.discard(receiver)
            self._flows[receiver.rate_limit_key or receiver].receivers.remove(receiver)

    def _enqueue(self, receiver: Receiver, key: object) -> None:
        self._waiting_receivers.add(receiver)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow(key, receiver.budget)
            self._fresh.append(flow)
        flow.receivers.append(receiver)
        self._schedule_round()

    def _schedule_round(self) -> None:
        if not self._round_scheduled:
            self._round_scheduled = True
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        """Give turns to waiting connections for at most `ROUND_S`."""
        self._round_scheduled = False
        self._used_s = 0.0
        while self._used_s < ROUND_S and (self._fresh or self._waiting):
            flow = self._next_flow()
            if not flow.receivers:
                del self._flows[flow.key]
                continue
            wait_s = flow.budget.debt_wait_s(self._loop.time())
            if wait_s > 0:
                self._loop.call_later(wait_s, self._resume, flow)
                continue
            receiver = flow.receivers.popleft()
            self._waiting_receivers.discard(receiver)
            turn_s = max(TURN_MIN_S, min(TURN_S, ROUND_S / len(self._flows)))
            if self._run(receiver, turn_s):
                self._waiting_receivers.add(receiver)
                flow.receivers.append(receiver)
            self._waiting.append(flow)
        if self._fresh or self._waiting:
            self._schedule_round()

    def _next_flow(self) -> _Flow:
        """A fresh address and one that has been waiting, in turn."""
        take_fresh = bool(self._fresh) and (self._fresh_is_next or not self._waiting)
        self._fresh_is_next = not take_fresh
        return (self._fresh if take_fresh else self._waiting).popleft()

    def _resume(self, flow: _Flow) -> None:
        """Let an address take turns again."""
        self._waiting.append(flow)
        self._schedule_round()

    def _run(self, receiver: Receiver, turn_s: float) -> bool:
        budget = receiver.budget
        budget.priced_s = 0.0
        started = self._clock()
        has_more = receiver.process(started + turn_s)
        elapsed_s = self._clock() - started
        self._used_s += elapsed_s
        self._schedule_round()  # resets the time used
        if budget is not UNLIMITED:
            budget.settle(min(elapsed_s, SETTLED_MAX_S), self._loop.time())
        return has_more
