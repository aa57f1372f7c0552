"""Reports callbacks that hold the event loop for too long; a debugging aid, off by default.

asyncio's debug mode does this too, but it slows everything down, and uvloop does not support it. Here the
methods of the loop that schedule callbacks are replaced on the loop object, so that each callback is timed.
This works with any event loop and costs less than a microsecond per callback.

The measure is the processor time of the thread. Unlike elapsed time, it does not include the time for which
the system runs other processes. It does not include blocking calls either: those show in the delay of the
event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

HOLD_S = 0.05
"""Processor time of one callback above which it is reported."""
SCHEDULERS = (("call_soon", 0), ("call_soon_threadsafe", 0), ("call_later", 1), ("call_at", 1))
"""Methods of a loop that take a callback, and its place among their arguments."""
PROTOCOL_CALLBACKS = ("data_received", "eof_received", "resume_writing", "connection_lost")
"""Methods of a protocol that the loop calls without scheduling them."""

log = logging.getLogger("broadcast_tui.server")


class Watchdog:
    """Times the callbacks of an event loop.

    Args:
        hold_s: Seconds of processor time above which a callback is reported.
        clock: Processor time of the current thread, in seconds.
    """

    def __init__(self, hold_s: float = HOLD_S, clock: Callable[[], float] = time.thread_time) -> None:
        self.held_count = 0
        """Number of callbacks that took longer than `hold_s`."""
        self._hold_s = hold_s
        self._clock = clock

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Time all callbacks that are scheduled on `loop` from now on, including the steps of its tasks."""
        for name, place in SCHEDULERS:
            setattr(loop, name, self._timing_scheduler(getattr(loop, name), place))

    def watch_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Time what a transport calls on `protocol`. Call it before the connection is made."""
        connection_lost = protocol.connection_lost

        def connection_lost_and_unwatched(error: Exception | None) -> None:
            self.run(connection_lost, (error,))
            for name in PROTOCOL_CALLBACKS:  # they refer to the protocol, which could not be freed
                vars(protocol).pop(name, None)

        for name in PROTOCOL_CALLBACKS:
            setattr(protocol, name, _Timed(self, getattr(protocol, name)))
        setattr(protocol, "connection_lost", connection_lost_and_unwatched)  # noqa: B010

    def _timing_scheduler(self, schedule: Callable[..., Any], place: int) -> Callable[..., Any]:
        def schedule_timed(*args: Any, **kwargs: Any) -> Any:
            callback = args[place]
            if not isinstance(callback, _Timed):  # in asyncio, `call_later` calls `call_at`
                callback = _Timed(self, callback)
            return schedule(*args[:place], callback, *args[place + 1 :], **kwargs)

        return schedule_timed

    def run(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Call `callback` and report it if it takes too long."""
        started = self._clock()
        try:
            return callback(*args)
        finally:
            held_s = self._clock() - started
            if held_s > self._hold_s:
                self.held_count += 1
                extra = {"event": "blocked", "seconds": round(held_s, 3)}
                text = "%s held the event loop for %.0f ms"
                log.warning(text, name_of(callback), held_s * 1000, extra=extra)


class _Timed:
    """A callback that runs under a watchdog."""

    __slots__ = ("_callback", "_watchdog")

    def __init__(self, watchdog: Watchdog, callback: Callable[..., Any]) -> None:
        self._watchdog = watchdog
        self._callback = callback

    def __call__(self, *args: Any) -> Any:
        return self._watchdog.run(self._callback, args)


def name_of(callback: Callable[..., Any]) -> str:
    """Name of a callback; that of its coroutine if it is a step of a task."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        return getattr(coroutine, "__qualname__", repr(coroutine))
    return getattr(callback, "__qualname__", repr(callback))
