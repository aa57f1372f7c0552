"""What a node exchanges with the others through Redis, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from broadcast_tui.server.stats import APPEND_BOUNDS_S, Histogram


@dataclass(slots=True)
class LinkStats:
    """Counters since the start."""

    commands: int = 0
    """Commands sent to Redis, apart from those for posts."""
    outages: int = 0
    """Times that Redis became unreachable."""
    messages: int = 0
    """Messages of other nodes."""
    round_trips: Histogram = field(default_factory=lambda: Histogram(APPEND_BOUNDS_S))
    """Time until Redis had executed the commands of one round trip."""
