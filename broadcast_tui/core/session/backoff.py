"""How long to wait before the next connection attempt: exponential, with full jitter on each.

Jitter on every delay keeps the clients of a restarted server from coming back in step; the
websockets client has it on the first delay only (reference: broadcast-servers 7).
"""

from __future__ import annotations

from collections.abc import Callable

STABLE_S = 30.0
"""A connection that held this long starts the back-off anew."""


class Backoff:
    """Delays `first_s`, doubled up to `max_s`, each times a random factor in [0.5, 1).

    Args:
        random: Returns a float in [0, 1); the only source of chance.
    """

    def __init__(self, random: Callable[[], float], first_s: float = 0.5, max_s: float = 30.0) -> None:
        self._random = random
        self._first_s = first_s
        self._max_s = max_s
        self._failures = 0

    def next_delay_s(self, at_least_s: float = 0.0) -> float:
        """Delay before the next attempt, in seconds, never below `at_least_s` (a server's wish)."""
        ceiling = min(self._max_s, self._first_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        return max(at_least_s, ceiling * (0.5 + 0.5 * self._random()))

    def spread_s(self, spread_s: float) -> float:
        """A random moment within a server's `drain` spread, in seconds."""
        return self._random() * max(0.0, spread_s)

    def connected_for(self, seconds: float) -> None:
        """Tell how long the last connection held."""
        if seconds >= STABLE_S:
            self._failures = 0
