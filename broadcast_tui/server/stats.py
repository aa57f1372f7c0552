"""Statistics of a server since its start: plain counters and histograms, cheap enough for the hot path."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from broadcast_tui.core.notes import NewEntry, NewNote
from broadcast_tui.core.post import NewPost

APPEND_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LAG_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Histogram:
    """A histogram of durations; `counts` are per bucket, the last one for durations above all `bounds_s`."""

    __slots__ = ("bounds_s", "counts", "total_s")

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Add a duration."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.total_s += seconds


class ServerStats:
    """Counters and histograms of a HubRunner."""

    __slots__ = (
        "append",
        "append_peak_s",
        "deliveries",
        "dropped",
        "lag",
        "lag_s",
        "notes",
        "posts",
        "received_bytes",
        "sent_bytes",
    )

    def __init__(self) -> None:
        self.posts = 0
        self.notes: dict[str, int] = {}
        """Notes stored, and votes, by kind. Summaries of votes are not counted."""
        self.deliveries = 0
        """Posts written, once per connection."""
        self.received_bytes = 0
        self.sent_bytes = 0
        self.dropped: dict[str, int] = {}
        """Slow and dead connections that were dropped, by reason."""
        self.append = Histogram(APPEND_BOUNDS_S)
        """Time to append a batch of posts."""
        self.append_peak_s = 0.0
        """The longest of them since `HubRunner.take_lag_s` was called, also of batches that failed."""
        self.lag = Histogram(LAG_BOUNDS_S)
        """Delay of the periodic check, a measure of how busy the event loop is."""
        self.lag_s = 0.0
        """The most recent delay, in seconds."""

    def count_entries(self, entries: Iterable[NewEntry]) -> None:
        """Count posts and notes that the engine has stored."""
        for entry in entries:
            if isinstance(entry, NewPost):
                self.posts += 1
            elif isinstance(entry, NewNote):
                self.notes[entry.kind] = self.notes.get(entry.kind, 0) + 1
