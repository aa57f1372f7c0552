"""Whether posts can be stored outside of this process, for load balancers."""

from __future__ import annotations

from collections.abc import Callable

UNREACHABLE_S = 10.0
"""Time after which a server without its store is not ready.

Shorter outages, such as a failover, are no reason to choose another server: posts wait meanwhile.
"""


class StoreHealth:
    """Observes how long the store has been unreachable.

    Args:
        is_up: Returns whether the store responded to the last request.
    """

    def __init__(self, is_up: Callable[[], bool]) -> None:
        self._is_up = is_up
        self._down_since: float | None = None
        self.reason = ""
        """Why the server is not ready; empty if it is."""

    def check(self, now: float) -> None:
        """Update `reason`. Call it several times per second."""
        if self._is_up():
            self._down_since, self.reason = None, ""
            return
        if self._down_since is None:
            self._down_since = now
        if now - self._down_since >= UNREACHABLE_S:
            self.reason = f"Redis has been unreachable for {now - self._down_since:.0f} s"
