"""The ignore list: users whose posts are hidden, permanently or for a time.

Hidden posts stay in the `Transcript`. Times are monotonic seconds, passed as arguments. Names are compared as
on the server: `Bob` is `bob`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from broadcast_tui.core.clock import DAY_S, format_duration, parse_duration
from broadcast_tui.core.names import name_key

EPOCH = datetime.fromtimestamp(0, UTC)
LONGEST_S = 365.0 * DAY_S


class IgnoreList:
    """Ignored users, in the order added."""

    def __init__(
        self, ends: Mapping[str, float | None] | None = None, now: float = 0.0, at: datetime = EPOCH
    ) -> None:
        """Load the list saved by an earlier run.

        Args:
            ends: The saved result of `ends`.
            now: Monotonic time.
            at: The same moment in UTC.
        """
        self._until: dict[str, tuple[str, float | None]] = {}
        for name, end in (ends or {}).items():
            if end is None or end > at.timestamp():
                self.add(name, None if end is None else now + end - at.timestamp())

    def ends(self, now: float, at: datetime) -> dict[str, float | None]:
        """The end of each entry as Unix time (None: permanent). `now` and `at` are the same moment."""
        return {
            name: None if until is None else at.timestamp() + until - now
            for name, until in self._until.values()
        }

    def __bool__(self) -> bool:
        return bool(self._until)

    @property
    def is_timed(self) -> bool:
        """Whether any user is ignored for a limited time."""
        return any(until is not None for _, until in self._until.values())

    def add(self, name: str, until: float | None) -> None:
        """Ignore `name` until a monotonic time; None: until `remove`."""
        self._until[name_key(name)] = (name, until)

    def remove(self, name: str) -> bool:
        """Stop ignoring `name`; returns false if they were not ignored."""
        return self._until.pop(name_key(name), None) is not None

    def has(self, name: str) -> bool:
        return bool(self._until) and name_key(name) in self._until

    def expire(self, now: float) -> list[str]:
        """Remove the expired entries and return their names."""
        over = [
            (key, name) for key, (name, until) in self._until.items() if until is not None and until <= now
        ]
        for key, _ in over:
            del self._until[key]
        return [name for _, name in over]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self._until.values()]

    def lines(self, now: float) -> list[str]:
        """Lines for /ignore: each name, and the remaining time if limited."""
        return [
            name if until is None else f"{name} ({format_duration(until - now, round_up=True)} left)"
            for name, until in self._until.values()
        ]


def parse_ignore_duration(text: str) -> float | None:
    """Seconds of a duration such as `10m`; None if `text` is not one, or if it is 0 or over a year."""
    seconds = parse_duration(text)
    return seconds if seconds is not None and 0 < seconds <= LONGEST_S else None
