"""What a server has done since it started, as plain numbers that cost next to nothing to keep."""

from __future__ import annotations

from bisect import bisect_left

APPEND_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LAG_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Histogram:
    """A histogram of seconds: how many were at most each of `bounds_s`, the last place for all others."""

    __slots__ = ("bounds_s", "counts", "total_s")

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.total_s += seconds


class ServerStats:
    """Posts appended, writes of posts to connections, bytes, connections cut, and how long things take."""

    __slots__ = ("append", "cut", "deliveries", "lag", "lag_s", "posts", "received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.posts = 0
        self.deliveries = 0
        """Posts times the connections they were written to."""
        self.received_bytes = 0
        self.sent_bytes = 0
        self.cut: dict[str, int] = {}
        """Slow and dead connections that were cut, by why."""
        self.append = Histogram(APPEND_BOUNDS_S)
        """From handing a batch to the engine to having it safe."""
        self.lag = Histogram(LAG_BOUNDS_S)
        """How much later than asked for the loop comes round."""
        self.lag_s = 0.0
        """The same, the last time."""
