"""A token bucket that is told the time."""

from __future__ import annotations


class TokenBucket:
    """`rate` tokens a second, up to `burst`; full at the start. A rate of 0 never refuses."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._tokens = self._burst
        self._at: float | None = None

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens. Returns 0.0 if there were as many, else the seconds until there will be.

        What costs more than the burst is had for a full bucket, so that nothing is refused for ever.
        """
        wait_s = self.wait_s(now, cost)
        if self._rate > 0 and wait_s == 0.0:
            self._tokens -= min(cost, self._burst)
        return wait_s

    def wait_s(self, now: float, cost: float = 1.0) -> float:
        """What `take` would return, with nothing taken."""
        if self._rate <= 0:
            return 0.0
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        return max(0.0, (min(cost, self._burst) - self._tokens) / self._rate)

    @property
    def is_full(self) -> bool:
        """Whether nothing is missing since the last call; such a bucket may be forgotten."""
        return self._rate <= 0 or self._tokens >= self._burst
