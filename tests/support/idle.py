"""Waiting for a Textual app to have nothing to do, by looking at the event loop instead of at CPU time.

`Pilot.pause` sleeps in steps of 20 ms until the process uses almost no CPU time in one of them. That is slow
when the app is idle at once, and wrong when a busy machine has not let the process run.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Any

HORIZON_S = 0.02
"""Timers that are due sooner than this count as work: one step of Pilot's wait."""
QUIET_TURNS = 3
"""Turns of the loop without work before it counts as idle: data from a socket is ready a turn later."""
EARLY_TIMERS_MAX = 8
"""Timers that run early in one wait; more are those of an animation, which ends by the clock."""


async def wait_for_idle(min_sleep: float = 0, max_sleep: float = 1.0) -> None:
    """Wait until no callback is ready and no timer is due soon.

    Timers that are due soon run early instead of being waited for. An app that is never idle, such as during
    an animation, is waited for until it has worked and slept for `max_sleep` seconds; the time in which a
    busy machine does not let the process run is not counted.
    """
    loop: Any = asyncio.get_running_loop()
    start, start_cpu = loop.time(), time.process_time()
    quiet = early_count = 0
    slept_s = 0.0
    while time.process_time() - start_cpu + slept_s < max_sleep:
        await asyncio.sleep(0)
        quiet = 0 if loop._ready else quiet + 1
        if quiet < QUIET_TURNS:
            continue
        timers = [handle.when() for handle in loop._scheduled if not handle.cancelled()]
        due = min(timers, default=start + max_sleep)
        if due > start + max(min_sleep, HORIZON_S):
            return
        if early_count < EARLY_TIMERS_MAX and not min_sleep:
            early_count += 1
            run_early(loop, due)
        else:
            sleep_s = max(0.0, due - loop.time())
            await asyncio.sleep(sleep_s)
            slept_s += sleep_s
        quiet = 0


def run_early(loop: Any, due: float) -> None:
    """Let the timers that are due at `due`, the earliest time, run in the next turn of `loop`."""
    now = loop.time()
    for handle in loop._scheduled:
        if handle.when() <= due:
            handle._when = min(due, now)
    heapq.heapify(loop._scheduled)


def install() -> None:
    """Use this wait in `Pilot.pause`."""
    from textual import pilot

    vars(pilot)["wait_for_idle"] = wait_for_idle
