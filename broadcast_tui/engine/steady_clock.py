"""Whether the wall clock can be trusted for deleting old posts."""

from __future__ import annotations

from datetime import datetime

STEADY_S = 600.0
"""Time for which the wall clock must have run like the monotonic clock."""
STEP_S = 5.0
"""Smallest difference between the clocks that counts as a step of the wall clock."""


class SteadyClock:
    """Compares the wall clock with the monotonic clock, from check to check."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self._steady_since: float | None = None
        self.stepped = False
        """Whether the last check found a step."""

    def check(self, now: datetime, now_s: float) -> bool:
        """Whether the wall clock has had no step for `STEADY_S`.

        After a start, this takes `STEADY_S`: a wrong clock is often corrected soon.

        Args:
            now: The wall clock.
            now_s: The monotonic clock in seconds.
        """
        self.stepped = False
        if self._last is not None:
            wall_s = (now - self._last[0]).total_seconds()
            self.stepped = abs(wall_s - (now_s - self._last[1])) > STEP_S
        if self.stepped or self._steady_since is None:
            self._steady_since = now_s
        self._last = now, now_s
        return now_s - self._steady_since >= STEADY_S
