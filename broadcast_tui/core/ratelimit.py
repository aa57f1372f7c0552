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

    def take(self, now: float) -> float:
        """Take one token. Returns 0.0 if there was one, else the seconds to wait until there will be."""
        wait_s = self.wait_s(now)
        if wait_s == 0.0 and self._rate > 0:
            self._tokens -= 1.0
        return wait_s

    def wait_s(self, now: float) -> float:
        """Seconds until there will be a token to take; 0.0 if there is one."""
        if self._rate <= 0:
            return 0.0
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate
