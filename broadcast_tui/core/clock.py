"""A moment as core is told it: monotonic for measuring, UTC for people. Core never asks a clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class Instant(NamedTuple):
    now: float
    """Monotonic seconds."""
    at: datetime
    """UTC, aware."""


def timestamp(at: datetime) -> str:
    """`at` (UTC) as ISO 8601 with microseconds and `+00:00`, which `fromisoformat` of Python 3.7+ reads."""
    return at.isoformat(timespec="microseconds")


def parse_time(text: str, when: Instant) -> datetime:
    """A server's time stamp; our own time when it is none, or one that no calendar here can show."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return when.at
    if not 1970 <= at.year <= 9000:
        return when.at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def duration_text(seconds: float) -> str:
    """A length of time in its largest unit, rounded up: `90 s`, `5 min`, `2 h`, `3 d`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds > 2 * size:
            return f"{-int(-seconds // size)} {unit}"
    return f"{max(1, -int(-seconds // 1))} s"
