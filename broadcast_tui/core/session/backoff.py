"""Delays between connection attempts: exponential backoff with jitter.

Every delay has jitter, so that the clients of a restarted server do not reconnect at the same moment.
The `websockets` client applies it to the first delay only.
"""

from __future__ import annotations

from collections.abc import Callable

STABLE_S = 30.0
"""A connection that lasted this long resets the backoff."""


class Backoff:
    """Delays starting at `first_s`, doubled up to `max_s`, each times a random factor in [0.5, 1).

    Args:
        random: Returns a float in [0, 1); the only source of randomness.
    """

    def __init__(self, random: Callable[[], float], first_s: float = 0.5, max_s: float = 30.0) -> None:
        self._random = random
        self._first_s = first_s
        self._max_s = max_s
        self._failures = 0

    def next_delay_s(self, at_least_s: float = 0.0) -> float:
        """Delay before the next attempt in seconds, at least `at_least_s` (the server's Retry-After)."""
        ceiling = min(self._max_s, self._first_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        return max(at_least_s, ceiling * (0.5 + 0.5 * self._random()))

    def spread_s(self, spread_s: float) -> float:
        """Random delay within the spread that a stopping server asked for, in seconds."""
        return self._random() * max(0.0, spread_s)

    def connected_for(self, seconds: float) -> None:
        """Report how long the last connection lasted."""
        if seconds >= STABLE_S:
            self._failures = 0
